"""What is stored of workspaces, on both databases; and renewing tokens with several processes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import DeploybotError, TokenNotRenewed
from bot.services import alerting, settling
from bot.slack.gateway import SlackFailure
from bot.slack.oauth import OAuth, Tokens
from bot.slack.renewing import RENEW_BEFORE, Renewal
from bot.storage import installations, posts, reminders, watches
from bot.storage.database import Database
from bot.storage.installations import Installation
from bot.storage.sealing import Vault, new_key
from tests.makers import ANA, NOON, TEAM, ManualClock, make_ports, start
from tests.stage import Stage

SOON = timedelta(minutes=10)


def made(team: str = TEAM, **changed: Any) -> Installation:
    values: dict[str, Any] = {
        "team": team,
        "name": "Acme",
        "url": "https://acme.slack.com/",
        "app": "A1",
        "bot_user": "UBOT",
        "bot_id": "BBOT",
        "handle": "deploybot",
        "scopes": frozenset({"chat:write", "commands"}),
        "installer": "UANA0000001",
        "installed_at": NOON,
        "token": "sealed",
    }
    return Installation(**values | changed)


async def put(database: Database, one: Installation) -> None:
    async with database.write() as tx:
        await installations.put(tx, one)


async def get(database: Database, team: str = TEAM) -> Installation | None:
    async with database.read() as tx:
        return await installations.get(tx, team)


async def test_an_installation_is_kept_as_it_is_and_the_next_one_takes_its_place(database: Database) -> None:
    first = made(refresh_token="next", expires_at=NOON + timedelta(hours=12))
    await put(database, first)
    assert await get(database) == first
    second = made(token="other", installed_at=NOON + timedelta(days=1))
    await put(database, second)
    assert await get(database) == second
    async with database.read() as tx:
        assert await installations.every(tx) == [second]
        assert await installations.counted(tx) == {"live": 1, "revoked": 0}


async def test_two_installations_at_once_leave_one(database: Database) -> None:
    await asyncio.gather(*(put(database, made(token=f"sealed-{number}")) for number in range(4)))
    found = await get(database)
    assert found is not None
    assert (found.token or "").startswith("sealed-")


async def test_a_workspace_that_leaves_has_its_tokens_erased_once(database: Database) -> None:
    await put(database, made(refresh_token="next", expires_at=NOON + SOON))
    async with database.write() as tx:
        assert not await installations.revoke(tx, TEAM, at=NOON, token="another")
        assert await installations.revoke(tx, TEAM, at=NOON, token="sealed")
        assert not await installations.revoke(tx, TEAM, at=NOON + SOON)
    gone = await get(database)
    assert gone is not None
    assert (gone.token, gone.refresh_token, gone.expires_at, gone.revoked_at) == (None, None, None, NOON)


async def test_nothing_is_due_for_a_workspace_that_left_until_it_is_back(database: Database) -> None:
    ports = make_ports(database)
    await start(ports)
    await start(ports, team="T0OTHER0002")
    later = NOON + timedelta(days=30)

    async def due() -> tuple[list[int], bool, int]:
        async with database.read() as tx:
            waiting = sorted({post.deployment_id for post in await posts.pending(tx)})
            backlog = await posts.backlog(tx)
            return waiting, await watches.any_due(tx, at=later), backlog.waiting

    assert (await due())[0] == [1, 2]
    async with database.write() as tx:
        await watches.add(tx, 1, at=NOON)
    assert (await due())[1]
    soon: dict[str, Any] = {"due_at": NOON + SOON, "user": ANA, "delivery": "one"}
    await settling.add(ports, 1, words="", **soon)
    await alerting.raise_by_hand(ports, 1, words="Errors rise", reason="", user=ANA, delivery="two")

    async def asks() -> tuple[list[int], list[int]]:
        async with database.read() as tx:
            alarmed = [state.id for state in await ports.deployments.alarmed(tx)]
            return await reminders.due(tx, at=later), alarmed

    assert await asks() == ([1], [1])
    async with database.read() as tx:
        all_posts = (await posts.backlog(tx)).waiting
        others = len([post for post in await posts.pending(tx) if post.deployment_id == 2])
    await put(database, made(token=None, revoked_at=NOON))
    assert await due() == ([2], False, others)
    assert await asks() == ([], [])
    async with database.write() as tx:
        claimed = await watches.claim(tx, owner="me", at=later, until=later + SOON, most=10)
    assert claimed == []
    async with database.read() as tx:
        assert await reminders.next_due(tx) is None
        assert await reminders.left_over(tx) == []
    await put(database, made())
    assert await due() == ([1, 2], True, all_posts)
    assert await asks() == ([1], [1])


async def test_failed_posts_are_tried_at_once_when_the_workspace_is_back(database: Database) -> None:
    ports = make_ports(database)
    await start(ports)
    async with database.write() as tx:
        for post in await posts.pending(tx):
            await posts.failed(tx, post.id, problem="x", retry_at=NOON + SOON, outcome_known=True)
        await installations.retry_posts(tx, "T0OTHER0002")
        assert all(post.retry_at is not None for post in await posts.pending(tx))
        await installations.retry_posts(tx, TEAM)
        assert all(post.retry_at is None for post in await posts.pending(tx))


async def test_a_state_is_used_up_once_and_ends_by_itself(database: Database) -> None:
    async with database.write() as tx:
        for name in ("one", "two"):
            assert await installations.begin(tx, name, at=NOON, until=NOON + SOON, most=2)
        assert not await installations.begin(tx, "three", at=NOON, until=NOON + SOON, most=2)

    async def use(name: str, at: Any) -> bool:
        async with database.write() as tx:
            return await installations.begun(tx, name, at=at)

    found = await asyncio.gather(*(use("one", NOON) for _ in range(3)))
    assert sorted(found) == [False, False, True]
    assert not await use("two", NOON + SOON)
    async with database.write() as tx:
        assert await installations.begin(tx, "three", at=NOON + SOON, until=NOON + 2 * SOON, most=1)


async def test_one_process_alone_may_renew_a_token(database: Database) -> None:
    await put(database, made(refresh_token="next", expires_at=NOON + SOON))

    async def turn(owner: str, at: Any = NOON) -> Installation | None:
        async with database.write() as tx:
            return await installations.take_turn(
                tx, TEAM, owner=owner, at=at, until=at + SOON, expiring=at + RENEW_BEFORE
            )

    assert await turn("first") is not None
    assert await turn("second") is None
    async with database.write() as tx:
        later: dict[str, Any] = {
            "token": "t2",
            "refresh_token": "r2",
            "expires_at": NOON + timedelta(hours=12),
        }
        assert not await installations.exchanged(tx, TEAM, owner="second", **later)
        assert await installations.exchanged(tx, TEAM, owner="first", **later)
    assert await turn("second") is None  # it is good for long now
    assert await turn("second", NOON + timedelta(hours=11)) is not None
    await put(database, made(token="anew"))
    async with database.write() as tx:
        # Installed anew meanwhile: what the old one was renewed to is worth nothing.
        assert not await installations.exchanged(tx, TEAM, owner="second", **later)


# ── renewing, against an OAuth endpoint that is scripted ─────────────────────────────────────────────────


class ScriptedOAuth(OAuth):
    """Refresh tokens that work once, as Slack's do."""

    def __init__(self, good: str) -> None:
        super().__init__(AsyncWebClient(), client_id="1.2", client_secret="x", scopes=())
        self.good = good
        self.uses = 0
        self.failure: SlackFailure | None = None

    async def renew(self, refresh_token: str) -> Tokens:
        """The next pair, or a refusal."""
        self.uses += 1
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(0.05)
        if refresh_token != self.good:
            raise SlackFailure("oauth.v2.access", "invalid_refresh_token")
        self.good = f"refresh-{self.uses}"
        return Tokens(token=f"token-{self.uses}", refresh_token=self.good, lifetime=timedelta(hours=12))


async def test_many_replicas_renew_a_token_once_and_all_go_on(database: Database) -> None:
    vault, clock, oauth = Vault(new_key()), ManualClock(), ScriptedOAuth("refresh-0")
    sealed = {"token": vault.seal(TEAM, "token-0"), "refresh_token": vault.seal(TEAM, "refresh-0")}
    await put(database, made(**sealed, expires_at=NOON - timedelta(minutes=1)))
    before = await get(database)
    assert before is not None
    replicas = [Renewal(database=database, clock=clock, vault=vault, oauth=oauth) for _ in range(5)]
    found = await asyncio.gather(*(replica.current(before) for replica in replicas))
    assert oauth.uses == 1
    assert {vault.open(TEAM, one.token or "") for one in found} == {"token-1"}


async def test_a_token_near_its_end_is_used_while_it_is_renewed(database: Database) -> None:
    vault, clock, oauth = Vault(new_key()), ManualClock(), ScriptedOAuth("refresh-0")
    sealed = {"token": vault.seal(TEAM, "token-0"), "refresh_token": vault.seal(TEAM, "refresh-0")}
    await put(database, made(**sealed, expires_at=NOON + timedelta(hours=1)))
    before = await get(database)
    assert before is not None
    renewal = Renewal(database=database, clock=clock, vault=vault, oauth=oauth)
    assert await renewal.current(before) is before
    await renewal.stop()
    after = await get(database)
    assert after is not None
    assert vault.open(TEAM, after.token or "") == "token-1"
    assert await renewal.current(after) is after
    assert oauth.uses == 1


async def test_trouble_leaves_the_token_for_the_next_try_and_says_so_once_it_has_ended(
    database: Database,
) -> None:
    vault, clock, oauth = Vault(new_key()), ManualClock(), ScriptedOAuth("refresh-0")
    oauth.failure = SlackFailure("oauth.v2.access", "http_503", outcome_known=False)
    sealed = {"token": vault.seal(TEAM, "token-0"), "refresh_token": vault.seal(TEAM, "refresh-0")}
    await put(database, made(**sealed, expires_at=NOON - SOON))
    before = await get(database)
    assert before is not None
    renewal = Renewal(database=database, clock=clock, vault=vault, oauth=oauth)
    with pytest.raises(TokenNotRenewed):
        await renewal.current(before)
    oauth.failure = None
    found = await renewal.current(before)
    assert vault.open(TEAM, found.token or "") == "token-2"


# ── the real endpoint of the local workspace ─────────────────────────────────────────────────────────────


async def test_no_error_of_an_exchange_has_a_secret_in_it(stage: Stage) -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(base_url=stage.installed.api_url, session=session)
        oauth = OAuth(client, client_id="1.2", client_secret="hush", scopes=["commands"])
        with pytest.raises(SlackFailure) as refused:
            await oauth.exchange("hush-code")
    assert refused.value.code == "invalid_client_id"
    assert "hush" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert not isinstance(refused.value, DeploybotError)
