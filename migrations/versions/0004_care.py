"""What people do about items besides ticking them: waivers, assignments, notes, overrides."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make room for it."""
    op.add_column("deployments", sa.Column("care", sa.Text()))


def downgrade() -> None:
    """Undo it."""
    op.drop_column("deployments", "care")
