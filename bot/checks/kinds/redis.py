"""Redis: the connection, the hit ratio, a marker that clearing the cache must remove, queues and workers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from redis import exceptions

from bot.checks import queues
from bot.checks.kind import Context, Duration, Kind, NoData, Params, SecretValue
from bot.checks.redis_session import RedisUrl, connected
from bot.domain.check import Observation, Rules


class RedisParams(Params):
    """Which Redis."""

    url: SecretValue = Field(description="Its URL, redis://user:password@host:6379/0, or rediss:// for TLS.")
    ca_file: str = Field(default="", description="CA certificates the server's is checked against (a path).")


# ── the connection ───────────────────────────────────────────────────────────────────────────────────────


class ConnectionParams(RedisParams):
    """What it must be."""

    role: Literal["master", "replica"] = Field(default="master", description="The role it must have.")


class RedisConnection(Kind[ConnectionParams]):
    """The connection and what a cache must be set to (catalogue A4)."""

    name = "redis"
    about = "Redis answers, in the right role, with a memory limit, an eviction policy and a password."
    params = ConnectionParams
    values: ClassVar[Mapping[str, str]] = {
        "ping": "true",
        "role": "master or replica",
        "version": "e.g. 7.0.15",
        "maxmemory_mb": "limit of memory in MB; 0 is none",
        "used_memory_mb": "memory in use in MB",
        "used_share": "memory in use of the limit, 0 to 1; absent without a limit",
        "policy": "what is evicted at the limit, e.g. allkeys-lru, noeviction",
        "password": "whether it demands a login",
        "tls": "whether the connection is encrypted",
        "link": "on a replica: up or down; absent on a master",
        "replicas": "replicas connected to it",
        "ms": "milliseconds of one PING",
    }

    def defaults(self, params: ConnectionParams) -> Rules:
        """It answers in its role; better with a limit, eviction and a password."""
        return Rules(
            must={"ping": True, "role": params.role},
            fail={"link": "down"},
            warn={"maxmemory_mb": 0, "policy": "noeviction", "password": False},
        )

    async def observe(self, params: ConnectionParams, context: Context) -> Observation:
        """PING, INFO, and a PING without a login."""
        url = RedisUrl(params.url.reveal())
        async with connected(url, context, ca_file=params.ca_file) as client:
            await client.ping()
            began = time.perf_counter()
            await client.ping()
            ms = (time.perf_counter() - began) * 1000
            info = await client.info()
        password = await self._demands_login(url, params, context)
        role = {"slave": "replica"}.get(info["role"], info["role"])
        limit, used = info.get("maxmemory"), info.get("used_memory", 0)
        values: dict[str, Any] = {
            "ping": True,
            "role": role,
            "version": str(info.get("redis_version", "")),
            "used_memory_mb": round(used / 1_048_576, 1),
            "used_share": round(used / limit, 4) if limit else None,
            "password": password,
            "tls": url.scheme == "rediss",
            "link": info.get("master_link_status"),
            "replicas": info.get("connected_slaves", 0),
            "ms": round(ms, 2),
        }
        # Some hosted ones say nothing of their limits: no value, no verdict.
        if limit is not None:
            values["maxmemory_mb"] = round(limit / 1_048_576, 1)
        if "maxmemory_policy" in info:
            values["policy"] = info["maxmemory_policy"]
        size = f"{limit / 1_048_576:.0f} MB" if limit else "no limit"
        return Observation(
            target=url.shown,
            values=values,
            summary=(
                f"Redis {values['version']}, {role}, {size}, {values.get('policy', 'policy unknown')}, "
                f"{'login demanded' if password else 'no login demanded'}, {ms:.1f} ms"
            ),
        )

    @staticmethod
    async def _demands_login(url: RedisUrl, params: ConnectionParams, context: Context) -> bool:
        """Asked without one: a URL with a password proves nothing, a server may accept any."""
        async with connected(url, context, ca_file=params.ca_file, anonymous=True) as stranger:
            try:
                await stranger.ping()
            except (exceptions.AuthenticationError, exceptions.NoPermissionError):
                return True
            except exceptions.ResponseError as error:
                if str(error).startswith(("NOAUTH", "DENIED", "NOPERM")):
                    return True
                raise
            except exceptions.ConnectionError as error:
                # Protected mode answers -DENIED and hangs up.
                if "DENIED" in str(error) or "protected mode" in str(error):
                    return True
                raise
        return False


# ── hit ratio ────────────────────────────────────────────────────────────────────────────────────────────


class HitRatioParams(RedisParams):
    """How long to count."""

    window: Duration = Field(default=30.0, gt=0, le=300, description="How long to count, at most 5 min.")
    min_lookups: int = Field(default=100, ge=1, description="Fewer look-ups than this say nothing.")


class HitRatio(Kind[HitRatioParams]):
    """Look-ups that find something (catalogue M3)."""

    name = "redis.hit_ratio"
    about = "Share of Redis look-ups that hit, over a window."
    params = HitRatioParams
    values: ClassVar[Mapping[str, str]] = {
        "hit_ratio": "hits of look-ups in the window, 0 to 1",
        "lookups": "look-ups in the window",
        "hits": "hits in the window",
        "misses": "misses in the window",
        "evicted": "keys evicted in the window",
    }
    #: It takes its window, so it is not repeated at Go.
    cheap = False
    #: The longest window, and two answers.
    timeout = 330.0

    def defaults(self, params: HitRatioParams) -> Rules:
        """At least half, better four in five."""
        return Rules(fail={"hit_ratio": "< 0.5"}, warn={"hit_ratio": "< 0.8"})

    async def observe(self, params: HitRatioParams, context: Context) -> Observation:
        """The counters, twice."""
        url = RedisUrl(params.url.reveal())
        before = await self._counters(url, params, context)
        await context.sleep(params.window)
        after = await self._counters(url, params, context)
        hits, misses, evicted = (after[name] - before[name] for name in ("hits", "misses", "evicted"))
        lookups = hits + misses
        if after["run"] != before["run"] or hits < 0 or misses < 0:
            raise NoData(f"{url.shown} was restarted or its counters were reset within the window")
        if lookups < params.min_lookups:
            raise NoData(f"{lookups} look-ups in {params.window:g} s, fewer than {params.min_lookups}")
        ratio = hits / lookups
        return Observation(
            target=url.shown,
            values={
                "hit_ratio": round(ratio, 4),
                "lookups": lookups,
                "hits": hits,
                "misses": misses,
                "evicted": evicted,
            },
            summary=f"{ratio:.1%} of {lookups} look-ups hit in {params.window:g} s",
        )

    @staticmethod
    async def _counters(url: RedisUrl, params: HitRatioParams, context: Context) -> dict[str, Any]:
        async with connected(url, context, ca_file=params.ca_file) as client:
            stats, server = await client.info("stats"), await client.info("server")
        return {
            "hits": stats["keyspace_hits"],
            "misses": stats["keyspace_misses"],
            "evicted": stats["evicted_keys"],
            "run": server["run_id"],
        }


# ── a marker that must go ────────────────────────────────────────────────────────────────────────────────


class MarkerParams(RedisParams):
    """What to do with the marker."""

    action: Literal["set", "gone"] = Field(description="set: leave the marker; gone: it must have gone.")
    key: str = Field(
        default="deploybot:marker", min_length=1, description="Key of the marker, where clearing reaches it."
    )
    clearing: str = Field(
        default="deploy", min_length=1, description="Which clearing it is for, e.g. deploy, rollback."
    )


#: Keys a marker consists of: one of them may be evicted by chance, all of them hardly.
COPIES = 8


class RedisMarker(Kind[MarkerParams]):
    """A marker set before the caches are cleared must be gone afterwards (catalogue H6, K4).

    That it was set is witnessed in the server's script cache, which FLUSHALL and FLUSHDB leave alone (Redis
    documentation, "SCRIPT FLUSH", "EVAL"): a marker nobody set is unknown, not gone. A restart of the server
    takes the witness away as well.
    """

    name = "redis.marker"
    about = "Leaves a marker in Redis before the caches are cleared, and makes sure that it has gone."
    params = MarkerParams
    values: ClassVar[Mapping[str, str]] = {
        "remaining": f"copies of the marker that are there, 0 to {COPIES}",
        "was_set": "whether it was set in this deployment",
    }
    cheap = False

    def defaults(self, params: MarkerParams) -> Rules:
        """All there, or all gone."""
        if params.action == "set":
            return Rules(must={"was_set": True})
        return Rules(must={"remaining": 0})

    async def observe(self, params: MarkerParams, context: Context) -> Observation:
        """Set the marker and its witness, or look for both."""
        url = RedisUrl(params.url.reveal())
        keys = [f"{params.key}:{number}" for number in range(COPIES)]
        witness = _witness(params, context)
        async with connected(url, context, ca_file=params.ca_file) as client:
            known = (await client.script_exists(_sha1(witness)))[0]
            if params.action == "set" and not (known and context.started_at):
                await client.mset(dict.fromkeys(keys, context.marker))
                await client.script_load(witness)
                known = True
                said = f"set {params.key}"
            else:
                said = ""
            remaining = int(await client.exists(*keys))
        if not known:
            raise NoData(
                f"the marker {params.key} was not set in this deployment, or the server was restarted: "
                "run the check with `action: set` first"
            )
        if params.action == "set" and not said:
            said = f"{params.key} was set before in this deployment"
        if params.action == "gone":
            said = f"{params.key} is {'still there' if remaining else 'gone'}"
        return Observation(
            target=url.shown,
            values={"remaining": remaining, "was_set": True},
            summary=f"{said} ({remaining} of {COPIES} copies)",
        )


def _witness(params: MarkerParams, context: Context) -> str:
    """A script that does nothing and is different for each deployment, clearing and key."""
    began = context.started_at.isoformat() if context.started_at else ""
    parts = (context.service, context.environment, began, params.clearing, params.key)
    return "return 'deploybot " + " ".join(_quoted(part) for part in parts) + "'"


def _quoted(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in ".:+-_/" else "_" for letter in text)


def _sha1(script: str) -> str:
    # Redis names a cached script by this hash.
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


# ── queues ───────────────────────────────────────────────────────────────────────────────────────────────


class QueueParams(RedisParams):
    """Where the queue, its workers and its beat are found."""

    queues: list[str] = Field(default_factory=list, description="Keys of queues: lists, streams, sets.")
    max_depth: int = Field(default=1000, ge=0, description="Entries in all queues from which on it warns.")
    workers: str = Field(
        default="", description="Key that holds the workers (set, hash, list), or a pattern like worker:*."
    )
    min_workers: int | None = Field(default=None, ge=0, description="Workers there must be at least.")
    missing_is_none: bool = Field(
        default=False, description="A workers' key that is missing means no workers, not a wrong name."
    )
    beat: str = Field(default="", description="Key with the time of the last beat: epoch s or ms, or ISO.")
    beat_every: Duration = Field(default=60.0, gt=0, description="Time between beats.")


class RedisQueue(Kind[QueueParams]):
    """Background work (catalogue E5): queue depth, workers, the scheduler's last beat."""

    name = "redis.queue"
    about = "Queues in Redis: depth, workers, age of the last beat."
    params = QueueParams
    values: ClassVar[Mapping[str, str]] = {
        "depth": "entries in all queues; absent where none are named",
        "workers": "workers registered",
        "beat_age_s": "seconds since the last beat",
        "beat_periods": "that in periods of `beat_every`",
    }

    def defaults(self, params: QueueParams) -> Rules:
        """Enough workers, a beat within two periods, better no more than `max_depth` entries."""
        fail: dict[str, Any] = {}
        if params.min_workers is not None:
            fail["workers"] = f"< {params.min_workers}"
        if params.beat:
            fail["beat_periods"] = "> 2"
        return Rules(fail=fail, warn={"depth": f"> {params.max_depth}"} if params.queues else {})

    def problem(self, params: QueueParams) -> str | None:
        """A queue alone: an empty one is what a wrong name looks like, too."""
        if not params.workers and not params.beat:
            return "name the key of the workers or of the beat: an empty queue alone proves nothing"
        if params.min_workers is not None and not params.workers:
            return "min_workers needs the key of the workers"
        return None

    async def observe(self, params: QueueParams, context: Context) -> Observation:
        """Count, and read the beat."""
        url = RedisUrl(params.url.reveal())
        values: dict[str, Any] = {"depth": None}
        said: list[str] = []
        lines: list[str] = []
        async with connected(url, context, ca_file=params.ca_file) as client:
            if params.queues:
                depths = {queue: await queues.size(client, queue) for queue in params.queues}
                values["depth"] = sum(depth or 0 for depth in depths.values())
                said.append(f"{values['depth']} queued")
                lines = [
                    f"{queue}: {'no such key (empty)' if depth is None else depth}"
                    for queue, depth in depths.items()
                ]
            if params.workers:
                workers = await queues.workers(client, params.workers)
                if workers is not None:
                    values["workers"] = workers
                elif params.missing_is_none or params.min_workers:
                    values["workers"] = 0
                known = values.get("workers")
                said.append(f"no key {params.workers}" if known is None else f"{known} workers")
            if params.beat:
                age = await queues.beat_age(client, params.beat, context.now())
                if age is None:
                    said.append(f"no beat at {params.beat}")
                else:
                    values |= {"beat_age_s": round(age, 1), "beat_periods": round(age / params.beat_every, 2)}
                    said.append(f"last beat {age:.0f} s ago")
        return Observation(target=url.shown, values=values, summary=", ".join(said), excerpt="\n".join(lines))


KINDS = (RedisConnection(), HitRatio(), RedisMarker(), RedisQueue())
