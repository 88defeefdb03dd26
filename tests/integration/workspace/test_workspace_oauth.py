"""The local workspace's OAuth: as strict as Slack's, with the official SDK as the caller."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.manifest import SCOPES, manifest
from tests.two_teams import SECOND_CHANNEL, Browser, TwoTeams, open_two_teams


@pytest.fixture
async def teams(tmp_path: Path) -> AsyncIterator[TwoTeams]:
    async with open_two_teams(tmp_path) as teams:
        yield teams


@pytest.fixture
async def browser(teams: TwoTeams) -> AsyncIterator[Browser]:
    async with Browser(teams.bot_url) as browser:
        yield browser


def _url(teams: TwoTeams, **changed: str) -> str:
    asked = {
        "client_id": teams.registered.client_id,
        "scope": ",".join(SCOPES),
        "state": "s",
        "redirect_uri": f"{teams.bot_url}/slack/oauth_redirect",
    } | changed
    base = f"{teams.first.workspace.url}/oauth/v2/authorize"
    return str(httpx.URL(base, params={key: value for key, value in asked.items() if value}))


async def _code(teams: TwoTeams, browser: Browser, **changed: str) -> str:
    back = await browser.decides(_url(teams, **changed), teams.dora_of_second)
    assert httpx.URL(back).params["state"] == "s"
    return httpx.URL(back).params["code"]


def _client(teams: TwoTeams, token: str | None = None) -> AsyncWebClient:
    return AsyncWebClient(token=token, base_url=teams.registered.api_url, retry_handlers=[])


async def _exchange(teams: TwoTeams, code: str, **changed: str) -> dict[str, object]:
    asked = {
        "client_id": teams.registered.client_id,
        "client_secret": teams.registered.client_secret,
        "redirect_uri": f"{teams.bot_url}/slack/oauth_redirect",
    } | changed
    answer = await _client(teams).oauth_v2_access(code=code, **asked)
    assert isinstance(answer.data, dict)
    return answer.data


async def _refused(teams: TwoTeams, code: str, **changed: str) -> str:
    with pytest.raises(SlackApiError) as refused:
        await _exchange(teams, code, **changed)
    return str(refused.value.response["error"])


async def test_a_token_acts_in_the_team_that_gave_it_and_sees_no_other(
    teams: TwoTeams, browser: Browser
) -> None:
    given = await _exchange(teams, await _code(teams, browser))
    assert given["team"] == {"id": teams.second.installed.team_id, "name": "Second workspace"}
    client = _client(teams, str(given["access_token"]))
    who = await client.auth_test()
    assert who["team_id"] == teams.second.installed.team_id
    assert who["url"] == f"{teams.second.workspace.url}/"
    people = {member["name"] for member in (await client.users_list())["members"]}
    assert {"dora", "emil"} <= people
    assert not people & {"ana", "ben"}
    for call in (
        client.users_info(user="UANA0000001"),
        client.conversations_info(channel="C0DEPLOYS01"),
        client.chat_postMessage(channel="C0DEPLOYS01", text="hello"),
        client.chat_postMessage(channel=SECOND_CHANNEL, text="not invited yet"),
    ):
        with pytest.raises(SlackApiError):
            await call


async def test_a_code_works_once_for_its_app_and_its_address(teams: TwoTeams, browser: Browser) -> None:
    code = await _code(teams, browser)
    assert await _refused(teams, code, client_secret="0" * 32) == "bad_client_secret"
    assert await _refused(teams, code, client_id="1.2") == "invalid_client_id"
    assert await _refused(teams, code, redirect_uri="http://127.0.0.1:1/x") == "bad_redirect_uri"
    assert await _refused(teams, "made-up") == "invalid_code"
    other = teams.first.workspace.register({**manifest(name="Other", install_url=teams.bot_url)})
    secrets = {"client_id": other.client_id, "client_secret": other.client_secret}
    assert await _refused(teams, code, **secrets) == "invalid_code"
    await _exchange(teams, code)
    assert await _refused(teams, code) == "code_already_used"


async def test_a_code_ends_after_ten_minutes(teams: TwoTeams, browser: Browser) -> None:
    code = await _code(teams, browser)
    await teams.first.workspace.forward(601)
    assert await _refused(teams, code) == "invalid_code"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"client_id": "1.2"}, "client_id"),
        ({"redirect_uri": "http://evil.example/slack/oauth_redirect"}, "redirect_uri"),
        ({"scope": "admin"}, "invalid_scope: admin"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
async def test_a_wrong_request_is_not_sent_back_to_anybody(
    teams: TwoTeams, browser: Browser, changed: dict[str, str], said: str
) -> None:
    page = await browser.client.get(_url(teams, **changed))
    assert page.status_code == 400
    assert said in page.text


async def test_another_site_cannot_decide_for_a_person(teams: TwoTeams, browser: Browser) -> None:
    answer = await browser.client.post(
        f"{teams.first.workspace.url}/client/authorize",
        data={"client_id": teams.registered.client_id, "scope": "commands", "decision": "allow"},
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status_code == 403


async def test_an_app_without_a_redirect_url_is_its_own_teams_only(teams: TwoTeams, browser: Browser) -> None:
    lonely = teams.first.workspace.register(manifest(name="Lonely"))
    page = await browser.client.get(_url(teams, client_id=lonely.client_id))
    assert "invalid_team_for_non_distributed_app" in page.text


async def test_an_app_that_was_taken_away_has_a_dead_token_and_a_new_one_when_it_is_back(
    teams: TwoTeams, browser: Browser
) -> None:
    old = await _exchange(teams, await _code(teams, browser))
    answer = await teams.second.client.post("/control/uninstall", json={"app": "Deploybot"})
    assert answer.json()["ok"]
    with pytest.raises(SlackApiError, match="account_inactive"):
        await _client(teams, str(old["access_token"])).auth_test()
    told = await teams.second.traffic("events_api", direction="slack→bot")
    new = await _exchange(teams, await _code(teams, browser))
    assert new["access_token"] != old["access_token"]
    assert new["bot_user_id"] == old["bot_user_id"]
    assert {entry["request"]["event"]["type"] for entry in told} <= {"app_uninstalled", "tokens_revoked"}


async def test_an_app_can_leave_by_itself(teams: TwoTeams, browser: Browser) -> None:
    first = await _exchange(teams, await _code(teams, browser))
    client = _client(teams, str(first["access_token"]))
    assert (await client.auth_revoke())["revoked"]
    with pytest.raises(SlackApiError, match="token_revoked"):
        await client.auth_test()
    second = await _exchange(teams, await _code(teams, browser))
    client = _client(teams, str(second["access_token"]))
    secrets = {"client_id": teams.registered.client_id, "client_secret": teams.registered.client_secret}
    with pytest.raises(SlackApiError, match="bad_client_secret"):
        await client.apps_uninstall(**secrets | {"client_secret": "0"})
    await client.apps_uninstall(**secrets)
    with pytest.raises(SlackApiError, match="account_inactive"):
        await client.auth_test()


async def test_rotated_tokens_end_and_a_refresh_token_works_once(tmp_path: Path) -> None:
    async with open_two_teams(tmp_path, rotate_tokens=True) as teams, Browser(teams.bot_url) as browser:
        given = await _exchange(teams, await _code(teams, browser))
        assert given["expires_in"] == 43_200
        old = _client(teams, str(given["access_token"]))
        await old.auth_test()
        secrets = {"client_id": teams.registered.client_id, "client_secret": teams.registered.client_secret}
        renew = {**secrets, "grant_type": "refresh_token", "refresh_token": str(given["refresh_token"])}
        renewed = await _client(teams).oauth_v2_access(**renew)
        await old.auth_test()  # two are good at once
        with pytest.raises(SlackApiError, match="invalid_refresh_token"):
            await _client(teams).oauth_v2_access(**renew)
        await teams.first.workspace.forward(43_201)
        for token in (given["access_token"], renewed["access_token"]):
            with pytest.raises(SlackApiError, match="token_expired"):
                await _client(teams, str(token)).auth_test()


async def test_the_traffic_log_shows_no_secret_of_oauth(teams: TwoTeams, browser: Browser) -> None:
    code = await _code(teams, browser)
    given = await _exchange(teams, code)
    logged = str(await teams.first.traffic()) + str(await teams.second.traffic())
    assert "oauth.v2.access" in logged
    for secret in (code, str(given["access_token"]), teams.registered.client_secret):
        assert secret not in logged
    assert not re.search(r"xox[a-z]-\w", logged)
