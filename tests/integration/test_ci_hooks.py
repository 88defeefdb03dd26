"""CI's way in: a deployment started, updated, finished and aborted over HTTP, and everything that is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.domain.check import Binding, CheckSpec, Rules
from bot.domain.ci_requests import ci_request
from bot.domain.conduct import Allowed, Conduct, Gate, Hold, Permission
from bot.domain.deployment import fold
from bot.domain.errors import GateClosed, NotPermitted, WrongWorkspace
from bot.domain.events import CI
from bot.services.ci import CiDesk, Lead
from bot.services.github import GitHubDesk
from bot.services.ports import Ports
from bot.storage.database import Database
from bot.web import CiHooks, WebServer, application
from bot.web.ci_hooks import DEPLOYMENTS_PATH
from tests.integration.test_hooks import BEARER, TOKEN, ready
from tests.makers import ANA, BEN, CARLA, CHANNEL, TEAM, ScriptedVerifier, make_ports, posts_of, start

START: dict[str, Any] = {
    "action": "start",
    "service": "storefront",
    "version": "v1.4.2",
    "environment": "production",
    "channel": CHANNEL,
    "lead": ANA,
    "url": "https://ci.example.com/runs/7",
    "commits": {"base": "a1", "head": "b2", "first_commit_at": "2026-03-01T10:00:00Z", "count": 3},
    "tick": ["s1/boxes/1", "Box 1.2"],
}


class Workspace:
    """Stands in for Slack: Ana and Ben can lead, the bot is in #deploys."""

    team, bot = TEAM, "@deploybot"

    def __init__(self) -> None:
        #: Set while Slack takes its time; set it to go on.
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def premises(self, team: str) -> Workspace:
        """The only one."""
        if team not in ("", TEAM):
            raise WrongWorkspace(team)
        return self

    async def lead(self, user: str) -> Lead | None:
        """Ana, in Madrid."""
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        return Lead(id=user, timezone="Europe/Madrid") if user == ANA else None

    async def may_post(self, channel: str) -> bool:
        """In #deploys alone."""
        return channel == CHANNEL

    def link(self, channel: str, ts: str | None) -> str | None:
        """As Slack writes it."""
        return None if ts is None else f"https://local.slack.com/archives/{channel}/p{ts.replace('.', '')}"


@pytest.fixture
def ports(database: Database) -> Ports:
    return make_ports(database)


@pytest.fixture
def workspace() -> Workspace:
    return Workspace()


@pytest.fixture
async def client(ports: Ports, workspace: Workspace) -> AsyncIterator[httpx.AsyncClient]:
    """CI, which knows the token."""
    desk = CiDesk(ports, workspace, patience=0.05)
    hooks = CiHooks(ports=ports, token=TOKEN, github_secret="", ci=desk, github=GitHubDesk(ports, desk))
    server = WebServer(application(readiness=ready, bolt=None, ci=hooks), host="127.0.0.1", port=0)
    url = f"http://127.0.0.1:{await server.start()}"
    async with httpx.AsyncClient(base_url=url, headers=BEARER) as client:
        yield client
    await server.stop()


async def asks(client: httpx.AsyncClient, key: str = "", **body: Any) -> httpx.Response:
    return await client.post(DEPLOYMENTS_PATH, json=body, headers={"Idempotency-Key": key} if key else {})


async def kinds(ports: Ports, deployment_id: int = 1) -> list[tuple[str, str]]:
    async with ports.database.read() as tx:
        return [(e.fact.kind, e.fact.actor) for e in await ports.deployments.history(tx, deployment_id)]


async def test_ci_starts_updates_and_finishes_a_deployment_under_its_own_name(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    answer = await asks(client, "run-7", **START)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["done"] == ["started", "ticked 2 of 2"]
    assert (told["deployment"]["name"], told["deployment"]["lead"]) == ("storefront-1", ANA)
    assert (told["deployment"]["state"], told["deployment"]["done_items"]) == ("in_progress", 2)
    assert await kinds(ports) == [
        ("deployment.started", CI),
        ("deployment.linked", CI),
        ("deployment.linked", CI),
        ("item.ticked", CI),
        ("item.ticked", CI),
    ]
    answer = await asks(client, action="update", name="storefront-1", state="deployed", url=START["url"])
    assert answer.json()["done"] == ["noted as deployed"]
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, 1)
    assert state is not None
    assert state.lead == ANA
    assert state.timezone == "Europe/Madrid"
    assert state.aftermath.deployed is not None
    assert state.aftermath.deployed.by == CI
    answer = await asks(client, action="finish", service="Storefront", environment="production")
    assert answer.json()["done"] == ["finished"]
    assert answer.json()["deployment"]["state"] == "finished"
    assert (await kinds(ports))[-2:] == [("deployment.reported", CI), ("deployment.finished", CI)]
    assert [post.key for post in await posts_of(ports, 1) if post.kind in ("notice", "report")] == [
        "deployed-6",
        "finished",
    ]


async def test_what_ci_did_can_be_rebuilt_from_the_events(client: httpx.AsyncClient, ports: Ports) -> None:
    await asks(client, **START)
    await asks(client, action="update", id=1, state="deployed")
    async with ports.database.read() as tx:
        events = await ports.deployments.history(tx, 1)
        projected = await ports.deployments.projected(tx, 1)

    assert fold(events) == projected


async def test_the_same_key_gets_the_same_answer_and_does_nothing_twice(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    first = await asks(client, "run-7", **START)
    before = await kinds(ports)
    again = await asks(client, '"run-7"', **START)  # as the draft writes it
    assert (again.status_code, again.json()) == (200, first.json())
    assert await kinds(ports) == before
    other = await asks(client, "run-7", **{**START, "version": "v1.4.3"})
    assert other.status_code == 422
    assert "another body" in other.json()["error"]


async def test_a_refusal_is_kept_with_its_key_as_well(client: httpx.AsyncClient, ports: Ports) -> None:
    await start(ports)
    held = await asks(client, "run-8", **START)
    assert held.status_code == 409
    await asks(client, action="abort", id=1, reason="not today")
    assert (await asks(client, "run-8", **START)).json() == held.json()
    assert (await asks(client, "run-9", **START)).status_code == 200


async def test_the_same_key_while_it_is_being_answered_is_told_so(
    client: httpx.AsyncClient, ports: Ports, workspace: Workspace
) -> None:
    workspace.gate = asyncio.Event()
    first = asyncio.create_task(asks(client, "run-7", **START))
    await workspace.asked.wait()
    others = await asyncio.gather(*(asks(client, "run-7", **START) for _ in range(5)))
    assert [answer.status_code for answer in others] == [409] * 5
    assert "being answered right now" in others[0].json()["error"]
    workspace.gate.set()
    assert (await first).status_code == 200
    assert (await asks(client, "run-7", **START)).json() == (await first).json()
    assert [kind for kind, _ in await kinds(ports)].count("deployment.started") == 1


async def test_many_at_once_with_one_key_start_one_deployment(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    answers = await asyncio.gather(*(asks(client, "run-7", **START) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    async with ports.database.read() as tx:
        assert await ports.deployments.ids(tx) == [1]
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1


async def test_who_is_in_the_way_is_named_with_the_answer(client: httpx.AsyncClient, ports: Ports) -> None:
    await start(ports, version="v1.4.1")
    answer = await asks(client, **START)
    assert answer.status_code == 409
    assert "storefront-1, version v1.4.1" in answer.json()["error"]
    assert answer.json()["deployment"]["name"] == "storefront-1"


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"lead": ""}, 422, "A deployment needs a person who leads it"),
        ({"lead": CARLA}, 422, f"“{CARLA}” is nobody in this workspace"),
        ({"channel": ""}, 400, "channel is missing"),
        ({"channel": "C0ELSEWHERE"}, 422, "/invite @deploybot"),
        ({"team": "T0OTHER0001"}, 422, "not in the workspace T0OTHER0001"),
        ({"tick": ["Box 1.22"]}, 400, "is no item of the checklist (did you mean “Box 1."),
        ({"checklist": "produktion"}, 422, "there is no such checklist"),
        ({"version": "v 1"}, 422, "can't be the version"),
    ],
)
async def test_what_cannot_be_started_is_refused_and_starts_nothing(
    client: httpx.AsyncClient, ports: Ports, changed: dict[str, Any], status: int, said: str
) -> None:
    answer = await asks(client, **{**START, **changed})
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text
    async with ports.database.read() as tx:
        assert await ports.deployments.ids(tx) == []


async def test_a_deployment_that_is_over_or_not_there_is_told_so(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    assert (await asks(client, action="update", name="storefront-1", state="deployed")).status_code == 404
    answer = await asks(client, action="finish", service="storefront", environment="production")
    assert answer.status_code == 404
    await asks(client, **START)
    await asks(client, action="abort", id=1, reason="the tests fail")
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, 1)
    assert state is not None
    assert (state.ended_by, state.reason) == (CI, "the tests fail")
    answer = await asks(client, action="update", id=1, state="deployed")
    assert (answer.status_code, "aborted already" in answer.json()["error"]) == (409, True)


async def test_the_run_of_another_version_ends_nothing(client: httpx.AsyncClient, ports: Ports) -> None:
    await asks(client, **START)
    where = {"service": "storefront", "environment": "production"}
    for action in ("update", "finish"):
        answer = await asks(client, action=action, version="v1.4.1", **where)
        assert (answer.status_code, "deploys version v1.4.2, not v1.4.1" in answer.json()["error"]) == (
            409,
            True,
        )
    assert (await asks(client, action="finish", version="v1.4.2", **where)).status_code == 200


async def test_a_deploy_that_failed_in_ci_raises_an_alert_and_rolls_nothing_back(
    client: httpx.AsyncClient, ports: Ports
) -> None:
    await asks(client, **START)
    body = {
        "action": "update",
        "id": 1,
        "state": "failed",
        "reason": "migration 12 failed",
        "url": START["url"],
    }
    await asks(client, "fail", **body)
    await asks(client, "fail", **body)
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, 1)
    assert state is not None
    [trigger] = state.aftermath.raised
    assert (trigger.title, trigger.by) == ("The deploy failed in CI", CI)
    assert trigger.finding["said"] == "migration 12 failed"
    assert state.aftermath.rollback is None
    assert state.aftermath.deployed is None


async def test_without_the_token_nothing_is_done(client: httpx.AsyncClient, ports: Ports) -> None:
    for header in ("Bearer wrong", "", f"Basic {TOKEN}"):
        answer = await client.post(DEPLOYMENTS_PATH, json=START, headers={"Authorization": header})
        assert answer.status_code == 401
    async with ports.database.read() as tx:
        assert await ports.deployments.ids(tx) == []


async def test_everything_that_is_wrong_is_told_at_once(client: httpx.AsyncClient) -> None:
    answer = await asks(
        client, action="strat", servce="x", commits={"count": "three"}, tick="all", lead="@ana"
    )
    problems = answer.json()["problems"]
    assert answer.status_code == 400
    assert problems == [
        "servce is not known (did you mean “service”?)",
        "action is “strat”, not one of start, update, finish, abort (did you mean “start”?)",
        "lead “@ana” is no Slack id (U…)",
        "commits.count is “three”, not a whole number",
        "tick is text, not a list of items",
    ]


async def test_the_hook_is_off_without_a_token(tmp_path: Path) -> None:
    server = WebServer(application(readiness=ready, bolt=None), host="127.0.0.1", port=0)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await server.start()}") as client:
            for path in (DEPLOYMENTS_PATH, "/hooks/github"):
                assert (await client.post(path, json=START, headers=BEARER)).status_code == 404
    finally:
        await server.stop()


# ── rules of the checklist ───────────────────────────────────────────────────────────────────────────────

GATE = Gate(title="Section 1", first=0, last=2, holds=frozenset({Hold.FINISH}))


async def test_ci_does_not_get_past_a_gate(database: Database, workspace: Workspace) -> None:
    ports = make_ports(database, rules=Conduct(gates=(GATE,)))
    desk = CiDesk(ports, workspace, patience=0.05)
    await desk.serve(ci_request({**START, "tick": ["Box 1.1"]}), delivery="s")
    with pytest.raises(GateClosed):
        await desk.serve(ci_request({"action": "finish", "id": 1}), delivery="f1")
    done = await desk.serve(
        ci_request({"action": "finish", "id": 1, "tick": ["Box 1.2", "Box 1.3"]}), delivery="f2"
    )
    assert not done.deployment.phase.open


async def test_ci_does_not_tick_what_stands_behind_a_gate(database: Database, workspace: Workspace) -> None:
    gate = Gate(title="Section 1", first=0, last=6, holds=frozenset({Hold.NEXT}))
    ports = make_ports(database, rules=Conduct(gates=(gate,)))
    done = await CiDesk(ports, workspace, patience=0.05).serve(
        ci_request({**START, "tick": ["Box 2.1"]}), delivery="s"
    )
    assert done.said[1:] == (
        "ticked 0 of 1",
        "“Box 2.1” was not ticked: the gate “Section 1” before it is not passed",
    )


async def test_ci_does_not_judge_what_is_left_to_a_person(database: Database, workspace: Workspace) -> None:
    spec = CheckSpec(kind="http", params=None, rules=Rules(must={"status": 200}))
    binding = Binding(
        key="s1/boxes/1",
        text="Box 1.1",
        checks=(spec,),
        human="is the copy right?",
        cheap=True,
        freshness=timedelta(hours=1),
    )
    ports = make_ports(database, verifier=ScriptedVerifier([binding]), rules=Conduct(gates=(GATE,)))
    done = await CiDesk(ports, workspace, patience=0.05).serve(
        ci_request({**START, "tick": ["Box 1.1", "Box 1.2"]}), delivery="s"
    )
    assert done.said[1:] == (
        "ticked 1 of 2",
        "“Box 1.1” was not ticked: somebody has to judge this: is the copy right?",
    )
    assert set(done.deployment.ticks) == {1}


async def test_who_may_end_a_deployment_goes_for_ci_as_well(database: Database, workspace: Workspace) -> None:
    ports = make_ports(database, rules=Conduct(permissions={Permission.END: Allowed(people=(BEN,))}))
    desk = CiDesk(ports, workspace, patience=0.05)
    await desk.serve(ci_request({**START, "tick": []}), delivery="s")
    with pytest.raises(NotPermitted):
        await desk.serve(ci_request({"action": "finish", "id": 1, "tick": ["Box 1.1"]}), delivery="f")
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, 1)
    assert state is not None
    assert state.ticks == {}


async def test_who_may_tick_goes_for_ci_as_well(database: Database, workspace: Workspace) -> None:
    ports = make_ports(database, rules=Conduct(permissions={Permission.TICK: Allowed(people=(BEN,))}))
    desk = CiDesk(ports, workspace, patience=0.05)
    with pytest.raises(NotPermitted):
        await desk.serve(ci_request({**START, "tick": ["Box 1.1"]}), delivery="s1")
    await desk.serve(ci_request({**START, "tick": []}), delivery="s2")
    with pytest.raises(NotPermitted):
        await desk.serve(ci_request({"action": "update", "id": 1, "tick": ["Box 1.1"]}), delivery="u")
