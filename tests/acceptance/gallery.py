"""One of every block and element that Block Kit has, for the page to draw."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def plain(text: str) -> Json:
    """A plain text object."""
    return {"type": "plain_text", "text": text, "emoji": True}


def mrkdwn(text: str) -> Json:
    """A mrkdwn text object."""
    return {"type": "mrkdwn", "text": text}


def option(value: str, text: str = "", description: str = "") -> Json:
    """An option of a select, of checkboxes or of radio buttons."""
    made = {"text": plain(text or value), "value": value}
    return made | ({"description": plain(description)} if description else {})


def button(action_id: str, text: str, **more: Any) -> Json:
    """A button."""
    return {"type": "button", "action_id": action_id, "text": plain(text), **more}


def _input(block_id: str, label: str, element: Json, **more: Any) -> Json:
    element = {"action_id": block_id, **element}
    return {"type": "input", "block_id": block_id, "label": plain(label), "element": element, **more}


def _rich(*leaves: Json) -> Json:
    return {"type": "rich_text_section", "elements": list(leaves)}


_OPTIONS = [option(f"o{n}", f"Option {n}") for n in range(1, 13)]
_ROLL_BACK = button(
    "roll_back",
    "Roll back",
    style="danger",
    confirm={
        "title": plain("Roll back?"),
        "text": plain("This cannot be undone."),
        "confirm": plain("Yes, roll back"),
        "deny": plain("Keep"),
        "style": "danger",
    },
)


def message(picture: str) -> list[Json]:
    """The blocks of a message."""
    image = {"type": "image", "image_url": picture, "alt_text": "A picture"}
    return [
        {"type": "header", "text": plain("Everything :rocket:")},
        {
            "type": "section",
            "text": mrkdwn(
                "*bold* _italic_ `code` <https://example.com|a link> <@UBEN0000002> &lt;b&gt;\n> quote"
            ),
            "fields": [mrkdwn("*Service*\nstorefront"), mrkdwn("*Version*\nv1.4.2")],
        },
        {"type": "divider"},
        {"type": "section", "text": mrkdwn("Dangerous"), "accessory": _ROLL_BACK},
        {
            "type": "section",
            "text": mrkdwn("More"),
            "accessory": {"type": "overflow", "action_id": "more", "options": [option("edit", "Edit it")]},
        },
        {
            "type": "actions",
            "elements": [
                button("go", "Go", style="primary"),
                {
                    "type": "static_select",
                    "action_id": "pick",
                    "placeholder": plain("Pick one"),
                    "options": _OPTIONS,
                },
                {"type": "users_select", "action_id": "who", "placeholder": plain("Who")},
                {"type": "datepicker", "action_id": "day", "initial_date": "2026-03-02"},
                {"type": "timepicker", "action_id": "time", "initial_time": "12:00"},
                {"type": "datetimepicker", "action_id": "moment", "initial_date_time": 1_772_452_800},
                {
                    "type": "radio_buttons",
                    "action_id": "one",
                    "options": [option("x", "X"), option("y", "Y")],
                },
                {
                    "type": "checkboxes",
                    "action_id": "some",
                    "options": [option("a", "A", "why"), option("b", "B")],
                },
            ],
        },
        {"type": "context", "elements": [image, mrkdwn("context")]},
        {**image, "title": plain("A picture with a title")},
        {
            "type": "rich_text",
            "elements": [
                _rich(
                    {"type": "text", "text": "rich", "style": {"bold": True}},
                    {"type": "emoji", "name": "tada"},
                ),
                {
                    "type": "rich_text_list",
                    "style": "ordered",
                    "elements": [_rich({"type": "text", "text": "first"})],
                },
                {"type": "rich_text_quote", "elements": [{"type": "text", "text": "quoted"}]},
                {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "kubectl"}]},
            ],
        },
        {
            "type": "table",
            "rows": [
                [{"type": "raw_text", "text": "Signal"}, {"type": "raw_text", "text": "Value"}],
                [{"type": "raw_text", "text": "Errors"}, {"type": "raw_text", "text": "0.2 %"}],
            ],
        },
        {"type": "markdown", "text": "## Marked down\n\n- [x] done\n\n| a | b |\n|---|---|\n| 1 | 2 |"},
        {
            "type": "card",
            "title": mrkdwn("Card"),
            "body": mrkdwn("Body"),
            "actions": [button("open", "Open")],
        },
        {"type": "carousel", "elements": [{"type": "card", "title": mrkdwn("Slide")}]},
        {
            "type": "container",
            "title": plain("Folded"),
            "is_collapsible": True,
            "default_collapsed": True,
            "child_blocks": [{"type": "section", "text": mrkdwn("Inside the container")}],
        },
        {
            "type": "plan",
            "title": "Plan",
            "tasks": [{"type": "task_card", "task_id": "1", "title": "Fetch", "status": "complete"}],
        },
    ]


FORM: Json = {
    "type": "modal",
    "callback_id": "form",
    "title": plain("Everything"),
    "submit": plain("Send"),
    "blocks": [
        {"type": "alert", "level": "warning", "text": mrkdwn("Deploys are frozen.")},
        _input("name", "Name", {"type": "plain_text_input", "min_length": 3}, hint=plain("At least three")),
        _input("why", "Why", {"type": "plain_text_input", "multiline": True}, optional=True),
        _input("count", "Count", {"type": "number_input", "is_decimal_allowed": False, "max_value": "10"}),
        _input("mail", "Mail", {"type": "email_text_input"}, optional=True),
        _input("link", "Link", {"type": "url_text_input"}, optional=True),
        _input("pick", "Pick", {"type": "static_select", "options": _OPTIONS}),
        _input("look", "Look up", {"type": "external_select", "min_query_length": 1}, optional=True),
        _input("team", "Team", {"type": "multi_users_select"}, optional=True),
        _input("some", "Some", {"type": "checkboxes", "options": [option("a", "Apples")]}, optional=True),
        _input("one", "One", {"type": "radio_buttons", "options": [option("p", "Pears")]}),
        _input("day", "Day", {"type": "datepicker"}, optional=True),
        _input("time", "Time", {"type": "timepicker"}, optional=True),
        _input("text", "Text", {"type": "rich_text_input"}, optional=True),
        _input("file", "File", {"type": "file_input"}, optional=True),
    ],
}

HOME: Json = {
    "type": "home",
    "blocks": [
        {"type": "header", "text": plain("Welcome home")},
        {"type": "actions", "elements": [button("h", "Go")]},
    ],
}
