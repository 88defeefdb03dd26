"""Several workspaces: installations by OAuth, and those that somebody has begun."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

#: Microseconds since 1970, UTC.
INSTANT = sa.BigInteger()


def upgrade() -> None:
    """Make room for workspaces and their tokens."""
    op.create_table(
        "installations",
        sa.Column("team", sa.String(32), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("url", sa.String(255), nullable=False),
        sa.Column("app", sa.String(32), nullable=False),
        sa.Column("bot_user", sa.String(32), nullable=False),
        sa.Column("bot_id", sa.String(32), nullable=False),
        sa.Column("handle", sa.String(255), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("installer", sa.String(32), nullable=False),
        sa.Column("installed_at", INSTANT, nullable=False),
        sa.Column("token", sa.Text()),
        sa.Column("refresh_token", sa.Text()),
        sa.Column("expires_at", INSTANT),
        sa.Column("revoked_at", INSTANT),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.PrimaryKeyConstraint("team", name="pk_installations"),
    )
    op.create_table(
        "oauth_states",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_oauth_states"),
    )
    op.create_index("ix_oauth_states_expires_at", "oauth_states", ["expires_at"])


def downgrade() -> None:
    """Undo it; the workspaces' tokens are gone with it."""
    op.drop_table("oauth_states")
    op.drop_table("installations")
