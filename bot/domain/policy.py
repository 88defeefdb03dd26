"""What a checklist's sidecar lays down about when is deployed, and how the lead is looked after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.domain.freezing import Freeze


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The policy of one checklist; without a sidecar nothing is frozen."""

    freezes: tuple[Freeze, ...] = ()
    #: After how long without a word the lead is asked; None: never. From the specification: 30 minutes.
    quiet_lead: timedelta | None = timedelta(minutes=30)
