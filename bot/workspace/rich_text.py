"""The structure of rich text (Slack docs: rich text block)."""

from __future__ import annotations

from bot.workspace.block_objects import ID, URL
from bot.workspace.shapes import (
    Check,
    any_of,
    boolean,
    integer,
    items,
    one_of,
    pattern,
    record,
    string,
    typed,
)

#: Parts of one rich text; Slack publishes no number, and messages end at 13,000 characters anyway.
_MANY = 1_000
_STYLE = record(
    None,
    dict.fromkeys(
        ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"), boolean
    ),
)


def _inline(kind: str, required: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    return record({"type": one_of(kind), **required}, {"style": _STYLE, **(optional or {})})


_INLINE = typed(
    {
        "text": _inline("text", {"text": string(1, 3_000)}),
        "link": _inline("link", {"url": URL}, {"text": string(1, 3_000), "unsafe": boolean}),
        "user": _inline("user", {"user_id": ID}),
        "channel": _inline("channel", {"channel_id": ID}),
        "usergroup": _inline("usergroup", {"usergroup_id": ID}),
        "team": _inline("team", {"team_id": ID}),
        "broadcast": _inline("broadcast", {"range": one_of("here", "channel", "everyone")}),
        "emoji": _inline(
            "emoji",
            {"name": string(1, 100)},
            {"unicode": string(1, 100), "skin_tone": integer(1, 6), "url": URL},
        ),
        "color": _inline("color", {"value": pattern(r"#[0-9a-fA-F]{6}", "a colour: #rrggbb")}),
        "date": _inline(
            "date",
            {"timestamp": integer(0, 10**11), "format": string(1, 200)},
            {"url": URL, "fallback": string(1, 500)},
        ),
    },
    "rich text element",
)
_SECTION = record({"type": one_of("rich_text_section"), "elements": items(_INLINE, 0, _MANY)})
_BORDER = integer(0, 1)
_PARTS = typed(
    {
        "rich_text_section": _SECTION,
        "rich_text_list": record(
            {
                "type": one_of("rich_text_list"),
                "style": one_of("bullet", "ordered"),
                "elements": items(_SECTION, 1, _MANY),
            },
            {"indent": integer(0, 8), "offset": integer(0, 10**6), "border": _BORDER},
        ),
        "rich_text_preformatted": record(
            {"type": one_of("rich_text_preformatted"), "elements": items(_INLINE, 1, _MANY)},
            {"border": _BORDER, "language": string(1, 50)},
        ),
        "rich_text_quote": record(
            {"type": one_of("rich_text_quote"), "elements": items(_INLINE, 1, _MANY)}, {"border": _BORDER}
        ),
    },
    "rich text",
)
#: A rich_text block, also as a table cell, a card's text or an input's first value.
RICH_TEXT = record(
    {"type": one_of("rich_text"), "elements": items(_PARTS, 1, _MANY)}, {"block_id": ID}, any_of("elements")
)
