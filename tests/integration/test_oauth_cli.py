"""`deploybot installations`, `rotate-keys`, `doctor`, `manifest` and `serve` with several workspaces."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from bot.cli import app
from bot.cli.doctor import diagnose
from bot.config import Settings
from bot.storage.sealing import Vault, new_key
from tests.integration.test_cli import DEPLOYBOT, ready, run
from tests.stage import Json
from tests.two_teams import DORA, SECOND_CHANNEL, Browser, TwoTeams, bot_messages, open_two_teams


@pytest.fixture
async def teams(tmp_path: Path) -> AsyncIterator[TwoTeams]:
    async with open_two_teams(tmp_path) as teams:
        yield teams


@pytest.fixture
def environment(teams: TwoTeams, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SLACK_CLIENT_ID": teams.registered.client_id,
        "SLACK_CLIENT_SECRET": teams.registered.client_secret,
        "DEPLOYBOT_ENCRYPTION_KEY": teams.keys,
        "DEPLOYBOT_URL": teams.bot_url,
        "SLACK_APP_TOKEN": teams.registered.app_token,
        "SLACK_API_URL": teams.registered.api_url,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'd.db'}",
        "DEPLOYBOT_CHECKLISTS": str(tmp_path),
        "HOST": "127.0.0.1",
        "PORT": str(teams.port),
        "LOG_LEVEL": "INFO",
    }


async def _served(teams: TwoTeams, environment: dict[str, str], tmp_path: Path) -> bytes:
    """The bot is served, installed in the second team and used there; what it logged."""
    log = tmp_path / "log"
    with log.open("wb") as kept:  # at DEBUG it is more than a pipe holds
        process = await asyncio.create_subprocess_exec(
            DEPLOYBOT, "serve", env=environment | {"LOG_LEVEL": "DEBUG"}, cwd=tmp_path, stderr=kept
        )
    await teams.first.until(lambda: ready(environment), within=30, what="ready")
    async with Browser(teams.bot_url) as browser:
        assert (await browser.installs(teams.dora_of_second)).status_code == 200
        await teams.invites(teams.second, DORA, SECOND_CHANNEL)
        await teams.dora.types("/deploy start storefront v1 production", channel=SECOND_CHANNEL)

        async def shown() -> bool:
            return len(await bot_messages(teams.second, SECOND_CHANNEL)) == 2

        await teams.second.until(shown, what="the thread is there")
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0
    return log.read_bytes()


async def test_the_bot_serves_who_installs_it_and_its_log_has_no_secret(
    teams: TwoTeams, environment: dict[str, str], tmp_path: Path
) -> None:
    logged = (await _served(teams, environment, tmp_path)).decode()
    assert "installed in Second workspace" in logged
    assert "Traceback" not in logged
    for secret in ("xoxb-1", teams.registered.client_secret, teams.keys, "state=ey"):
        assert secret not in logged
    # Bolt's own flow, which would keep tokens in plain text at home, was not used.
    assert not (tmp_path / ".bolt-app-installation").exists()

    code, said = await run(environment, tmp_path, "installations")
    assert code == 0
    for part in (teams.second.installed.team_id, "Second workspace", "@deploybot", DORA, "works"):
        assert part in said
    assert "xox" not in said

    new = new_key()
    both = environment | {"DEPLOYBOT_ENCRYPTION_KEY": f"{new},{teams.keys}"}
    code, said = await run(both, tmp_path, "rotate-keys")
    assert code == 0, said
    assert "1 encrypted anew with the first of 2 keys, 0 were already" in said
    code, said = await run(environment, tmp_path, "rotate-keys")
    assert code == 1
    assert "Second workspace" in said
    assert "/slack/install" in said
    await _diagnosed(teams, environment, new)


async def _diagnosed(teams: TwoTeams, environment: dict[str, str], key: str) -> None:
    """What the doctor says with the new key, and without it."""
    settings = Settings(_env_file=None, **environment)  # type: ignore[call-arg, arg-type]
    told = {d.what: d async for d in diagnose(settings)}
    workspace = told[f"Workspace Second workspace ({teams.second.installed.team_id})"]
    assert workspace.fine is False
    assert "no key decrypts its token" in workspace.said
    assert told["DEPLOYBOT_URL"].fine is False  # no https here
    assert told["DEPLOYBOT_ALLOWED_TEAMS"].fine is None
    both = {"encryption_key": SecretStr(f"{new_key()},{key}"), "allowed_teams": "T0OTHER0002"}
    told = {d.what: d async for d in diagnose(settings.model_copy(update=both))}
    workspace = told[workspace.what]
    assert workspace.fine is False
    assert "not in DEPLOYBOT_ALLOWED_TEAMS" in workspace.said
    assert "works; an older key" in workspace.said


def test_settings_that_only_work_together_are_asked_for_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "s" * 32, "SLACK_APP_TOKEN": "xapp-1"}
    said = CliRunner().invoke(app, ["serve"], env=environment)
    assert said.exit_code == 2
    assert "DEPLOYBOT_ENCRYPTION_KEY must be set, too" in said.output
    environment["DEPLOYBOT_ENCRYPTION_KEY"] = "hush-hush-hush"
    said = CliRunner().invoke(app, ["serve"], env=environment)
    assert said.exit_code == 2
    assert "Key 1 in DEPLOYBOT_ENCRYPTION_KEY is no key" in said.output
    assert "hush" not in said.output


def test_a_key_is_made_that_works() -> None:
    said = CliRunner().invoke(app, ["new-key"])
    assert said.exit_code == 0
    assert Vault(said.output.strip()).keys == 1


def _manifest(*arguments: str) -> Json:
    said = CliRunner().invoke(app, ["manifest", *arguments])
    assert said.exit_code == 0, said.output
    return dict(json.loads(said.output))


def test_the_manifest_for_several_workspaces_says_where_they_install_it() -> None:
    url = "https://bot.example.com"
    made = _manifest("--url", url, "--distribute")
    assert made["oauth_config"]["redirect_urls"] == [f"{url}/slack/oauth_redirect"]
    events = made["settings"]["event_subscriptions"]
    assert {"app_uninstalled", "tokens_revoked"} <= set(events["bot_events"])
    assert events["request_url"] == f"{url}/slack/events"
    made = _manifest("--url", url, "--distribute", "--socket", "--rotate-tokens")
    assert made["settings"]["socket_mode_enabled"]
    assert made["settings"]["token_rotation_enabled"]
    assert "request_url" not in made["settings"]["event_subscriptions"]
    plain = _manifest("--url", url)
    assert "redirect_urls" not in plain["oauth_config"]
    assert plain["settings"]["event_subscriptions"]["bot_events"] == ["app_mention"]


@pytest.mark.parametrize("wrong", [["--distribute"], ["--url", "https://bot.example.com", "--rotate-tokens"]])
def test_a_manifest_for_several_workspaces_needs_their_address(wrong: list[str]) -> None:
    assert CliRunner().invoke(app, ["manifest", *wrong]).exit_code == 2
