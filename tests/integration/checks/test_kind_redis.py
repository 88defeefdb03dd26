"""Redis: the connection, the hit ratio, the marker, queues - on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.servers.postgres import throw_away_ca
from tests.servers.redis import RedisServer, redis_server

#: As a cache in production is set up.
CACHE = ("--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru", "--requirepass", "correct-horse")
BEGAN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def cache() -> Iterator[RedisServer]:
    with redis_server(*CACHE) as server:
        yield server


@pytest.fixture(scope="module")
def bare() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def client(bare: RedisServer) -> AsyncIterator[Any]:
    client = Redis(port=bare.port, decode_responses=True)
    await client.flushall()
    yield client
    await client.aclose()


async def connection(url: Secret, **more: Any) -> Evidence:
    params = {"url": url, **more.pop("params", {})}
    return await examine("redis", params, **more)


# ── the connection ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_cache_set_up_for_production_passes(cache: RedisServer) -> None:
    seen = await connection(cache.url(password="correct-horse"))
    assert seen.outcome is Outcome.PASS, seen.reason
    assert (seen.values["maxmemory_mb"], seen.values["policy"]) == (32, "allkeys-lru")
    assert seen.values["password"] is True


async def test_a_server_without_limit_eviction_and_password_warns(bare: RedisServer) -> None:
    seen = await connection(bare.url())
    assert seen.outcome is Outcome.WARN
    for name in ("maxmemory_mb is 0", "policy is noeviction", "password is no"):
        assert name in seen.reason


async def test_a_password_the_server_does_not_demand_is_no_password(bare: RedisServer) -> None:
    """False green: the URL has a password, and the server lets anybody in."""
    seen = await connection(bare.url(user="default", password="whatever"))
    assert seen.outcome is Outcome.WARN
    assert seen.values["password"] is False


async def test_the_wrong_role_fails(cache: RedisServer) -> None:
    seen = await connection(cache.url(password="correct-horse"), params={"role": "replica"})
    assert seen.outcome is Outcome.FAIL
    assert "role is master, not replica" in seen.reason


async def test_a_replica_without_its_master_fails() -> None:
    with redis_server("--replicaof", "127.0.0.1", str(free_port())) as replica:
        seen = await connection(replica.url(), params={"role": "replica"})
        assert seen.outcome is Outcome.FAIL
        assert "link is down" in seen.reason
    with redis_server() as master, redis_server("--replicaof", "127.0.0.1", str(master.port)) as replica:
        for _ in range(200):
            seen = await connection(replica.url(), params={"role": "replica"})
            if seen.outcome is Outcome.WARN:
                break
            await asyncio.sleep(0.05)
        assert seen.values["link"] == "up"


@pytest.mark.parametrize("password", ["", "wrong-horse"])
async def test_a_refused_login_is_unknown_and_quotes_no_password(cache: RedisServer, password: str) -> None:
    seen = await connection(cache.url(password=password))
    assert seen.outcome is Outcome.UNKNOWN, seen
    assert "horse" not in repr(seen)


async def test_a_role_that_may_not_ask_is_unknown(bare: RedisServer, client: Any) -> None:
    await client.acl_setuser("shy", enabled=True, passwords=["+pw1234"], commands=["+ping"], keys="*")
    seen = await connection(bare.url(user="shy", password="pw1234"))
    assert seen.outcome is Outcome.UNKNOWN
    assert "shy has no permission" in seen.reason


async def test_nothing_listening_fails_and_a_host_out_of_bounds_is_an_error(cache: RedisServer) -> None:
    seen = await connection(Secret("cache", f"redis://localhost:{free_port()}"))
    assert (seen.outcome, "nothing listens" in seen.reason) == (Outcome.FAIL, True)
    seen = await connection(cache.url(), context=make_context(allow=["cache.internal"]))
    assert (seen.outcome, "allowed hosts" in seen.reason) == (Outcome.ERROR, True)


@pytest.mark.parametrize(
    "url", ["unix:///run/redis.sock", "localhost:6379", "redis://", "redis://h:x/0", "redis://h/db"]
)
async def test_a_url_that_is_none_is_an_error(url: str) -> None:
    assert (await connection(Secret("cache", url))).outcome is Outcome.ERROR


async def test_tls_is_verified_by_the_name_in_the_url(tmp_path: Path) -> None:
    ca, certificate, key = throw_away_ca(tmp_path, "localhost")
    with redis_server(*CACHE, tls=(certificate, key)) as server:
        context = make_context(root=tmp_path)
        url = server.url(password="correct-horse", scheme="rediss")
        seen = await connection(url, params={"ca_file": ca.name}, context=context)
        assert (seen.outcome, seen.values["tls"]) == (Outcome.PASS, True)
        unknown_ca = await connection(url)
        assert (unknown_ca.outcome, "certificate is not accepted" in unknown_ca.reason) == (
            Outcome.FAIL,
            True,
        )
        by_address = Secret("cache", f"rediss://:correct-horse@127.0.0.1:{server.port}/0")
        seen = await connection(by_address, params={"ca_file": ca.name}, context=context)
        assert (seen.outcome, "certificate is not accepted" in seen.reason) == (Outcome.FAIL, True)
        missing = await connection(url, params={"ca_file": "no.pem"}, context=context)
        assert missing.outcome is Outcome.ERROR


# ── hit ratio ────────────────────────────────────────────────────────────────────────────────────────────


async def ratio(server: RedisServer, lookups: Any, **params: Any) -> Evidence:
    """Examine while look-ups are made: they start with the window."""

    async def sleep(_: float) -> None:
        await lookups()

    context = replace(make_context(), sleep=sleep)
    return await examine("redis.hit_ratio", {"url": server.url(), **params}, context=context)


def asking(client: Any, *, hits: int, misses: int) -> Any:
    async def lookups() -> None:
        await client.set("there", "1")
        for _ in range(hits):
            await client.get("there")
        for _ in range(misses):
            await client.get("not-there")

    return lookups


@pytest.mark.parametrize(
    ("hits", "misses", "outcome"),
    [(90, 10, Outcome.PASS), (70, 30, Outcome.WARN), (40, 60, Outcome.FAIL), (90, 9, Outcome.UNKNOWN)],
)
async def test_the_hit_ratio_of_the_window_is_judged(
    bare: RedisServer, client: Any, hits: int, misses: int, outcome: Outcome
) -> None:
    await client.get("a-miss-before-the-window")
    seen = await ratio(bare, asking(client, hits=hits, misses=misses))
    assert seen.outcome is outcome, seen.reason
    if outcome is not Outcome.UNKNOWN:
        assert seen.values["hit_ratio"] == hits / 100


async def test_counters_that_were_reset_are_unknown(bare: RedisServer, client: Any) -> None:
    await asking(client, hits=500, misses=0)()

    async def reset() -> None:
        await client.config_resetstat()
        await asking(client, hits=100, misses=0)()

    assert (await ratio(bare, reset)).outcome is Outcome.UNKNOWN


async def test_without_a_server_there_is_no_ratio() -> None:
    url = Secret("cache", f"redis://localhost:{free_port()}")
    assert (await examine("redis.hit_ratio", {"url": url, "window": "10ms"})).outcome is Outcome.FAIL
    seen = await examine("redis.hit_ratio", {"url": Secret("cache", "http://localhost"), "window": "10ms"})
    assert seen.outcome is Outcome.ERROR


# ── the marker ───────────────────────────────────────────────────────────────────────────────────────────


async def marker(
    server: RedisServer, action: str, *, began: datetime | None = BEGAN, **params: Any
) -> Evidence:
    context = make_context(started_at=began)
    return await examine("redis.marker", {"url": server.url(), "action": action, **params}, context=context)


@pytest.mark.parametrize("clear", ["flushall", "flushdb"])
async def test_a_marker_that_was_cleared_passes(bare: RedisServer, client: Any, clear: str) -> None:
    key = f"cache:{clear}"
    assert (await marker(bare, "set", key=key)).outcome is Outcome.PASS
    still = await marker(bare, "gone", key=key)
    assert (still.outcome, still.values["remaining"]) == (Outcome.FAIL, 8)
    await getattr(client, clear)()
    assert (await marker(bare, "gone", key=key)).outcome is Outcome.PASS


async def test_a_marker_nobody_set_is_unknown(bare: RedisServer, client: Any) -> None:
    """False green: what was never there looks cleared."""
    seen = await marker(bare, "gone", key="never")
    assert seen.outcome is Outcome.UNKNOWN
    assert "was not set" in seen.reason


async def test_a_marker_of_another_deployment_or_clearing_does_not_count(
    bare: RedisServer, client: Any
) -> None:
    await marker(bare, "set", key="mine")
    await client.flushall()
    assert (await marker(bare, "gone", key="mine")).outcome is Outcome.PASS
    later = await marker(bare, "gone", key="mine", began=BEGAN + timedelta(days=1))
    assert later.outcome is Outcome.UNKNOWN
    assert (await marker(bare, "gone", key="mine", clearing="rollback")).outcome is Outcome.UNKNOWN


async def test_setting_it_again_after_the_clearing_changes_nothing(bare: RedisServer, client: Any) -> None:
    """False alarm: all checks are run again before Go, the setting one among them."""
    await marker(bare, "set", key="again")
    await client.flushall()
    assert (await marker(bare, "set", key="again")).outcome is Outcome.PASS
    assert (await marker(bare, "gone", key="again")).outcome is Outcome.PASS


async def test_a_restarted_server_leaves_it_unknown() -> None:
    with redis_server() as first:
        await marker(first, "set")
        first.stop()
        with redis_server() as second:
            assert (await marker(second, "gone")).outcome is Outcome.UNKNOWN
        assert (await marker(first, "gone")).outcome is Outcome.FAIL


async def test_half_cleared_is_not_cleared(bare: RedisServer, client: Any) -> None:
    await marker(bare, "set", key="half")
    await client.delete("half:0", "half:1")
    seen = await marker(bare, "gone", key="half")
    assert (seen.outcome, seen.values["remaining"]) == (Outcome.FAIL, 6)


async def test_a_marker_needs_a_url() -> None:
    seen = await examine("redis.marker", {"url": Secret("cache", "nonsense"), "action": "set"})
    assert seen.outcome is Outcome.ERROR


# ── queues ───────────────────────────────────────────────────────────────────────────────────────────────


async def queue(server: RedisServer, **params: Any) -> Evidence:
    rules = {name: params.pop(name) for name in ("expect", "fail", "warn") if name in params}
    return await examine("redis.queue", {"url": server.url(), **params}, **rules)


async def test_workers_a_short_queue_and_a_fresh_beat_pass(bare: RedisServer, client: Any) -> None:
    await client.rpush("jobs", "a", "b")
    await client.xadd("events", {"n": 1})
    await client.sadd("rq:workers", "one", "two")
    for beat in (
        datetime.now(UTC).isoformat(),
        str(datetime.now(UTC).timestamp()),
        str(int(datetime.now(UTC).timestamp() * 1000)),
    ):
        await client.set("beat", beat)
        seen = await queue(
            bare, queues=["jobs", "events", "empty"], workers="rq:workers", min_workers=2, beat="beat"
        )
        assert seen.outcome is Outcome.PASS, seen.reason
    assert (seen.values["depth"], seen.values["workers"]) == (3, 2)
    assert "empty: no such key" in seen.excerpt


async def test_a_long_queue_warns(bare: RedisServer, client: Any) -> None:
    await client.rpush("jobs", *range(20))
    await client.zadd("workers", {"one": 1})
    seen = await queue(bare, queues=["jobs"], workers="workers", min_workers=1, max_depth=10)
    assert seen.outcome is Outcome.WARN


async def test_too_few_workers_fail(bare: RedisServer, client: Any) -> None:
    await client.set("worker:1", "x")
    assert (await queue(bare, workers="worker:*", min_workers=2)).outcome is Outcome.FAIL
    assert (await queue(bare, workers="worker:*", min_workers=1)).outcome is Outcome.PASS
    gone = await queue(bare, workers="rq:workers", min_workers=1)
    assert (gone.outcome, gone.values["workers"]) == (Outcome.FAIL, 0)


async def test_no_workers_are_not_read_from_a_misspelt_key(bare: RedisServer, client: Any) -> None:
    """False green: workers are to be scaled down to none, and the key's name is wrong."""
    seen = await queue(bare, workers="rq:wrokers", expect={"workers": 0})
    assert seen.outcome is Outcome.UNKNOWN
    assert "no key rq:wrokers" in seen.observed
    seen = await queue(bare, workers="rq:workers", missing_is_none=True, expect={"workers": 0})
    assert seen.outcome is Outcome.PASS
    await client.sadd("rq:workers", "one")
    seen = await queue(bare, workers="rq:workers", missing_is_none=True, expect={"workers": 0})
    assert seen.outcome is Outcome.FAIL


async def test_an_old_beat_fails(bare: RedisServer, client: Any) -> None:
    await client.set("beat", str(datetime.now(UTC).timestamp() - 130))
    seen = await queue(bare, beat="beat", beat_every="1m")
    assert (seen.outcome, "beat_periods is 2.1" in seen.reason) == (Outcome.FAIL, True)
    assert (await queue(bare, beat="beat", beat_every="5m")).outcome is Outcome.PASS


@pytest.mark.parametrize("beat", [None, "soon", str(datetime(2090, 1, 1).timestamp())])
async def test_a_beat_that_is_none_is_unknown(bare: RedisServer, client: Any, beat: str | None) -> None:
    if beat is not None:
        await client.set("beat", beat)
    assert (await queue(bare, beat="beat")).outcome is Outcome.UNKNOWN


async def test_a_value_is_no_queue(bare: RedisServer, client: Any) -> None:
    await client.set("jobs", "1")
    await client.rpush("beat", "1")
    assert (await queue(bare, queues=["jobs"], workers="w", min_workers=1)).outcome is Outcome.UNKNOWN
    assert (await queue(bare, beat="beat")).outcome is Outcome.UNKNOWN


async def test_a_queue_alone_asserts_nothing() -> None:
    with pytest.raises(AssertionError, match="proves nothing"):
        await examine("redis.queue", {"url": Secret("cache", "redis://localhost"), "queues": ["jobs"]})


async def test_a_queue_without_a_server_fails_and_without_a_url_is_an_error() -> None:
    url = Secret("cache", f"redis://localhost:{free_port()}")
    params = {"workers": "w", "min_workers": 1}
    assert (await examine("redis.queue", {"url": url, **params})).outcome is Outcome.FAIL
    broken = await examine("redis.queue", {"url": Secret("cache", "amqp://localhost"), **params})
    assert broken.outcome is Outcome.ERROR
