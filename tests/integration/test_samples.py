"""Samples on a real database: what was kept is read as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.signals import Measured
from bot.storage import samples
from bot.storage.database import Database
from tests.makers import make_ports, start

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DEEP = '{"a":' * 100_000


@pytest.mark.parametrize("said", ["{", "{cut off", '{"status": 500}', '{"a": {"b": "c"}}', "{}", DEEP])
async def test_words_that_begin_with_a_brace_are_words(database: Database, said: str) -> None:
    deployment = await start(make_ports(database))
    taken = [
        Measured(at=NOON, value=1.0, said=said),
        Measured(at=NOON + timedelta(minutes=1), value=2.0, found={"CVE-1": "in libxml"}),
    ]
    async with database.write() as tx:
        await samples.add(tx, deployment.id, [("errors", one) for one in taken])
    async with database.read() as tx:
        assert await samples.of(tx, deployment.id) == {"errors": taken}
