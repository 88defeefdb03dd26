"""Which checklist a word on the command line means: a name in the library, or a path."""

from __future__ import annotations

from pathlib import Path

from bot.app import SHIPPED_CHECKLISTS
from bot.checklists.library import SUFFIXES, ChecklistLibrary
from bot.config import Settings


def library_for(word: str, settings: Settings) -> tuple[ChecklistLibrary, str]:
    """The library to look into, and the checklist's name there."""
    path = Path(word)
    if path.suffix.casefold() in (*SUFFIXES, ".yaml", ".yml"):
        return ChecklistLibrary([path.parent], includes=[SHIPPED_CHECKLISTS]), path.stem
    return ChecklistLibrary([settings.checklists, SHIPPED_CHECKLISTS]), word
