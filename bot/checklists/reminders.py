"""The reminders a sidecar plans: when after the deploy, of which items, and who is asked in the end."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from bot.checklists.filling import Values, fill_in, values_for
from bot.checklists.sidecar import PlannedReminder as Written
from bot.checklists.sidecar import SidecarFile, did_you_mean
from bot.domain import reminding
from bot.domain.checklist import Checklist
from bot.domain.errors import SidecarUnusable
from bot.domain.reminding import PlannedReminder, ReminderPlan, default_reminders

#: Ids of user groups and of people (Slack docs: user groups, users).
_ON_CALL = re.compile(r"[SUW][A-Z0-9]{2,}")
#: Longest time after the deploy. Own choice: as far as people can ask for one.
LATEST = reminding.LATEST


def plan_of(
    file: SidecarFile,
    checklist: Checklist,
    *,
    duration: Callable[[Any], float],
    environment: str,
    service: str = "service",
    version: str = "v0",
    process: Mapping[str, str] | None = None,
) -> ReminderPlan:
    """The reminders of a checklist in this environment; the defaults where its sidecar names none.

    `duration` reads what the sidecar writes as `5m`. Raises SidecarUnusable, which names every problem.
    """
    process = os.environ if process is None else process
    built_in = {"service": service, "version": version, "environment": environment}
    planner = _Planner(checklist, values_for(file.content, environment, process, built_in), duration)
    plan = planner.plan(file)
    if planner.problems:
        raise SidecarUnusable(file.path.name, tuple(dict.fromkeys(planner.problems)))
    return plan


class _Planner:
    def __init__(self, checklist: Checklist, values: Values, duration: Callable[[Any], float]) -> None:
        self.problems: list[str] = []
        self._checklist = checklist
        self._values = values
        self._duration_of = duration

    def plan(self, file: SidecarFile) -> ReminderPlan:
        """All of it; what is wrong is in `problems`."""
        written = file.content.reminders
        on_call = self._on_call(file.content.on_call)
        if written is None:
            return ReminderPlan(reminders=default_reminders(self._checklist), on_call=on_call)
        planned = written.plan
        return ReminderPlan(
            reminders=default_reminders(self._checklist)
            if planned is None
            else tuple(self._reminder(f"reminders/plan/{at}", one) for at, one in enumerate(planned)),
            lead_after=self._or_never("reminders/escalate/lead", written.escalate.lead),
            group_after=self._or_never("reminders/escalate/group", written.escalate.group),
            on_call=on_call,
        )

    def _reminder(self, where: str, written: Written) -> PlannedReminder:
        known = [item.key for item in self._checklist.items]
        for key in written.items:
            if key not in known:
                hint = did_you_mean(key, known)
                self._note(f"{where}/items", f"the checklist has no item “{key}”{hint}")
        after = self._duration(f"{where}/after", written.after)
        if not timedelta() <= after <= LATEST:
            self._note(f"{where}/after", f"must be from 0 to {LATEST.days}d")
        text = " ".join(str(self._fill(f"{where}/text", written.text)).split())[: reminding.WORDS]
        return PlannedReminder(after=after, items=tuple(dict.fromkeys(written.items)), text=text)

    def _on_call(self, written: str) -> str:
        filled = str(self._fill("on_call", written)).strip()
        if filled and not _ON_CALL.fullmatch(filled):
            self._note(
                "on_call",
                f"“{filled}” is no Slack id: write a user group's (S…) or a person's (U…); "
                "Slack shows it as “Copy group ID” or “Copy member ID”",
            )
        return filled

    def _fill(self, where: str, value: Any) -> Any:
        filled = fill_in(value, self._values)
        for problem in filled.unknown:
            self._note(where, problem)
        return "" if filled.unset else filled.value

    def _or_never(self, where: str, value: str | float) -> timedelta | None:
        return None if value == "never" else self._duration(where, value)

    def _duration(self, where: str, value: Any) -> timedelta:
        try:
            return timedelta(seconds=self._duration_of(value))
        except (ValueError, OverflowError) as error:
            self._note(where, str(error))
            return timedelta()

    def _note(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")
