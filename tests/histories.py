"""Histories for tests of reports and figures: facts written by hand, chained as the bot would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.domain.check import Evidence, ItemResult, Outcome, result_to_json
from bot.domain.checklist import Checklist
from bot.domain.deployment import Target, started
from bot.domain.events import BOT, CI, GENESIS, Event, Fact, chain
from bot.domain.signals import Measured
from bot.domain.verification import Bound
from tests.makers import ANA, BEN, CARLA, CHANNEL, NOON, TEAM, make_checklist

NAMES = {ANA: "Ana", BEN: "Ben", CARLA: "Carla"}


def minute(number: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=number)


def start_fact(
    checklist: Checklist | None = None,
    *,
    timezone: str = "Europe/Berlin",
    also: Mapping[str, Any] | None = None,
    **target: str,
) -> Fact:
    """Ana starts storefront v1.4.2 in production at noon UTC."""
    made = checklist or make_checklist()
    return started(
        name="storefront-1",
        target=Target(**{"service": "storefront", "version": "v1.4.2", "environment": "production"} | target),
        team=TEAM,
        channel=CHANNEL,
        lead=ANA,
        timezone=timezone,
        checklist_name="production",
        checklist=made,
        bindings={0: Bound()},
        also=also,
        at=NOON,
    )


def fact(kind: str, after: float, actor: str = ANA, **data: Any) -> Fact:
    """Something `after` minutes."""
    return Fact(kind=kind, actor=actor, at=minute(after), data=data)


def about(checklist: Checklist, position: int) -> dict[str, Any]:
    """Key and position of a box, as events carry them."""
    return {"item": checklist.boxes[position].key, "position": position}


def found(key: str, outcome: Outcome, after: float, *, observed: str = "status 200") -> dict[str, Any]:
    """A check's result as an event keeps it."""
    part = Evidence(
        id="front",
        kind="http",
        target="https://shop.example.com/",
        outcome=outcome,
        observed=observed,
        expected="status 200",
        reason="" if outcome is Outcome.PASS else f"it answered {observed}",
        excerpt="HTTP/1.1 200 OK\nServer: nginx",
        started_at=minute(after),
        ms=12.0,
    )
    at = minute(after)
    made = ItemResult(
        key=key, outcome=outcome, evidence=(part,), at=at, expires_at=at + timedelta(minutes=10), ms=12.0
    )
    return result_to_json(made)


def history(facts: Iterable[Fact], *, deployment_id: int = 1) -> tuple[Event, ...]:
    """The facts as events."""
    return chain(facts, deployment_id=deployment_id, seq=0, head=GENESIS)


def eventful(checklist: Checklist | None = None) -> list[Fact]:
    """A deployment in which everything happens that can: every kind of event, to a verified rollback."""
    one = checklist or make_checklist()
    total = len(one.items)
    steps = range(total, len(one.boxes))
    return [
        start_fact(one),
        fact("watch.prepared", 0, BOT, labels={"errors": "errors"}, power=["sees +0.5 pp in 5 min."]),
        fact(
            "reminder.added",
            0,
            BOT,
            key="plan-1",
            origin="plan",
            due_at=minute(90).isoformat(),
            items=[1],
            text="",
        ),
        fact(
            "deployment.linked",
            1,
            BOT,
            what="commits",
            repository="example/shop",
            base="aaa",
            head="bbb",
            first_commit_at="2026-03-01T09:00:00+00:00",
            count=7,
            id="",
            url="",
        ),
        fact(
            "deployment.linked",
            1,
            BOT,
            what="ci_run",
            repository="example/shop",
            id="99",
            url="https://ci.example.com/99",
        ),
        fact("checks.requested", 2, ANA, positions=[0, 1], purpose="asked", scope=""),
        fact(
            "check.recorded",
            2.1,
            BOT,
            **about(one, 0),
            run=6,
            result=found(one.items[0].key, Outcome.PASS, 2.1),
        ),
        fact("item.ticked", 2.1, BOT, **about(one, 0), evidence=7),
        fact(
            "check.recorded",
            2.2,
            BOT,
            **about(one, 1),
            run=6,
            result=found(one.items[1].key, Outcome.FAIL, 2.2, observed="status 503"),
        ),
        fact("checks.ended", 2.3, BOT, run=6, positions=[0, 1], counts={"pass": 1, "fail": 1}),
        fact("item.ticked", 3, BEN, **about(one, 1), moot=True, wanted_reason=True),
        fact(
            "item.overruled", 3.5, BEN, **about(one, 1), reason="the mirror is down, not the shop", evidence=9
        ),
        fact("item.waived", 4, ANA, **about(one, 2), reason="there is no database change"),
        fact("item.assigned", 5, ANA, **about(one, 3), to=BEN),
        fact(
            "item.noted", 6, BEN, **about(one, 3), text="see the ticket", link="https://tickets.example.com/7"
        ),
        fact("item.noted", 6.5, BEN, **about(one, 3), text="wrong one", link=""),
        fact("item.note_removed", 7, BEN, **about(one, 3), note=16),
        fact("item.ticked", 8, BEN, **about(one, 4), before=[3]),
        fact("item.unticked", 8.5, BEN, **about(one, 4)),
        fact("lead.nudged", 9, BEN, to=ANA),
        fact("lead.handed_over", 10, ANA, **{"from": ANA, "to": BEN}),
        fact("go.requested", 11, BEN, group="Deployment", lead=BEN),
        fact("deployment.no_go", 12, BEN, reason="too many are open"),
        fact("override.requested", 13, ANA, what="go", reason="the fix cannot wait", open=[one.items[4].key]),
        fact("override.confirmed", 14, BEN, request=24),
        fact(
            "deployment.go",
            14,
            BEN,
            open_items=[one.items[4].key],
            override={
                "reason": "the fix cannot wait",
                "first": ANA,
                "second": BEN,
                "open": [one.items[4].key],
            },
        ),
        fact("watch.begun", 14.1, BOT, labels={"errors": "errors"}, until=minute(74).isoformat()),
        fact("deployment.announced", 15, ANA, what="notify", channel="C1", words="we are live"),
        fact(
            "watch.judged",
            16,
            BOT,
            signals={"errors": {"verdict": "healthy", "said": "like before", "pending": False}},
        ),
        fact(
            "trigger.fired",
            20,
            BOT,
            key="errors",
            title="Significant error rate increase",
            source="watch",
            size=2.9,
            finding={
                "signal": "errors",
                "label": "errors",
                "measure": "error_pct",
                "change": "0.2 % → 3.1 %",
            },
        ),
        fact("trigger.updated", 21, BOT, key="errors", finding={"change": "0.2 % → 3.4 %"}, size=3.2),
        fact("trigger.joined", 21.2, ANA, key="errors", said="guests see a blank page"),
        fact("trigger.snoozed", 21.5, BEN, key="errors", until=minute(22).isoformat()),
        fact("trigger.awoke", 22, BOT, key="errors"),
        fact("trigger.escalated", 25, BOT, key="errors", level=1),
        fact("trigger.acknowledged", 26, BEN, key="errors"),
        fact("trigger.worsened", 27, BOT, key="errors", finding={"change": "0.2 % → 6.5 %"}, size=6.3),
        fact("reminder.sent", 28, BOT, keys=["plan-1"], level=0),
        fact("reminder.escalated", 28.5, BOT, keys=["plan-1"], level=1),
        fact("reminder.snoozed", 29, ANA, keys=["plan-1"], until=minute(100).isoformat()),
        fact("rollback.started", 30, BEN, why="guests cannot pay", trigger="errors"),
        fact("watch.extended", 30, BOT, until=minute(110).isoformat()),
        *[fact("item.ticked", 31 + at, ANA, **about(one, position)) for at, position in enumerate(steps)],
        fact("trigger.recovered", 40, BOT, key="errors", said="errors are back to 0.2 %"),
        fact("trigger.cleared", 41, ANA, key="errors", reason="settled by the rollback"),
        fact(
            "trigger.fired",
            42,
            CARLA,
            key="drill-1",
            title="Error rate increase (made up)",
            source="drill",
            finding={},
            size=1.0,
        ),
        fact("trigger.cleared", 43, BOT, key="drill-1", reason="the drill is over"),
        fact("reminder.dropped", 44, BOT, keys=["plan-1"]),
        fact("watch.ended", 44, BOT),
        fact("override.requested", 45, ANA, what="finish", reason="enough", open=[]),
        fact("override.withdrawn", 46, ANA, request=50 + len(steps) - 1),
        fact("lead.nudged", 46.2, BOT, to=BEN, level=2),
        fact("lead.present", 46.4, BEN),
        fact("deployment.reported", 46.6, CI, state="deployed", said="run 7", url=""),
        fact("conclusion.held", 46.8, ANA, what="finish", open=[one.items[4].key]),
        fact("deployment.frobnicated", 47, CARLA, reason="of a later version"),
        fact("deployment.aborted", 48, BEN, reason="rolled back, see the incident"),
    ]


def samples(
    *, start: float = -30, end: float = 45, worse: Sequence[float] = (18, 38)
) -> dict[str, list[Measured]]:
    """Error rates, one a minute, worse between two minutes."""
    low, high = worse
    return {
        "errors": [
            Measured(
                at=minute(at),
                value=(3.0 + (at % 3) * 0.4) if low <= at <= high else 0.2 + (at % 5) * 0.02,
                count=440,
            )
            for at in range(int(start), int(end))
        ]
    }
