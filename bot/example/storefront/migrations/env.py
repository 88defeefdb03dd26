"""Alembic's entry: migrates the database of SHOP_DATABASE_DSN."""

from __future__ import annotations

import asyncio
import os
import ssl
from urllib.parse import parse_qs, urlsplit

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine


def migrate(connection: Connection) -> None:
    """Migrate on this connection."""
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """Connect over TLS, as the shop does, and migrate."""
    parts = urlsplit(os.environ["SHOP_DATABASE_DSN"])
    tls = ssl.create_default_context(cafile=parse_qs(parts.query)["sslrootcert"][0])
    url = parts._replace(scheme="postgresql+asyncpg", query="").geturl()
    engine = create_async_engine(url, connect_args={"ssl": tls})
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


asyncio.run(main())
