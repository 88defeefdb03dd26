"""Every error a person may meet, worded once: what is wrong, where, and what to do next.

`str(error)` is the sentence shown to the person, in plain text; nobody sees a stack trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


class DeploybotError(Exception):
    """Something a person can understand and act on."""

    #: Whether the same request may succeed later without anybody changing anything.
    retryable = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something in a checklist file that could not be used, or deserves a second look."""

    #: 1-based line, 0 for the file as a whole.
    line: int
    #: One sentence: what it is and what to do about it.
    message: str
    #: True where the file cannot be used at all.
    fatal: bool = False


class ChecklistUnusable(DeploybotError):
    """A checklist that is missing, unreadable or empty."""

    def __init__(self, path: str, findings: tuple[Finding, ...]) -> None:
        self.path = path
        self.findings = findings
        first = next((f for f in findings if f.fatal), findings[0])
        where = f"{path}:{first.line}" if first.line else path
        super().__init__(f"{where}: {first.message}")


class ChecklistNotForIt(DeploybotError):
    """A checklist that services.yaml does not let this service go by."""

    def __init__(self, name: str, *, service: str, environment: str, only: tuple[str, ...]) -> None:
        super().__init__(
            f"{service} in {environment} does not go by “{name[:60]}”: services.yaml lets it go by "
            f"{' or '.join(only)} only. Start it without naming a checklist, or with "
            f"{'that one' if len(only) == 1 else 'one of those'}."
        )


class SidecarUnusable(DeploybotError):
    """A checklist's YAML of checks that cannot be used as it is; every problem is named at once."""

    def __init__(self, path: str, problems: tuple[str, ...]) -> None:
        self.path = path
        self.problems = problems
        more = f" (and {len(problems) - 1} more: `deploybot checklist explain` lists them)"
        super().__init__(f"{path}: {problems[0]}{more if len(problems) > 1 else ''}")


class InvalidName(DeploybotError):
    """A service, version or environment that cannot be one."""

    def __init__(self, what: str, value: str, *, limit: int) -> None:
        self.what = what
        shown = value if len(value) <= 40 else f"{value[:40]}… ({len(value)} characters)"
        said = f"“{shown}” can't be the {what}" if value else f"the {what} is missing"
        super().__init__(
            f"{said[0].upper()}{said[1:]}: use letters, digits and . _ - + : / @ ~ without spaces, "
            f"up to {limit} characters, e.g. {_EXAMPLES[what]}."
        )


_EXAMPLES = {"service": "storefront", "version": "v1.4.2", "environment": "production"}


class SamplesUnusable(DeploybotError):
    """A file of samples that can't be replayed."""

    def __init__(self, path: str, what: str, *, line: int = 0) -> None:
        super().__init__(f"{path}:{line}: {what}" if line else f"{path}: {what}")


class ReasonMissing(DeploybotError):
    """An abort without a reason."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Why is {name} aborted? Say it in a few words: /deploy abort {name} REASON.")


class ReasonTooLong(DeploybotError):
    """A reason that is an essay."""

    def __init__(self, length: int, *, limit: int) -> None:
        super().__init__(
            f"The reason has {length} characters; put it in {limit} or fewer and the rest in the thread."
        )


class DeploymentClosed(DeploybotError):
    """An act on a deployment that has ended."""

    def __init__(self, name: str, phase: str) -> None:
        self.name = name
        super().__init__(
            f"{name} is {phase} already, so nothing was changed. Start the next one with /deploy start."
        )


class NoChecks(DeploybotError):
    """Checks asked for where none are bound."""

    def __init__(self, checklist: str, scope: str = "") -> None:
        where = f"“{scope}” of " if scope else ""
        super().__init__(
            f"No item in {where}{checklist} has a check that is set up here. "
            f"`deploybot checklist explain {checklist}` says what to fill in."
        )


class NothingCalled(DeploybotError):
    """A section or item nobody finds."""

    def __init__(self, words: str, *, nearest: tuple[str, ...]) -> None:
        self.nearest = nearest
        hint = f" Did you mean {' or '.join(f'“{one}”' for one in nearest)}?" if nearest else ""
        super().__init__(f"No section, group or item is called “{words[:60]}”.{hint}")


class ItemMissing(DeploybotError):
    """A command about an item that names none."""

    def __init__(self, usage: str) -> None:
        super().__init__(f"Say which item you mean, by its words: `{usage}`.")


class NoRun(DeploybotError):
    """A run that is over already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No checks are running for {name}; there is nothing to cancel.")


class OverruleReasonMissing(DeploybotError):
    """A check overruled without a word."""

    def __init__(self) -> None:
        super().__init__("Say in a few words why the item may be ticked although its check does not pass.")


class NothingToOverrule(DeploybotError):
    """A check that does not stand in the way (any more)."""

    def __init__(self, item: str) -> None:
        super().__init__(f"The check of “{item}” does not stand in the way any more: tick it as usual.")


class AlreadyOverruled(DeploybotError):
    """A check that somebody else has overruled meanwhile: their name stays on it."""

    def __init__(self, item: str) -> None:
        super().__init__(f"Somebody else overruled the check of “{item}” meanwhile; it is ticked.")


class EvidenceMoved(DeploybotError):
    """A check that found something else since the person was asked whether they overrule it."""

    def __init__(self, item: str, *, now: str) -> None:
        super().__init__(
            f"The check of “{item}” ran again meanwhile and found: {now}. Close this and look at it first."
        )


class NoSuchItem(DeploybotError):
    """An item that the deployment does not have."""

    def __init__(self) -> None:
        super().__init__("There is no such item in this deployment; nothing was changed.")


class SeveralItems(DeploybotError):
    """Words that name several items where one is meant."""

    def __init__(self, words: str, items: tuple[str, ...]) -> None:
        named = ", ".join(f"“{item}”" for item in items[:3])
        more = f" and {len(items) - 3} more" if len(items) > 3 else ""
        super().__init__(f"“{words[:60]}” names several items: {named}{more}. Write one of them.")


class WaiverReasonMissing(DeploybotError):
    """A waiver without a word of why."""

    def __init__(self, item: str) -> None:
        super().__init__(f"Say in a few words why “{item}” does not apply: the reason is kept.")


class AlreadyWaived(DeploybotError):
    """A second waiver: the name of the first stays on it."""

    def __init__(self, item: str) -> None:
        super().__init__(f"“{item}” is waived already; it says by whom.")


class NotWaived(DeploybotError):
    """A waiver to take back where there is none."""

    def __init__(self, item: str) -> None:
        super().__init__(f"“{item}” is not waived, so there is nothing to take back.")


class AssigneeUnusable(DeploybotError):
    """Nobody, or not exactly one, to give an item to."""

    def __init__(self) -> None:
        super().__init__("Say whom it is for: one person or one user group, as a mention.")


class AlreadyAssigned(DeploybotError):
    """An item that is theirs already."""

    def __init__(self, item: str) -> None:
        super().__init__(f"“{item}” is given to them already.")


class NotAssigned(DeploybotError):
    """An item to take from somebody who does not have it."""

    def __init__(self, item: str) -> None:
        super().__init__(f"“{item}” is not given to them, so nothing was changed.")


class NoteMissing(DeploybotError):
    """A note without words or an address."""

    def __init__(self, item: str) -> None:
        super().__init__(f"Write a few words for “{item}”, or give an address.")


class LinkUnusable(DeploybotError):
    """Something that is no address."""

    def __init__(self, link: str) -> None:
        super().__init__(f"“{link[:60]}” is no address: write it whole, beginning with https://.")


class NoSuchNote(DeploybotError):
    """A note that was taken away meanwhile."""

    def __init__(self) -> None:
        super().__init__("That note is not there any more; nothing was changed.")


class GateClosed(DeploybotError):
    """Go or the end, while something is in the way."""

    def __init__(
        self,
        *,
        what: str,
        gates: tuple[tuple[str, tuple[str, ...]], ...],
        obstacles: tuple[str, ...] = (),
        named: int,
    ) -> None:
        self.what = what
        #: By gate: its title, and the texts of what is open.
        self.gates = gates
        self.obstacles = obstacles
        open_count = sum(len(left) for _, left in gates)
        thing = "No Go yet" if what == "go" else "Not finished"
        parts = list(obstacles)
        if open_count:
            items = "1 required item is" if open_count == 1 else f"{open_count} required items are"
            parts.append(f"{items} open. {_open_items(gates, named)}")
        super().__init__(f"{thing}: {' '.join(parts)}")


def _open_items(gates: tuple[tuple[str, tuple[str, ...]], ...], named: int) -> str:
    """Gate by gate, at most so many items in all."""
    said, room = [], named
    for title, left in gates:
        shown = left[:room]
        room -= len(shown)
        more = f" and {len(left) - len(shown)} more" if len(left) > len(shown) else ""
        items = ", ".join(f"“{item}”" for item in shown)
        said.append(f"{title}: {items}{more}." if shown else f"{title}: {len(left)}.")
    return " ".join(said)


class BehindGate(DeploybotError):
    """An item that has to wait for a gate before it."""

    def __init__(self, item: str, gate: str) -> None:
        super().__init__(
            f"Not ticked: “{item}”, because “{gate}” comes first and has required items that are open."
        )


class FourEyes(DeploybotError):
    """Go by somebody who may not give it here."""

    def __init__(self, *, group: str, is_lead: bool) -> None:
        self.group = group
        whom = f"somebody of <!subteam^{group}>" if group else "anybody else"
        why = "You lead this deployment, or did, and here" if is_lead else "Here"
        whom = whom.replace("anybody else", "anybody but the lead") if not is_lead else whom
        super().__init__(f"{why} Go takes a second pair of eyes: {whom} has to give it.")


class GoGiven(DeploybotError):
    """A second Go: the name of the first stays on it."""

    def __init__(self) -> None:
        super().__init__("Go was given already; the card says by whom.")


class NoGoReasonMissing(DeploybotError):
    """No-go without a word of why."""

    def __init__(self) -> None:
        super().__init__("Say in a few words why it is No-go: it stands on the card.")


class OverrideReasonMissing(DeploybotError):
    """An emergency override without a word of why."""

    def __init__(self) -> None:
        super().__init__("Say in a few words why it cannot wait: it is shown for ever after.")


class NoOverrideNeeded(DeploybotError):
    """An emergency override where nothing is in the way."""

    def __init__(self) -> None:
        super().__init__("Nothing is in the way, so there is nothing to override: just go on.")


class OverrideUnderWay(DeploybotError):
    """A second override of the same thing."""

    def __init__(self) -> None:
        super().__init__("An override is asked for already; it waits in the thread for a second name.")


class NoSuchOverride(DeploybotError):
    """An override that was confirmed or withdrawn meanwhile."""

    def __init__(self) -> None:
        super().__init__("That override does not wait for anybody any more; the thread says what came of it.")


class SecondNameNeeded(DeploybotError):
    """The first person confirming their own override."""

    def __init__(self) -> None:
        super().__init__("You asked for it yourself: somebody else has to put their name to it as well.")


class NotPermitted(DeploybotError):
    """Somebody who may not do this here."""

    def __init__(self, *, deed: str, people: tuple[str, ...], channels: tuple[str, ...], here: bool) -> None:
        self.people = people
        self.channels = channels
        if here:
            who = _listed([f"<!subteam^{one}>" if one[0] == "S" else f"<@{one}>" for one in people])
            said = f"You may not {deed} here. Ask {who}."
        else:
            places = _listed([f"<#{one}>" for one in channels])
            said = f"Nobody may {deed} in this channel. It can be done in {places}."
        super().__init__(f"{said} Nothing was changed.")


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


class GroupUnknown(DeploybotError):
    """A user group whose members Slack does not tell: nobody counts as one of them."""

    retryable = True

    def __init__(self, group: str, why: str) -> None:
        super().__init__(
            f"Slack does not say who is in <!subteam^{group}> ({why}), so I cannot see whether you may do "
            "this, and nothing was changed. Try again; if it stays so, tell whoever runs this bot."
        )


class AudienceUnknown(DeploybotError):
    """A channel of which Slack does not tell who is in it: nothing of it is shown to anybody."""

    retryable = True

    def __init__(self, channel: str, why: str) -> None:
        super().__init__(
            f"Slack does not say who may read <#{channel}> ({why}), so I cannot see what you may be shown. "
            "Nothing was changed. Try again; if it stays so, tell whoever runs this bot."
        )


class NoSuchTrigger(DeploybotError):
    """A trigger that nobody raised, or that was raised anew since the person's screen was drawn."""

    def __init__(self) -> None:
        super().__init__(
            "That alert is not the current one any more, so nothing was changed. "
            "The newest alert in the deployment's thread has the buttons that count."
        )


class TriggerCleared(DeploybotError):
    """An act on a trigger that somebody settled meanwhile."""

    def __init__(self, title: str) -> None:
        super().__init__(f"“{title}” was cleared meanwhile, so nothing was changed; the alert says by whom.")


class AlreadyAcknowledged(DeploybotError):
    """A second acknowledgement: the name of the first stays on it."""

    def __init__(self, title: str) -> None:
        super().__init__(f"“{title}” is acknowledged already; the alert says by whom.")


class ClearReasonMissing(DeploybotError):
    """A trigger said to be somebody else's, without a word."""

    def __init__(self) -> None:
        super().__init__("Say in a few words why it is not this deployment: the reason is kept.")


class SnoozeUnusable(DeploybotError):
    """A snooze into the past, or for ever."""

    def __init__(self, *, hours: int) -> None:
        super().__init__(f"A trigger can be snoozed until some later time, for {hours} hours at most.")


class RaiseReasonMissing(DeploybotError):
    """A trigger raised without a word of what is wrong."""

    def __init__(self) -> None:
        super().__init__("Say in a few words what is wrong, or choose one of the checklist's triggers.")


class NotWatched(DeploybotError):
    """A watch to prolong where there is none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not being watched, so there is nothing to prolong.")


class DrillUnderWay(DeploybotError):
    """A second drill at the same time."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"A drill is under way in {name}: acknowledge its alert, or wait until it reports by itself."
        )


class OnlyADrill(DeploybotError):
    """A rollback because of an exercise."""

    def __init__(self) -> None:
        super().__init__("This is a drill: nothing is wrong, and no rollback is started for it.")


class RollbackReasonMissing(DeploybotError):
    """A rollback without a reason."""

    def __init__(self) -> None:
        super().__init__("Say in a few words why you roll back: it is recorded with your name.")


class RollbackUnderWay(DeploybotError):
    """A second rollback of the same deployment."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The rollback of {name} was started already; its steps are in the deployment's thread."
        )


class StartRefused(DeploybotError):
    """A start that something stands in the way of; it can be queued for."""


class AlreadyDeploying(StartRefused):
    """A second deployment of a service to an environment while one is open."""

    def __init__(
        self, *, deployment_id: int, name: str, service: str, version: str, environment: str, lead: str
    ) -> None:
        self.deployment_id = deployment_id
        self.name = name
        self.lead = lead
        self.what = f"{service} is already being deployed to {environment}"
        self._version = version
        super().__init__(self.told(led_by=lead))

    def told(self, *, led_by: str) -> str:
        """The sentence, with the lead's name or mention."""
        return (
            f"{self.what}: {self.name}, version {self._version}, led by {led_by}. "
            "Finish or abort that one first."
        )


class DeployingInPrivate(StartRefused):
    """The same for somebody who may not see that deployment: neither its name nor its version."""

    def __init__(self, held: AlreadyDeploying) -> None:
        self.lead = held.lead
        self._what = held.what
        super().__init__(self.told(led_by=held.lead))

    def told(self, *, led_by: str) -> str:
        """The sentence, with the lead's name or mention."""
        return f"{self._what}, in a private channel. Ask {led_by}, who leads it, when it will be over."


class TargetLocked(StartRefused):
    """A start of what somebody locked."""

    def __init__(
        self, *, lock_id: int, what: str, by: str, reason: str, until: datetime | None, unlock: str
    ) -> None:
        self.lock_id = lock_id
        self.what = what
        self.by = by
        self.until = until
        self._reason = reason
        self._unlock = unlock
        super().__init__(self.told(by=by, until=_in_utc(until)))

    def told(self, *, by: str, until: str) -> str:
        """The sentence, with the locker's name or mention and the time as the reader has it."""
        ends = f"until {until}" if self.until is not None else "until somebody unlocks it"
        return (
            f"{self.what} is locked by {by}, {ends}: “{self._reason}”. "
            f"Wait, or unlock it with /deploy unlock {self._unlock}."
        )


class TargetFrozen(StartRefused):
    """A start in a freeze."""

    def __init__(self, *, name: str, reason: str, until: datetime) -> None:
        self.name = name
        self.reason = reason
        self.until = until
        super().__init__(self.told(until=_in_utc(until)))

    def told(self, *, until: str) -> str:
        """The sentence, with the time as the reader has it."""
        return (
            f"The freeze “{self.name}” holds until {until}: “{self.reason}”. "
            "Wait for its end, or prepare the deployment now and go later."
        )


class NotYourTurn(StartRefused):
    """A start of what somebody else was promised next."""

    def __init__(self, *, what: str, user: str, until: datetime | None) -> None:
        self.user = user
        self.until = until
        self._what = what
        super().__init__(self.told(whose=user, until=_in_utc(until)))

    def told(self, *, whose: str, until: str) -> str:
        """The sentence, with the name or mention of whose turn it is and the time as the reader has it."""
        ends = f", until {until}" if self.until is not None else ""
        return f"It is {whose}'s turn to deploy {self._what}{ends}. Queue behind them, or start all the same."


def _in_utc(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at is not None else ""


class LockServiceMissing(DeploybotError):
    """A lock of nothing."""

    def __init__(self, *, unlock: bool = False) -> None:
        form = "unlock SERVICE [ENVIRONMENT]" if unlock else "lock SERVICE [ENVIRONMENT] [for 2h] REASON"
        super().__init__(f"Say which service: /deploy {form}.")


class LockReasonMissing(DeploybotError):
    """A lock without a word."""

    def __init__(self, service: str) -> None:
        super().__init__(
            f"Why is {service} locked? Say it in a few words: /deploy lock {service} for 2h REASON. "
            "A time is for 2h, until 18:00 or until tomorrow 9:00."
        )


class LockTimeUnusable(DeploybotError):
    """A lock for a time nobody can read, or that is over: it would hold for ever."""

    def __init__(self, said: str) -> None:
        super().__init__(
            f"I can't read “{said[:60]}” as a time to come, so nothing was locked. Write for 2h, for 1h30m, "
            "until 18:00 or until tomorrow 9:00. If it belongs to the reason, put the reason in quotes."
        )


class AlreadyLocked(DeploybotError):
    """A second lock of the same service and environment: the first stays, with its reason."""

    def __init__(self, *, what: str, by: str, reason: str, unlock: str) -> None:
        self.what = what
        self.by = by
        self._reason = reason
        self._unlock = unlock
        super().__init__(self.told(by=by))

    def told(self, *, by: str) -> str:
        """The sentence, with the locker's name or mention."""
        return (
            f"{self.what} is locked already, by {by}: “{self._reason}”. "
            f"To change that, /deploy unlock {self._unlock} first."
        )


class NotLocked(DeploybotError):
    """An unlock of what is not locked, or not like that."""

    def __init__(self, what: str, *, instead: tuple[str, ...] = ()) -> None:
        hint = "/deploy locks shows what is."
        if instead:
            hint = f"What is locked is {' and '.join(instead)}."
        super().__init__(f"{what} is not locked. {hint}")


class NotInQueue(DeploybotError):
    """Somebody leaves a queue they are not in, or whose turn is over."""

    def __init__(self) -> None:
        super().__init__("You are not in a queue, so nothing was changed. /deploy queue shows who waits.")


class SeveralQueues(DeploybotError):
    """Somebody leaves a queue without saying which."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self.services = services
        super().__init__(f"You wait for {' and '.join(services)}. Say which: /deploy queue leave SERVICE.")


class TurnOver(DeploybotError):
    """A button of a turn that was used, given back or passed on."""

    def __init__(self) -> None:
        super().__init__("That turn is over, so nothing was started. Type /deploy start to ask anew.")


class AlreadyLeads(DeploybotError):
    """A lead handed to who has it."""

    def __init__(self, name: str, *, own: bool) -> None:
        who = "You lead" if own else "They lead"
        super().__init__(f"{who} {name} already; nothing was changed.")


class LeadsNoLonger(DeploybotError):
    """Somebody says they are at it who has handed over the lead."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Somebody else leads {name} by now, so nothing was changed. Its card says who.")


class NobodyToLead(DeploybotError):
    """A lead handed to nobody, or to an app."""

    def __init__(self) -> None:
        super().__init__(
            "Choose a person to lead the deployment; apps can't. /deploy lead @name says it, too."
        )


class NoSuchDeployment(DeploybotError):
    """A deployment that is not there, or not here."""

    def __init__(self, name: str, *, nearest: str | None = None) -> None:
        self.name = name
        self.nearest = nearest
        hint = f" Did you mean {nearest}?" if nearest else " /deploy list shows those that are open."
        super().__init__(f"There is no deployment called “{name[:60]}” in this workspace.{hint}")


class WhenMissing(DeploybotError):
    """A reminder for no time."""

    def __init__(self) -> None:
        super().__init__(f"When shall I remind you? {_WHEN}")


class WhenNotUnderstood(DeploybotError):
    """A time nobody understands."""

    def __init__(self, said: str) -> None:
        super().__init__(f"I don't understand “{said[:60]}” as a time. {_WHEN}")


class WhenOutOfRange(DeploybotError):
    """A time that is over, or so far away that the deployment will be over."""

    def __init__(self, said: str) -> None:
        super().__init__(f"“{said[:60]}” is out of reach: choose a time from 1 minute to 30 days from now.")


_WHEN = "Write in 2h, in 90m, in 1h30m, at 15:00 or tomorrow 9:00; clock times are those where you are."


class ReminderSettled(DeploybotError):
    """A button of a reminder that was settled, snoozed or sent anew since."""

    def __init__(self) -> None:
        super().__init__("Somebody has dealt with this reminder already; nothing was changed.")


class NotTickable(DeploybotError):
    """A reminder that cannot be done: checks say otherwise."""

    def __init__(self, items: tuple[str, ...]) -> None:
        what = " and ".join(f"“{item}”" for item in items[:3])
        super().__init__(
            f"Not ticked: {what}, because the check does not pass. Press “Results” under the section to see "
            "why, or to overrule it; “Not needed” ends this reminder all the same."
        )


class ForeignClick(DeploybotError):
    """A click whose ids do not belong together: a copied message, or a forged payload."""

    def __init__(self) -> None:
        super().__init__(
            "That box does not belong to a deployment in this channel, so nothing was recorded. "
            "Open the deployment's own thread and tick it there."
        )


class StorageBusy(DeploybotError):
    """The database did not let us write in time."""

    retryable = True

    def __init__(self) -> None:
        super().__init__("The database is busy, so nothing was recorded. Try again in a few seconds.")


class StorageFailed(DeploybotError):
    """The database refused: full disk, gone, read-only."""

    retryable = True

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The database could not store it ({why}), so nothing was recorded. "
            "Try again; if it stays so, tell whoever runs this bot."
        )


class InboundUnusable(DeploybotError):
    """What another system sent is in the wrong form; the first problem is told, all are kept."""

    def __init__(self, problems: tuple[str, ...], *, advice: str, what: str = "alert") -> None:
        self.problems = problems
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"This {what} can't be used: {problems[0]}{more}. {advice}.")


class HookKeyReused(DeploybotError):
    """An idempotency key that stands for another request already."""

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for a request with another body. Send each new request with a key "
            "of its own, e.g. the run's id and the name of the step."
        )


class HookInFlight(DeploybotError):
    """The same request a second time while the first is being answered."""

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is being answered right now. Send it again in a few "
            "seconds; the answer will be the same."
        )


class NobodyLeads(DeploybotError):
    """A deployment without a person."""

    def __init__(self, lead: str = "") -> None:
        wrong = f"“{lead[:40]}” is nobody in this workspace who could lead a deployment" if lead else ""
        super().__init__(
            f"{wrong or 'A deployment needs a person who leads it'}: send their Slack id as “lead” (U…, "
            "“Copy member ID” in their profile), or name them in checklists/services.yaml."
        )


class NoneOpen(DeploybotError):
    """Nothing is being deployed there."""

    def __init__(self, service: str, environment: str) -> None:
        super().__init__(
            f"No deployment of {service} to {environment} is open: start one with “action”: “start”."
        )


class AnotherVersion(DeploybotError):
    """A request about a version that is not the one under way."""

    def __init__(self, *, name: str, version: str, asked: str) -> None:
        super().__init__(
            f"{name} deploys version {version[:60]}, not {asked[:60]}, so nothing was changed. Send the "
            "version it deploys, or leave it out."
        )


class WrongWorkspace(DeploybotError):
    """A workspace the bot is not in, or none where it is in several."""

    def __init__(self, team: str) -> None:
        if team:
            said = f"The bot is not in the workspace {team[:40]}: leave “team” out, or send its own."
        else:
            said = "The bot is in several workspaces: say which one you mean with “team”, its id (T…)."
        super().__init__(said)


class ServicesUnusable(DeploybotError):
    """A services.yaml that cannot be used as it is; every problem is named at once."""

    def __init__(self, path: str, problems: tuple[str, ...]) -> None:
        self.path = path
        self.problems = problems
        super().__init__(f"{path}: {'; '.join(problems)}")


class DestinationsUnusable(DeploybotError):
    """Settings of what is sent out that do not fit together; every problem is named at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


class BotNotInChannel(DeploybotError):
    """A channel the bot cannot post to."""

    def __init__(self, bot: str, *, there: bool = False, chosen: bool = False) -> None:
        if chosen:
            super().__init__(
                f"I'm not in that channel, so I can't open a thread there and started nothing. "
                f"Type /invite {bot} in it, then press Start again."
            )
            return
        where = (
            "that channel, so I can't write there and told nobody"
            if there
            else ("this channel, so I can't open a thread here and started nothing")
        )
        place = " in it" if there else ""
        super().__init__(f"I'm not in {where}. Type /invite {bot}{place} and run the command again.")


class SlackRefused(DeploybotError):
    """Slack refused a call."""

    def __init__(self, method: str, code: str, hint: str) -> None:
        super().__init__(f"Slack refused {method} ({code}). {hint}")


class CannotWrite(DeploybotError):
    """A file that cannot be written."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} can't be written: {why}. Choose another place with --output.")


class DatabaseNotCurrent(DeploybotError):
    """A database whose tables are not those of this version."""

    def __init__(self) -> None:
        super().__init__("The database is not at the newest schema: run `deploybot migrate` first.")


class ReportNotSent(DeploybotError):
    """Slack did not take a report's file."""

    def __init__(self, code: str, hint: str) -> None:
        super().__init__(f"Slack did not take the report's file ({code}). {hint}")


class LeaseLost(DeploybotError):
    """Another process has taken over what this one was at."""

    def __init__(self) -> None:
        super().__init__("another process has taken it over")


class NoHistory(DeploybotError):
    """A source that should know the past does not answer."""

    def __init__(self, why: str) -> None:
        super().__init__(why)


class EncryptionKeyUnusable(DeploybotError):
    """A DEPLOYBOT_ENCRYPTION_KEY that is none; the key itself is never shown."""

    def __init__(self, number: int) -> None:
        which = f"Key {number} in DEPLOYBOT_ENCRYPTION_KEY is no key" if number else "There is no key"
        super().__init__(
            f"{which}: each has 44 characters, commas between several. `deploybot new-key` makes one."
        )


class TokenUnreadable(DeploybotError):
    """A workspace's token that none of the keys opens."""

    def __init__(self, team: str, name: str = "") -> None:
        self.team = team
        whose = f"{name} ({team})" if name else team
        super().__init__(
            f"The token of {whose} can't be decrypted: the key it was encrypted with is not in "
            "DEPLOYBOT_ENCRYPTION_KEY. Put that key back, behind the newest, or let somebody of that "
            "workspace install the app again at /slack/install."
        )


class NotInstalled(DeploybotError):
    """A workspace the bot is not in, or not any more."""

    def __init__(self, team: str) -> None:
        self.team = team
        super().__init__(
            f"The app is not installed in workspace {team}, so nothing is sent there. "
            "Somebody of that workspace can install it at /slack/install."
        )


class InstallRefused(DeploybotError):
    """An installation that did not come about; nothing was kept."""

    #: What the page is headed with.
    title = "Not installed"


class InstallDenied(InstallRefused):
    """The person, or the workspace, said no."""

    def __init__(self, code: str) -> None:
        said = "You did not allow it" if code == "access_denied" else f"Slack did not allow it ({code[:60]})"
        super().__init__(
            f"{said}, so the app was not added. Where an admin must approve apps, ask one; then begin again."
        )


class InstallStateWrong(InstallRefused):
    """A return from Slack that does not belong to what this browser began."""

    def __init__(self) -> None:
        super().__init__(
            "This is not the answer to an installation that was begun in this browser within the last "
            "10 minutes, or it was used already, so nothing was added. Begin again."
        )


class InstallCodeRefused(InstallRefused):
    """Slack gave no token for its own code."""

    def __init__(self, code: str, hint: str) -> None:
        super().__init__(f"Slack gave no token for this installation ({code}). {hint}")


class OrgInstallRefused(InstallRefused):
    """An installation for a whole Enterprise organization."""

    def __init__(self) -> None:
        super().__init__(
            "The app can't be installed for a whole Enterprise organization, so its token was given back. "
            "Install it in each workspace that deploys: begin again and choose the workspace, not the "
            "organization."
        )


class TeamNotAllowed(InstallRefused):
    """An installation in a workspace that this bot is not for."""

    def __init__(self, team: str) -> None:
        super().__init__(
            f"This bot does not serve workspace {team}, so its token was given back. "
            f"Whoever runs the bot can allow it: {team} has to be in DEPLOYBOT_ALLOWED_TEAMS."
        )


class TooManyBegun(InstallRefused):
    """More installations begun than anybody means to finish."""

    retryable = True

    def __init__(self) -> None:
        super().__init__("Too many installations are under way at once. Try again in 10 minutes.")


class TokenNotRenewed(DeploybotError):
    """A token that has expired and could not be exchanged for the next one."""

    retryable = True

    def __init__(self, team: str, name: str = "") -> None:
        whose = f"{name} ({team})" if name else team
        super().__init__(
            f"The token of {whose} has expired and Slack has given no new one yet; it is tried again. "
            "If it stays so, somebody of that workspace installs the app again at /slack/install."
        )
