"""Whether an Alembic migration can be taken back, read from its source without running it."""

from __future__ import annotations

import ast
from collections.abc import Sequence


def irreversible(source: str) -> str | None:
    """The revision of a migration that changes something and has no way back; None for any other file.

    `downgrade` missing, empty or raising is no way back. Raises ValueError for what is no Python.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from error
    revision = next((_string(node) for node in tree.body if _names(node) == "revision"), None)
    functions = {node.name: node.body for node in tree.body if isinstance(node, ast.FunctionDef)}
    if revision is None or "upgrade" not in functions or _idle(functions["upgrade"]):
        return None
    back = functions.get("downgrade", [])
    return revision if _idle(back) or any(isinstance(node, ast.Raise) for node in back) else None


def _idle(body: Sequence[ast.stmt]) -> bool:
    """Nothing but `pass`, `...` and docstrings."""
    return all(
        isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in body
    )


def _names(node: ast.stmt) -> str | None:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return None


def _string(node: ast.stmt) -> str | None:
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    return str(value.value) if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
