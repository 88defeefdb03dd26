"""What the checks of a commit on GitHub come to: check runs and commit statuses, which are two lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CommitChecks:
    """The checks that count."""

    #: All that were reported, whether they count or not.
    reported: int
    #: (name, state, link) of those that count; the state is `pending` or how it ended.
    counted: tuple[tuple[str, str, str], ...]
    failed: tuple[str, ...]
    pending: tuple[str, ...]
    #: Required, and not reported.
    missing: tuple[str, ...]

    @property
    def succeeded(self) -> int:
        """How many succeeded."""
        return sum(state == "success" for _, state, _ in self.counted)


def weigh(
    runs: Sequence[Mapping[str, Any]], statuses: Sequence[Mapping[str, Any]], *, required: Sequence[str]
) -> CommitChecks:
    """All of them, or the required ones.

    A required check that was skipped or ended neutral has proven nothing. Among those that nobody named it
    does no harm, as GitHub itself reads it.
    """
    reported = [(str(run["name"]), _state(run), str(run.get("html_url") or "")) for run in runs]
    reported += [
        (str(status["context"]), str(status["state"]), str(status.get("target_url") or ""))
        for status in statuses
    ]
    counted = [one for one in reported if not required or one[0] in required]
    harmless = {"success", "pending"} if required else {"success", "pending", "skipped", "neutral"}
    names = {name for name, _, _ in reported}
    return CommitChecks(
        reported=len(reported),
        counted=tuple(sorted(counted, key=lambda one: one[1] == "success")),
        failed=tuple(f"{name} ({state})" for name, state, _ in counted if state not in harmless),
        pending=tuple(name for name, state, _ in counted if state == "pending"),
        missing=tuple(name for name in required if name not in names),
    )


def _state(run: Mapping[str, Any]) -> str:
    """Queued, waiting and running are all not the end."""
    return str(run.get("conclusion") or "pending") if run["status"] == "completed" else "pending"
