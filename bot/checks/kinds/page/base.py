"""What the kinds `page.*` share: which page, and what files that do not come mean."""

from __future__ import annotations

from pydantic import Field

from bot.checks.kind import Params

#: Files that do not come leave what is said about the others true, but the page incomplete.
BROKEN = {"broken_files": "> 0"}
LEFT_OUT = {"files_left_out": "> 0"}


class PageParams(Params):
    """Which page."""

    url: str = Field(
        description="Address of the page; it must answer 200 itself, redirects are not followed."
    )
