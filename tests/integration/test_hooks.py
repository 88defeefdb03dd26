"""Alerts of other systems over HTTP: the real Alertmanager, our own form, and rubbish of every sort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.domain.errors import DeploybotError, NoRun, StorageBusy
from bot.domain.inbound import InboundAlert
from bot.domain.watching import Source
from bot.web import Hooks, WebServer, application
from bot.web.hooks import ALERTMANAGER_PATH, LIMIT, TRIGGERS_PATH
from tests.servers.alertmanager import alertmanager_posting
from tests.unit.domain.test_inbound import DELIVERED, FORM

TOKEN = "hook-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Received:
    """Stands in for the service that raises alerts: keeps what it is given."""

    def __init__(self) -> None:
        self.got: list[tuple[InboundAlert, Source]] = []
        #: Raised for the next requests, one each.
        self.troubles: list[Exception] = []

    async def __call__(self, alerts: Sequence[InboundAlert], source: Source) -> Sequence[str]:
        """Keep them."""
        if self.troubles:
            raise self.troubles.pop(0)
        self.got += [(alert, source) for alert in alerts]
        return ["resolved" if alert.resolved else "raised" for alert in alerts]


async def ready() -> tuple[bool, Mapping[str, Any]]:
    return True, {}


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
async def url(received: Received) -> AsyncIterator[str]:
    """The bot's web side with hooks."""
    hooks = Hooks(token=TOKEN, receive=received)
    server = WebServer(application(readiness=ready, bolt=None, hooks=hooks), host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{await server.start()}"
    await server.stop()


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who knows the token."""
    async with httpx.AsyncClient(base_url=url, headers=BEARER) as client:
        yield client


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


# ── the real Alertmanager ────────────────────────────────────────────────────────────────────────────────


async def tells(alertmanager: str, *, over: bool = False) -> None:
    """What Prometheus would tell Alertmanager."""
    now = datetime.now(UTC)
    ends = now - timedelta(seconds=1) if over else now + timedelta(minutes=5)
    alert = {
        "labels": LABELS,
        "annotations": {"summary": "More than 2 % of the requests fail."},
        "startsAt": (now - timedelta(minutes=2)).isoformat(),
        "endsAt": ends.isoformat(),
        "generatorURL": "http://prometheus:9090/graph",
    }
    async with httpx.AsyncClient(base_url=alertmanager) as asking:
        (await asking.post("/api/v2/alerts", json=[alert])).raise_for_status()


LABELS = {
    "alertname": "HighErrorRate",
    "service": "storefront",
    "environment": "production",
    "severity": "page",
}


async def test_the_real_alertmanager_tells_when_an_alert_fires_and_when_it_is_over(
    url: str, received: Received, tmp_path: Path
) -> None:
    with alertmanager_posting(tmp_path, hook=f"{url}{ALERTMANAGER_PATH}", credentials=TOKEN) as alertmanager:
        await tells(alertmanager)
        await until(lambda: len(received.got) == 1)
        await tells(alertmanager, over=True)
        await until(lambda: len(received.got) >= 2 and received.got[-1][0].resolved)
    firing, resolved = received.got[0][0], received.got[-1][0]
    assert {source for _, source in received.got} == {Source.ALERTMANAGER}
    assert (firing.resolved, firing.key) == (False, resolved.key)
    assert (firing.title, firing.service, firing.environment) == ("HighErrorRate", "storefront", "production")
    assert (firing.severity, firing.said) == ("page", "More than 2 % of the requests fail.")
    assert firing.url == "http://prometheus:9090/graph"
    assert firing.started_at is not None
    assert firing.started_at < datetime.now(UTC)


async def test_the_real_alertmanager_comes_again_after_trouble_with_the_database(
    url: str, received: Received, tmp_path: Path
) -> None:
    received.troubles = [StorageBusy(), StorageBusy()]
    with alertmanager_posting(tmp_path, hook=f"{url}{ALERTMANAGER_PATH}", credentials=TOKEN) as alertmanager:
        await tells(alertmanager)
        await until(lambda: bool(received.got))
    assert received.troubles == []
    assert received.got[0][0].title == "HighErrorRate"


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_answer_says_what_was_done_with_each_alert(
    client: httpx.AsyncClient, received: Received
) -> None:
    both = [DELIVERED["alerts"][0], DELIVERED["alerts"][0] | {"status": "resolved", "fingerprint": "77"}]
    answer = await client.post(ALERTMANAGER_PATH, json=DELIVERED | {"alerts": both})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "outcomes": [
                {"key": "9b1f0d5c2d4f6a81", "title": "HighErrorRate", "outcome": "raised"},
                {"key": "77", "title": "HighErrorRate", "outcome": "resolved"},
            ]
        },
    )
    answer = await client.post(TRIGGERS_PATH, json={**FORM, "key": "orders"})
    assert answer.json() == {"outcomes": [{"key": "orders", "title": "Orders fail", "outcome": "raised"}]}
    assert [source for _, source in received.got] == [Source.ALERTMANAGER, Source.ALERTMANAGER, Source.HOOK]


@pytest.mark.parametrize("path", [ALERTMANAGER_PATH, TRIGGERS_PATH])
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        b"Bearer \xff",
    ],
)
async def test_without_the_token_nothing_is_taken(
    url: str, received: Received, path: str, header: str | bytes | None
) -> None:
    headers = (
        []
        if header is None
        else [(b"Authorization", header if isinstance(header, bytes) else header.encode())]
    )
    async with httpx.AsyncClient(base_url=url) as stranger:
        answer = await stranger.post(path, json=DELIVERED, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "DEPLOYBOT_HOOK_TOKEN" in answer.json()["error"]
    assert received.got == []


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_token_of_our_own_hooks_are_off(received: Received, token: str | None) -> None:
    hooks = None if token is None else Hooks(token=token, receive=received)
    server = WebServer(application(readiness=ready, bolt=None, hooks=hooks), host="127.0.0.1", port=0)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await server.start()}") as client:
            for path in (ALERTMANAGER_PATH, TRIGGERS_PATH):
                answer = await client.post(path, json=DELIVERED, headers=BEARER)
                assert answer.status_code == 404
                assert "set DEPLOYBOT_HOOK_TOKEN" in answer.json()["error"]
            assert (await client.get("/healthz")).status_code == 200
    finally:
        await server.stop()
    assert received.got == []


@pytest.mark.parametrize("path", [ALERTMANAGER_PATH, TRIGGERS_PATH])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "it is no JSON at line 1, column 1"),
        (b"{", "it is no JSON at line 1, column 2"),
        (b"\xff\xfe\xfd", "it is not UTF-8"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b"9" * 100_000, "it has a number that is too long"),
        (b"null", "the request is missing, not an object"),
        (b"NaN", "the request is a number, not an object"),
        (b"<alerts/>", "it is no JSON at line 1, column 1"),
        (b"status=firing", "it is no JSON"),
    ],
)
async def test_rubbish_is_refused_in_a_sentence(
    client: httpx.AsyncClient, received: Received, path: str, body: bytes, said: str
) -> None:
    answer = await client.post(path, content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json; charset=utf-8")
    assert said in answer.json()["error"]
    assert "Traceback" not in answer.text
    assert received.got == []


async def test_another_version_of_the_form_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(ALERTMANAGER_PATH, json=DELIVERED | {"version": "1"})
    assert answer.status_code == 400
    assert "version is “1”, not “4”" in answer.json()["error"]
    assert answer.json()["problems"] == ["version is “1”, not “4”"]


async def test_more_than_the_limit_is_not_read(client: httpx.AsyncClient, received: Received) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 1024 + 1):
            yield b" " * 1024

    for content in (b" " * (LIMIT + 1), pieces()):
        answer = await client.post(ALERTMANAGER_PATH, content=content)
        assert answer.status_code == 413
        assert "max_alerts" in answer.json()["error"]
    assert received.got == []


@pytest.mark.parametrize(
    ("trouble", "status", "said"),
    [
        (StorageBusy(), 503, "The database is busy"),
        (NoRun("storefront-1"), 422, "No checks are running"),
        (RuntimeError("the inside"), 500, "Something went wrong here"),
    ],
)
async def test_trouble_is_told_by_whether_coming_again_can_help(
    client: httpx.AsyncClient, received: Received, trouble: DeploybotError, status: int, said: str
) -> None:
    received.troubles = [trouble]
    answer = await client.post(ALERTMANAGER_PATH, json=DELIVERED)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True)
    assert "the inside" not in answer.text
    assert (await client.post(ALERTMANAGER_PATH, json=DELIVERED)).status_code == 200


async def test_only_posting_is_understood(client: httpx.AsyncClient) -> None:
    assert (await client.get(ALERTMANAGER_PATH)).status_code == 405
