"""What people type after `/deploy` or `@deploybot`, as values."""

from __future__ import annotations

import difflib
import html
import re
from dataclasses import dataclass

from bot.domain.reminding import read_wish

#: In the order of the help.
COMMANDS = (
    "start",
    "status",
    "list",
    "mine",
    "lock",
    "unlock",
    "locks",
    "queue",
    "lead",
    "check",
    "remind",
    "notify",
    "share",
    "go",
    "no-go",
    "override",
    "open",
    "waive",
    "unwaive",
    "assign",
    "unassign",
    "note",
    "finish",
    "abort",
    "raise",
    "rollback",
    "watch",
    "drill",
    "report",
    "stats",
    "help",
)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Start a deployment; empty where a word is missing."""

    service: str = ""
    version: str = ""
    environment: str = ""
    checklist: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing needs to be asked."""
        return bool(self.service and self.version and self.environment)


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far one deployment is, or those of the channel."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class ListOpen:
    """The open deployments of the workspace."""


@dataclass(frozen=True, kw_only=True)
class Mine:
    """What is the person's own to do."""


@dataclass(frozen=True, kw_only=True)
class Finish:
    """End a deployment that went through."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Run checks. The first word of `words` may be a deployment's name, the rest says which."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class StopChecks:
    """Stop the checks that are running."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Tell:
    """Tell another channel of the deployment: words (`notify`), or the figures (`share`)."""

    #: `notify` or `share`.
    what: str
    #: Slack channel id; empty where the person named none.
    channel: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Remind:
    """Remind of something later. The first word of `words` may be a deployment's name."""

    #: What it is about: an item, a section, other words; empty for everything that is open.
    words: str = ""
    #: As typed: `in 2h`; empty where there is none.
    when: str = ""


@dataclass(frozen=True, kw_only=True)
class GiveGo:
    """Look at the evidence again and give Go."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class NoGo:
    """It may not go on. The first word of `words` may be a deployment's name, the rest says why."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Override:
    """Go on all the same. The first word of `words` may be a deployment's name, the rest says why."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class OpenItems:
    """What is still open."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Waive:
    """An item does not apply. The first word of `words` may be a deployment's name, the rest is the item."""

    words: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Unwaive:
    """It applies after all. `words` as for Waive."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Assign:
    """Give an item, a group or a section to somebody. `words` as for Waive."""

    words: str = ""
    #: Slack id of a person or a user group; empty where nobody is mentioned.
    to: str = ""


@dataclass(frozen=True, kw_only=True)
class Unassign:
    """Take an item from them again. `words` and `to` as for Assign; with an empty `to`, from everybody."""

    words: str = ""
    to: str = ""


@dataclass(frozen=True, kw_only=True)
class NoteItem:
    """Write a note at an item. `words` as for Waive."""

    words: str = ""
    text: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Abort:
    """Call a deployment off. The first word of `words` may be its name."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Raise:
    """Something is wrong. The first word of `words` may be a deployment's name, the rest says what."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class RollBack:
    """Start the rollback. The first word of `words` may be a deployment's name, the rest says why."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class WatchLonger:
    """Go on watching."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Drill:
    """Raise an alert that is made up."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class LockIt:
    """Keep a service from being deployed: service, environment, time and reason as typed."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class UnlockIt:
    """Let it be deployed again: service and environment as typed."""

    words: str = ""


@dataclass(frozen=True, kw_only=True)
class ListLocks:
    """What is locked."""


@dataclass(frozen=True, kw_only=True)
class ListQueue:
    """Who waits for what."""


@dataclass(frozen=True, kw_only=True)
class LeaveQueue:
    """Wait no more."""

    service: str = ""


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """Somebody else leads."""

    #: Slack user id; empty where nobody is named, `me` for who asks.
    user: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class TellReport:
    """What happened in a deployment, in figures, and as a file."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Figures over many deployments; empty for all services and the usual environment."""

    service: str = ""
    environment: str = ""
    days: int = 90


@dataclass(frozen=True, kw_only=True)
class Help:
    """What can be typed."""


@dataclass(frozen=True, kw_only=True)
class NotUnderstood:
    """A word that is no command, or words a command cannot use."""

    #: A sentence that says what is wrong.
    why: str
    #: The nearest command, or empty.
    nearest: str = ""


#: Longest time figures are made over, in days: ten years.
LONGEST_STATS_DAYS = 3650

Command = (
    Start
    | Status
    | ListOpen
    | Mine
    | Check
    | StopChecks
    | Remind
    | Tell
    | GiveGo
    | NoGo
    | Override
    | OpenItems
    | Waive
    | Unwaive
    | Assign
    | Unassign
    | NoteItem
    | Finish
    | Abort
    | Raise
    | RollBack
    | WatchLonger
    | Drill
    | LockIt
    | UnlockIt
    | ListLocks
    | ListQueue
    | LeaveQueue
    | HandOver
    | TellReport
    | Stats
    | Help
    | NotUnderstood
)
#: A channel as Slack escapes it (Slack docs: formatting, "Linking to channels").
_CHANNEL = re.compile(r"<#([A-Z0-9]+)(?:\|[^>]*)?>")
#: A person as Slack escapes them (Slack docs: formatting, "Mentioning users").
_PERSON = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def typed(text: str) -> str:
    """Slack's escaped text as the person typed it: mentions and links by their names, entities decoded."""

    def named(match: re.Match[str]) -> str:
        target, _, name = match[1].partition("|")
        if target[:1] in "@#!":
            return f"{target[0].replace('!', '@')}{name.lstrip('@#') or target[1:]}"
        return name or target

    return html.unescape(re.sub(r"<([^<>]+)>", named, text)).replace("\u00a0", " ").strip()


def parse(text: str) -> Command:
    """The command in a text as Slack sends it. Never raises."""
    first, _, rest = typed(text).partition(" ")
    rest = rest.strip()
    match first.casefold():
        case "notify" | "share" as what:
            return _tell(what, text)
        case "" | "help" | "?":
            return Help()
        case "start":
            return _start(rest)
        case "status":
            return _one_name("status", rest, Status)
        case "list":
            return ListOpen() if not rest else _too_much("list", rest)
        case "mine":
            return Mine() if not rest else _too_much("mine", rest)
        case "check":
            return _check(rest)
        case "remind":
            wish = read_wish(re.sub(r"^(?:me|us)\s+(?:(?:of|about|to)\s+)?", "", rest, flags=re.IGNORECASE))
            return Remind(words=wish.what, when=wish.when)
        case "go":
            return _one_name("go", rest, GiveGo)
        case "no-go" | "nogo":
            return NoGo(words=rest)
        case "override":
            return Override(words=rest)
        case "open":
            return _one_name("open", rest, OpenItems)
        case "waive" | "unwaive" | "assign" | "unassign" | "note" as what:
            return _about_item(what, text, rest)
        case "finish":
            return _one_name("finish", rest, Finish)
        case "abort":
            return Abort(words=rest)
        case "raise":
            return Raise(words=rest)
        case "rollback":
            return RollBack(words=rest)
        case "watch":
            return _watch(rest)
        case "drill":
            return _one_name("drill", rest, Drill)
        case "lock":
            return LockIt(words=rest)
        case "unlock":
            return UnlockIt(words=rest)
        case "locks":
            return ListLocks() if not rest else _too_much("locks", rest)
        case "queue":
            return _queue(rest)
        case "lead":
            return _lead(text)
        case "report":
            return _one_name("report", rest, TellReport)
        case "stats":
            return _stats(rest)
    nearest = difflib.get_close_matches(first.casefold(), COMMANDS, n=3, cutoff=0.5)
    # Letters that changed places are what happens most: `strat` is start, not stats.
    nearest.sort(key=lambda command: sorted(command) != sorted(first.casefold()))
    return NotUnderstood(why=f"I don't know “{_short(first)}”.", nearest=nearest[0] if nearest else "")


def _start(rest: str) -> Command:
    words, checklist = [], ""
    tokens = iter(rest.split())
    for token in tokens:
        # Phones and Macs turn two hyphens into a dash.
        option = re.sub(r"^(--|—|–)", "--", token)
        if not option.startswith("--"):
            words.append(token)
            continue
        name, equals, value = option.partition("=")
        if name != "--checklist":
            return NotUnderstood(
                why=f"“{_short(token)}” is not an option of start; there is --checklist NAME."
            )
        checklist = value if equals else next(tokens, "")
        if not checklist:
            return NotUnderstood(why="--checklist needs a name after it.")
    if len(words) > 3:
        extra = " ".join(words[3:])
        return NotUnderstood(
            why=f"start takes a service, a version and an environment; “{_short(extra)}” is more than that."
        )
    service, version, environment = [*words, "", "", ""][:3]
    return Start(service=service, version=version, environment=environment, checklist=checklist)


def _tell(what: str, text: str) -> Command:
    channel = _CHANNEL.search(text)
    _, _, rest = typed(_CHANNEL.sub("", text, count=1)).partition(" ")
    words = " ".join(rest.split())
    if what == "notify" and not channel:
        return NotUnderstood(why="notify needs a channel, like `notify #stakeholders we deploy at noon`.")
    if what == "share" and words:
        return _too_much("share", words)
    return Tell(what=what, channel=channel[1] if channel else "", words=words)


def _check(rest: str) -> Command:
    first, _, name = rest.partition(" ")
    if first.casefold() in ("stop", "cancel") and " " not in name.strip():
        return StopChecks(name=name.strip())
    return Check(words=rest)


#: A person or user group as Slack escapes them (Slack docs: formatting, "Mentioning users").
_WHOM = re.compile(r"<(?:@([UW][A-Z0-9]+)|!subteam\^(S[A-Z0-9]+))(?:\|[^>]*)?>")
_ADDRESS = re.compile(r"<?(https?://[^\s<>|]+)(?:\|[^>]*)?>?")


def _about_item(what: str, text: str, rest: str) -> Command:
    match what:
        case "waive":
            item, because, reason = _cut(rest, r"(?:^|\s+)because\s+")
            return Waive(words=item, reason=reason) if because else Waive(words=_named(rest))
        case "unwaive":
            return Unwaive(words=_named(rest))
        case "assign" | "unassign":
            found = _WHOM.search(text)
            said = typed(_WHOM.sub("", text)).partition(" ")[2].strip()
            said = _named(re.sub(r"(?:^|\s+)to$", "", said))
            to = (found[1] or found[2]) if found else ""
            return Assign(words=said, to=to) if what == "assign" else Unassign(words=said, to=to)
    item, _, note = _cut(rest, r":[*`]?(?:\s+|$)|\s+[–—-]\s+")
    link = _ADDRESS.search(text)  # as Slack escaped it: a link's words may be all that is left in the note
    return NoteItem(words=item, text=note, link=html.unescape(link[1]) if link else "")


def _cut(text: str, at: str) -> tuple[str, str, str]:
    """The text before and after the first of these, and that itself; quotes around the first part dropped."""
    found = re.search(at, text, flags=re.IGNORECASE)
    before, between, after = (
        (text, "", "") if found is None else (text[: found.start()], found[0], text[found.end() :])
    )
    return _named(before).strip("\"'“”„«»"), between, after.strip()


def _named(text: str) -> str:
    """An item's name without the colon people end it with."""
    return text.strip().removesuffix(":").rstrip()


def _watch(rest: str) -> Command:
    first, _, name = rest.partition(" ")
    if first.casefold() != "longer":
        return NotUnderstood(why="There is `watch longer`, which goes on watching for another hour.")
    return _one_name("watch longer", name.strip(), WatchLonger)


def _queue(rest: str) -> Command:
    first, _, service = rest.partition(" ")
    service = service.strip()
    if not rest:
        return ListQueue()
    if first.casefold() != "leave":
        return NotUnderstood(
            why="There is `queue`, which shows who waits, and `queue leave [service]`. "
            "Who wants to queue types `start`: where something is in the way, I offer it."
        )
    return LeaveQueue(service=service) if " " not in service else _too_much("queue leave", service)


def _lead(text: str) -> Command:
    person = _PERSON.search(text)
    _, _, rest = typed(_PERSON.sub("", text, count=1)).partition(" ")
    name = " ".join(rest.split())
    user = person[1] if person else ""
    first, _, more = name.partition(" ")
    if not user and first.casefold() == "me":
        user, name = "me", more
    if first.startswith("@"):
        return NotUnderstood(why=f"I don't know who {_short(first)} is; choose the name from Slack's list.")
    return HandOver(user=user, name=name) if " " not in name else _too_much("lead", name)


_Named = (
    type[Status]
    | type[Finish]
    | type[GiveGo]
    | type[WatchLonger]
    | type[Drill]
    | type[OpenItems]
    | type[TellReport]
)


def _stats(rest: str) -> Command:
    words: list[str] = []
    found = {"days": "90", "environment": ""}
    tokens = iter(rest.split())
    for token in tokens:
        option = re.sub(r"^(--|—|–)", "--", token)  # as in start
        if not option.startswith("--"):
            words.append(token)
            continue
        name, equals, value = option[2:].partition("=")
        if name not in found:
            said = f"“{_short(token)}” is not an option of stats; there are --days N and --environment NAME."
            return NotUnderstood(why=said)
        found[name] = value if equals else next(tokens, "")
        if not found[name]:
            return NotUnderstood(why=f"--{name} needs a value after it.")
    if not re.fullmatch(r"[0-9]{1,4}", found["days"]) or not 1 <= int(found["days"]) <= LONGEST_STATS_DAYS:
        return NotUnderstood(why=f"--days takes a number from 1 to {LONGEST_STATS_DAYS}.")
    if len(words) > 1:
        return _too_much("stats", " ".join(words[1:]))
    service = words[0] if words else ""
    return Stats(service=service, environment=found["environment"], days=int(found["days"]))


def _one_name(command: str, rest: str, kind: _Named) -> Command:
    return kind(name=rest) if " " not in rest else _too_much(command, rest.split(" ", 1)[1])


def _too_much(command: str, extra: str) -> NotUnderstood:
    return NotUnderstood(why=f"{command} can't use “{_short(extra)}”.")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
