"""Locks, the queue, and direct messages that belong to no deployment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

#: Microseconds since 1970, UTC.
INSTANT = sa.BigInteger()


def upgrade() -> None:
    """Make room for what keeps people from deploying, and for those who wait."""
    op.create_table(
        "locks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("team", sa.String(32), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("by", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("until", INSTANT),
        sa.Column("released_at", INSTANT),
        sa.Column("released_by", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_locks"),
        sqlite_autoincrement=True,
    )
    _unique(
        "uq_locks_active", "locks", ["team", _lower("service"), _lower("environment")], "released_at IS NULL"
    )
    op.create_index(
        "ix_locks_until",
        "locks",
        ["until"],
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.create_table(
        "queue",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("team", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("checklist", sa.String(128), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("pinged_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_queue"),
        sqlite_autoincrement=True,
    )
    live = "state IN ('waiting', 'pinged')"
    _unique("uq_queue_person", "queue", ["team", _lower("service"), _lower("environment"), "user"], live)
    _unique("uq_queue_turn", "queue", ["team", _lower("service"), _lower("environment")], "state = 'pinged'")
    op.create_table(
        "pings",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("team", sa.String(32), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("about", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(32)),
        sa.Column("ts", sa.String(32)),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.Column("wanted_at", INSTANT, nullable=False),
        sa.Column("attempted_at", INSTANT),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", INSTANT),
        sa.Column("problem", sa.Text()),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_pings"),
        sa.UniqueConstraint("uid", name="uq_pings_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_pings_due",
        "pings",
        ["wanted_at"],
        sqlite_where=sa.text("wanted > shown"),
        postgresql_where=sa.text("wanted > shown"),
    )
    op.create_index("ix_pings_kind_about", "pings", ["kind", "about"])


def downgrade() -> None:
    """Undo it."""
    op.drop_table("pings")
    op.drop_table("queue")
    op.drop_table("locks")


def _lower(column: str) -> sa.TextClause:
    return sa.text(f"lower({column})")


def _unique(name: str, table: str, columns: list[str | sa.TextClause], where: str) -> None:
    op.create_index(
        name, table, columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
