"""What every integration test may ask for besides: a small Slack on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.stage import Stage, open_stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A local workspace with the app registered in it; no bot runs yet."""
    async with open_stage() as stage:
        yield stage
