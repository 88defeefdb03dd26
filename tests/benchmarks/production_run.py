"""A whole run of the production checklist's checks against the example service, against its slowest check.

The reference is the longest any single check of the same run took by itself, waiting for a place not counted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.app import SHIPPED_CHECKLISTS
from bot.checklists.library import ChecklistLibrary
from bot.checks.kind import Nothing
from bot.domain.check import ItemResult
from bot.example.running import example_service
from bot.example.service import ENVIRONMENT, SERVICE
from bot.services.ports import SystemClock
from bot.services.verifying import SidecarVerifier

#: Seconds the example service runs before it is checked, so that its metrics say something.
SETTLE_S = 20


async def production_run() -> list[str]:
    """The figures, a line each."""
    with TemporaryDirectory(prefix="bench") as folder:
        async with example_service(Path(folder)) as example:
            await asyncio.sleep(SETTLE_S)
            version = example.service.version
            verifier = SidecarVerifier(
                ChecklistLibrary([SHIPPED_CHECKLISTS]),
                SystemClock(),
                process={**os.environ, **example.environment},
            )
            bound = verifier.bound("production", environment=ENVIRONMENT, service=SERVICE, version=version)
            ready = [b for b in bound.bindings.values() if b.checks and not b.missing and not b.forbidden]
            results: list[ItemResult] = []

            async def on_result(result: ItemResult) -> None:
                results.append(result)

            began = time.perf_counter()
            await verifier.run_bound(
                bound,
                ready,
                environment=ENVIRONMENT,
                service=SERVICE,
                version=version,
                deeds=Nothing(),
                on_result=on_result,
            )
            took = time.perf_counter() - began
    slowest = max((part for result in results for part in result.evidence), key=lambda part: part.ms)
    outcomes = ", ".join(f"{count} {name}" for name, count in Counter(r.outcome for r in results).items())
    return [
        f"a production run of {len(results)} items: {took / (slowest.ms / 1000):.2f} × its slowest check; "
        f"{took:.1f} s against {slowest.ms / 1000:.1f} s for {slowest.kind} ({outcomes})"
    ]
