"""What goes out: signed webhooks and GitHub's statuses, once for whoever keeps ids, in order, however it fails."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from pydantic import SecretStr
from standardwebhooks import Webhook

from bot.cli.doctor import Diagnosis, diagnose
from bot.config import Settings
from bot.domain.errors import DestinationsUnusable
from bot.domain.outbound import message_schema
from bot.domain.verification import Purpose
from bot.domain.webhook_signing import headers, secret_bytes
from bot.services import alerting, checking, ending, going, rolling_back
from bot.services.destinations import Destinations, destinations
from bot.services.outgoing import GIVE_UP, LEASE, Outbox
from bot.services.ports import Ports, SystemClock
from bot.storage import github_deployments, outbound, posts
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from tests.contracts.github_deployments import TOKEN, GitHubDeploymentsServer
from tests.makers import ANA, BEN, TEAM, ManualClock, make_ports, start
from tests.servers.serving import serving

SECRET = "whsec_" + base64.b64encode(b"thirty-two bytes of a test secret").decode()


class Receiver:
    """Somebody's server: checks signatures with the specification's own library and keeps every delivery."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        #: Answers to give to the next requests, one each.
        self.troubles: list[web.Response] = []
        self.application = web.Application()
        self.application.router.add_post("/hook", self._hook)

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        Webhook(SECRET).verify(body, dict(request.headers))
        self.got.append((request.headers["webhook-id"], json.loads(body)))
        return self.troubles.pop(0) if self.troubles else web.Response(status=204)

    @property
    def types(self) -> list[str]:
        """Of everything that came, attempts included."""
        return [body["type"] for _, body in self.got]

    @property
    def once(self) -> list[str]:
        """Of what came, for somebody who keeps ids."""
        return [body["type"] for body in dict(self.got).values()]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def url(receiver: Receiver) -> Iterator[str]:
    with serving(receiver.application) as base:
        yield f"{base}/hook"


@pytest.fixture
def github() -> GitHubDeploymentsServer:
    return GitHubDeploymentsServer()


@pytest.fixture
def told(url: str, github: GitHubDeploymentsServer) -> Iterator[Destinations]:
    with serving(github.application) as api:
        yield destinations(urls=url, secret=SECRET, github_token=TOKEN, github_api=api)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ports(database: Database, told: Destinations, clock: ManualClock) -> Ports:
    made = make_ports(database, clock=clock)
    object.__setattr__(made, "deployments", Deployments([told.hear]))
    return made


async def link(team: str, channel: str, ts: str | None) -> str | None:
    return None if ts is None else f"https://local.slack.com/archives/{channel}/p{ts.replace('.', '')}"


@pytest.fixture
async def outbox(ports: Ports, told: Destinations) -> AsyncIterator[Outbox]:
    box = Outbox(ports, told, link=link)
    await box.start()
    yield box
    await box.stop()


async def card_is_posted(ports: Ports) -> None:
    async with ports.database.write() as tx:
        card = await posts.card(tx, 1)
        assert card is not None
        await posts.sent(tx, card.id, ts="1.000001", thread_ts=None, revision=1, at=ports.clock.now())


async def sends_all(box: Outbox, *, rounds: int = 10) -> None:
    """As the scheduler does, until nothing more is due."""
    for _ in range(rounds):
        await box.wake()
        await box.settled()


async def finishes(ports: Ports) -> None:
    await checking.conclude(ports, 1, Purpose.GO, user=ANA, delivery="go")
    await ending.finish(ports, 1, user=ANA, delivery="finish")


async def figures(ports: Ports) -> outbound.Figures:
    async with ports.database.read() as tx:
        return await outbound.figures(tx, since=ports.clock.now() - timedelta(days=1))


async def test_what_happens_is_told_in_order_signed_and_in_the_documented_form(
    ports: Ports, outbox: Outbox, receiver: Receiver
) -> None:
    await start(ports)
    await card_is_posted(ports)
    await alerting.raise_by_hand(ports, 1, words="Errors rise", reason="many 500", user=BEN, delivery="raise")
    async with ports.database.read() as tx:
        state = await ports.deployments.get(tx, 1)
    assert state is not None
    [trigger] = state.aftermath.raised
    await alerting.clear(ports, 1, trigger.seq, user=BEN, reason="a load test", delivery="clear")
    await finishes(ports)
    await sends_all(outbox)
    assert receiver.types == [
        "deployment.started",
        "alert.fired",
        "alert.cleared",
        "deployment.go",
        "deployment.finished",
    ]
    validator = jsonschema.Draft202012Validator(message_schema())
    for _, body in receiver.got:
        validator.validate(body)
    first, last = receiver.got[0][1], receiver.got[-1][1]
    assert first["data"]["deployment"]["url"] == "https://local.slack.com/archives/C0DEPLOYS01/p1000001"
    assert (first["data"]["actor"], last["data"]["deployment"]["state"]) == (ANA, "finished")
    assert receiver.got[2][1]["data"]["alert"]["reason"] == "a load test"
    assert len(last["data"]["open_items"]) == 14
    assert len({uid for uid, _ in receiver.got}) == 5
    assert await figures(ports) == outbound.Figures(waiting=0, oldest=None, given_up=0, problem=None)


async def test_an_abort_and_a_rollback_are_told_with_their_reasons(
    ports: Ports, outbox: Outbox, receiver: Receiver
) -> None:
    await start(ports)
    await card_is_posted(ports)
    await rolling_back.start(ports, 1, user=ANA, why="checkout is down", delivery="back")
    await ending.abort(ports, 1, user=ANA, reason="rolled back", delivery="abort")
    await sends_all(outbox)
    assert [(body["type"], body["data"].get("reason")) for _, body in receiver.got] == [
        ("deployment.started", None),
        ("deployment.rolled_back", "checkout is down"),
        ("deployment.aborted", "rolled back"),
    ]


async def test_a_drill_is_nobodys_business_outside(ports: Ports, outbox: Outbox, receiver: Receiver) -> None:
    await start(ports)
    await alerting.drill(ports, 1, user=ANA, delivery="drill")
    await card_is_posted(ports)
    await sends_all(outbox)
    assert receiver.types == ["deployment.started"]


async def test_the_start_waits_for_its_link_and_goes_without_one_in_the_end(
    ports: Ports, outbox: Outbox, receiver: Receiver, clock: ManualClock
) -> None:
    await start(ports)
    await sends_all(outbox, rounds=2)
    assert receiver.got == []
    clock.forward(seconds=16)
    await sends_all(outbox)
    assert receiver.got[0][1]["data"]["deployment"]["url"] is None


async def test_a_receiver_that_fails_gets_the_same_message_again_before_any_later_one(
    ports: Ports, outbox: Outbox, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.troubles = [web.Response(status=500), web.Response(status=429, headers={"Retry-After": "90"})]
    await start(ports)
    await card_is_posted(ports)
    await finishes(ports)
    await sends_all(outbox)
    assert receiver.types == ["deployment.started"]
    assert (await figures(ports)).problem == "HTTP 500"
    clock.forward(seconds=7)
    await sends_all(outbox)
    clock.forward(seconds=60)
    await sends_all(outbox)
    assert receiver.types == ["deployment.started"] * 2  # it asked for 90 s
    clock.forward(seconds=31)
    await sends_all(outbox)
    assert receiver.types == ["deployment.started"] * 3 + ["deployment.go", "deployment.finished"]
    assert receiver.got[0] == receiver.got[1] == receiver.got[2]
    assert receiver.once == ["deployment.started", "deployment.go", "deployment.finished"]


async def test_what_was_sent_before_a_crash_comes_again_with_the_same_id(
    ports: Ports, told: Destinations, receiver: Receiver, clock: ManualClock
) -> None:
    await start(ports)
    await card_is_posted(ports)
    first = Outbox(ports, told, link=link)
    await first.start()
    [message] = await first._claim()  # it was sent, and then the process was gone before it could note it
    await first._attempt(message)
    second = Outbox(ports, told, link=link)
    await second.start()
    clock.forward(seconds=LEASE.total_seconds() + 1)
    await sends_all(second)
    await second.stop()
    await first.stop()
    assert receiver.types == ["deployment.started"] * 2
    assert receiver.got[0] == receiver.got[1]
    assert receiver.once == ["deployment.started"]


async def test_two_processes_send_each_message_once(
    ports: Ports, told: Destinations, receiver: Receiver
) -> None:
    await start(ports)
    await card_is_posted(ports)
    await finishes(ports)
    boxes = [Outbox(ports, told, link=link) for _ in range(3)]
    for box in boxes:
        await box.start()
    for _ in range(6):
        await asyncio.gather(*(box.wake() for box in boxes))
        await asyncio.gather(*(box.settled() for box in boxes))
    for box in boxes:
        await box.stop()
    assert receiver.types == ["deployment.started", "deployment.go", "deployment.finished"]


async def test_facts_that_are_not_stored_are_not_told(
    ports: Ports, outbox: Outbox, receiver: Receiver
) -> None:
    await start(ports)
    await card_is_posted(ports)
    with pytest.raises(RuntimeError):
        async with ports.database.write() as tx:
            state = await ports.deployments.get(tx, 1, locked=True)
            assert state is not None
            await ports.deployments.append(
                tx, state, checking.concluding(state, Purpose.GO, user=ANA, at=ports.clock.now())
            )
            raise RuntimeError("the power is gone")
    await sends_all(outbox)
    assert receiver.types == ["deployment.started"]


async def test_after_a_day_a_message_is_given_up_and_the_next_ones_go_on(
    ports: Ports, outbox: Outbox, receiver: Receiver, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.troubles = [web.Response(status=500), web.Response(status=500)]
    await start(ports)
    await card_is_posted(ports)
    await sends_all(outbox)
    clock.forward(seconds=GIVE_UP.total_seconds() + 1)
    await finishes(ports)
    await sends_all(outbox)
    assert receiver.types == ["deployment.started"] * 2 + ["deployment.go", "deployment.finished"]
    assert (await figures(ports)).given_up == 1
    assert "is given up after 2 attempts: HTTP 500" in caplog.text


async def test_a_receiver_that_is_gone_for_good_and_an_address_that_was_taken_out_are_not_tried_again(
    ports: Ports, receiver: Receiver, told: Destinations, outbox: Outbox
) -> None:
    receiver.troubles = [web.Response(status=410)]
    await start(ports)
    await card_is_posted(ports)
    await sends_all(outbox)
    assert (await figures(ports)).given_up == 1
    await finishes(ports)
    other = Outbox(ports, Destinations(), link=link)
    await other.start()
    await sends_all(other)
    await other.stop()
    assert (await figures(ports)).given_up == 3
    assert "not among DEPLOYBOT_WEBHOOK_URLS" in str((await figures(ports)).problem)


async def test_redirects_are_not_followed(ports: Ports, outbox: Outbox, receiver: Receiver) -> None:
    receiver.troubles = [web.Response(status=307, headers={"Location": "http://127.0.0.1:9/"})]
    await start(ports)
    await card_is_posted(ports)
    await sends_all(outbox)
    assert (await figures(ports)).problem == "HTTP 307"


# ── GitHub ───────────────────────────────────────────────────────────────────────────────────────────────


async def linked(ports: Ports) -> None:
    await start(ports)
    await card_is_posted(ports)
    async with ports.database.write() as tx:
        await github_deployments.add(tx, "Acme/shop", 145988746, deployment_id=1, at=ports.clock.now())


async def test_github_learns_of_go_and_of_the_end(
    ports: Ports, outbox: Outbox, github: GitHubDeploymentsServer
) -> None:
    await linked(ports)
    await finishes(ports)
    await sends_all(outbox)
    assert [(s["state"], s["description"]) for s in reversed(github.statuses)] == [
        ("in_progress", "Deploybot: Go (storefront-1, event 2)"),
        ("success", "Deploybot: finished (storefront-1, event 3)"),
    ]
    assert github.statuses[0]["log_url"] == "https://local.slack.com/archives/C0DEPLOYS01/p1000001"


async def test_a_no_go_that_takes_go_back_is_told_and_one_before_it_only_to_the_webhooks(
    ports: Ports, outbox: Outbox, github: GitHubDeploymentsServer, receiver: Receiver
) -> None:
    await linked(ports)
    for number, given in enumerate((False, True)):
        if given:
            await checking.conclude(ports, 1, Purpose.GO, user=ANA, delivery="go")
        await going.refuse_go(ports, 1, user=BEN, team=TEAM, reason="not yet", delivery=f"no.{number}")
    await sends_all(outbox)
    assert [(s["state"], s["description"]) for s in reversed(github.statuses)] == [
        ("in_progress", "Deploybot: Go (storefront-1, event 3)"),
        ("queued", "Deploybot: No-go: not yet (storefront-1, event 4)"),
    ]
    assert receiver.types == ["deployment.started", "deployment.no_go", "deployment.go", "deployment.no_go"]
    validator = jsonschema.Draft202012Validator(message_schema())
    for _, body in receiver.got:
        validator.validate(body)


async def test_a_rollback_is_a_failure_and_its_end_no_success(
    ports: Ports, outbox: Outbox, github: GitHubDeploymentsServer
) -> None:
    await linked(ports)
    await rolling_back.start(ports, 1, user=ANA, why="x" * 500, delivery="back")
    await ending.finish(ports, 1, user=ANA, delivery="finish")
    await sends_all(outbox)
    [only] = github.statuses
    assert only["state"] == "failure"
    assert len(only["description"]) == 140
    assert only["description"].endswith("… (storefront-1, event 2)")


async def test_a_status_whose_answer_was_lost_is_looked_for_and_not_made_twice(
    ports: Ports, outbox: Outbox, github: GitHubDeploymentsServer, clock: ManualClock
) -> None:
    github.loses_the_answer = True
    await linked(ports)
    await finishes(ports)
    await sends_all(outbox)
    clock.forward(seconds=7)
    await sends_all(outbox)
    assert [s["state"] for s in reversed(github.statuses)] == ["in_progress", "success"]


async def test_githubs_rate_limit_is_kept_to_and_a_refusal_is_not_repeated(
    ports: Ports, outbox: Outbox, github: GitHubDeploymentsServer, clock: ManualClock
) -> None:
    reset = int(datetime.now(UTC).timestamp()) + 300
    github.troubles = [
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}),
        (422, {}),
    ]
    await linked(ports)
    await finishes(ports)
    await sends_all(outbox)
    clock.forward(seconds=200)
    await sends_all(outbox)
    assert github.statuses == []
    clock.forward(seconds=120)
    await sends_all(outbox)
    assert [s["state"] for s in github.statuses] == ["success"]
    assert (await figures(ports)).given_up == 1


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_wrong_with_the_settings_is_told_at_once_and_never_the_addresses() -> None:
    with pytest.raises(DestinationsUnusable) as refused:
        destinations(
            urls="https://ok.example.com/t0ken, ftp://x/s3cret",
            secret="whsec_!",
            github_token="",
            github_api="x",
        )
    assert len(refused.value.problems) == 3
    assert "address 2" in refused.value.problems[0]
    assert "s3cret" not in str(refused.value)
    with pytest.raises(DestinationsUnusable, match="nothing is sent unsigned"):
        destinations(urls="https://ok.example.com", secret="", github_token="")


@pytest.mark.parametrize(
    "secret", ["plain", "whsec_", "whsec_%%%", "whsec_" + base64.b64encode(b"x" * 23).decode()]
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"it does not begin|no base64|bytes, not"):
        secret_bytes(secret)


def test_our_signature_is_the_librarys() -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    body = '{"type":"deployment.go","words":"größer"}'
    ours = headers(uid="msg_1", at=at, body=body.encode(), key=secret_bytes(SECRET))
    assert ours["webhook-signature"] == Webhook(SECRET).sign("msg_1", at, body)


async def test_nothing_listens_there(ports: Ports, clock: ManualClock) -> None:
    nowhere = destinations(urls="http://127.0.0.1:9/hook", secret=SECRET, github_token="")
    object.__setattr__(ports, "deployments", Deployments([nowhere.hear]))
    box = Outbox(ports, nowhere, link=link)
    await box.start()
    await start(ports)
    await card_is_posted(ports)
    await sends_all(box)
    await box.stop()
    assert "ConnectError" in str((await figures(ports)).problem)


# ── the doctor ───────────────────────────────────────────────────────────────────────────────────────────


async def diagnosed(database_url: str, folder: Path, **changed: Any) -> Diagnosis:
    (folder / "short.md").write_text("- [ ] One\n")
    settings = Settings(_env_file=None, database_url=database_url, checklists=folder, **changed)  # type: ignore[call-arg]
    [found] = [one async for one in diagnose(settings) if one.what == "Other systems"]
    return found


async def test_the_doctor_tells_who_is_told_and_what_was_given_up(
    ports: Ports, outbox: Outbox, receiver: Receiver, database_url: str, tmp_path: Path, url: str
) -> None:
    receiver.troubles = [web.Response(status=410)]
    object.__setattr__(ports, "clock", SystemClock())
    await start(ports)
    await card_is_posted(ports)
    await sends_all(outbox)
    set_up = {"webhook_urls": SecretStr(url), "webhook_secret": SecretStr(SECRET)}
    found = await diagnosed(database_url, tmp_path, **set_up)
    assert (found.fine, found.said) == (
        False,
        "told: 1 webhook; waiting: 0, given up within 7 days: 1 (HTTP 410)",
    )
    found = await diagnosed(database_url, tmp_path)
    assert found.said == "nobody is told (DEPLOYBOT_WEBHOOK_URLS)"
    found = await diagnosed(database_url, tmp_path, webhook_urls=SecretStr("nowhere"))
    assert found.fine is False
    assert "address 1 is no http or https address" in found.said
