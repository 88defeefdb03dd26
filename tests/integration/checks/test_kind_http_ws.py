"""The kind `http.ws`, against a real WebSocket server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.certificates import Authority
from tests.servers.nginx import Server, running_nginx
from tests.servers.shop import Shop, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Shop().app) as base:
        yield base


async def ws(url: str, path: str = "/ws", **params: Any) -> Evidence:
    return await examine("http.ws", {"url": url.replace("http", "ws") + path, "within": "500ms", **params})


async def test_a_message_that_a_request_caused_passes(url: str) -> None:
    trigger = {"url": f"{url}/announce", "method": "POST", "body": "order {marker} is packed"}
    evidence = await ws(url, trigger=trigger, message="order {marker} is packed")
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["delay_ms"] >= 0
    assert evidence.excerpt == "order marker-1 is packed"


async def test_a_message_from_before_or_of_somebody_else_does_not_count(url: str) -> None:
    trigger = {"url": f"{url}/announce", "method": "POST", "body": "order 7 is packed"}
    evidence = await ws(url, trigger=trigger, message="order {marker}")
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["messages"] == 2


async def test_an_answer_to_a_sent_message_passes(url: str) -> None:
    evidence = await ws(url, send={"ping": "{marker}"}, message="echo .*{marker}")
    assert evidence.outcome is Outcome.PASS


async def test_a_late_message_warns_where_a_limit_is_set(url: str) -> None:
    params = {"url": url.replace("http", "ws") + "/ws", "send": "x", "message": "echo x"}
    evidence = await examine("http.ws", params, warn={"delay_ms": ">= 0"})
    assert evidence.outcome is Outcome.WARN


async def test_silence_fails(url: str) -> None:
    evidence = await ws(url, "/mute", send="anybody there?")
    assert evidence.outcome is Outcome.FAIL
    assert "no message in 0.5 s" in evidence.observed


async def test_a_page_instead_of_a_websocket_fails(url: str) -> None:
    evidence = await ws(url, "/page")
    assert evidence.outcome is Outcome.FAIL
    assert "answers 200" in evidence.reason


async def test_refused_credentials_fail(url: str) -> None:
    evidence = await ws(url, bearer=Secret("token", "wrong"))
    assert evidence.outcome is Outcome.FAIL
    assert "403" in evidence.reason


async def test_a_redirect_of_the_handshake_is_not_followed(url: str) -> None:
    evidence = await ws(url, f"/moved?to={url.replace('http', 'ws')}/ws")
    assert evidence.outcome is Outcome.FAIL


async def test_a_trigger_that_fails_fails_the_check(url: str) -> None:
    evidence = await ws(url, trigger={"url": f"{url}/status/500"}, message="order")
    assert evidence.outcome is Outcome.FAIL
    assert "trigger" in evidence.reason


async def test_nobody_listening_fails() -> None:
    assert (await ws(f"http://127.0.0.1:{free_port()}")).outcome is Outcome.FAIL


async def test_a_demand_about_what_was_not_measured_is_unknown(url: str) -> None:
    params = {"url": url.replace("http", "ws") + "/mute", "within": "100ms"}
    evidence = await examine("http.ws", params, expect={"received": False}, warn={"delay_ms": "> 100"})
    assert evidence.outcome is Outcome.UNKNOWN


async def test_an_address_not_allowed_is_an_error(url: str) -> None:
    params = {"url": url.replace("http", "ws") + "/ws"}
    evidence = await examine("http.ws", params, context=make_context(allow=["shop.example"]))
    assert evidence.outcome is Outcome.ERROR


async def test_a_secure_websocket_is_opened_with_the_certificate_checked(url: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    proxy = f"""location / {{
        proxy_pass {url}; proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }}"""
    servers = {
        "good": Server(body=proxy, certificate=authority.issue("good")),
        "other": Server(body=proxy, certificate=authority.issue("other", "shop.example.com")),
    }
    with running_nginx(servers) as nginx:
        for server, outcome in (("good", Outcome.PASS), ("other", Outcome.FAIL)):
            params = {"url": nginx.url(server, "/ws").replace("https", "wss"), "send": "x", "message": "echo"}
            evidence = await examine("http.ws", params, context=make_context(ca_file=authority.file))
            assert evidence.outcome is outcome, evidence.reason
