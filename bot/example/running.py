"""Runs an example service with its control page, and takes both down whatever happens."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bot.example.breaking import Breaker
from bot.example.environment import environment
from bot.example.page import ControlPage
from bot.example.programs import free_port
from bot.example.service import ExampleService


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example service that runs."""

    service: ExampleService
    breaker: Breaker
    page: ControlPage
    #: Environment variables that fill in its checklist.
    environment: dict[str, str]


@contextlib.asynccontextmanager
async def example_service(folder: Path, *, page_port: int = 0) -> AsyncIterator[Example]:
    """Everything that is installed, until the block ends; 0 takes a free port for the page.

    Raises ExampleTrouble, OSError where the port is taken.
    """
    port = page_port or free_port()
    service = ExampleService(folder, page_port=port)
    breaker = Breaker(service)
    page = ControlPage(service, breaker)
    try:
        # First, because Alertmanager delivers to it.
        await page.start(port)
        await service.start()
        handed_over = environment(service)
        _write(folder / "environment", handed_over)
        yield Example(service=service, breaker=breaker, page=page, environment=handed_over)
    finally:
        await breaker.rest()
        await page.stop()
        await service.stop()


def _write(file: Path, variables: dict[str, str]) -> None:
    """For a shell: `set -a; . FILE`, then `deploybot check`."""
    file.touch(0o600)
    file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()))
