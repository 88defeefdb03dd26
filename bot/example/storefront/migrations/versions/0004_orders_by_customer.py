"""Find a customer's newest orders."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """One index on both columns in place of the one on the customer."""
    op.execute("create index orders_customer_id_placed_at on orders (customer_id, placed_at)")
    op.execute("drop index orders_customer_id")


def downgrade() -> None:
    """As it was."""
    op.execute("create index orders_customer_id on orders (customer_id)")
    op.execute("drop index orders_customer_id_placed_at")
