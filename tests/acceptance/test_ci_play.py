"""CI starts a deployment over HTTP: it stands in the channel, people tick, CI ticks, says it is live, finishes."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from pydantic import SecretStr
from standardwebhooks import Webhook

from bot.web.ci_hooks import DEPLOYMENTS_PATH, GITHUB_PATH
from tests.acceptance.browser import Player
from tests.integration.test_github_hooks import DEPLOYMENT, status
from tests.integration.test_outgoing import SECRET
from tests.makers import ANA, CHANNEL
from tests.servers.serving import serving
from tests.stage import Stage, running_bot, texts

TOKEN = "a-token-of-the-play"
GITHUB_SECRET = "It's a Secret to Everybody"
SERVICES = f"""version: 1
services:
  - {{service: storefront, environment: production, checklist: hotfix, channel: {CHANNEL}, lead: {ANA}}}
github:
  - {{repository: acme/shop, service: checkout, channel: {CHANNEL}, lead: {ANA}, checklist: hotfix}}
"""


class Listener:
    """Somebody's server that is told what happens."""

    def __init__(self) -> None:
        self.types: list[str] = []
        self.urls: list[str | None] = []
        self.application = web.Application()
        self.application.router.add_post("/", self._hook)

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        Webhook(SECRET).verify(body, dict(request.headers))
        told = json.loads(body)
        self.types.append(told["type"])
        self.urls.append(told["data"]["deployment"]["url"])
        return web.Response(status=204)


@pytest.fixture
def checklists(folder: Path) -> Path:
    """A team's own folder: rules for its services, and the checklists that come with the bot."""
    mine = folder / "checklists"
    mine.mkdir()
    (mine / "services.yaml").write_text(SERVICES)
    return mine


async def test_ci_starts_a_deployment_and_finishes_it(
    stage: Stage, ana: Player, ben: Player, folder: Path, pictures: Path, checklists: Path
) -> None:
    listener = Listener()
    with serving(listener.application) as url:
        settings: dict[str, Any] = {
            "hook_token": SecretStr(TOKEN),
            "webhook_urls": SecretStr(url),
            "webhook_secret": SecretStr(SECRET),
            "checklists": checklists,
        }
        async with (
            running_bot(stage, f"sqlite:///{folder / 'deploybot.db'}", process={}, **settings) as bot,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{bot.port}", headers={"Authorization": f"Bearer {TOKEN}"}
            ) as ci,
        ):

            async def asks(key: str, **body: Any) -> dict[str, Any]:
                answer = await ci.post(DEPLOYMENTS_PATH, json=body, headers={"Idempotency-Key": key})
                assert answer.status_code == 200, answer.text
                return dict(answer.json())

            start = {"service": "storefront", "version": "v1.4.2", "environment": "production"}
            started = await asks("run-7.start", action="start", **start)
            assert started["deployment"]["checklist"] == "hotfix"
            assert started["deployment"]["url"].startswith("http")
            assert await asks("run-7.start", action="start", **start) == started
            await ana.sees("storefront v1.4.2 → production", where=ana.card)
            await ana.opens_the_thread()
            await ben.opens_the_thread()
            await ana.ticks("The fix does one thing")
            await asks(
                "run-7.tested",
                action="update",
                name=started["deployment"]["name"],
                tick=["The pipeline of v1.4.2 is green"],
            )
            await ben.sees_ticked("The pipeline of v1.4.2 is green", "CI")
            await ben.sees_ticked("The fix does one thing", "ana")
            told = await asks(
                "run-7.live", action="update", state="deployed", url="https://ci.example.com/7", **start
            )
            assert told["deployment"]["url"]
            await ana.sees("CI says that storefront v1.4.2 → production is deployed", where=ana.thread)
            await ana.looks(str(pictures / "ci.png"))
            await asks("run-7.finish", action="finish", **start)
            await ana.sees("CI finished storefront v1.4.2 → production", where=ana.thread)
            await stage.until(lambda: len(listener.types) == 2, what="the others are told")
    assert listener.types == ["deployment.started", "deployment.finished"]
    assert listener.urls[0] == listener.urls[1] == told["deployment"]["url"]


async def test_a_deployment_on_github_is_one_in_the_channel(
    stage: Stage, folder: Path, checklists: Path
) -> None:
    async with (
        running_bot(
            stage,
            f"sqlite:///{folder / 'deploybot.db'}",
            process={},
            github_webhook_secret=SecretStr(GITHUB_SECRET),
            checklists=checklists,
        ) as bot,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{bot.port}") as github,
    ):

        async def sends(event: str, payload: Any, delivery: str) -> dict[str, Any]:
            body = json.dumps(payload).encode()
            signature = hmac.new(GITHUB_SECRET.encode(), body, hashlib.sha256).hexdigest()
            headers = {
                "Content-Type": "application/json",
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": delivery,
                "X-Hub-Signature-256": f"sha256={signature}",
            }
            answer = await github.post(GITHUB_PATH, content=body, headers=headers)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        assert (await sends("deployment", DEPLOYMENT, "1"))["done"] == ["started"]
        await stage.until(stage.root, what="the card is there")
        await sends("deployment_status", status("success"), "2")
        await stage.until(lambda: _says(stage, "CI says that checkout v1.4.2 → production is deployed"))
        await sends("deployment_status", status("failure", "the smoke test fails"), "3")
        await stage.until(lambda: _says(stage, "The deploy failed in CI"))


async def _says(stage: Stage, words: str) -> bool:
    return words in texts(await stage.thread()).replace("*", "")
