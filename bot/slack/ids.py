"""Every id that travels through Slack and back, written and read in one place.

`block_id` and `action_id` hold at most 255 characters (slack_sdk models). A message that is drawn again gets
new `block_id`s, otherwise Slack's clients may keep their own ticks (Slack docs: block_id).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.errors import ForeignClick


class Action(StrEnum):
    """`action_id`s."""

    TICK = "tick"
    FINISH = "finish"
    ABORT = "abort"
    CHOOSE = "choose"
    OPEN_START = "open_start"
    RUN_CHECKS = "run_checks"
    CANCEL_CHECKS = "cancel_checks"
    RESULTS = "results"
    EVIDENCE = "evidence"
    OVERRULE = "overrule"
    CHOOSE_CHECK = "choose_check"
    GO = "go"
    REMINDER_DONE = "reminder_done"
    REMINDER_SNOOZE = "reminder_snooze"
    REMINDER_NOT_NEEDED = "reminder_not_needed"
    START_ROLLBACK = "start_rollback"
    ACKNOWLEDGE = "acknowledge"
    WATCH_LONGER = "watch_longer"
    NOT_THIS_DEPLOY = "not_this_deploy"
    SNOOZE = "snooze"
    RAISE = "raise_trigger"
    HOME_TICK = "home_tick"
    HOME_START = "home_start"
    NO_GO = "no_go"
    OVERRIDE_GATE = "override_gate"
    CONFIRM_OVERRIDE = "confirm_override"
    WITHDRAW_OVERRIDE = "withdraw_override"
    ITEMS = "items"
    ITEM_MENU = "item_menu"
    OPEN_ITEMS = "open_items"
    CARD_MENU = "card_menu"
    QUEUE = "queue"
    PREPARE = "prepare"
    START_ALL_THE_SAME = "start_all_the_same"
    START_TURN = "start_turn"
    LEAVE_QUEUE = "leave_queue"
    UNLOCK = "unlock"
    HAND_OVER = "hand_over"
    TAKE_OVER = "take_over"
    STILL_ON_IT = "still_on_it"
    REPORT_HTML = "report_html"
    REPORT_MARKDOWN = "report_markdown"


class Shortcut(StrEnum):
    """`callback_id`s of shortcuts."""

    START = "start_deployment"
    NOTE = "note_from_message"
    RAISE = "raise_from_message"


class View(StrEnum):
    """`callback_id`s of modals."""

    START = "start"
    FINISH = "finish"
    ABORT = "abort"
    OVERRULE = "overrule"
    REVIEW = "review"
    START_ROLLBACK = "start_rollback"
    NOT_THIS_DEPLOY = "not_this_deploy"
    RAISE = "raise_trigger"
    NOTE_FROM_MESSAGE = "note_from_message"
    RAISE_FROM_MESSAGE = "raise_from_message"
    NO_GO = "no_go"
    OVERRIDE_GATE = "override_gate"
    WAIVE = "waive"
    ASSIGN = "assign"
    NOTE = "note"
    OPEN_ITEMS = "open_items"
    HAND_OVER = "hand_over"


class Field(StrEnum):
    """Names of inputs in modals; block_id and action_id are the same."""

    SERVICE = "service"
    VERSION = "version"
    ENVIRONMENT = "environment"
    CHECKLIST = "checklist"
    REASON = "reason"
    CAUSE = "cause"
    DEPLOYMENT = "deployment"
    WHEN = "when"
    TRIGGER = "trigger"
    WORDS = "words"
    CHANNEL = "channel"
    ITEM = "item"
    NOTE = "note"
    PERSON = "person"
    GROUP = "group"
    LINK = "link"


#: `event_type` of the metadata every post carries (Slack docs: message metadata).
POST_EVENT = "deploybot_post"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Items of a deployment, as a button's value."""

    deployment_id: int
    #: Positions of the first and the last item; both -1 for all of them.
    first: int = -1
    last: int = -1

    def write(self) -> str:
        """The `value`."""
        return f"{self.deployment_id}.{self.first}.{self.last}"

    @classmethod
    def read(cls, value: object) -> Scope:
        """From a `value`. Raises ForeignClick for one we did not write."""
        try:
            deployment_id, first, last = (int(part) for part in str(value).split("."))
        except ValueError as error:
            raise ForeignClick from error
        if not -1 <= first <= last:
            raise ForeignClick
        return cls(deployment_id=deployment_id, first=first, last=last)

    def positions(self, total: int) -> range:
        """The positions, of a checklist with so many items. Raises ForeignClick beyond them."""
        if self.first < 0:
            return range(total)
        if self.last >= total:
            raise ForeignClick
        return range(self.first, self.last + 1)


@dataclass(frozen=True, kw_only=True)
class ItemRef:
    """Something to do about an item, as an option's value."""

    deployment_id: int
    position: int
    #: One word: what to do.
    deed: str
    #: The event that made what is undone: a note, or the newest assignment that was shown; 0 for none.
    seq: int = 0

    def write(self) -> str:
        """The `value`."""
        return f"{self.deployment_id}.{self.position}.{self.deed}.{self.seq}"

    @classmethod
    def read(cls, value: object) -> ItemRef:
        """From a `value`. Raises ForeignClick for one we did not write.

        One of three parts was drawn before there were events in them.
        """
        parts = str(value).split(".")
        parts += ["0"] if len(parts) == 3 else []
        if len(parts) != 4 or not all(parts[at].isdecimal() for at in (0, 1, 3)):
            raise ForeignClick
        return cls(deployment_id=int(parts[0]), position=int(parts[1]), deed=parts[2], seq=int(parts[3]))


@dataclass(frozen=True, kw_only=True)
class OverrideRef:
    """Go or the end of a deployment, or an override that was asked for, as a button's value."""

    deployment_id: int
    #: `go` or `finish`.
    what: str
    #: The event that asked for it; 0 where nobody did yet.
    seq: int = 0

    def write(self) -> str:
        """The `value`."""
        return f"{self.deployment_id}.{self.what}.{self.seq}"

    @classmethod
    def read(cls, value: object) -> OverrideRef:
        """From a `value`. Raises ForeignClick for one we did not write."""
        parts = str(value).split(".")
        if len(parts) != 3 or not (parts[0].isdecimal() and parts[2].isdecimal()):
            raise ForeignClick
        if parts[1] not in ("go", "finish"):
            raise ForeignClick
        return cls(deployment_id=int(parts[0]), what=parts[1], seq=int(parts[2]))


@dataclass(frozen=True, kw_only=True)
class StartRef:
    """What somebody wanted to start, as a button's value: at most 2,000 characters (Slack docs: button)."""

    service: str
    version: str
    environment: str
    checklist: str
    #: Slack channel id it is started in.
    channel: str

    def write(self) -> str:
        """The `value`."""
        parts = (self.service, self.version, self.environment, self.checklist, self.channel)
        return json.dumps(parts, ensure_ascii=False)

    @classmethod
    def read(cls, value: object) -> StartRef:
        """From a `value`. Raises ForeignClick for one we did not write."""
        try:
            service, version, environment, checklist, channel = json.loads(str(value))
        except (TypeError, ValueError) as error:
            raise ForeignClick from error
        parts = (service, version, environment, checklist, channel)
        if not all(isinstance(part, str) for part in parts):
            raise ForeignClick
        return cls(
            service=service, version=version, environment=environment, checklist=checklist, channel=channel
        )


def number_of(value: object) -> int:
    """An id that is a button's whole value. Raises ForeignClick for one we did not write."""
    if not str(value).isdecimal():
        raise ForeignClick
    return int(str(value))


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A reminder as it was drawn, as a button's value."""

    reminder_id: int
    #: How often it had been snoozed: a message of an earlier round no longer counts.
    round: int

    def write(self) -> str:
        """The `value`."""
        return f"{self.reminder_id}.{self.round}"

    @classmethod
    def read(cls, value: object) -> Asking:
        """From a `value`. Raises ForeignClick for one we did not write."""
        try:
            reminder_id, round_ = (int(part) for part in str(value).split("."))
        except ValueError as error:
            raise ForeignClick from error
        return cls(reminder_id=reminder_id, round=round_)


@dataclass(frozen=True, kw_only=True)
class TriggerRef:
    """A raised trigger, as a button's or an option's value."""

    deployment_id: int
    #: The event that raised it; 0 for none in particular.
    seq: int = 0
    #: What is chosen with it, e.g. the minutes of a snooze.
    number: int = 0

    def write(self) -> str:
        """The `value`."""
        return f"{self.deployment_id}.{self.seq}.{self.number}"

    @classmethod
    def read(cls, value: object) -> TriggerRef:
        """From a `value`. Raises ForeignClick for one we did not write."""
        parts = str(value).split(".")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            raise ForeignClick
        deployment_id, seq, number = map(int, parts)
        return cls(deployment_id=deployment_id, seq=seq, number=number)


@dataclass(frozen=True, kw_only=True)
class TickBlock:
    """One drawing of one group of checkboxes."""

    deployment_id: int
    post_id: int
    #: The post's revision: makes each drawing's id new.
    revision: int
    #: The newest event the drawing knew.
    seq: int
    #: Position of the first box, and how many follow each other.
    first: int
    count: int
    #: The positions drawn as ticked.
    ticked: frozenset[int]

    @property
    def positions(self) -> range:
        """The boxes of the group."""
        return range(self.first, self.first + self.count)

    def write(self) -> str:
        """The `block_id`."""
        mask = sum(1 << (position - self.first) for position in self.ticked)
        numbers = (self.deployment_id, self.post_id, self.revision, self.seq, self.first, self.count)
        return f"tick.{'.'.join(map(str, numbers))}.{mask:x}"

    @classmethod
    def read(cls, block_id: str) -> TickBlock:
        """From a `block_id`. Raises ForeignClick for one we did not write."""
        parts = block_id.split(".")
        if len(parts) != 8 or parts[0] != "tick":
            raise ForeignClick
        try:
            deployment_id, post_id, revision, seq, first, count = (int(part) for part in parts[1:7])
            mask = int(parts[7], 16)
        except ValueError as error:
            raise ForeignClick from error
        if count not in range(1, 11) or first < 0 or mask not in range(1 << count):
            raise ForeignClick
        return cls(
            deployment_id=deployment_id,
            post_id=post_id,
            revision=revision,
            seq=seq,
            first=first,
            count=count,
            ticked=frozenset(first + bit for bit in range(count) if mask >> bit & 1),
        )

    def selected(self, values: Iterable[object]) -> frozenset[int]:
        """The positions these option values stand for. Raises ForeignClick for a value not in the group."""
        chosen = set()
        for value in values:
            if not isinstance(value, str) or not value.isdecimal() or int(value) not in self.positions:
                raise ForeignClick
            chosen.add(int(value))
        return frozenset(chosen)


@dataclass(frozen=True, kw_only=True)
class HomeBlock:
    """One drawing of some boxes of one person's home: the checklist's, wherever they stand in a message."""

    deployment_id: int
    #: The message of the thread that has these boxes.
    post_id: int
    #: New with each drawing.
    revision: int
    #: The newest event the drawing knew.
    seq: int
    #: Ascending, at most ten.
    positions: tuple[int, ...]
    #: The positions drawn as ticked.
    ticked: frozenset[int]

    def write(self) -> str:
        """The `block_id`."""
        numbers = (self.deployment_id, self.post_id, self.revision, self.seq)
        mask = sum(1 << at for at, position in enumerate(self.positions) if position in self.ticked)
        return f"home.{'.'.join(map(str, numbers))}.{'-'.join(map(str, self.positions))}.{mask:x}"

    @classmethod
    def read(cls, block_id: str) -> HomeBlock:
        """From a `block_id`. Raises ForeignClick for one we did not write."""
        parts = block_id.split(".")
        if len(parts) != 7 or parts[0] != "home":
            raise ForeignClick
        try:
            deployment_id, post_id, revision, seq = (int(part) for part in parts[1:5])
            positions = tuple(int(part) for part in parts[5].split("-"))
            mask = int(parts[6], 16)
        except ValueError as error:
            raise ForeignClick from error
        if len(positions) > 10 or list(positions) != sorted(set(positions)) or mask >> len(positions):
            raise ForeignClick
        return cls(
            deployment_id=deployment_id,
            post_id=post_id,
            revision=revision,
            seq=seq,
            positions=positions,
            ticked=frozenset(position for at, position in enumerate(positions) if mask >> at & 1),
        )

    def selected(self, values: Iterable[object]) -> frozenset[int]:
        """The positions these option values stand for. Raises ForeignClick for a value not among them."""
        chosen = set()
        for value in values:
            if not isinstance(value, str) or not value.isdecimal() or int(value) not in self.positions:
                raise ForeignClick
            chosen.add(int(value))
        return frozenset(chosen)


@dataclass(frozen=True, kw_only=True)
class StartAgain:
    """What a start form is filled in with, as a button's value."""

    service: str = ""
    environment: str = ""
    checklist: str = ""
    #: Slack id of the channel that is proposed.
    channel: str = ""

    def write(self) -> str:
        """The `value`: at most 2,000 characters (@slack/types), these are some 300."""
        return json.dumps([self.service, self.environment, self.checklist, self.channel])

    @classmethod
    def read(cls, value: object) -> StartAgain:
        """From a `value`. Raises ForeignClick for one we did not write."""
        try:
            parts = json.loads(str(value))
        except ValueError as error:
            raise ForeignClick from error
        if not isinstance(parts, list) or len(parts) != 4 or not all(isinstance(p, str) for p in parts):
            raise ForeignClick
        service, environment, checklist, channel = parts
        return cls(service=service, environment=environment, checklist=checklist, channel=channel)
