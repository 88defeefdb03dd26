"""`deploybot checklist kinds`: the kinds of checks, what each takes and what its rules can speak of."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.markup import escape

from bot.checks.catalogue import Catalogue
from bot.checks.kind import Kind


def kinds(
    name: Annotated[str, typer.Argument(help="A kind, or the beginning of several; all if left out.")] = "",
) -> None:
    """List the kinds of checks; for one, or a few that begin alike, everything about them."""
    catalogue = Catalogue()
    found = [kind for kind in catalogue.all() if kind.name.startswith(name)]
    if not found:
        nearest = catalogue.nearest(name)
        hint = f"; did you mean {nearest}?" if nearest else ""
        raise typer.BadParameter(f"there is no such kind{hint}", param_hint="NAME")
    console = Console(highlight=False, soft_wrap=True)
    for kind in found:
        console.print(f"[bold]{kind.name}[/]  {escape(kind.about)}")
        if name:
            _print(console, kind)


def _print(console: Console, kind: Kind[Any]) -> None:
    for field_name, field in kind.params.model_fields.items():
        shown = "" if field.is_required() else _shown(field, field.get_default(call_default_factory=False))
        optional = "optional" if shown in ("None", "''", "{}", "[]") else f"default {shown}"
        need = "required" if field.is_required() else optional
        console.print(f"    [cyan]{field.alias or field_name}[/] ({need})  {escape(field.description or '')}")
    console.print("  rules can speak of")
    for value, meaning in kind.values.items():
        scale = f", one of {' < '.join(kind.scales[value])}" if value in kind.scales else ""
        console.print(f"    [green]{value}[/]  {escape(meaning + scale)}")
    again = "run again at Go and finish" if kind.cheap else "not run again by itself"
    console.print(f"  {again}; takes turns with other {kind.pool.value} checks\n")


def _shown(field: Any, default: Any) -> str:
    if default is PydanticUndefined or (default is None and field.default_factory is not None):
        return escape(repr(field.default_factory()))
    return escape(repr(default))
