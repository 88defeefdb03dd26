"""The command line, as whoever runs the bot meets it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from bot.example.programs import free_port
from bot.slack.manifest import SCOPES, manifest
from tests.stage import Stage

DEPLOYBOT = str(Path(sys.executable).parent / "deploybot")
START = "/deploy start storefront v1.4.2 production --checklist short"


@pytest.fixture
def environment(stage: Stage, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "short.md").write_text("# Short\n\n## Only section\n\n- [ ] Say hello\n- [ ] Wave\n")
    return {
        "PATH": os.environ["PATH"],
        "SLACK_BOT_TOKEN": stage.installed.bot_token,
        "SLACK_APP_TOKEN": stage.installed.app_token,
        "SLACK_API_URL": stage.installed.api_url,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'd.db'}",
        "DEPLOYBOT_CHECKLISTS": str(tmp_path),
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
    }


async def begin(environment: dict[str, str], folder: Path, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        DEPLOYBOT, *arguments, env=environment, cwd=folder, stdout=PIPE, stderr=PIPE
    )


async def run(environment: dict[str, str], folder: Path, *arguments: str) -> tuple[int, str]:
    process = await begin(environment, folder, *arguments)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    text = (out + err).decode()
    assert "Traceback" not in text
    assert process.returncode is not None
    return process.returncode, text


async def ready(environment: dict[str, str]) -> bool:
    try:
        async with httpx.AsyncClient() as web:
            return (await web.get(f"http://127.0.0.1:{environment['PORT']}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_serve_runs_until_sigterm_and_verify_finds_everything_in_order(
    stage: Stage, environment: dict[str, str], tmp_path: Path
) -> None:
    process = await begin(environment, tmp_path, "serve")
    await stage.until(lambda: ready(environment), within=30, what="ready")
    await stage.ana.types(START)

    async def ticking() -> bool:
        thread = await stage.thread() if await stage.ana.history() else []
        return len(thread) == 2

    await stage.until(ticking, what="the thread is there")
    await stage.ticks(stage.ben, "Say hello")
    process.send_signal(signal.SIGTERM)
    _, err = await asyncio.wait_for(process.communicate(), 15)
    assert process.returncode == 0
    assert b"Traceback" not in err
    assert stage.installed.bot_token.encode() not in err
    assert await run(environment, tmp_path, "verify") == (
        0,
        "1 deployments, 2 events: all add up.\n",
    )
    assert (await run(environment, tmp_path, "verify", "storefront-1"))[0] == 0
    assert (await run(environment, tmp_path, "verify", "storefront-7"))[0] == 2
    with sqlite3.connect(tmp_path / "d.db") as connection:
        connection.execute("UPDATE events SET actor = 'UEVIL' WHERE seq = 2")
    code, said = await run(environment, tmp_path, "verify", "1")
    assert code == 1
    assert "event 2 (item.ticked by UEVIL) was changed after the fact" in said


async def test_serve_without_settings_says_which_and_where_they_are_found(tmp_path: Path) -> None:
    code, said = await run({"PATH": os.environ["PATH"]}, tmp_path, "serve")
    assert code == 2
    assert "SLACK_BOT_TOKEN is not set" in said
    assert "Neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET" in said


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-wrong", "The bot token is not valid"),
        ("SLACK_API_URL", "http://127.0.0.1:9/api/", "connection"),
        ("DATABASE_URL", "mysql://x", "use sqlite:// or postgresql://"),
        ("DATABASE_URL", "sqlite:////proc/nowhere/d.db", "cannot"),
        ("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:9/x", "cannot be reached"),
        ("PORT", "many", "PORT"),
    ],
)
async def test_a_wrong_setting_ends_serve_in_a_sentence(
    environment: dict[str, str], tmp_path: Path, setting: str, value: str, said: str
) -> None:
    code, output = await run({**environment, setting: value}, tmp_path, "serve")
    assert code != 0
    assert said in output
    assert "hunter2" not in output


async def test_a_taken_port_is_said(environment: dict[str, str], tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", int(environment["PORT"]))
    async with server:
        code, output = await run(environment, tmp_path, "serve")
    assert code != 0
    assert "Is the port taken?" in output


async def test_the_doctor_finds_everything_in_place(environment: dict[str, str], tmp_path: Path) -> None:
    await run(environment, tmp_path, "migrate")
    code, said = await run(environment, tmp_path, "doctor", "--channel", "C0DEPLOYS01")
    assert code == 0, said
    assert "Everything is in place." in said
    assert f"all {len(SCOPES)} are granted\n" in said
    assert "short (2 items)" in said


async def test_the_doctor_says_what_is_done_without(
    stage: Stage, environment: dict[str, str], tmp_path: Path
) -> None:
    await run(environment, tmp_path, "migrate")
    await stage.client.post("/control/scopes", json={"remove": ["pins:write"]})
    code, said = await run(environment, tmp_path, "doctor")
    assert code == 0, said
    assert "are granted, without pins:write (to pin the card" in " ".join(said.split())


async def test_the_doctor_says_what_is_missing_and_how_to_mend_it(
    stage: Stage, environment: dict[str, str], tmp_path: Path
) -> None:
    await stage.client.post("/control/scopes", json={"remove": ["users:read"]})
    wrong = {**environment, "SLACK_APP_TOKEN": "xapp-wrong", "DATABASE_URL": "postgresql://127.0.0.1:9/x"}
    code, said = await run(wrong, tmp_path, "doctor", "--channel", "C0RANDOM001")
    assert code == 1
    for sentence in (
        "users:read (to show people's names",
        "/invite @deploybot there",
        "Make an app-level token with connections:write",
        "Check DATABASE_URL",
    ):
        assert sentence in said, said
    code, said = await run({**environment, "SLACK_BOT_TOKEN": "xoxb-no"}, tmp_path, "doctor")
    assert code == 1
    assert "check SLACK_BOT_TOKEN" in said


async def test_migrate_can_be_run_again_and_again(environment: dict[str, str], tmp_path: Path) -> None:
    assert "Migrated from None to" in (await run(environment, tmp_path, "migrate"))[1]
    assert "The database is at" in (await run(environment, tmp_path, "migrate"))[1]


async def test_the_local_workspace_opens_with_the_bot_in_it_and_remembers(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    port = free_port()
    for expected in (0, 1):
        process = await begin(
            environment, tmp_path, "local", "--port", str(port), "--db", str(tmp_path / "my.db")
        )
        assert process.stdout is not None
        printed = b""
        while f"http://127.0.0.1:{port}".encode() not in printed:
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line, (await process.communicate())[1].decode()
            printed += line
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web:
            assert "<title>" in (await web.get("/")).text
            boot: dict[str, Any] = {}
            for _ in range(100):
                boot = (await web.get("/client/boot", params={"user": "UANA0000001"})).json()
                if boot["apps"][0]["connected"]:
                    break
                await asyncio.sleep(0.1)
            assert boot["apps"][0]["commands"][0]["command"] == "/deploy"
            place = {"user": "UANA0000001", "channel": "C0DEPLOYS01"}
            history = (await web.get("/client/history", params=place)).json()["messages"]
            assert len([m for m in history if m.get("bot_id")]) == expected
            command = {**place, "text": "/deploy start storefront v1 production"}
            if expected:  # the clock goes on from where it was moved to
                assert boot["now"] - time.time() > 3_500
            else:
                await web.post("/client/forward", json={"seconds": 3_600})
                assert (await web.post("/client/command", json=command)).json()["ok"]
                await asyncio.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 0, err.decode()
        assert b"Traceback" not in err, err.decode()


#: The rules of Slack's public manifest schema (slackapi/manifest-schema, version 2) for the parts used here.
STRING = {"type": "string", "minLength": 1}
URL = {"type": "string", "pattern": "^https?://", "maxLength": 3000}
MANIFEST_RULES = {
    "type": "object",
    "required": ["display_information"],
    "additionalProperties": False,
    "properties": {
        "_metadata": {
            "additionalProperties": False,
            "properties": {"major_version": {"type": "integer"}, "minor_version": {"type": "integer"}},
        },
        "display_information": {
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                "name": {**STRING, "maxLength": 35},
                "description": {**STRING, "maxLength": 140},
                "background_color": {"type": "string", "pattern": "^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$"},
            },
        },
        "features": {
            "additionalProperties": False,
            "properties": {
                "app_home": {
                    "additionalProperties": False,
                    "properties": {
                        "home_tab_enabled": {"type": "boolean"},
                        "messages_tab_enabled": {"type": "boolean"},
                        "messages_tab_read_only_enabled": {"type": "boolean"},
                    },
                },
                "bot_user": {
                    "required": ["display_name"],
                    "additionalProperties": False,
                    "properties": {
                        "display_name": {**STRING, "maxLength": 80},
                        "always_online": {"type": "boolean"},
                    },
                },
                "shortcuts": {
                    "maxItems": 10,
                    "items": {
                        "required": ["name", "type", "callback_id", "description"],
                        "additionalProperties": False,
                        "properties": {
                            "name": {**STRING, "maxLength": 24},
                            "type": {"enum": ["message", "global"]},
                            "callback_id": {**STRING, "maxLength": 255},
                            "description": {**STRING, "maxLength": 150},
                        },
                    },
                },
                "slash_commands": {
                    "minItems": 1,
                    "maxItems": 50,
                    "items": {
                        "required": ["command", "description"],
                        "additionalProperties": False,
                        "properties": {
                            "command": {"type": "string", "pattern": "^/", "minLength": 2, "maxLength": 32},
                            "url": URL,
                            "description": {**STRING, "maxLength": 2000},
                            "usage_hint": {**STRING, "maxLength": 1000},
                            "should_escape": {"type": "boolean"},
                        },
                    },
                },
            },
        },
        "oauth_config": {
            "additionalProperties": False,
            "properties": {
                "scopes": {
                    "additionalProperties": False,
                    "properties": {
                        name: {"maxItems": 255, "items": {"type": "string", "maxLength": 50}}
                        for name in ("bot", "bot_optional")
                    },
                }
            },
        },
        "settings": {
            "additionalProperties": False,
            "properties": {
                "event_subscriptions": {
                    "additionalProperties": False,
                    "properties": {
                        "request_url": URL,
                        "bot_events": {"uniqueItems": True, "items": {"type": "string", "maxLength": 50}},
                    },
                },
                "interactivity": {
                    "required": ["is_enabled"],
                    "additionalProperties": False,
                    "properties": {"is_enabled": {"type": "boolean"}, "request_url": URL},
                },
                "org_deploy_enabled": {"type": "boolean"},
                "socket_mode_enabled": {"type": "boolean"},
                "token_rotation_enabled": {"type": "boolean"},
            },
        },
    },
}


@pytest.mark.parametrize("arguments", [[], ["--url", "https://deploys.example.com/"], ["--command", "/ship"]])
async def test_the_manifest_keeps_slacks_rules(tmp_path: Path, arguments: list[str]) -> None:
    code, printed = await run({"PATH": os.environ["PATH"]}, tmp_path, "manifest", *arguments)
    told = json.loads(printed)
    assert code == 0
    jsonschema.validate(told, MANIFEST_RULES)
    assert told["settings"]["socket_mode_enabled"] is ("--url" not in arguments)


def test_the_rules_would_notice_a_misspelt_key() -> None:
    wrong = manifest()
    wrong["settings"]["socket_mode"] = True
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, MANIFEST_RULES)


async def test_help_names_every_command(tmp_path: Path) -> None:
    code, said = await run({"PATH": os.environ["PATH"]}, tmp_path, "--help")
    assert code == 0
    for command in ("serve", "local", "manifest", "doctor", "verify", "migrate", "checklist"):
        assert re.search(rf"\b{command}\b", said)
