"""What the watch after the deploy says, as a check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bot.checks.kind import Context, Kind, NoData, OutOfPlace, Params
from bot.domain.check import Observation, Rules


class Recovered(Kind[Params]):
    """Whether every signal is as it was before the deploy again: what verifies a rollback."""

    name = "watch.recovered"
    about = "Since the last rollback step, every watched signal is as it was before the deploy."
    params = Params
    values: ClassVar[Mapping[str, str]] = {
        "worse": "signals that are still worse, or none",
        "unjudged": "signals that cannot be judged yet, or none",
        "signals": "signals that are as before",
    }
    indirect = True

    def defaults(self, params: Params) -> Rules:
        """None is worse, and all of them can be judged."""
        return Rules(must={"worse": "none"}, fail={})

    async def observe(self, params: Params, context: Context) -> Observation:
        """Ask the watch. Raises OutOfPlace outside a rollback, NoData where nothing can be judged yet."""
        found = await context.records.find("watch")
        if found is None:
            raise OutOfPlace("there is no rollback to verify, or nothing is watched")
        judged: Mapping[str, tuple[str, str]] = found["signals"]
        worse = [label for label, (verdict, _) in judged.items() if verdict == "degraded"]
        unjudged = [label for label, (verdict, _) in judged.items() if verdict == "inconclusive"]
        if unjudged and not worse:
            whys = "; ".join(f"{label}: {judged[label][1]}" for label in unjudged)
            raise NoData(f"not all signals can be judged yet: {whys}")
        return Observation(
            values={
                "worse": ", ".join(worse) or "none",
                "unjudged": ", ".join(unjudged) or "none",
                "signals": len(judged) - len(worse) - len(unjudged),
            },
            target="the watch",
            summary="; ".join(f"{label}: {said}" for label, (_, said) in judged.items()),
        )


KINDS = (Recovered(),)
