"""Variables are filled in, and nothing else in a checklist can run."""

from __future__ import annotations

import time

import pytest

from bot.checklists.markdown import parse
from bot.checklists.variables import fill, fill_text
from bot.domain.errors import ChecklistUnusable
from bot.slack.mrkdwn import mrkdwn, plain

VALUES = {"service": "storefront", "version": "v1_4*2", "environment": "production"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Deploy {{ service }} {{version}}", "Deploy storefront v1_4*2"),
        ("{{ service | upper }} is up", "STOREFRONT is up"),
        ("tag `{{ version }}` exists", "tag v1_4*2 exists"),
        ("{% if environment == 'production' %}Tell everybody{% else %}Tell us{% endif %}", "Tell everybody"),
        ("${{ github.sha }} stays", "${{ github.sha }} stays"),
        ("no braces", "no braces"),
        ("a {# not a comment #} b", "a {# not a comment #} b"),
    ],
)
def test_variables_are_filled_in(text: str, said: str) -> None:
    assert plain(fill_text(text, VALUES)) == said


def test_a_value_cannot_become_formatting() -> None:
    assert "*" not in mrkdwn(fill_text("{{ service }}", {**VALUES, "service": "a"}))
    assert plain(fill_text("{{ version }}", {**VALUES, "version": "*x* <@U1> [a](b)"})) == "*x* <@U1> [a](b)"


@pytest.mark.parametrize(
    "text",
    [
        "{{ nobody }}",
        "{{ service",
        "{{ }}",
        "{{ ''.__class__ }}",
        "{{ service.__class__ }}",
        "{{ 'a' * 10000000000 }}",
        "{{ range(10**9) }}",
        "{% for x in range(10**9) %}x{% endfor %}",
        "{{ service | attr('upper') }}",
        "{% include 'x' %}",
        "{% set x = 1 %}",
        "{{ service() }}",
        "{{ service[0] }}",
    ],
)
def test_anything_else_is_refused_at_once_in_a_sentence(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="“"):
        fill_text(text, VALUES)
    assert time.process_time() - began < 1


def test_filling_keeps_the_keys_and_names_the_line_of_what_cannot_be_filled() -> None:
    checklist = parse("# T\n## {{ service }}\n- [ ] Tag {{ version }}\n", name="t").checklist
    filled = fill(checklist, VALUES)
    assert [item.key for item in filled.items] == [item.key for item in checklist.items]
    assert plain(filled.sections[0].title) == "storefront"
    with pytest.raises(ChecklistUnusable, match=r":2: .*nobody is not known"):
        fill(parse("# T\n- [ ] Tell {{ nobody }}\n", name="t").checklist, VALUES)
