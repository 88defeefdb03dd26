"""What an author wrote in Markdown looks right in Slack, and nothing becomes formatting by accident."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.slack.mrkdwn import BREAK, length, mrkdwn, plain, shorten


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("plain words", "plain words"),
        ("**bold** and *italic* and ~~gone~~", "*bold* and _italic_ and ~gone~"),
        ("__bold__ and _italic_", "*bold* and _italic_"),
        ("`code` stays", "`code` stays"),
        ("`a < b`", "`a &lt; b`"),
        ("[guide](https://x.y/z?a=1&b=2)", "<https://x.y/z?a=1&amp;b=2|guide>"),
        ("<https://x.y>", "<https://x.y|https://x.y>"),
        ("[mail](mailto:a@b.c)", "<mailto:a@b.c|mail>"),
        ("[file](docs/guide.md)", "file (docs/guide.md)"),
        ("[run](javascript:alert(1))", "run (javascript:alert(1))"),
        ("![a picture](https://x.y/p.png)", "<https://x.y/p.png|a picture>"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("&lt;b&gt; &amp;", "&lt;b&gt; &amp;"),
        ("Set <service> first", "Set &lt;service&gt; first"),
        ("press <kbd>Enter</kbd>", "press Enter"),
        ("<@U123> and <!here>", "&lt;@U123&gt; and &lt;!here&gt;"),
        ("@here stays plain", "@here stays plain"),
        (r"\*not bold\*", f"*{BREAK}not bold*"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("snake_case_name", "snake_case_name"),
        ("ship :rocket: 🚀", "ship :rocket: 🚀"),
        ("a**b**c", f"a{BREAK}*b*{BREAK}c"),
        ("**日本語**の確認", f"*日本語*{BREAK}の確認"),
    ],
)
def test_markdown_becomes_mrkdwn(markdown: str, shown: str) -> None:
    assert mrkdwn(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "said"),
    [
        ("**bold** `code` *it*", "bold code it"),
        ("[guide](https://x.y)", "guide (https://x.y)"),
        ("<https://x.y>", "https://x.y"),
        ("![alt](https://x.y/p.png)", "alt"),
        ("a &amp; b <br> c", "a & b c"),
        ("Set <service> first", "Set <service> first"),
    ],
)
def test_markdown_becomes_plain_text(markdown: str, said: str) -> None:
    assert plain(markdown) == said


LINK = re.compile(r"<(?:https?://|mailto:)[^<>|]*\|[^<>]*>")


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from([*list("*_~`<>[]()&!@#|\\ ab\n"), "https://x.y"])).map("".join)
)
@settings(max_examples=600, deadline=None)
def test_nothing_but_our_own_links_stands_in_angle_brackets(text: str) -> None:
    shown = mrkdwn(" ".join(text.split()))
    rest = LINK.sub("", shown)
    assert "<" not in rest
    assert ">" not in rest
    assert not re.search(r"&(?!amp;|lt;|gt;)", rest)


@given(st.text(max_size=300), st.integers(2, 100))
@settings(max_examples=500, deadline=None)
def test_shortened_text_is_never_too_long(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert length(short) <= limit
    assert short == text or short.endswith("…")


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("one two three", 9, "one two…"),
        ("a &amp; b and more", 5, "a…"),
        ("see <https://x.y|the guide> now", 20, "see…"),
        ("family 👨‍👩‍👧 here", 10, "family…"),
        ("cafe\u0301s are open", 5, "caf…"),
    ],
)
def test_cutting_never_splits_what_belongs_together(text: str, limit: int, short: str) -> None:
    assert shorten(text, limit) == short
