"""App Homes that are kept up to date, and cards that are pinned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0006"

#: Microseconds since 1970, UTC.
INSTANT = sa.BigInteger()


def upgrade() -> None:
    """Make room for them."""
    op.create_table(
        "homes",
        sa.Column("team", sa.String(32), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.String(64), nullable=False),
        sa.Column("alarms", sa.Text(), nullable=False),
        sa.Column("shown_at", INSTANT),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", INSTANT),
        sa.CheckConstraint("shown <= wanted", name="ck_homes_shown_wanted"),
        sa.PrimaryKeyConstraint("team", "user", name="pk_homes"),
    )
    op.create_index("ix_homes_opened_at", "homes", ["opened_at"])
    op.create_table(
        "pins",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", INSTANT),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_pins_deployment_id"),
        sa.PrimaryKeyConstraint("deployment_id", name="pk_pins"),
    )
    op.create_index(
        "ix_pins_state",
        "pins",
        ["state"],
        sqlite_where=sa.text("state IN ('adding', 'pinned')"),
        postgresql_where=sa.text("state IN ('adding', 'pinned')"),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("pins")
    op.drop_table("homes")
