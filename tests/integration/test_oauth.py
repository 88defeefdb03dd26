"""The way from /slack/install to a token and back, in a browser that keeps its cookies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import select

from bot.app import Application
from bot.config import _Redacted
from bot.domain.errors import OrgInstallRefused, TooManyBegun
from bot.services.ports import ShiftedClock
from bot.slack.installing import MOST_BEGUN
from bot.slack.reaching import Distribution, reach_slack
from bot.storage import installations
from bot.storage.database import Database
from bot.storage.schema import oauth_states
from bot.storage.sealing import new_key
from bot.web.install import COOKIE
from tests.two_teams import DORA, SECOND_CHANNEL, Browser, TwoTeams, kept, open_two_teams


@pytest.fixture
async def teams(tmp_path: Path) -> AsyncIterator[TwoTeams]:
    async with open_two_teams(tmp_path) as teams:
        yield teams


@pytest.fixture
async def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def bot(teams: TwoTeams, clock: ShiftedClock, tmp_path: Path) -> AsyncIterator[Application]:
    async with teams.bot(f"sqlite:///{tmp_path / 'd.db'}", clock=clock) as bot:
        yield bot


@pytest.fixture
async def browser(teams: TwoTeams, bot: Application) -> AsyncIterator[Browser]:
    async with Browser(teams.bot_url) as browser:
        yield browser


async def _nobody(bot: Application) -> bool:
    async with bot.ports.database.read() as tx:
        return await installations.every(tx) == []


async def test_who_allows_it_has_the_bot_and_the_token_is_nowhere_in_plain_text(
    teams: TwoTeams, bot: Application, browser: Browser, tmp_path: Path
) -> None:
    page = await browser.installs(teams.dora_of_second)
    assert page.status_code == 200
    assert "Deploybot is in Second workspace" in page.text
    found = await kept(bot, teams.second.installed.team_id)
    assert found is not None
    assert found.installer == DORA
    assert found.token is not None
    assert "xox" not in found.token
    files = b"".join((tmp_path / name).read_bytes() for name in ("d.db", "d.db-wal"))
    assert b"xoxb" not in files
    assert found.token.encode() in files
    assert "xox" not in repr(found)


async def test_the_page_is_kept_to_itself_and_its_cookie_to_slack_pages(
    bot: Application, browser: Browser
) -> None:
    shown = await browser.client.get(f"{browser.bot_url}/slack/install")
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert shown.headers["cache-control"] == "no-store"
    cookie = shown.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "SameSite=Lax", "Max-Age=600"):
        assert part in cookie
    assert "Secure" not in cookie  # on this machine there is no https …
    elsewhere = await browser.client.get(
        f"{browser.bot_url}/slack/install", headers={"Host": "bot.example.com"}
    )
    assert "Secure" in elsewhere.headers["set-cookie"]  # … anywhere else there is


async def test_who_denies_it_reads_why_nothing_was_added(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    back = await browser.decides(await browser.begins(), teams.dora_of_second, decision="deny")
    page = await browser.client.get(back)
    assert page.status_code == 403
    assert "You did not allow it" in page.text
    assert await _nobody(bot)


async def test_an_answer_works_once(teams: TwoTeams, bot: Application, browser: Browser) -> None:
    back = await browser.decides(await browser.begins(), teams.dora_of_second)
    cookie = browser.client.cookies[COOKIE]
    assert (await browser.client.get(back)).status_code == 200
    again = await browser.client.get(back, headers={"Cookie": f"{COOKIE}={cookie}"})
    assert again.status_code == 400
    assert "used already" in again.text


async def test_a_code_works_once_even_with_a_new_state(
    teams: TwoTeams, bot: Application, browser: Browser
) -> None:
    back = httpx.URL(await browser.decides(await browser.begins(), teams.dora_of_second))
    assert (await browser.client.get(back)).status_code == 200
    state = httpx.URL(await browser.begins()).params["state"]
    page = await browser.client.get(back.copy_set_param("state", state))
    assert page.status_code == 400
    assert "code_already_used" in page.text
    assert await kept(bot, teams.second.installed.team_id) is not None


async def test_two_answers_at_once_count_for_one(teams: TwoTeams, bot: Application, browser: Browser) -> None:
    back = await browser.decides(await browser.begins(), teams.dora_of_second)
    cookie = {"Cookie": f"{COOKIE}={browser.client.cookies[COOKIE]}"}
    pages = await asyncio.gather(*(httpx.AsyncClient().get(back, headers=cookie) for _ in range(4)))
    assert sorted(page.status_code for page in pages) == [200, 400, 400, 400]


@pytest.mark.parametrize("cookie", ["", "somebody-elses"])
async def test_another_browser_cannot_finish_what_this_one_began(
    teams: TwoTeams, bot: Application, browser: Browser, cookie: str
) -> None:
    back = await browser.decides(await browser.begins(), teams.dora_of_second)
    async with httpx.AsyncClient() as other:
        page = await other.get(back, headers={"Cookie": f"{COOKIE}={cookie}"})
    assert page.status_code == 400
    assert "in this browser" in page.text
    assert await _nobody(bot)
    # It is not used up by that: the one who began can still finish.
    assert (await browser.client.get(back)).status_code == 200


async def test_a_state_nobody_began_is_refused(bot: Application, browser: Browser) -> None:
    page = await browser.client.get(
        f"{browser.bot_url}/slack/oauth_redirect",
        params={"code": "1.2.abc", "state": "made-up"},
        headers={"Cookie": f"{COOKIE}=made-up"},
    )
    assert page.status_code == 400


@pytest.mark.parametrize(
    "query",
    ["", "?state=", "?code=1", "?state=%C3%A4&code=%00", "?state=%FF%ED%A0%80", "?error=%3Cb%3E&state=x"],
)
async def test_whatever_comes_back_is_answered_with_a_page(browser: Browser, query: str) -> None:
    page = await browser.client.get(f"{browser.bot_url}/slack/oauth_redirect{query}")
    assert page.status_code == 400
    assert "Begin again" in page.text
    assert "<b>" not in page.text


async def test_after_ten_minutes_it_is_too_late(
    teams: TwoTeams, bot: Application, browser: Browser, clock: ShiftedClock
) -> None:
    back = await browser.decides(await browser.begins(), teams.dora_of_second)
    clock.forward(timedelta(minutes=10, seconds=1))
    page = await browser.client.get(back)
    assert page.status_code == 400
    assert "10 minutes" in page.text
    await browser.begins()
    async with bot.ports.database.read() as tx:
        assert len((await tx.execute(select(oauth_states))).all()) == 1  # what is over is swept up


async def test_slack_refusing_the_code_is_a_sentence_with_its_cure(tmp_path: Path) -> None:
    async with (
        open_two_teams(tmp_path) as teams,
        teams.bot(f"sqlite:///{tmp_path / 'd.db'}", slack_client_secret="0" * 32),
        Browser(teams.bot_url) as browser,
    ):
        page = await browser.installs(teams.dora_of_second)
        assert page.status_code == 400
        assert "bad_client_secret" in page.text
        assert "SLACK_CLIENT_SECRET" in page.text


async def test_without_an_address_slack_sends_people_to_the_apps_own(tmp_path: Path) -> None:
    async with (
        open_two_teams(tmp_path) as teams,
        teams.bot(f"sqlite:///{tmp_path / 'd.db'}", public_url=""),
        Browser(teams.bot_url) as browser,
    ):
        url = await browser.begins()
        assert "redirect_uri" not in url
        page = await browser.client.get(await browser.decides(url, teams.dora_of_second))
        assert page.status_code == 200


async def test_a_workspace_the_bot_is_not_for_gets_its_token_back(tmp_path: Path) -> None:
    async with (
        open_two_teams(tmp_path) as teams,
        teams.bot(
            f"sqlite:///{tmp_path / 'd.db'}", allowed_teams=f"T0OTHER0002, {teams.first.installed.team_id}"
        ) as bot,
        Browser(teams.bot_url) as browser,
    ):
        page = await browser.installs(teams.dora_of_second)
        assert page.status_code == 400
        assert "DEPLOYBOT_ALLOWED_TEAMS" in page.text
        assert await _nobody(bot)
        assert (await teams.second.client.get("/control/state")).json()["apps"] == []
        assert (await browser.installs(teams.ana)).status_code == 200


async def test_an_installation_for_a_whole_organization_is_refused_and_given_back(
    database: Database,
) -> None:
    calls: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        calls.append(f"{request.path} {request.headers.get('Authorization', '')}")
        org = {"access_token": "xoxb-org", "is_enterprise_install": True, "team": None, "app_id": "A1"}
        return web.json_response({"ok": True, **(org if "oauth" in request.path else {"revoked": True})})

    app = web.Application()
    app.router.add_post("/api/{method}", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        clock = ShiftedClock()
        reached = await reach_slack(
            token="",
            api_url=str(server.make_url("/api/")),
            session=session,
            distribution=Distribution(client_id="1.2", client_secret="s", keys=new_key(), redirect_uri=""),
            database=database,
            clock=clock,
            ring=lambda: None,
        )
        assert reached.installing is not None
        begun = await reached.installing.begin()
        with pytest.raises(OrgInstallRefused):
            await reached.installing.finish(state=begun.state, cookie=begun.state, code="c")
    assert [call.split()[0] for call in calls] == ["/api/oauth.v2.access", "/api/auth.revoke"]
    assert calls[1].endswith("Bearer xoxb-org")
    async with database.read() as tx:
        assert await installations.every(tx) == []


async def test_slack_not_answering_keeps_nothing(teams: TwoTeams, bot: Application, browser: Browser) -> None:
    await teams.first.fault(kind="api", mode="status", status=503, method="oauth.v2.access", times=1)
    page = await browser.installs(teams.dora_of_second)
    assert page.status_code == 400
    assert await _nobody(bot)
    assert (await browser.installs(teams.dora_of_second)).status_code == 200


async def test_installations_that_are_never_finished_have_an_end(
    bot: Application, browser: Browser, clock: ShiftedClock
) -> None:
    until = clock.now() + timedelta(minutes=10)
    async with bot.ports.database.write() as tx:
        rows = [{"hash": f"{number:064d}", "expires_at": until} for number in range(MOST_BEGUN)]
        await tx.execute(oauth_states.insert(), rows)
    page = await browser.client.get(f"{browser.bot_url}/slack/install")
    assert page.status_code == 503
    assert str(TooManyBegun()) in page.text
    clock.forward(timedelta(minutes=11))
    assert (await browser.client.get(f"{browser.bot_url}/slack/install")).status_code == 200


async def test_a_bot_of_one_workspace_has_no_install_page(tmp_path: Path) -> None:
    async with open_two_teams(tmp_path, home=True) as teams:
        database = f"sqlite:///{tmp_path / 'd.db'}"
        async with teams.bot(database, slack_client_id="") as bot, httpx.AsyncClient() as web:
            assert (await web.get(f"{teams.bot_url}/slack/install")).status_code == 404
            assert (await bot.readiness())[1]["slack"]["installations"] is None


async def test_a_token_that_expires_is_renewed_before_it_does(tmp_path: Path) -> None:
    async with open_two_teams(tmp_path, rotate_tokens=True) as teams:
        clock = ShiftedClock()
        async with (
            teams.bot(f"sqlite:///{tmp_path / 'd.db'}", clock=clock) as bot,
            Browser(teams.bot_url) as browser,
        ):
            await browser.installs(teams.dora_of_second)
            await teams.invites(teams.second, DORA, SECOND_CHANNEL)
            team = teams.second.installed.team_id
            before = await kept(bot, team)
            assert before is not None
            assert before.refresh_token is not None
            # Near its end: it goes on working, and is renewed beside the work. Then long after its end.
            for hours in (10.5, 20):
                last = await kept(bot, team)
                assert last is not None
                clock.forward(timedelta(hours=hours))
                await teams.second.workspace.forward(hours * 3600)
                await teams.dora.types("/deploy list", channel=SECOND_CHANNEL)

                async def renewed(was: str | None = last.token) -> bool:
                    now = await kept(bot, team)
                    return now is not None and now.token != was

                await teams.second.until(renewed, what=f"renewed after {hours} h")
            calls = [e for e in await teams.first.traffic("oauth.v2.access") if "grant_type" in e["request"]]
            assert len(calls) == 2
            await teams.dora.types("/deploy start storefront v1 production", channel=SECOND_CHANNEL)
            assert await bot.settle()


async def test_a_refresh_token_that_was_used_up_ends_the_installation(tmp_path: Path) -> None:
    async with open_two_teams(tmp_path, rotate_tokens=True) as teams:
        clock = ShiftedClock()
        async with (
            teams.bot(f"sqlite:///{tmp_path / 'd.db'}", clock=clock) as bot,
            Browser(teams.bot_url) as browser,
        ):
            await browser.installs(teams.dora_of_second)
            team = teams.second.installed.team_id
            fault = {"kind": "api", "mode": "error", "method": "oauth.v2.access"}
            await teams.first.fault(**fault, error="invalid_refresh_token", times=1)
            clock.forward(timedelta(hours=11))
            await teams.dora.types("/deploy list", channel=SECOND_CHANNEL)

            async def ended() -> bool:
                now = await kept(bot, team)
                return now is not None and now.revoked_at is not None and now.refresh_token is None

            await teams.second.until(ended, what="it is over")


@pytest.mark.parametrize(
    "said",
    [
        "GET /slack/oauth_redirect?code=123.456.abcdef0123456789&state=Zk3_hush-hush-hush",
        "{'client_secret': '0123456789abcdef0123456789abcdef'}",
        "token xoxe.xoxb-1-hushhushhush and xoxe-1-hushhushhush",
        '{"access_token":"hush.hush-hush","refresh_token": "hush-hush-hush"}',
    ],
)
def test_the_log_never_shows_what_oauth_sends_along(said: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, said, (), None)
    _Redacted().filter(record)
    shown = record.getMessage()
    assert "hush" not in shown
    assert "abcdef" not in shown
    assert "…" in shown


def test_the_log_still_shows_what_is_no_secret() -> None:
    said = "Slack refused it (code: missing_scope); state: waiting, phase=in_progress"
    record = logging.LogRecord("x", logging.INFO, "x", 1, said, (), None)
    _Redacted().filter(record)
    assert "in_progress" in record.getMessage()
