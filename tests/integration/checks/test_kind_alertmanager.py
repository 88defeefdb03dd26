"""Alertmanager kinds against a real Alertmanager, fed by a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.domain.check import Outcome
from bot.example.programs import free_port
from tests.checking import examine
from tests.servers.alertmanager import KEY, AlertmanagerServer, alertmanager_server
from tests.servers.prometheus import prometheus_server


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    with alertmanager_server(tmp_path_factory.mktemp("alertmanager")) as server:
        yield server


@pytest.fixture(scope="module")
def mute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    with alertmanager_server(tmp_path_factory.mktemp("mute"), mute=True) as server:
        yield server


def post(url: str, data: Any) -> Any:
    request = urllib.request.Request(
        url, json.dumps(data).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@pytest.fixture
def silenced(alertmanager: AlertmanagerServer) -> Iterator[None]:
    """Production is silenced, as after a maintenance nobody cleaned up after."""
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "environment", "value": "production", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "ana",
        "comment": "maintenance",
    }
    made = post(f"{alertmanager.url}/api/v2/silences", silence)
    yield
    request = urllib.request.Request(
        f"{alertmanager.url}/api/v2/silence/{made['silenceID']}", method="DELETE"
    )
    urllib.request.urlopen(request).close()


# ── alertmanager ─────────────────────────────────────────────────────────────────────────────────────────


async def test_an_alertmanager_with_a_receiver_passes(alertmanager: AlertmanagerServer) -> None:
    params = {"url": alertmanager.url, "labels": {"environment": "production"}}
    evidence = await examine("alertmanager", params)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["receivers"] == 1


async def test_nothing_of_the_configuration_gets_into_evidence(alertmanager: AlertmanagerServer) -> None:
    evidence = await examine("alertmanager", {"url": alertmanager.url})
    assert KEY not in repr(evidence)
    assert "webhook" not in repr(evidence)


async def test_a_receiver_that_sends_nowhere_is_none(mute: AlertmanagerServer) -> None:
    evidence = await examine("alertmanager", {"url": mute.url})
    assert evidence.outcome is Outcome.FAIL
    assert "send nowhere: nobody" in evidence.excerpt


@pytest.mark.usefixtures("silenced")
async def test_a_silence_over_production_warns(alertmanager: AlertmanagerServer) -> None:
    params = {"url": alertmanager.url, "labels": {"environment": "production", "service": "shop"}}
    evidence = await examine("alertmanager", params)
    assert evidence.outcome is Outcome.WARN
    assert 'environment="production"' in evidence.excerpt


@pytest.mark.usefixtures("silenced")
async def test_a_silence_over_something_else_does_not(alertmanager: AlertmanagerServer) -> None:
    params = {"url": alertmanager.url, "labels": {"environment": "staging"}}
    assert (await examine("alertmanager", params)).outcome is Outcome.PASS


async def test_an_alertmanager_that_does_not_answer_is_unknown() -> None:
    evidence = await examine("alertmanager", {"url": f"http://127.0.0.1:{free_port()}"})
    assert evidence.outcome is Outcome.UNKNOWN


async def test_a_wrong_address_is_an_error(alertmanager: AlertmanagerServer) -> None:
    evidence = await examine("alertmanager", {"url": f"{alertmanager.url}/prefix"})
    assert evidence.outcome is Outcome.ERROR


# ── alertmanager.watchdog ────────────────────────────────────────────────────────────────────────────────


async def test_a_watchdog_sent_by_prometheus_passes(
    alertmanager: AlertmanagerServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with prometheus_server(tmp_path_factory.mktemp("prometheus"), alertmanager=alertmanager.url):
        for _ in range(100):
            evidence = await examine("alertmanager.watchdog", {"url": alertmanager.url})
            if evidence.outcome is Outcome.PASS:
                break
            await asyncio.sleep(0.2)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["age_s"] < 120


async def test_a_watchdog_that_did_not_arrive_fails(mute: AlertmanagerServer) -> None:
    evidence = await examine("alertmanager.watchdog", {"url": mute.url})
    assert evidence.outcome is Outcome.FAIL
    assert "not there" in evidence.observed


@pytest.mark.usefixtures("silenced")
async def test_a_watchdog_that_is_held_back_warns(alertmanager: AlertmanagerServer) -> None:
    ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    labels = {"alertname": "DeadMansSwitch", "environment": "production"}
    post(f"{alertmanager.url}/api/v2/alerts", [{"labels": labels, "endsAt": ends}])
    for _ in range(50):
        params = {"url": alertmanager.url, "alert": "DeadMansSwitch"}
        evidence = await examine("alertmanager.watchdog", params)
        if evidence.outcome is not Outcome.PASS:
            break
        await asyncio.sleep(0.1)
    assert evidence.outcome is Outcome.WARN, evidence.reason


async def test_a_watchdog_asked_for_in_vain_is_unknown() -> None:
    params = {"url": f"http://127.0.0.1:{free_port()}"}
    assert (await examine("alertmanager.watchdog", params)).outcome is Outcome.UNKNOWN


async def test_a_watchdog_at_a_wrong_address_is_an_error(alertmanager: AlertmanagerServer) -> None:
    params = {"url": f"{alertmanager.url}/prefix"}
    assert (await examine("alertmanager.watchdog", params)).outcome is Outcome.ERROR


# ── alertmanager.synthetic ───────────────────────────────────────────────────────────────────────────────


async def test_an_alert_that_reaches_its_receiver_passes_and_is_resolved(
    alertmanager: AlertmanagerServer,
) -> None:
    params = {"url": alertmanager.url, "seen_at": alertmanager.seen_at, "labels": {"severity": "none"}}
    evidence = await examine("alertmanager.synthetic", params)
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["receivers"] == ["team"]
    marker = evidence.excerpt.removeprefix("marker ")
    for _ in range(100):
        ended = [text for text in alertmanager.got if marker in text and '"status":"resolved"' in text]
        if ended:
            break
        await asyncio.sleep(0.1)
    assert ended


async def test_a_slow_delivery_can_be_warned_about(alertmanager: AlertmanagerServer) -> None:
    params = {"url": alertmanager.url, "seen_at": alertmanager.seen_at}
    evidence = await examine("alertmanager.synthetic", params, warn={"delay_s": ">= 0"})
    assert evidence.outcome is Outcome.WARN


async def test_an_alert_that_does_not_reach_its_receiver_fails(alertmanager: AlertmanagerServer) -> None:
    labels = {"test": "lost"}
    params = {"url": alertmanager.url, "seen_at": alertmanager.seen_at, "labels": labels, "within": "1s"}
    evidence = await examine("alertmanager.synthetic", params)
    assert evidence.outcome is Outcome.FAIL
    assert "nobody" in evidence.observed


async def test_a_delivery_that_nothing_shows_is_unknown(alertmanager: AlertmanagerServer) -> None:
    evidence = await examine("alertmanager.synthetic", {"url": alertmanager.url})
    assert evidence.outcome is Outcome.UNKNOWN
    assert "seen_at" in evidence.reason


async def test_that_alertmanager_took_it_is_enough_where_told(alertmanager: AlertmanagerServer) -> None:
    evidence = await examine("alertmanager.synthetic", {"url": alertmanager.url, "proof": "alertmanager"})
    assert evidence.outcome is Outcome.PASS
    assert "not proven" in evidence.observed


async def test_a_receiver_log_that_cannot_be_read_is_unknown(alertmanager: AlertmanagerServer) -> None:
    params = {
        "url": alertmanager.url,
        "seen_at": f"http://127.0.0.1:{free_port()}/log",
        "within": "500ms",
    }
    assert (await examine("alertmanager.synthetic", params)).outcome is Outcome.UNKNOWN


async def test_an_alert_it_cannot_take_is_an_error(alertmanager: AlertmanagerServer) -> None:
    params = {"url": alertmanager.url, "labels": {"no label": "x"}}
    assert (await examine("alertmanager.synthetic", params)).outcome is Outcome.ERROR
