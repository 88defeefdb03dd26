"""What can be broken in the example service, each by a switch: really broken, and really mended."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import asyncpg

from bot.example.nginx import Nginx
from bot.example.postgres import OWNER, Postgres, Statements
from bot.example.programs import ExampleTrouble
from bot.example.service import ExampleService, Finding

#: Calls of the slow statement before the switch counts as thrown: checks leave out what was called seldom.
SLOW_CALLS = 12
#: Requests that follow a change of the error rate, so that rates over a minute or more show it.
BURST = 2400


@dataclass(frozen=True, kw_only=True)
class Dial:
    """How much something is broken."""

    name: str
    unit: str
    #: Unless another amount is asked for.
    usual: float
    most: float


class Switch(ABC):
    """One thing that can be broken."""

    name: ClassVar[str]
    #: What it does, for the page.
    about: ClassVar[str]
    dials: ClassVar[tuple[Dial, ...]] = ()

    def __init__(self, service: ExampleService) -> None:
        self.service = service
        self.broken = False
        #: By the name of the dial.
        self.amounts = {dial.name: dial.usual for dial in self.dials}

    def turned(self, amounts: Mapping[str, float]) -> dict[str, float]:
        """The amounts with these among them, the others as usual. Raises ExampleTrouble."""
        dials = {dial.name: dial for dial in self.dials}
        for name, amount in amounts.items():
            if name not in dials:
                raise ExampleTrouble(
                    f"“{self.name}” has no dial “{name}”: it has {', '.join(dials) or 'none'}"
                )
            if not 0 < amount <= dials[name].most:
                most, unit = dials[name].most, dials[name].unit
                raise ExampleTrouble(f"{name} must be more than 0 and no more than {most:g} {unit}")
        return {dial.name: amounts.get(dial.name, dial.usual) for dial in self.dials}

    def problem(self) -> str | None:
        """Why it cannot be thrown: the part it breaks is left out."""
        return None

    @abstractmethod
    async def throw(self) -> None:
        """Break it. Raises ExampleTrouble."""

    @abstractmethod
    async def mend(self) -> None:
        """Undo that. Raises ExampleTrouble."""


class _NginxSwitch(Switch):
    #: What changes in nginx's conduct when it is broken.
    _change: ClassVar[dict[str, bool]]

    def problem(self) -> str | None:
        """Without nginx there is nothing to change."""
        return None if self.service.nginx is not None else "nginx is not installed"

    def _nginx(self) -> Nginx:
        assert self.service.nginx is not None  # `problem` said so
        return self.service.nginx

    async def throw(self) -> None:
        """Change nginx's configuration."""
        await self._nginx().behave(**self._change)

    async def mend(self) -> None:
        """Change it back."""
        await self._nginx().behave(**{name: not value for name, value in self._change.items()})


class Certificate(_NginxSwitch):
    """B1, S1."""

    name = "certificate"
    about = "Serve a certificate that expired three days ago."
    _change: ClassVar[dict[str, bool]] = {"expired": True}


class Headers(_NginxSwitch):
    """B2, B3."""

    name = "headers"
    about = "Drop the content security policy and HSTS."
    _change: ClassVar[dict[str, bool]] = {"strict": False}


class Cache(_NginxSwitch):
    """D5."""

    name = "cache"
    about = "Send no cache headers."
    _change: ClassVar[dict[str, bool]] = {"cache": False}


class Down(_NginxSwitch):
    """Everything that asks the shop."""

    name = "down"
    about = "Lose the shop behind nginx: 502 for everybody."
    _change: ClassVar[dict[str, bool]] = {"up": False}


class _PostgresSwitch(Switch):
    def problem(self) -> str | None:
        """Without PostgreSQL there is nothing to break."""
        return None if self.service.postgres is not None else "PostgreSQL is not installed"

    def _postgres(self) -> Postgres:
        assert self.service.postgres is not None  # `problem` said so
        return self.service.postgres


class Migration(_PostgresSwitch):
    """C1, H2."""

    name = "migration"
    about = "Put the database one migration behind."

    async def throw(self) -> None:
        """Undo the newest migration."""
        await self.service.repository.migrate(self._postgres().dsn(OWNER), "downgrade", "-1")

    async def mend(self) -> None:
        """Do it again."""
        await self.service.repository.migrate(self._postgres().dsn(OWNER), "upgrade", "head")


class SlowQuery(_PostgresSwitch):
    """M2, R3."""

    name = "slow-query"
    about = "Run a statement that takes 0.8 s, again and again."

    def __init__(self, service: ExampleService) -> None:
        super().__init__(service)
        self._task: asyncio.Task[None] | None = None

    def _statements(self) -> Statements:
        return Statements(self._postgres())

    async def throw(self) -> None:
        """Run it a few times at once, then go on."""
        await asyncio.gather(*(self._statements().run_slow() for _ in range(SLOW_CALLS)))
        self._task = asyncio.create_task(self._go_on())

    async def mend(self) -> None:
        """Stop it, and take it out of the statistics: they would speak of it for ever."""
        await self.rest()
        await self._statements().forget()

    async def rest(self) -> None:
        """Stop it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _go_on(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
                await self._statements().run_slow()
            await asyncio.sleep(1)


class _ShopSwitch(Switch):
    _broken: ClassVar[dict[str, Any]]
    _whole: ClassVar[dict[str, Any]]

    async def throw(self) -> None:
        """Change the shop's conduct."""
        await self.service.change_shop(**self._broken)

    async def mend(self) -> None:
        """Change it back."""
        await self.service.change_shop(**self._whole)


class Auth(_ShopSwitch):
    """B4, S2."""

    name = "auth"
    about = "Let anybody use the API without a token."
    _broken: ClassVar[dict[str, Any]] = {"auth": False}
    _whole: ClassVar[dict[str, Any]] = {"auth": True}


class RateLimit(_ShopSwitch):
    """A6, B5, S4."""

    name = "rate-limit"
    about = "Limit nobody."
    _broken: ClassVar[dict[str, Any]] = {"rate_limit": False}
    _whole: ClassVar[dict[str, Any]] = {"rate_limit": True}


class Errors(_ShopSwitch):
    """M4, I1."""

    name = "errors"
    about = "Fail every fifth request with 500."
    _broken: ClassVar[dict[str, Any]] = {"errors": 0.2}
    _whole: ClassVar[dict[str, Any]] = {"errors": 0.0}

    async def throw(self) -> None:
        """Fail, and have people notice."""
        await super().throw()
        if self.service.traffic is not None:
            await self.service.traffic.burst(BURST)

    async def mend(self) -> None:
        """Succeed, and have people come back."""
        await super().mend()
        if self.service.traffic is not None:
            await self.service.traffic.burst(3 * BURST)


class ErrorRate(Switch):
    """What a watch sees after a bad release: errors, at the usual traffic."""

    name = "error-rate"
    about = "Fail a share of the requests with 500, as a bad release does."
    dials = (Dial(name="share", unit="%", usual=5, most=100),)

    async def throw(self) -> None:
        """Fail."""
        await self.service.change_shop(failing=self.amounts["share"] / 100)

    async def mend(self) -> None:
        """Succeed."""
        await self.service.change_shop(failing=0)


class Latency(Switch):
    """Likewise: everything works, but late."""

    name = "latency"
    about = "Answer a share of the requests later."
    dials = (
        Dial(name="delay", unit="ms", usual=200, most=4000),
        Dial(name="share", unit="%", usual=100, most=100),
    )

    async def throw(self) -> None:
        """Wait before answering."""
        share = self.amounts["share"] / 100
        await self.service.change_shop(delay_ms=self.amounts["delay"], delay_share=share)

    async def mend(self) -> None:
        """Answer at once."""
        await self.service.change_shop(delay_ms=0)


class Checkout(_ShopSwitch):
    """A critical function, of little weight in the overall error rate."""

    name = "checkout"
    about = "Let nobody order: 500 for the total and for orders, everything else works."
    _broken: ClassVar[dict[str, Any]] = {"checkout": False}
    _whole: ClassVar[dict[str, Any]] = {"checkout": True}


class Vulnerability(Switch):
    """What a scanner of dependencies finds after the release is out."""

    name = "vulnerability"
    about = "Find a new vulnerability in what the shop depends on."
    #: Made up, as its year and its package are.
    _finding: ClassVar[Finding] = {
        "id": "CVE-2099-10418",
        "package": "teapot-client",
        "severity": "high",
        "fixed_in": "2.7.1",
    }

    async def throw(self) -> None:
        """Have the scanner find it."""
        self.service.findings.append(self._finding)

    async def mend(self) -> None:
        """Have it fixed."""
        self.service.findings.remove(self._finding)


SWITCHES: tuple[type[Switch], ...] = (
    Certificate,
    Headers,
    Migration,
    SlowQuery,
    Cache,
    Auth,
    RateLimit,
    Errors,
    Down,
    ErrorRate,
    Latency,
    Checkout,
    Vulnerability,
)


class Breaker:
    """Every switch of an example service; one is thrown at a time."""

    def __init__(self, service: ExampleService) -> None:
        self.switches = {switch.name: switch(service) for switch in SWITCHES}
        self._lock = asyncio.Lock()

    async def throw(self, name: str, **amounts: float) -> None:
        """Break something, by so much where it has dials; nothing happens where it is just so already.

        Raises ExampleTrouble.
        """
        await self._turn(name, True, amounts)

    async def mend(self, name: str) -> None:
        """Mend it; nothing happens where it is whole. Raises ExampleTrouble."""
        await self._turn(name, False, {})

    async def rest(self) -> None:
        """Stop what switches have running."""
        slow = self.switches[SlowQuery.name]
        assert isinstance(slow, SlowQuery)
        await slow.rest()

    async def _turn(self, name: str, broken: bool, amounts: Mapping[str, float]) -> None:
        switch = self.switches.get(name)
        if switch is None:
            raise ExampleTrouble(f"there is no switch “{name}”: there are {', '.join(self.switches)}")
        why = switch.problem()
        if why is not None:
            raise ExampleTrouble(f"“{name}” cannot be used: {why}")
        turned = switch.turned(amounts)
        async with self._lock:
            if switch.broken is broken and (not broken or switch.amounts == turned):
                return
            switch.amounts = turned
            try:
                await (switch.throw() if broken else switch.mend())
            except (OSError, asyncpg.PostgresError, TimeoutError) as error:
                raise ExampleTrouble(f"“{name}” did not work: {error or type(error).__name__}") from error
            switch.broken = broken
