"""The tables. `migrations/` must add up to exactly these, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from bot.domain.events import micros

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """An instant as microseconds since 1970 in UTC: exact, and the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts up only in a column typed INTEGER; ids stay small enough for both.
_ID = Integer

#: The current state of each deployment: a projection of its events.
deployments = Table(
    "deployments",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("team", String(32), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("service", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("environment", String(64), nullable=False),
    Column("checklist_name", String(128), nullable=False),
    Column("lead", String(32), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("phase", String(16), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("ended_by", String(32)),
    Column("reason", Text),
    Column("run", Text),
    Column("go_by", String(32)),
    Column("go_at", Instant),
    Column("go_seq", Integer),
    Column("aftermath", Text),
    Column("care", Text),
    Column("deployed_at", Instant),
    Column("seq", Integer, nullable=False),
    Column("head", String(64), nullable=False),
    UniqueConstraint("team", "name"),
    Index(
        "uq_deployments_open",
        "team",
        text("lower(service)"),
        text("lower(environment)"),
        unique=True,
        sqlite_where=text("phase = 'in_progress'"),
        postgresql_where=text("phase = 'in_progress'"),
    ),
    Index("ix_deployments_channel_phase", "channel", "phase"),
    sqlite_autoincrement=True,
)

#: The facts, append-only; everything else about a deployment can be made again from them.
events = Table(
    "events",
    metadata,
    Column("deployment_id", _ID, ForeignKey("deployments.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(32), nullable=False),
    Column("kind", String(48), nullable=False),
    Column("data", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

#: The items that are ticked: a projection.
ticks = Table(
    "ticks",
    metadata,
    Column("deployment_id", _ID, ForeignKey("deployments.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("by", String(32), nullable=False),
    Column("at", Instant, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("before", Text, nullable=False),
    Column("reason", Text),
    Column("evidence", Integer),
)

#: The newest result of each item's checks: a projection; the evidence stays in the events.
results = Table(
    "results",
    metadata,
    Column("deployment_id", _ID, ForeignKey("deployments.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("outcome", String(16), nullable=False),
    Column("said", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("ms", Float, nullable=False),
    Column("facts", Text, nullable=False),
)

#: Which process is running a deployment's checks, so that no two do.
run_leases = Table(
    "run_leases",
    metadata,
    Column("deployment_id", _ID, ForeignKey("deployments.id"), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", Instant, nullable=False),
)

#: The watches under way: what the sampler works through. What follows from samples is in the events.
watches = Table(
    "watches",
    metadata,
    Column("deployment_id", _ID, ForeignKey("deployments.id"), primary_key=True),
    #: The next regular look, and the next of any sort.
    Column("grid_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    #: Whether the deploy was seen, and the baseline taken.
    Column("begun", Boolean, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("leased_by", String(64)),
    Column("leased_until", Instant),
    Index(
        "ix_watches_next_at", "next_at", sqlite_where=text("NOT ended"), postgresql_where=text("NOT ended")
    ),
)

#: What was measured, before the deploy (`at` below `deployed_at`) and after it.
samples = Table(
    "samples",
    metadata,
    Column("deployment_id", _ID, ForeignKey("deployments.id"), primary_key=True),
    Column("signal", String(64), primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("value", Float),
    Column("count", BigInteger),
    #: Why there is no value; for findings, what was found.
    Column("said", Text),
)

#: What people are to be reminded of, and when.
reminders = Table(
    "reminders",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("deployment_id", _ID, ForeignKey("deployments.id"), nullable=False),
    #: `plan` (from the sidecar), `person` (somebody asked), `review` (somebody scheduled it),
    #: `former` (planned for a deploy that was taken back).
    Column("origin", String(16), nullable=False),
    #: Unique in the deployment: the same reminder is added once.
    Column("key", String(128), nullable=False),
    #: Positions of the items it is about, and words.
    Column("items", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("due_at", Instant, nullable=False),
    #: `waiting`, `sent`, `done`, `not_needed`, `dropped`.
    Column("state", String(16), nullable=False),
    #: How far it has escalated: 0 the thread, 1 the lead's direct messages, 2 the group.
    Column("level", Integer, nullable=False),
    #: How often it was snoozed.
    Column("round", Integer, nullable=False),
    #: When it is to be sent or escalated next.
    Column("next_at", Instant),
    #: When it was last sent to the thread.
    Column("sent_at", Instant),
    #: Who it is for besides the lead, and who settled or snoozed it.
    Column("for_user", String(32)),
    Column("settled_by", String(32)),
    Column("settled_at", Instant),
    #: The process that is sending it.
    Column("leased_by", String(64)),
    Column("leased_until", Instant),
    UniqueConstraint("deployment_id", "key"),
    Index(
        "ix_reminders_next_at",
        "next_at",
        sqlite_where=text("next_at IS NOT NULL"),
        postgresql_where=text("next_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

#: Every selection received, so that a click counts once and stale screens are read right.
clicks = Table(
    "clicks",
    metadata,
    Column("drawing", String(255), primary_key=True),
    Column("user", String(32), primary_key=True),
    Column("action_ts", BigInteger, primary_key=True),
    Column("deployment_id", _ID, ForeignKey("deployments.id"), nullable=False),
    Column("selected", Text, nullable=False),
    Column("acts", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Index("ix_clicks_received_at", "received_at"),
)

#: Messages the bot owns.
posts = Table(
    "posts",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("uid", String(32), nullable=False, unique=True),
    Column("deployment_id", _ID, ForeignKey("deployments.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("key", String(128), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("place", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("ts", String(32)),
    Column("thread_ts", String(32)),
    Column("wanted", Integer, nullable=False),
    Column("shown", Integer, nullable=False),
    Column("first_wanted_at", Instant, nullable=False),
    Column("last_wanted_at", Instant, nullable=False),
    Column("shown_at", Instant),
    Column("attempted_at", Instant),
    Column("leased_by", String(64)),
    Column("leased_until", Instant),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Instant),
    Column("problem", Text),
    UniqueConstraint("deployment_id", "kind", "key"),
    Index("ix_posts_channel_ts", "channel", "ts"),
    Index("ix_posts_channel_thread_ts", "channel", "thread_ts"),
    CheckConstraint("shown <= wanted", name="shown_wanted"),
    Index(
        "ix_posts_due",
        "place",
        sqlite_where=text("wanted > shown"),
        postgresql_where=text("wanted > shown"),
    ),
    sqlite_autoincrement=True,
)

#: People's App Homes: what each should show by now, and what it shows.
homes = Table(
    "homes",
    metadata,
    Column("team", String(32), primary_key=True),
    Column("user", String(32), primary_key=True),
    Column("opened_at", Instant, nullable=False),
    #: How often it was asked for, and how many of these it answers.
    Column("wanted", Integer, nullable=False),
    Column("shown", Integer, nullable=False),
    #: The state of the workspace's deployments it shows, and the alerts.
    Column("stamp", String(64), nullable=False),
    Column("alarms", Text, nullable=False),
    Column("shown_at", Instant),
    Column("leased_by", String(64)),
    Column("leased_until", Instant),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Instant),
    CheckConstraint("shown <= wanted", name="shown_wanted"),
    Index("ix_homes_opened_at", "opened_at"),
)

#: Cards that are pinned in their channels, or are about to be, or were.
pins = Table(
    "pins",
    metadata,
    Column("deployment_id", _ID, ForeignKey("deployments.id"), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("leased_by", String(64)),
    Column("leased_until", Instant),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Instant),
    Index(
        "ix_pins_state",
        "state",
        sqlite_where=text("state IN ('adding', 'pinned')"),
        postgresql_where=text("state IN ('adding', 'pinned')"),
    ),
)

#: What somebody keeps from being deployed; an empty environment stands for all of them.
locks = Table(
    "locks",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("team", String(32), nullable=False),
    Column("service", String(64), nullable=False),
    Column("environment", String(64), nullable=False),
    Column("by", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    #: Empty: until somebody unlocks it.
    Column("until", Instant),
    Column("released_at", Instant),
    Column("released_by", String(32)),
    Index(
        "uq_locks_active",
        "team",
        text("lower(service)"),
        text("lower(environment)"),
        unique=True,
        sqlite_where=text("released_at IS NULL"),
        postgresql_where=text("released_at IS NULL"),
    ),
    Index(
        "ix_locks_until",
        "until",
        sqlite_where=text("released_at IS NULL"),
        postgresql_where=text("released_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

#: Who waits to deploy what; the order is that of the ids.
queue = Table(
    "queue",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("team", String(32), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("service", String(64), nullable=False),
    Column("environment", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("checklist", String(128), nullable=False),
    Column("user", String(32), nullable=False),
    Column("at", Instant, nullable=False),
    #: `waiting`, `pinged` (it is their turn), `started`, `left`, `expired`.
    Column("state", String(16), nullable=False),
    Column("pinged_at", Instant),
    #: Nobody waits for the same twice, and there is one turn at a time, whatever replicas do.
    Index(
        "uq_queue_person",
        "team",
        text("lower(service)"),
        text("lower(environment)"),
        "user",
        unique=True,
        sqlite_where=text("state IN ('waiting', 'pinged')"),
        postgresql_where=text("state IN ('waiting', 'pinged')"),
    ),
    Index(
        "uq_queue_turn",
        "team",
        text("lower(service)"),
        text("lower(environment)"),
        unique=True,
        sqlite_where=text("state = 'pinged'"),
        postgresql_where=text("state = 'pinged'"),
    ),
    sqlite_autoincrement=True,
)

#: Direct messages that belong to no deployment: that it is somebody's turn, that somebody unlocked.
pings = Table(
    "pings",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    #: Travels in the message's metadata, so that one with an unknown outcome can be found.
    Column("uid", String(32), nullable=False, unique=True),
    Column("team", String(32), nullable=False),
    Column("user", String(32), nullable=False),
    #: `turn` (about a place in the queue) or `unlocked` (about a lock).
    Column("kind", String(16), nullable=False),
    Column("about", Integer, nullable=False),
    Column("content", Text, nullable=False),
    #: The direct conversation and the message, once sent.
    Column("channel", String(32)),
    Column("ts", String(32)),
    Column("wanted", Integer, nullable=False),
    Column("shown", Integer, nullable=False),
    Column("wanted_at", Instant, nullable=False),
    #: When a first post was tried whose outcome is not known.
    Column("attempted_at", Instant),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Instant),
    Column("problem", Text),
    Column("leased_by", String(64)),
    Column("leased_until", Instant),
    Index(
        "ix_pings_due",
        "wanted_at",
        sqlite_where=text("wanted > shown"),
        postgresql_where=text("wanted > shown"),
    ),
    Index("ix_pings_kind_about", "kind", "about"),
    sqlite_autoincrement=True,
)

#: Slack deliveries that had an effect: the same one again has none.
deliveries = Table(
    "deliveries",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("deployment_id", _ID, ForeignKey("deployments.id")),
    Index("ix_deliveries_received_at", "received_at"),
)

#: Requests of other systems that named themselves: the same one again gets the same answer.
hook_requests = Table(
    "hook_requests",
    metadata,
    #: What was asked (`deployments`, `github`) and the request's own key.
    Column("key", String(300), primary_key=True),
    #: SHA-256 of the body, in hex.
    Column("digest", String(64), nullable=False),
    #: The HTTP status and the JSON answered; empty while it is being answered.
    Column("status", Integer),
    Column("answer", Text),
    Column("at", Instant, nullable=False),
    Index("ix_hook_requests_at", "at"),
)

#: Deployments of GitHub that belong to one of ours.
github_deployments = Table(
    "github_deployments",
    metadata,
    #: OWNER/NAME in lower case, and GitHub's id of the deployment.
    Column("repository", String(140), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("deployment_id", _ID, ForeignKey("deployments.id"), nullable=False),
    Column("linked_at", Instant, nullable=False),
    Index("ix_github_deployments_deployment_id", "deployment_id"),
)

#: What other systems are to be told: written with the facts, sent afterwards.
outbound = Table(
    "outbound",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    #: The same with every attempt, so that receivers can tell what they have seen.
    Column("uid", String(64), nullable=False),
    Column("deployment_id", _ID, ForeignKey("deployments.id"), nullable=False),
    #: The event it tells of.
    Column("seq", Integer, nullable=False),
    #: `webhook:` and a digest of the address, or `github:OWNER/NAME/ID`.
    Column("target", String(200), nullable=False),
    Column("kind", String(48), nullable=False),
    #: JSON; complete once the first attempt has begun.
    Column("body", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    #: `waiting`, `sent`, `given_up`.
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("problem", Text),
    Column("leased_by", String(64)),
    Column("leased_until", Instant),
    UniqueConstraint("deployment_id", "seq", "target"),
    Index(
        "ix_outbound_next_at",
        "next_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    sqlite_autoincrement=True,
)

#: The workspaces the bot was added to by OAuth; their tokens are encrypted.
installations = Table(
    "installations",
    metadata,
    Column("team", String(32), primary_key=True),
    Column("name", String(255), nullable=False),
    #: Where the workspace is, for links to its messages.
    Column("url", String(255), nullable=False),
    Column("app", String(32), nullable=False),
    Column("bot_user", String(32), nullable=False),
    Column("bot_id", String(32), nullable=False),
    #: The bot's handle there.
    Column("handle", String(255), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("installer", String(32), nullable=False),
    Column("installed_at", Instant, nullable=False),
    #: Encrypted; gone once it was uninstalled. Those of tokens that expire are exchanged before they do.
    Column("token", Text),
    Column("refresh_token", Text),
    Column("expires_at", Instant),
    #: When the workspace took the app away.
    Column("revoked_at", Instant),
    #: The process that is exchanging the token.
    Column("leased_by", String(64)),
    Column("leased_until", Instant),
)

#: Installations that somebody has begun: what Slack must send back, hashed, once and in time.
oauth_states = Table(
    "oauth_states",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("expires_at", Instant, nullable=False),
    Index("ix_oauth_states_expires_at", "expires_at"),
)
