"""A real Alertmanager tells the bot of the example service: raised, one trigger, resolved and still raised."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.example.running import example_service
from bot.web.hooks import ALERTMANAGER_PATH
from tests.stage import Json, Stage, running_bot, texts

TRIGGER = "Significant error rate increase"
SOURCE = "From Alertmanager"
TOKEN = "a-token-of-the-play"


@pytest.mark.timeout(240)
async def test_what_alertmanager_sees_is_an_alert_in_the_thread_of_the_deployment(
    stage: Stage, folder: Path
) -> None:
    database = f"sqlite:///{folder / 'deploybot.db'}"
    async with (
        example_service(folder / "example") as example,
        # Nothing is filled in: the bot itself watches nothing.
        running_bot(stage, database, process={**os.environ}, hook_token=SecretStr(TOKEN)) as bot,
    ):
        await stage.ana.types("/deploy start storefront v1.4.2 production")
        await stage.until(stage.root, what="the card is there")
        assert await bot.settle()
        await example.service.deliver_alerts_to(f"http://127.0.0.1:{bot.port}{ALERTMANAGER_PATH}", TOKEN)
        await example.breaker.throw("error-rate", share=50)
        alert = await stage.until(lambda: _alert(stage), within=90, what="the alert comes")
        assert "HighErrorRate" in alert["text"], alert["text"]
        channel = [message for message in await stage.ana.history() if SOURCE in message["text"]]
        assert len(channel) == 1, texts(channel)

        await stage.ben.presses(alert, "Acknowledge")
        await example.breaker.mend("error-rate")
        resolved = "Alertmanager says it is resolved"
        await stage.until(lambda: _says(stage, resolved), within=120, what="it is resolved")
        alerts = [message for message in await stage.thread() if SOURCE in message["text"]]
        assert len(alerts) == 1, texts(alerts)
        assert "Mended, or not this deploy" in _buttons(alerts[0])


async def _alert(stage: Stage) -> Json | None:
    return next(
        (m for m in await stage.thread() if TRIGGER in m["text"] and "Acknowledge" in _buttons(m)), None
    )


async def _says(stage: Stage, words: str) -> bool:
    return words in texts(await stage.thread())


def _buttons(message: Json) -> list[str]:
    return [
        element["text"]["text"]
        for block in message.get("blocks") or ()
        for element in block.get("elements") or ()
        if element.get("type") == "button"
    ]
