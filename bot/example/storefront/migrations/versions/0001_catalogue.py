"""Products and customers."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, with something in them."""
    op.execute(
        "create table products (id int primary key, name text not null, category text not null,"
        " price_cents int not null check (price_cents > 0))"
    )
    op.execute(
        "insert into products select n, (array['Teapot','Kettle','Mug','Bowl','Plate','Lamp'])[n % 6 + 1]"
        " || ' No. ' || n, (array['kitchen','kitchen','table','table','table','living'])[n % 6 + 1],"
        " 900 + n * 137 % 9000 from generate_series(1, 24) n"
    )
    op.execute("create table customers (id int primary key, name text not null)")
    op.execute("insert into customers select n, 'Customer ' || n from generate_series(1, 200) n")


def downgrade() -> None:
    """Drop them."""
    op.execute("drop table customers")
    op.execute("drop table products")
