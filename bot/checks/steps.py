"""The steps of a browser journey, as the sidecar writes them: one word a step. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from bot.checks.kind import Duration, Params, SecretValue


class Fill(Params):
    """Text for an input."""

    selector: str = Field(description="CSS or Playwright selector of the input.")
    value: str | SecretValue = Field(description="Text, or a secret as {secret: name}.")


class Press(Params):
    """A key for an element."""

    selector: str = Field(description="Selector of the element that has the focus.")
    key: str = Field(description="Name of the key, e.g. Enter.")


class Text(Params):
    """Text in a place."""

    text: str = Field(min_length=1, description="Text to be found; upper and lower case are the same.")
    selector: str = Field(default="body", description="Where it must be.")
    within: Duration | None = Field(default=None, description="How long it may take; else the step timeout.")


class Visible(Params):
    """Something to be seen."""

    selector: str = Field(description="Selector; with `within` it must be CSS.")
    within: Duration | None = Field(
        default=None,
        description="Time from the page's DOM being ready, or the last click, to its being seen.",
    )


class Block(Params):
    """Requests that fail on purpose."""

    url: str = Field(description="Glob of addresses, e.g. **/api/articles*.")
    status: int | None = Field(
        default=None, ge=400, le=599, description="Answer with this status; else the connection fails."
    )


class Delay(Params):
    """Requests that are slow on purpose."""

    url: str = Field(description="Glob of addresses, e.g. **/api/articles*.")
    by: Duration = Field(description="How much later they are sent.")


class Step(Params):
    """One step: exactly one of these."""

    goto: str | None = Field(default=None, description="Open a path or an address; an error answer fails.")
    click: str | None = Field(default=None, description="Click the element with this selector.")
    fill: Fill | None = Field(default=None, description="Write into an input.")
    press: Press | None = Field(default=None, description="Press a key.")
    block_request: Block | None = Field(default=None, description="Make requests fail from here on.")
    delay_request: Delay | None = Field(default=None, description="Make requests slow from here on.")
    wait: Duration | None = Field(default=None, description="Wait, at most 30 s.")
    screenshot: str | None = Field(
        default=None, pattern=r"^[\w-]{1,60}$", description="Keep a picture under this name."
    )
    expect_text: str | Text | None = Field(default=None, description="This text is on the page.")
    expect_selector: str | Visible | None = Field(default=None, description="This element is to be seen.")
    expect_gone: str | None = Field(default=None, description="No element with this selector is to be seen.")
    expect_url: str | None = Field(default=None, description="The address matches this regular expression.")
    expect_not_blank: bool | None = Field(default=None, description="The page shows something at all.")
    expect_drawing: str | None = Field(
        default=None, description="The canvas or svg with this selector has something drawn on it."
    )
    expect_no_console_errors: bool | None = Field(
        default=None, description="Nothing was logged as an error and no exception was left uncaught so far."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Step:
        given = self.given
        if len(given) != 1:
            raise ValueError(
                f"a step is exactly one of {', '.join(type(self).model_fields)}; this one has"
                f" {' and '.join(given) if given else 'none'}"
            )
        if self.expect_url is not None:
            try:
                re.compile(self.expect_url)
            except re.error as error:
                raise ValueError(f"'{self.expect_url}' is no regular expression: {error}") from None
        return self

    @property
    def given(self) -> list[str]:
        """The words that are written."""
        return [name for name in type(self).model_fields if getattr(self, name) not in (None, False)]

    @property
    def word(self) -> str:
        """What the step does."""
        return self.given[0]

    @property
    def argument(self) -> Any:
        """What it does it with."""
        return getattr(self, self.word)

    @property
    def expects(self) -> bool:
        """Whether it can show the page to be wrong, besides not being there."""
        return self.word.startswith("expect_")

    def in_words(self) -> str:
        """The step in a few words, without what is filled in."""
        match self.argument:
            case Fill(selector=selector) | Visible(selector=selector):
                return f"{self.word} {selector}"
            case Press(selector=selector, key=key):
                return f"{self.word} {key} in {selector}"
            case Text(text=text):
                return f"{self.word} “{text}”"
            case Block(url=url) | Delay(url=url):
                return f"{self.word} {url}"
            case str(text) if self.word == "expect_text":
                return f"{self.word} “{text}”"
            case True:
                return self.word
            case argument:
                return f"{self.word} {argument}"


def problem_with(steps: Sequence[Step], *, screenshots: str) -> str | None:
    """What is wrong with a journey as a whole, or None."""
    if not any(step.expects for step in steps):
        return "the journey expects nothing: add an expect_… step"
    opened = next((n for n, step in enumerate(steps) if step.word == "goto"), None)
    acts = next((n for n, step in enumerate(steps) if step.word in _NEEDS_A_PAGE or step.expects), None)
    if opened is None or (acts is not None and acts < opened):
        return "the journey opens no page before it does something there: add a goto step"
    for step in steps:
        if step.wait is not None and not 0 <= step.wait <= 30:
            return "a step may wait 30 s at most; expect something instead of waiting longer"
        if step.screenshot is not None and not screenshots:
            return "name a folder under `screenshots` to keep pictures in"
    return None


_NEEDS_A_PAGE = frozenset({"click", "fill", "press", "screenshot"})


def timed_selectors(steps: Sequence[Step]) -> list[str]:
    """The selectors whose first appearance is timed in the page itself."""
    return [
        step.expect_selector.selector
        for step in steps
        if isinstance(step.expect_selector, Visible) and step.expect_selector.within is not None
    ]
