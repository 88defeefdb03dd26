"""`deploybot checklist …`: look at checklists before a deployment depends on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from bot.app import SHIPPED_CHECKLISTS
from bot.checklists.library import SUFFIXES
from bot.checklists.outline import findings, outline
from bot.checklists.reading import read
from bot.domain.checklist import Checklist
from bot.domain.errors import ChecklistUnusable, Finding

app = typer.Typer(help="Look at checklists.", no_args_is_help=True)

#: Exit codes of `lint`.
FINE, FOUND, UNREADABLE = 0, 1, 2


@app.callback()
def checklist() -> None:
    """Look at checklists."""


@app.command("lint")
def lint(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Markdown files, or folders of them.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: an object, or a list for several.")
    ] = False,
    items: Annotated[bool, typer.Option("--items", help="List every item in the tree.")] = False,
) -> None:
    """Print what the bot makes of a checklist, and what it could not use, with line numbers.

    Exit code 0: it can be used. 1: it cannot, or holds no items. 2: a file cannot be read.
    """
    files = list(_files(paths))
    if not files:
        print("deploybot: there is no Markdown file in there.", file=sys.stderr)
        raise typer.Exit(UNREADABLE)
    results = [_look_at(path) for path in files]
    if as_json:
        told = [_as_json(path, *result) for path, result in zip(files, results, strict=True)]
        json.dump(told[0] if len(told) == 1 else told, sys.stdout, ensure_ascii=True, indent=2)
        sys.stdout.write("\n")
    else:
        console = Console(highlight=False, soft_wrap=True)
        for path, (found, noticed) in zip(files, results, strict=True):
            _print(console, path, found, noticed, items=items)
    raise typer.Exit(max(_exit_code(*result) for result in results))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix.casefold() in SUFFIXES and p.is_file())
        else:
            yield path


def _look_at(path: Path) -> tuple[Checklist | None, tuple[Finding, ...]]:
    try:
        parsed = read(path, [SHIPPED_CHECKLISTS])
    except ChecklistUnusable as error:
        if error.path == str(path):
            return None, error.findings
        # In a file that this one includes.
        return None, (Finding(line=0, message=str(error), fatal=True),)
    return parsed.checklist, findings(parsed)


def _exit_code(found: Checklist | None, noticed: Sequence[Finding]) -> int:
    if found is None:
        return UNREADABLE
    return FOUND if any(finding.fatal for finding in noticed) else FINE


def _as_json(path: Path, found: Checklist | None, noticed: Sequence[Finding]) -> dict[str, Any]:
    shown = str(path).encode("utf-8", "replace").decode()
    told: dict[str, Any] = {"path": shown}
    if found is None:
        told["error"] = f"{shown}: {noticed[0].message}"
    else:
        told |= outline(found)
    told["findings"] = [
        {"line": finding.line, "message": finding.message, "fatal": finding.fatal} for finding in noticed
    ]
    return told


def _print(
    console: Console, path: Path, found: Checklist | None, noticed: Sequence[Finding], *, items: bool
) -> None:
    if found is not None:
        count = len(found.items)
        groups = sum(len(section.groups) for section in found.sections)
        tree = Tree(f"[bold]{escape(found.title)}[/]  {counted(count, 'item')} in {counted(groups, 'group')}")
        for section in found.sections:
            branch = tree.add(f"[bold]{_title(section.title)}[/]  {len(section.items)}")
            for group in section.groups:
                twig = branch.add(f"{_title(group.title)}  {len(group.items)}")
                for item in group.items if items else ():
                    box = "☑" if item.checked else "☐"
                    number = f"{item.number}. " if item.ordered else ""
                    twig.add(
                        f"{'  ' * item.depth}{box} {number}{escape(item.text)}  [dim]{escape(item.key)}[/]"
                    )
        steps = [f"{escape(step.text)}  [dim]{escape(step.key)}[/]" for step in found.runbook]
        for title, lines in (("Rollback triggers", map(escape, found.triggers)), ("Rollback steps", steps)):
            shown = list(lines)
            if shown:
                branch = tree.add(f"[bold]{title}[/]  {len(shown)}")
                for line in shown if items else ():
                    branch.add(line)
        console.print(tree)
    for finding in noticed:
        where = f"{path}:{finding.line}" if finding.line else str(path)
        mark = "[red]✗[/]" if finding.fatal else "[yellow]![/]"
        console.print(f"{mark} {escape(where)}: {escape(finding.message)}")
    if path.suffix.casefold() in (".yaml", ".yml"):
        console.print("! A YAML file of checks is looked at by `deploybot checklist explain`.")


def counted(count: int, what: str) -> str:
    """`1 group`, `18 groups`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _title(title: str) -> str:
    return escape(title) if title else "[dim](no heading)[/]"
