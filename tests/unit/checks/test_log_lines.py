"""What a log line tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checks.log_lines import LogLine, is_own_question


@pytest.mark.parametrize(
    ("text", "structured", "level"),
    [
        ('{"level": "info", "msg": "x"}', True, "info"),
        ('{"severity": "DEBUG"}', True, "debug"),
        ('{"log": {"level": "warn"}, "message": "x"}', True, "warn"),
        ('{"level": 30, "msg": "x"}', True, None),
        ('time=2026 level=debug msg="GET / done"', True, "debug"),
        ('10.0.0.1 - - "GET /?a=b HTTP/1.1" 200', False, None),
        ("INFO:root:served request", False, None),
        ("[1, 2]", False, None),
        ("", False, None),
    ],
)
def test_structure_and_level_are_read_from_the_text(text: str, structured: bool, level: str | None) -> None:
    line = LogLine(text=text)
    assert (line.structured, line.level) == (structured, level)


def test_a_level_may_be_a_label_of_the_store() -> None:
    assert LogLine(text="served", fields={"detected_level": "Trace"}).level == "trace"


@pytest.mark.parametrize(
    "text",
    [
        'level=info component=querier query="{app=\\"shop\\"} |= \\"marker\\""',
        '{"query":{"query_string":{}}}',
    ],
)
def test_a_store_s_record_of_our_question_is_known(text: str) -> None:
    assert is_own_question(text)


@given(st.dictionaries(st.text(max_size=5), st.recursive(st.text(max_size=5), st.lists, max_leaves=3)))
def test_any_json_object_is_structured(document: dict[str, Any]) -> None:
    assert LogLine(text=json.dumps(document)).structured
