"""The audit log."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.execute(
        "create table audit_log (id bigint generated always as identity primary key,"
        " at timestamptz not null default now(), actor text not null, action text not null,"
        " marker text not null default '')"
    )
    op.execute("create index audit_log_at on audit_log (at)")


def downgrade() -> None:
    """Drop it."""
    op.execute("drop table audit_log")
