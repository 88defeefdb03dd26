"""What survives a restart, and a kill."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.workspace import Workspace
from tests.integration.workspace.workspace_stage import (
    ANA,
    DEPLOYS,
    App,
    boxes,
    connected,
    manifest,
    stage,
    until,
)

Json = dict[str, Any]


async def test_a_restart_keeps_what_a_person_expects(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    async with stage(path) as opened:
        before = opened.installation
        posted = await opened.client.chat_postMessage(
            channel=DEPLOYS, text="one", blocks=[boxes("r1", "a")], metadata=_metadata()
        )
        await opened.client.chat_update(
            channel=DEPLOYS, ts=posted["ts"], text="two", blocks=[boxes("r2", "a")]
        )
        ana = opened.person(ANA)
        await ana.does("forward", seconds=3600)
        await ana.types("later")
        await ana.does("read", channel=DEPLOYS, ts=posted["ts"])
        await ana.does("channel", name="new-channel")
        team = (await opened.ask("state"))["team"]
    async with stage(path) as opened:
        after = opened.installation
        assert (after.bot_token, after.app_id, after.signing_secret) == (
            before.bot_token,
            before.app_id,
            before.signing_secret,
        )
        state = await opened.ask("state")
        assert state["team"] == team
        assert state["now"] - time.time() > 3_500  # the clock goes on from where it was moved to
        assert "new-channel" in [c["name"] for c in state["channels"]]
        ana = opened.person(ANA)
        assert [m["text"] for m in await ana.sees()] == ["two", "later"]
        raw = (await opened.ask("messages", channel=DEPLOYS))["messages"]
        assert raw[0]["metadata"] == _metadata()
        newest = await opened.client.chat_postMessage(channel=DEPLOYS, text="newest")
        assert newest["ts"] > raw[-1]["ts"]
        await _stale_click_still_arrives(opened, posted["ts"])


async def _stale_click_still_arrives(opened: Any, ts: str) -> None:
    app = App(opened)
    clicks: list[Json] = []

    @app.hears("action", "tick")
    async def tick(ack: Any, body: Json) -> None:
        await ack()
        clicks.append(body)

    async with connected(opened, app, "websockets"):
        ticked = {"selected_options": [{"value": "a"}]}
        message = {"channel": DEPLOYS, "ts": ts}
        assert (await opened.person(ANA).clicks(message, "r1", "tick", value=ticked))["ok"]
        await until(lambda: clicks)
    assert clicks[0]["message"]["text"] == "one"


def _metadata() -> Json:
    return {"event_type": "posted", "event_payload": {"key": "k"}}


_CHILD = """
import asyncio, json, sys
from pathlib import Path
from bot.workspace import Workspace

async def main() -> None:
    workspace = Workspace(state_path=Path(sys.argv[1]))
    await workspace.start(port=0)
    made = workspace.install(json.loads(sys.argv[2]))
    print(made.api_url, made.bot_token, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_kill_loses_no_answered_message(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, str(path), json.dumps(manifest()), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    url, token = (await child.stdout.readline()).decode().split()
    client = AsyncWebClient(token=token, base_url=url, retry_handlers=[])
    answered = [
        (await client.chat_postMessage(channel=channel, text="kept"))["ts"]
        for channel in (DEPLOYS, DEPLOYS, "C0GENERAL01")
    ]
    child.send_signal(signal.SIGKILL)
    await child.wait()
    workspace = Workspace(state_path=path)
    await workspace.start(port=0)
    made = workspace.install(manifest())
    again = AsyncWebClient(token=made.bot_token, base_url=made.api_url, retry_handlers=[])
    found = [
        message["ts"]
        for channel in (DEPLOYS, "C0GENERAL01")
        for message in (await again.conversations_history(channel=channel))["messages"]
    ]
    await workspace.stop()
    assert sorted(found) == sorted(answered)
