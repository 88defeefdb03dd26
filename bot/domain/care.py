"""What people did about items besides ticking them, and who took what on themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from bot.domain.events import BOT, Event

_V = TypeVar("_V")


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """An item that does not apply here."""

    #: Slack user id.
    by: str
    at: datetime
    #: The event that recorded it.
    seq: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Somebody an item was given to."""

    #: Slack id of a person (`U…`) or a user group (`S…`).
    to: str
    by: str
    at: datetime
    seq: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """Words at an item."""

    by: str
    at: datetime
    #: The event that recorded it: the note's name.
    seq: int
    text: str
    #: An address, or empty.
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class NoGo:
    """Somebody's word that the deployment may not go on."""

    by: str
    at: datetime
    seq: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class GoRequest:
    """The lead asks for somebody else's Go."""

    by: str
    at: datetime
    seq: int
    #: Slack id of the user group that is asked; empty for anybody.
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Override:
    """An emergency override: asked for by one person, in force once a second one confirms it."""

    #: The event that asked for it.
    seq: int
    #: `go` or `finish`.
    what: str
    #: Who asked, when and why.
    first: str
    at: datetime
    reason: str
    #: Keys of the items that were open, and other things that were in the way, in words.
    open: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    #: Who confirmed it and when; empty and None until then.
    second: str = ""
    confirmed_at: datetime | None = None
    #: Who took it back before that, or `bot` where Go or No-go overtook it; empty unless somebody did.
    withdrawn_by: str = ""

    @property
    def pending(self) -> bool:
        """Whether it waits for a second name."""
        return not self.second and not self.withdrawn_by


@dataclass(frozen=True, kw_only=True)
class Care:
    """All of it for one deployment; items by position."""

    waivers: Mapping[int, Waiver] = field(default_factory=dict)
    assignments: Mapping[int, tuple[Assignment, ...]] = field(default_factory=dict)
    notes: Mapping[int, tuple[Note, ...]] = field(default_factory=dict)
    #: Every override ever asked for, oldest first.
    overrides: tuple[Override, ...] = ()
    go_request: GoRequest | None = None
    no_go: NoGo | None = None
    #: Who led it before handing it over.
    led: tuple[str, ...] = ()
    #: What other systems said it belongs to: the data of each `deployment.linked`.
    links: tuple[Mapping[str, Any], ...] = ()

    def assignees(self, position: int) -> tuple[str, ...]:
        """Whom an item was given to."""
        return tuple(one.to for one in self.assignments.get(position, ()))

    def override(self, seq: int) -> Override | None:
        """The override that event asked for, or None."""
        return next((one for one in self.overrides if one.seq == seq), None)

    @property
    def go_awaited(self) -> GoRequest | None:
        """The request for Go that nobody has answered, with Go or with No-go."""
        request = self.go_request
        answered = request is not None and self.no_go is not None and self.no_go.seq > request.seq
        return None if answered else request

    @property
    def confirmed(self) -> tuple[Override, ...]:
        """The overrides that came into force: shown for ever after."""
        return tuple(one for one in self.overrides if one.second)


def care_after(care: Care, event: Event) -> Care:
    """What it is after one more event."""
    fact, data = event.fact, event.fact.data
    made: dict[str, Any] = {"by": fact.actor, "at": fact.at, "seq": event.seq}
    match fact.kind:
        case "item.waived":
            waiver = Waiver(reason=data["reason"], **made)
            return replace(care, waivers={**care.waivers, data["position"]: waiver})
        case "item.unwaived":
            return replace(care, waivers={at: w for at, w in care.waivers.items() if at != data["position"]})
        case "item.assigned":
            return _assigned(care, data["position"], Assignment(to=data["to"], **made))
        case "item.unassigned":
            left = tuple(one for one in care.assignments.get(data["position"], ()) if one.to != data["to"])
            return replace(care, assignments=_with(care.assignments, data["position"], left))
        case "item.noted":
            notes = care.notes.get(data["position"], ())
            note = Note(text=data["text"], link=data.get("link", ""), **made)
            return replace(care, notes=_with(care.notes, data["position"], (*notes, note)))
        case "item.note_removed":
            kept = tuple(one for one in care.notes.get(data["position"], ()) if one.seq != data["note"])
            return replace(care, notes=_with(care.notes, data["position"], kept))
        case "go.requested":
            return replace(care, go_request=GoRequest(group=data.get("group", ""), **made))
        case "deployment.no_go":
            return _overtaken(replace(care, no_go=NoGo(reason=data["reason"], **made)), "go")
        case "deployment.go":
            return _overtaken(replace(care, no_go=None, go_request=None), "go")
        case "lead.handed_over":
            return replace(care, led=tuple(dict.fromkeys([*care.led, data["from"]])))
        case "override.requested":
            asked = Override(
                seq=event.seq,
                what=data["what"],
                first=fact.actor,
                at=fact.at,
                reason=data["reason"],
                open=tuple(data.get("open", ())),
                obstacles=tuple(data.get("obstacles", ())),
            )
            return replace(care, overrides=(*care.overrides, asked))
        case "override.confirmed":
            return _settled(care, data["request"], second=fact.actor, confirmed_at=fact.at)
        case "override.withdrawn":
            return _settled(care, data["request"], withdrawn_by=fact.actor)
        case "deployment.linked":
            return replace(care, links=(*care.links, dict(data)))
    return care


def _assigned(care: Care, position: int, new: Assignment) -> Care:
    others = tuple(one for one in care.assignments.get(position, ()) if one.to != new.to)
    return replace(care, assignments=_with(care.assignments, position, (*others, new)))


def _with(
    known: Mapping[int, tuple[_V, ...]], position: int, values: tuple[_V, ...]
) -> dict[int, tuple[_V, ...]]:
    """The mapping with these values there; without the position where there are none."""
    rest = {at: value for at, value in known.items() if at != position}
    return {**rest, position: values} if values else rest


def _overtaken(care: Care, what: str) -> Care:
    """With what was asked for and not confirmed put away: it was asked for in another situation."""
    overrides = tuple(
        replace(one, withdrawn_by=BOT) if one.pending and one.what == what else one for one in care.overrides
    )
    return care if overrides == care.overrides else replace(care, overrides=overrides)


def _settled(care: Care, seq: int, **changed: Any) -> Care:
    return replace(
        care, overrides=tuple(replace(one, **changed) if one.seq == seq else one for one in care.overrides)
    )


def care_to_json(care: Care) -> dict[str, Any]:
    """As the projection keeps it."""

    def plain(value: Any) -> dict[str, Any]:
        return {
            name: part.isoformat() if isinstance(part, datetime) else part
            for name, part in asdict(value).items()
        }

    return {
        "waivers": {str(at): plain(one) for at, one in sorted(care.waivers.items())},
        "assignments": {str(at): [plain(o) for o in some] for at, some in sorted(care.assignments.items())},
        "notes": {str(at): [plain(o) for o in some] for at, some in sorted(care.notes.items())},
        "overrides": [plain(one) for one in care.overrides],
        "go_request": plain(care.go_request) if care.go_request is not None else None,
        "no_go": plain(care.no_go) if care.no_go is not None else None,
        "led": list(care.led),
        "links": [dict(link) for link in care.links],
    }


def care_from_json(data: Mapping[str, Any]) -> Care:
    """From the projection."""

    def instants(one: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: datetime.fromisoformat(value) if name in ("at", "confirmed_at") and value else value
            for name, value in one.items()
        }

    def override(one: Mapping[str, Any]) -> Override:
        told = instants(one)
        return Override(**{**told, "open": tuple(told["open"]), "obstacles": tuple(told["obstacles"])})

    asked, no_go = data.get("go_request"), data.get("no_go")
    return Care(
        waivers={int(at): Waiver(**instants(one)) for at, one in data["waivers"].items()},
        assignments={
            int(at): tuple(Assignment(**instants(one)) for one in some)
            for at, some in data["assignments"].items()
        },
        notes={int(at): tuple(Note(**instants(one)) for one in some) for at, some in data["notes"].items()},
        overrides=tuple(override(one) for one in data["overrides"]),
        go_request=GoRequest(**instants(asked)) if asked else None,
        no_go=NoGo(**instants(no_go)) if no_go else None,
        led=tuple(data.get("led", ())),
        links=tuple(data.get("links", ())),
    )
