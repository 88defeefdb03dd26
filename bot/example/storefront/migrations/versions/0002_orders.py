"""Orders."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table, with a month of orders in it."""
    op.execute(
        "create table orders (id bigint generated always as identity primary key,"
        " customer_id int not null references customers, product_id int not null references products,"
        " total_cents int not null, placed_at timestamptz not null default now())"
    )
    op.execute("create index orders_product_id on orders (product_id)")
    op.execute("create index orders_placed_at on orders (placed_at)")
    op.execute("create index orders_customer_id on orders (customer_id)")
    op.execute(
        "insert into orders (customer_id, product_id, total_cents, placed_at)"
        " select n % 200 + 1, n % 24 + 1, 900 + n * 71 % 9000, now() - n * interval '20 minutes'"
        " from generate_series(1, 2000) n"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("drop table orders")
