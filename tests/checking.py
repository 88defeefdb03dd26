"""What tests of checks share: a context on loopback, and one call that runs a check as the engine does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.checks.catalogue import Catalogue
from bot.checks.egress import AllowList
from bot.checks.engine import Engine
from bot.checks.kind import Context, Nothing, Records
from bot.checks.processes import LocalProcesses
from bot.checks.redaction import Redactor
from bot.checks.web import WebClient
from bot.domain.check import CheckSpec, Evidence, ItemResult, Rules, Samples, Secret

#: What loopback tests may reach.
LOOPBACK = ("127.0.0.0/8", "::1/128", "localhost")


async def no_members(keys: Sequence[str]) -> Mapping[str, ItemResult | None]:
    """Checks by themselves have no neighbours."""
    return dict.fromkeys(keys)


def make_context(
    *,
    allow: Sequence[str] = LOOPBACK,
    ca_file: Path | None = None,
    root: Path = Path(),
    records: Records | None = None,
    commands: Sequence[str] = (),
    search: Sequence[str] = (),
    started_at: datetime | None = None,
    version: str = "v1.4.2",
    marker: str = "marker-1",
) -> Context:
    """A context with the real transports, limited to loopback."""
    egress = AllowList(allow)
    return Context(
        environment="production",
        service="storefront",
        version=version,
        web=WebClient(egress, ca_file=ca_file),
        egress=egress,
        processes=LocalProcesses(allow=commands, search=search),
        records=records or Nothing(),
        root=root,
        marker=marker,
        started_at=started_at,
        now=lambda: datetime.now(UTC),
        sleep=asyncio.sleep,
        clean=Redactor().clean,
        members=no_members,
    )


async def examine(
    kind: str,
    params: Mapping[str, Any],
    *,
    context: Context | None = None,
    expect: Mapping[str, Any] | None = None,
    fail: Mapping[str, Any] | None = None,
    warn: Mapping[str, Any] | None = None,
    timeout: float = 10.0,
    attempts: int = 1,
    samples: Samples | None = None,
    secrets: Sequence[Secret] = (),
) -> Evidence:
    """One check, run by the engine: parameters and rules as the sidecar writes them."""
    catalogue = Catalogue()
    found = catalogue.get(kind)
    assert found is not None, f"there is no kind {kind}"
    validated = found.params.model_validate(dict(params))
    problem = found.problem(validated)
    assert problem is None, problem
    rules = Rules(must=expect or {}, fail=fail or {}, warn=warn or {})
    assert rules.over(found.defaults(validated)), "this check asserts nothing"
    spec = CheckSpec(
        kind=kind, params=validated, rules=rules, timeout=timeout, attempts=attempts, samples=samples
    )
    context = context or make_context()
    try:
        return await Engine(catalogue, redactor=Redactor(secrets)).examine(spec, context)
    finally:
        if isinstance(context.web, WebClient):
            await context.web.close()
