"""Figures from a real database: the same on SQLite and PostgreSQL, and quick over many deployments."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from sqlalchemy import insert

from bot.domain.check import Outcome
from bot.domain.events import BOT, Event, Fact, canonical
from bot.domain.triggering import TriggerFinding
from bot.domain.verification import Purpose
from bot.domain.watching import Source
from bot.services import alerting, checking, ending, measuring, rolling_back
from bot.services.ports import Ports
from bot.storage import migrating
from bot.storage.database import Database
from bot.storage.schema import deployments, events
from bot.templates.figures_text import in_words
from tests.histories import fact, found, history, minute, start_fact
from tests.makers import ANA, BEN, CHANNEL, NOON, TEAM, ManualClock, make_checklist, make_ports, start


async def test_figures_are_made_of_what_was_stored(database: Database) -> None:
    clock = ManualClock()
    ports = make_ports(database, clock=clock)
    for number in range(6):
        deployment = await start(ports)
        clock.forward(minutes=10)
        await checking.conclude(ports, deployment.id, Purpose.GO, user=ANA, delivery=f"go.{number}")
        clock.forward(minutes=5)
        if number == 0:
            await alerting.report(
                ports,
                deployment.id,
                key="errors",
                title="Errors rise",
                source=Source.WATCH,
                size=1.0,
                finding=TriggerFinding(),
            )
            await rolling_back.start(ports, deployment.id, user=BEN, why="errors", delivery=f"back.{number}")
        async with database.write() as tx:
            state = await ports.deployments.get(tx, deployment.id, locked=True)
            assert state is not None
            linked = {"what": "commits", "first_commit_at": "2026-03-02T09:00:00" if number else "soon"}
            told = Fact(kind="deployment.linked", actor=BOT, at=clock.now(), data=linked)
            await ports.deployments.append(tx, state, [told])
        clock.forward(minutes=5)
        await ending.finish(ports, deployment.id, user=ANA, delivery=f"end.{number}")
    other = await start(ports, environment="staging")
    await ending.abort(ports, other.id, user=ANA, reason="wrong one", delivery="abort")
    made = await measuring.figures(ports, team=TEAM, service="STOREFRONT")
    assert (made.environment, made.deployments, made.failed, made.alerts) == ("production", 6, 1, 1)
    assert made.fail_rate == pytest.approx(1 / 6)
    assert (made.lead_time.n, made.lead_time.enough) == (5, True)
    everything = await measuring.figures(ports, environment="all")
    assert (everything.environment, everything.deployments, everything.called_off) == ("", 6, 1)
    assert (await measuring.figures(ports, team="T0OTHER")).deployments == 0
    clock.forward(days=100)
    assert (await measuring.figures(ports, team=TEAM)).deployments == 0


async def fill(ports: Ports, count: int) -> None:
    """Past deployments of 107 items each, straight into the tables."""
    one = make_checklist(sections=6, boxes=9, steps=9)
    plans: list[dict[str, object]] = []
    facts_of: list[Event] = []
    for number in range(1, count + 1):
        facts = [start_fact(one)]
        for at, item in enumerate(one.items):
            where = {"item": item.key, "position": at}
            if at % 2:
                result = found(item.key, Outcome.PASS, at, observed="x" * 400)
                facts.append(fact("check.recorded", at / 10, BOT, **where, run=1, result=result))
            facts.append(fact("item.ticked", at / 10, BOT if at % 2 else ANA, **where))
        facts.append(fact("deployment.go", 20, ANA, open_items=[]))
        if number % 10 == 0:
            facts.append(
                fact("trigger.fired", 21, BOT, key="errors", title="E", source="watch", size=1, finding={})
            )
        facts.append(fact("deployment.finished", 40, ANA, open_items=[]))
        plans.append(
            {
                "id": number,
                "name": f"storefront-{number}",
                "team": TEAM,
                "channel": CHANNEL,
                "service": "storefront",
                "version": "v1",
                "environment": "production",
                "checklist_name": "production",
                "lead": ANA,
                "timezone": "UTC",
                "phase": "finished",
                "started_at": NOON,
                "deployed_at": minute(20),
                "ended_at": minute(40),
                "seq": len(facts),
                "head": "x",
            }
        )
        facts_of += history(facts, deployment_id=number)
    async with ports.database.write() as tx:
        await tx.execute(insert(deployments), plans)
        for first in range(0, len(facts_of), 20_000):
            await tx.execute(
                insert(events),
                [
                    {
                        "deployment_id": e.deployment_id,
                        "seq": e.seq,
                        "at": e.fact.at,
                        "actor": e.fact.actor,
                        "kind": e.fact.kind,
                        "data": canonical(e.fact.data),
                        "previous": e.previous,
                        "hash": e.hash,
                    }
                    for e in facts_of[first : first + 20_000]
                ],
            )


async def test_hundreds_of_deployments_take_a_fraction_of_a_second(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('many') / 'd.db'}")
    await migrating.upgrade(database)
    ports = make_ports(database, clock=ManualClock(NOON + timedelta(days=1)))
    await fill(ports, 200)
    began = time.process_time()
    made = await measuring.figures(ports)
    took = time.process_time() - began
    await database.close()
    assert (made.deployments, made.failed) == (200, 20)
    assert len(made.never_failed) == 54
    assert "Change fail rate: 10 % (20 of 200)" in in_words(made)
    assert took < 2.0, "some 0.2 s where nothing else runs; 1,000 take 0.95 s"
