"""Results of checks, the run under way, Go, and reasons for overruling."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

#: Microseconds since 1970, UTC.
INSTANT = sa.BigInteger()


def upgrade() -> None:
    """Make room for what checks find."""
    op.add_column("deployments", sa.Column("run", sa.Text()))
    op.add_column("deployments", sa.Column("go_by", sa.String(32)))
    op.add_column("deployments", sa.Column("go_at", INSTANT))
    op.add_column("deployments", sa.Column("go_seq", sa.Integer()))
    op.add_column("ticks", sa.Column("reason", sa.Text()))
    op.add_column("ticks", sa.Column("evidence", sa.Integer()))
    op.create_table(
        "results",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("ms", sa.Float(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_results_deployment_id"),
        sa.PrimaryKeyConstraint("deployment_id", "position", name="pk_results"),
    )
    op.create_table(
        "run_leases",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="fk_run_leases_deployment_id"),
        sa.PrimaryKeyConstraint("deployment_id", name="pk_run_leases"),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("run_leases")
    op.drop_table("results")
    op.drop_column("ticks", "evidence")
    op.drop_column("ticks", "reason")
    for column in ("go_seq", "go_at", "go_by", "run"):
        op.drop_column("deployments", column)
