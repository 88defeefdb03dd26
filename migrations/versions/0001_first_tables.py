"""Deployments, their events, ticks, clicks, posts and deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

#: Microseconds since 1970, UTC.
INSTANT = sa.BigInteger()


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "deployments",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("team", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("checklist_name", sa.String(128), nullable=False),
        sa.Column("lead", sa.String(32), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.Column("ended_by", sa.String(32)),
        sa.Column("reason", sa.Text()),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
        sa.UniqueConstraint("team", "name", name="uq_deployments_team_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_deployments_open",
        "deployments",
        ["team", sa.text("lower(service)"), sa.text("lower(environment)")],
        unique=True,
        sqlite_where=sa.text("phase = 'in_progress'"),
        postgresql_where=sa.text("phase = 'in_progress'"),
    )
    op.create_index("ix_deployments_channel_phase", "deployments", ["channel", "phase"])
    op.create_table(
        "events",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(48), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", "seq", name="pk_events"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_events_deployment_id"),
    )
    op.create_table(
        "ticks",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(32), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", "position", name="pk_ticks"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_ticks_deployment_id"),
    )
    op.create_table(
        "clicks",
        sa.Column("drawing", sa.String(255), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("action_ts", sa.BigInteger(), nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("selected", sa.Text(), nullable=False),
        sa.Column("acts", sa.Text(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("drawing", "user", "action_ts", name="pk_clicks"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_clicks_deployment_id"),
    )
    op.create_index("ix_clicks_received_at", "clicks", ["received_at"])
    op.create_table(
        "posts",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("ts", sa.String(32)),
        sa.Column("thread_ts", sa.String(32)),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.Column("first_wanted_at", INSTANT, nullable=False),
        sa.Column("last_wanted_at", INSTANT, nullable=False),
        sa.Column("shown_at", INSTANT),
        sa.Column("attempted_at", INSTANT),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", INSTANT),
        sa.Column("problem", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_posts"),
        sa.UniqueConstraint("uid", name="uq_posts_uid"),
        sa.UniqueConstraint("deployment_id", "kind", "key", name="uq_posts_deployment_id_kind_key"),
        sa.CheckConstraint("shown <= wanted", name="ck_posts_shown_wanted"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_posts_deployment_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_posts_channel_ts", "posts", ["channel", "ts"])
    op.create_index("ix_posts_channel_thread_ts", "posts", ["channel", "thread_ts"])
    op.create_index(
        "ix_posts_due",
        "posts",
        ["place"],
        sqlite_where=sa.text("wanted > shown"),
        postgresql_where=sa.text("wanted > shown"),
    )
    op.create_table(
        "deliveries",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("deployment_id", sa.Integer()),
        sa.PrimaryKeyConstraint("key", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_deliveries_deployment_id"),
    )
    op.create_index("ix_deliveries_received_at", "deliveries", ["received_at"])


def downgrade() -> None:
    """Drop them."""
    for table in ("deliveries", "posts", "clicks", "ticks", "events", "deployments"):
        op.drop_table(table)
