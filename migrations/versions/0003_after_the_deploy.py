"""The time after the deploy: watches, samples, rollback triggers, the rollback, reminders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

#: Microseconds since 1970, UTC.
INSTANT = sa.BigInteger()


def upgrade() -> None:
    """Make room for what is watched and remembered."""
    op.add_column("deployments", sa.Column("aftermath", sa.Text()))
    op.add_column("deployments", sa.Column("deployed_at", INSTANT))
    op.create_table(
        "watches",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("grid_at", INSTANT, nullable=False),
        sa.Column("next_at", INSTANT, nullable=False),
        sa.Column("begun", sa.Boolean(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_watches_deployment_id"),
        sa.PrimaryKeyConstraint("deployment_id", name="pk_watches"),
    )
    op.create_index(
        "ix_watches_next_at",
        "watches",
        ["next_at"],
        sqlite_where=sa.text("NOT ended"),
        postgresql_where=sa.text("NOT ended"),
    )
    op.create_table(
        "samples",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("signal", sa.String(64), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("value", sa.Float()),
        sa.Column("count", sa.BigInteger()),
        sa.Column("said", sa.Text()),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_samples_deployment_id"),
        sa.PrimaryKeyConstraint("deployment_id", "signal", "at", name="pk_samples"),
    )
    op.create_table(
        "reminders",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("next_at", INSTANT),
        sa.Column("sent_at", INSTANT),
        sa.Column("for_user", sa.String(32)),
        sa.Column("settled_by", sa.String(32)),
        sa.Column("settled_at", INSTANT),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_reminders_deployment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reminders"),
        sa.UniqueConstraint("deployment_id", "key", name="uq_reminders_deployment_id_key"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_reminders_next_at",
        "reminders",
        ["next_at"],
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("reminders")
    op.drop_table("samples")
    op.drop_table("watches")
    op.drop_column("deployments", "deployed_at")
    op.drop_column("deployments", "aftermath")
