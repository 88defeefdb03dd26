"""An item made of other items: it is as good as the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from bot.checks.kind import Context, Kind, Params
from bot.domain.check import SEVERITY, Observation, Outcome, Rules, worst


class CompositeParams(Params):
    """Which items."""

    of: list[str] = Field(min_length=1, description="Keys of items of this checklist.")


class Composite(Kind[CompositeParams]):
    """The worst outcome among other items; one that has no result leaves the whole unknown."""

    name = "composite"
    about = "The worst outcome among other items of this checklist."
    params = CompositeParams
    values: ClassVar[Mapping[str, str]] = {
        "outcome": "the worst outcome among the members",
        "failed": "keys of the members that failed",
        "members": "how many members there are",
    }
    #: Its members have limits of their own.
    timeout = 3600.0

    def defaults(self, params: CompositeParams) -> Rules:
        """Members that pass, or pass with a warning."""
        return Rules(must={"outcome": ["pass", "warn"]}, warn={"outcome": "warn"})

    def needs(self, params: CompositeParams) -> Sequence[str]:
        """Its members."""
        return params.of

    async def observe(self, params: CompositeParams, context: Context) -> Observation:
        """Wait for the members."""
        results = await context.members(params.of)
        outcomes = {
            key: Outcome.UNKNOWN if result is None else result.outcome for key, result in results.items()
        }
        whole = worst(outcomes.values())
        counts = ((outcome, list(outcomes.values()).count(outcome)) for outcome in SEVERITY)
        # Without a rule for it, a member nobody could verify must not count as failed: no value, no verdict.
        undecided = whole in (Outcome.UNKNOWN, Outcome.ERROR, Outcome.SKIPPED)
        return Observation(
            target=f"{len(params.of)} items",
            values={
                **({} if undecided else {"outcome": whole.value}),
                "failed": [key for key, outcome in outcomes.items() if outcome is Outcome.FAIL],
                "members": len(outcomes),
            },
            summary=", ".join(f"{count} {outcome}" for outcome, count in counts if count),
            excerpt="\n".join(f"{outcome:<8} {key}" for key, outcome in outcomes.items()),
        )


KINDS = (Composite(),)
