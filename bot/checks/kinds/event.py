"""What the bot itself did: its posts are facts it can vouch for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from bot.checks.kind import Context, Kind, Nothing, OutOfPlace, Params
from bot.domain.check import Observation, Rules

What = Literal["started", "notified", "report_shared", "reminder_scheduled"]

_NOT_YET: Mapping[str, str] = {
    "started": "the bot has not announced the deployment yet",
    "notified": "the bot has not told the stakeholders yet",
    "report_shared": "the bot has not shared the report yet",
    "reminder_scheduled": "the bot has not scheduled the review yet",
}
_DONE: Mapping[str, str] = {
    "started": "deployment announced",
    "notified": "stakeholders told",
    "report_shared": "report shared",
    "reminder_scheduled": "review scheduled",
}


class EventParams(Params):
    """Something the bot does."""

    what: What = Field(description="What must have been done.")
    channel: str = Field("", description="Id of the channel it must have been posted to; unset: any.")


class Event(Kind[EventParams]):
    """Whether the bot did something for this deployment, with Slack's word for it."""

    name = "event"
    about = "The bot announced, notified, shared or scheduled something, and Slack took it."
    params = EventParams
    values: ClassVar[Mapping[str, str]] = {
        "done": "whether it was done",
        "at": "when, as an ISO 8601 time; absent where it was not done",
        "channel": "id of the channel it was posted to; absent where it was not done",
    }

    def defaults(self, params: EventParams) -> Rules:
        """Catalogue G1, P1, P4, P5: pass only on Slack's ok and message id."""
        return Rules(must={"done": True})

    async def observe(self, params: EventParams, context: Context) -> Observation:
        """Look into the bot's records. Raises OutOfPlace outside a deployment."""
        if isinstance(context.records, Nothing):
            raise OutOfPlace("there is no deployment that the bot could have done something for")
        found = await context.records.find(params.what)
        channel = str((found or {}).get("channel") or "")
        # Without Slack's message id nothing has arrived there: it may be on its way, or have been refused. A
        # reminder is the bot's own record until it is due.
        if not found or not (found.get("ts") or params.what == "reminder_scheduled"):
            why = _NOT_YET[params.what]
        elif params.channel and channel != params.channel:
            why = f"{_DONE[params.what]}, but in {channel}, not in {params.channel}"
        else:
            why = ""
        if why or not found:
            return Observation(
                values={"done": False, "at": None, "channel": channel or None},
                target=params.what,
                summary=why,
            )
        return Observation(
            values={"done": True, "at": found["at"].isoformat(), "channel": channel},
            target=params.what,
            summary=f"{_DONE[params.what]} at {found['at']:%H:%M} UTC in {channel}",
            excerpt=str(found.get("permalink") or ""),
        )


KINDS = (Event(),)
