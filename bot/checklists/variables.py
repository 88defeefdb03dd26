"""Fill `{{ service }}`, `{{ version }}` and `{{ environment }}` into a checklist's words.

Jinja in a sandbox, and of Jinja only what a line of text needs: names, a few filters, a condition. Loops,
calls and arithmetic are refused before anything runs, so no checklist can hang the bot or read its inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bot.domain.checklist import Checklist, Item
from bot.domain.errors import ChecklistUnusable, Finding

#: What can be filled in.
VARIABLES = ("service", "version", "environment")

FILTERS = frozenset({"capitalize", "default", "d", "lower", "replace", "title", "trim", "upper"})
_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Filter,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Test,
)
#: `${{ … }}` is another tool's, e.g. a CI workflow's, and stays as it is.
_OTHERS = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
_MARKDOWN = re.compile(r"([\\`*_\[\]<>~|])")


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    # Comments would swallow `{#`, which people write in text; give them a mark nobody types.
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        comment_start_string="{#\0",
        comment_end_string="\0#}",
        finalize=lambda value: _MARKDOWN.sub(r"\\\1", value) if isinstance(value, str) else value,
    )


def has_variables(text: str) -> bool:
    """Whether there is anything to fill in."""
    rest = _OTHERS.sub("", text)
    return "{{" in rest or "{%" in rest


def trouble(text: str) -> str | None:
    """What keeps this text from being filled in, or None."""
    if not has_variables(text):
        return None
    try:
        tree = _environment().parse(_guarded(text))
    except TemplateError as error:
        return f"“{text[:60]}” has braces that can't be filled in ({error.message or error})"
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            return f"“{text[:60]}”: only names, filters and conditions can stand between the braces"
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            return f"“{text[:60]}”: the filter {node.name} is not one of {', '.join(sorted(FILTERS))}"
        if isinstance(node, nodes.Name) and node.name not in VARIABLES:
            return f"“{text[:60]}”: {node.name} is not known; there are {', '.join(VARIABLES)}"
    return None


def fill_text(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables filled in, their values escaped for Markdown. Raises ValueError."""
    if not has_variables(text):
        return text
    problem = trouble(text)
    if problem is not None:
        raise ValueError(problem)
    try:
        filled = _environment().from_string(_guarded(text)).render(dict(variables))
    except (TemplateError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"“{text[:60]}” can't be filled in ({error})") from error
    return _in_code_as_typed(filled)


def _guarded(text: str) -> str:
    """Other tools' braces as literal text."""
    return _OTHERS.sub(lambda match: "{{ '" + match[0].replace("'", "\\'") + "' }}", text)


def _in_code_as_typed(text: str) -> str:
    """In code spans a backslash is a backslash, so values stand there unescaped."""
    return re.sub(r"(`+)(.+?)\1", lambda m: re.sub(r"\\([\\*_\[\]<>~|])", r"\1", m[0]), text)


def fill(checklist: Checklist, variables: Mapping[str, str]) -> Checklist:
    """The checklist with its variables filled in; keys stay. Raises ChecklistUnusable, naming every line."""
    findings: list[Finding] = []

    def filled(text: str, line: int = 0) -> str:
        try:
            return " ".join(fill_text(text, variables).split()) if has_variables(text) else text
        except ValueError as error:
            findings.append(Finding(line=line, message=str(error), fatal=True))
            return text

    def item(of: Item) -> Item:
        return replace(of, text=filled(of.text, of.line))

    done = Checklist(
        title=filled(checklist.title),
        sections=tuple(
            replace(
                section,
                title=filled(section.title),
                groups=tuple(
                    replace(group, title=filled(group.title), items=tuple(map(item, group.items)))
                    for group in section.groups
                ),
            )
            for section in checklist.sections
        ),
        triggers=tuple(map(filled, checklist.triggers)),
        rollback_steps=tuple(map(filled, checklist.rollback_steps)),
    )
    if findings:
        raise ChecklistUnusable(checklist.title, tuple(findings))
    return done
