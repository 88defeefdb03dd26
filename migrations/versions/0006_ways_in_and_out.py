"""Other systems: their requests, deployments of GitHub, and what they are to be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"

#: Microseconds since 1970, UTC.
INSTANT = sa.BigInteger()


def upgrade() -> None:
    """Make room for what comes in and goes out."""
    op.create_table(
        "hook_requests",
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("answer", sa.Text()),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_hook_requests"),
    )
    op.create_index("ix_hook_requests_at", "hook_requests", ["at"])
    op.create_table(
        "github_deployments",
        sa.Column("repository", sa.String(140), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("linked_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name="fk_github_deployments_deployment_id"
        ),
        sa.PrimaryKeyConstraint("repository", "number", name="pk_github_deployments"),
    )
    op.create_index("ix_github_deployments_deployment_id", "github_deployments", ["deployment_id"])
    op.create_table(
        "outbound",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(48), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", INSTANT, nullable=False),
        sa.Column("settled_at", INSTANT),
        sa.Column("problem", sa.Text()),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_outbound_deployment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_outbound"),
        sa.UniqueConstraint("deployment_id", "seq", "target", name="uq_outbound_deployment_id_seq_target"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbound_next_at",
        "outbound",
        ["next_at"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("outbound")
    op.drop_table("github_deployments")
    op.drop_table("hook_requests")
