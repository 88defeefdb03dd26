"""What a kind of check is, and what it may use.

A kind turns parameters into an observation and knows which rules apply where none are written down. It
judges nothing itself: `bot.domain.rules` does.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, InstanceOf, WithJsonSchema

from bot.domain.check import ItemResult, Observation, Rules, Secret

# ── what can go wrong ────────────────────────────────────────────────────────────────────────────────────


class CheckTrouble(Exception):
    """A check that made no observation; `str()` is one sentence for people, without secrets."""

    #: Whether trying again at once may help: only for what never reached the target.
    retryable = False


class TargetDown(CheckTrouble):
    """What is checked does not answer, or breaks off: the outcome is fail."""

    retryable = True


class NoData(CheckTrouble):
    """There is nothing to judge by (no series, no permission, no source): the outcome is unknown."""

    def __init__(self, why: str, *, retryable: bool = False) -> None:
        self.retryable = retryable
        super().__init__(why)


class OutOfPlace(CheckTrouble):
    """It makes no sense here, e.g. a question about a deployment outside one: the outcome is skipped."""


class Broken(CheckTrouble):
    """The check itself cannot work (tool missing, parameters that make no sense): the outcome is error."""


class Refused(Broken):
    """A target outside the allow-list of this environment: the outcome is error, nothing was contacted."""


# ── parameters ───────────────────────────────────────────────────────────────────────────────────────────


class Params(BaseModel):
    """Parameters of a kind; a name it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


#: A secret, written `{secret: name}`; never a string inside another string.
SecretValue = Annotated[
    InstanceOf[Secret],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"secret": {"type": "string"}},
            "required": ["secret"],
            "additionalProperties": False,
        }
    ),
]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: Any) -> float:
    """A duration: a number of seconds, or `250ms`, `10s`, `5m`, `26h`, `30d`. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip()
    try:
        return float(number) * _UNITS[unit or "s"]
    except (ValueError, KeyError):
        raise ValueError(f"'{text}' is no duration; write 250ms, 10s, 5m, 26h or 30d") from None


#: Seconds, written as `10s`, `5m` and so on.
Duration = Annotated[
    float, BeforeValidator(seconds), WithJsonSchema({"type": ["string", "number"], "examples": ["10s", "5m"]})
]

P = TypeVar("P", bound=Params)


# ── what a kind may use ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    #: By lower-case name; several of one name joined with `, ` (`set-cookie` with a newline).
    headers: Mapping[str, str]
    body: bytes
    #: Whether the body was longer than was asked for.
    truncated: bool
    url: str
    #: `HTTP/1.1` or `HTTP/2`.
    http_version: str
    #: Bytes of the body as they came over the wire, before any content encoding was undone.
    wire_bytes: int
    #: Milliseconds from the request to the last byte, and until the first byte of the answer.
    ms: float
    first_byte_ms: float
    #: The address that was spoken to.
    peer: str

    @property
    def text(self) -> str:
        """The body as text; bytes that are none become `�`."""
        return self.body.decode("utf-8", "replace")


class Web(Protocol):
    """HTTP through the allow-list. Redirects are answers: nothing follows them."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        json: Any = None,
        content: bytes | None = None,
        fresh: bool = False,
        max_bytes: int = 1_000_000,
        timeout: float | None = None,
        verify: bool = True,
    ) -> Answer:
        """One request. `fresh` opens a new connection; `verify=False` accepts any certificate.

        Raises TargetDown where no answer came, Refused outside the allow-list, Broken for a URL that is none.
        """

    def tls(self, *, verify: bool = True, any_name: bool = False) -> ssl.SSLContext:
        """The environment's TLS context with its trusted authorities, shared: not to be changed.

        `any_name` accepts a trusted certificate of any name, `verify=False` any certificate at all.
        """


@dataclass(frozen=True, kw_only=True)
class Address:
    """A host, resolved once and found allowed."""

    #: The name it was asked for: goes into SNI and certificates.
    host: str
    port: int
    #: Numeric addresses to connect to, in order; all of them were checked.
    ips: tuple[str, ...]


class Egress(Protocol):
    """Where checks may connect to."""

    async def resolve(self, host: str, port: int) -> Address:
        """The checked addresses of a host. Raises Refused, TargetDown where the name does not resolve."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A program that ran to its end, or was killed at its limit."""

    code: int
    out: str
    err: str
    ms: float
    #: Killed because its time was up.
    timed_out: bool = False
    #: Whether output was cut off.
    truncated: bool = False


class Processes(Protocol):
    """Programs, started as an argv list in a process group of their own, killed whole."""

    def find(self, program: str) -> str | None:
        """The path of an installed program, or None."""

    def allowed(self, program: str) -> bool:
        """Whether the sidecar's `commands` list allows this program."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_bytes: int = 1_000_000,
    ) -> Finished:
        """Run a program: clean environment (PATH, LANG, HOME and `env` only), no shell.

        Raises Broken where it is not installed or cannot be started.
        """


class Records(Protocol):
    """What the bot itself did, for the kind `event`."""

    async def find(self, what: str) -> Mapping[str, Any] | None:
        """The newest thing of this name the bot did for the deployment, e.g. `started`, or None.

        The mapping has `at` (datetime), `channel`, `ts` and `permalink`.
        """


class Nothing:
    """No records: checks run outside a deployment."""

    async def find(self, what: str) -> Mapping[str, Any] | None:
        """Nothing."""
        return None


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything a check may reach the world through."""

    environment: str
    service: str
    version: str
    web: Web
    egress: Egress
    processes: Processes
    records: Records
    #: Relative paths in parameters are under this folder.
    root: Path
    #: Unique for this run: marks canaries so that they can be found again.
    marker: str
    #: When the deployment began; None outside one.
    started_at: datetime | None
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    #: Removes secrets from a text.
    clean: Callable[[str], str]
    #: The results of other items of this checklist (kind `composite`): waits for those under way.
    members: Callable[[Sequence[str]], Awaitable[Mapping[str, ItemResult | None]]]
    #: Seconds this attempt has.
    timeout: float = 10.0

    def path(self, value: str) -> Path:
        """A path of the parameters. Raises Broken for one that leads out of the root."""
        found = (self.root / value).resolve()
        if not found.is_relative_to(self.root.resolve()):
            raise Broken(f"{value} leads out of {self.root.name or 'the root'}: keep paths inside it")
        return found


# ── kinds ────────────────────────────────────────────────────────────────────────────────────────────────


class Pool(StrEnum):
    """Checks of one pool compete for its places; slow ones must not starve quick ones."""

    NETWORK = "network"
    BROWSER = "browser"
    LOAD = "load"
    COMMAND = "command"


class Kind(ABC, Generic[P]):
    """One kind of check."""

    #: As the sidecar writes it, e.g. `headers.security`.
    name: ClassVar[str]
    #: One line for the reference.
    about: ClassVar[str]
    #: The model of its parameters.
    params: type[P]
    #: What its rules can speak of: name → meaning with its unit. `*` stands for names the parameters choose.
    values: ClassVar[Mapping[str, str]]
    #: Ascending names for values that are not numbers.
    scales: ClassVar[Mapping[str, Sequence[str]]] = {}
    pool: ClassVar[Pool] = Pool.NETWORK
    #: Whether it is cheap and harmless enough to be run again at Go and at finish.
    cheap: ClassVar[bool] = True
    #: Whether it may be tried again after it did not reach its target: False for what acts on it.
    repeatable: ClassVar[bool] = True
    #: Whether it asks a source about the target (a metrics server, a forge): no answer is unknown, not fail.
    indirect: ClassVar[bool] = False
    #: Limit of one attempt in seconds where the sidecar sets none.
    timeout: ClassVar[float | None] = None

    def defaults(self, params: P) -> Rules:
        """The rules that apply where none of the same name are written down."""
        return Rules()

    def problem(self, params: P) -> str | None:
        """What is wrong with parameters that are each valid by themselves, or None; found at start-up."""
        return None

    def sharing(self, params: P) -> str:
        """Checks of this kind for which it is the same share one look in a run: parameters that only choose
        among what was seen are left out of it."""
        return repr(params)

    def needs(self, params: P) -> Sequence[str]:
        """The keys of items this check is made of (kind `composite`)."""
        return ()

    @abstractmethod
    async def observe(self, params: P, context: Context) -> Observation:
        """Look once. Raises CheckTrouble where nothing was observed."""
