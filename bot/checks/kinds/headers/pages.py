"""Pages and the files they load, as the header checks ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.checks.caching import host_of, linked_assets
from bot.checks.calls import media_type, place
from bot.checks.kind import Answer, Context, NoData, TargetDown
from bot.checks.redirects import REDIRECTS

#: Longest page that is read, in bytes.
LONGEST = 3_000_000


async def page(context: Context, url: str, headers: Mapping[str, str]) -> Answer:
    """A page that answers with 200.

    Raises TargetDown for an error, whose headers are not the page's; NoData for a redirect, since nobody said
    that the other page is meant.
    """
    answer = await context.web.request(
        "GET", url, headers=headers, max_bytes=LONGEST, timeout=context.timeout / 3
    )
    if answer.status in REDIRECTS:
        where = place(answer.headers.get("location", "elsewhere"))
        raise NoData(f"{place(url)} redirects to {where}: name the page that is meant")
    if answer.status != 200:
        raise TargetDown(f"{place(url)} answers {answer.status}")
    return answer


def own_assets(answer: Answer, hosts: Sequence[str]) -> list[str]:
    """What an HTML page loads from its own host and from `hosts`."""
    if "html" not in (media_type(answer) or ""):
        return []
    wanted = {host_of(answer.url), *(host.casefold() for host in hosts)}
    return [asset for asset in linked_assets(answer.text, answer.url) if _is_of(asset, wanted)]


def _is_of(url: str, hosts: set[str]) -> bool:
    host = host_of(url)
    return host in hosts or host.partition(":")[0] in hosts
