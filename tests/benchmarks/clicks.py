"""Clicks per second, from Bolt's dispatch to committed and acked, against a bare Bolt app that inserts one row.

Both run in this process on the same kind of database with the same settings, dispatched the same way, with
the same number of clicks under way at once; the two are measured in turns, and a ratio is taken per turn.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, insert, text

from bot.checklists.library import ChecklistLibrary
from bot.services.planning import SidecarPolicies, SidecarRulebook, SidecarSchedule
from bot.services.ports import Ports, SystemClock
from bot.services.sampling import SidecarWatching
from bot.services.ticking import TickQueue
from bot.services.verifying import SidecarVerifier
from bot.slack.answering import Answerer
from bot.slack.blocks.layout import MessageLayout
from bot.slack.conversation import Conversation
from bot.slack.gateway import Gateway, web_client
from bot.slack.ids import Action, TickBlock
from bot.slack.inflight import InFlight
from bot.slack.listeners import Listeners
from bot.storage import migrating
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from tests.makers import CHANNEL, TEAM, CountingBell, ListedChannels, ListedGroups, posts_of, start

#: People clicking at once, clicks per turn, and turns.
PEOPLE, CLICKS, TURNS = 20, 600, 9

CHECKLISTS = Path(__file__).parent.parent.parent / "checklists"

_rows = Table(
    "bare_clicks",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("user", String(32), nullable=False),
    Column("value", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
)

Body = dict[str, Any]


def _bolt(session: aiohttp.ClientSession) -> AsyncApp:
    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id=TEAM, bot_token="xoxb-bench", bot_id="B1", bot_user_id="U1"
        )

    logging.getLogger("bench.bolt").setLevel(logging.CRITICAL)
    return AsyncApp(
        client=web_client("xoxb-bench", "http://127.0.0.1:9/api/", session),
        authorize=authorize,
        request_verification_enabled=False,
        logger=logging.getLogger("bench.bolt"),
    )


def _body(block_id: str, value: str, number: int, message_ts: str, *, ticked: bool) -> Body:
    option = {"text": {"type": "mrkdwn", "text": "Box"}, "value": value}
    return {
        "type": "block_actions",
        "user": {"id": f"U{number % PEOPLE:03}", "team_id": TEAM},
        "team": {"id": TEAM},
        "api_app_id": "A1",
        "channel": {"id": CHANNEL},
        "container": {"type": "message", "channel_id": CHANNEL, "message_ts": message_ts},
        "trigger_id": str(number),
        "actions": [
            {
                "type": "checkboxes",
                "action_id": Action.TICK.value,
                "block_id": block_id,
                "action_ts": f"{1_700_000_000 + number}.000000",
                "selected_options": [option] if ticked else [],
            }
        ],
    }


async def _dispatch(app: AsyncApp, bodies: list[Body]) -> float:
    """Seconds it takes to handle these, PEOPLE at a time."""
    queue = iter(bodies)

    async def person() -> None:
        for body in queue:
            answer = await app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=body))
            assert answer.status == 200, answer.body

    began = time.perf_counter()
    await asyncio.gather(*(person() for _ in range(PEOPLE)))
    return time.perf_counter() - began


@asynccontextmanager
async def bare(url: str, session: aiohttp.ClientSession) -> AsyncIterator[Callable[[int], Awaitable[float]]]:
    """The reference: acks, and inserts one row."""
    database, app, numbers = Database(url), _bolt(session), itertools.count(1)
    async with database.write() as tx:
        await tx.run_sync(_rows.metadata.create_all)

    @app.action(Action.TICK.value)
    async def clicked(ack: AsyncAck, body: Body, action: Body) -> None:
        async with database.write() as tx:
            await tx.execute(
                insert(_rows).values(
                    user=body["user"]["id"], value=action["block_id"], at=time.time_ns() // 1000
                )
            )
        await ack()

    async def run(clicks: int) -> float:
        return await _dispatch(
            app, [_body("b", "0", next(numbers), "1.1", ticked=True) for _ in range(clicks)]
        )

    yield run
    await database.close()


def shipped_ports(database: Database) -> Ports:
    """The ports as they ship, except that nobody asks Slack who is in a group or a channel."""
    clock, library = SystemClock(), ChecklistLibrary([CHECKLISTS])
    verifier = SidecarVerifier(library, clock)
    return Ports(
        database=database,
        deployments=Deployments(),
        clock=clock,
        library=library,
        verifier=verifier,
        watching=SidecarWatching(verifier),
        schedule=SidecarSchedule(library),
        rulebook=SidecarRulebook(library),
        groups=ListedGroups(),
        channels=ListedChannels(),
        policies=SidecarPolicies(library),
        layout=MessageLayout(),
        bell=CountingBell(),
    )


@asynccontextmanager
async def ours(
    url: str, session: aiohttp.ClientSession, *, old_events: int = 0
) -> AsyncIterator[Callable[[int], Awaitable[float]]]:
    """Deploybot's listeners, services and storage as they ship; the publisher is not running."""
    database, app = Database(url), _bolt(session)
    await migrating.upgrade(database)
    ports = shipped_ports(database)
    gateway, in_flight = Gateway(app.client), InFlight()
    Listeners(
        ports=ports,
        conversation=Conversation(ports, gateway, bot_name="deploybot"),
        queue=TickQueue(ports),
        answerer=Answerer(gateway, in_flight),
        in_flight=in_flight,
        gateway=gateway,
        command="/deploy",
    ).register(app)
    if old_events:
        await _add_old_events(database, old_events)
    deployment = await start(ports)
    section = next(post for post in await posts_of(ports, deployment.id) if post.kind == "section")
    async with database.write() as tx:
        await tx.execute(text("UPDATE posts SET ts = '1.1' WHERE id = :id"), {"id": section.id})
    numbers = itertools.count(1)

    def click() -> Body:
        # Each click is on a drawing of its own, as when the message is redrawn in between.
        number = next(numbers)
        position = number % 6
        ticked = number // 6 % 2 == 0
        block = TickBlock(
            deployment_id=deployment.id,
            post_id=section.id,
            revision=number,
            seq=10**8,
            first=0,
            count=6,
            ticked=frozenset() if ticked else frozenset({position}),
        )
        return _body(block.write(), str(position), number, "1.1", ticked=ticked)

    async def run(clicks: int) -> float:
        return await _dispatch(app, [click() for _ in range(clicks)])

    yield run
    await database.close()


async def _add_old_events(database: Database, count: int) -> None:
    """Deployments of the past, with this many events between them, as bulk rows."""
    each = 1000
    async with database.write() as tx:
        for number in range(1, count // each + 1):
            await tx.execute(
                text(
                    "INSERT INTO deployments (id, name, team, channel, service, version, environment, "
                    "checklist_name, lead, timezone, phase, started_at, seq, head) VALUES (:id, :name, :team, "
                    ":channel, 'old', 'v1', 'production', 'production', 'U1', 'UTC', 'finished', 0, :seq, '')"
                ),
                {"id": number, "name": f"old-{number}", "team": TEAM, "channel": CHANNEL, "seq": each},
            )
            await tx.execute(
                text(
                    "INSERT INTO events (deployment_id, seq, at, actor, kind, data, previous, hash) "
                    "VALUES (:id, :seq, 0, 'U1', 'item.ticked', :data, :hash, :hash)"
                ),
                [
                    {"id": number, "seq": seq, "data": '{"item":"a/b/c","position":1}', "hash": "0" * 64}
                    for seq in range(1, each + 1)
                ],
            )
        if not database.is_sqlite:
            await tx.execute(text(f"SELECT setval('deployments_id_seq', {count // each})"))
            await tx.execute(text("ANALYZE"))


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One measure against its reference, over all turns."""

    what: str
    ours: float
    reference: float
    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.ratio:.2f} × (turns {self.low:.2f} to {self.high:.2f}); "
            f"{self.ours:.0f} against {self.reference:.0f} clicks/s"
        )


async def compare(
    what: str, measured: Callable[[int], Awaitable[float]], reference: Callable[[int], Awaitable[float]]
) -> Ratio:
    """Throughput of one against the other, in turns; the median of the ratios."""
    await measured(CLICKS // 4)
    await reference(CLICKS // 4)
    rates = []
    for turn in range(TURNS):
        first, second = (measured, reference) if turn % 2 else (reference, measured)
        times = {first: await first(CLICKS), second: await second(CLICKS)}
        rates.append((CLICKS / times[measured], CLICKS / times[reference]))
    ratios = [mine / other for mine, other in rates]
    return Ratio(
        what=what,
        ours=statistics.median(mine for mine, _ in rates),
        reference=statistics.median(other for _, other in rates),
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
    )
