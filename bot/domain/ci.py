"""What CI says of a deployment: how far it is, what else belongs to it, and what it has done.

CI is a system: what it does is recorded as `ci`, whoever pressed the button there. Its word that the change
is live begins the watch, like Go; it ticks nothing, because “Verify deployment” is for somebody who looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.domain.checklist import Checklist
from bot.domain.deployment import Deployment
from bot.domain.errors import DeploymentClosed
from bot.domain.events import CI, Fact


class CiState(StrEnum):
    """How far CI says it is."""

    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    FAILED = "failed"


class LinkKind(StrEnum):
    """What of another system belongs to a deployment."""

    RUN = "ci_run"
    COMMITS = "commits"
    GITHUB = "github_deployment"


def reported(deployment: Deployment, state: CiState, *, url: str, said: str, at: datetime) -> Fact:
    """How far CI says it is. Raises DeploymentClosed."""
    if not deployment.phase.open:
        raise DeploymentClosed(deployment.name, deployment.phase)
    data = {"state": state.value, "url": url, "said": said}
    return Fact(kind="deployment.reported", actor=CI, at=at, data=data)


def linked(what: LinkKind, *, at: datetime, **particulars: Any) -> Fact:
    """Something of another system belongs to this deployment; instants as ISO text."""
    told = {name: value for name, value in particulars.items() if value not in ("", None)}
    return Fact(kind="deployment.linked", actor=CI, at=at, data={"what": what.value, **told})


def news(links: Iterable[Fact], known: Iterable[Mapping[str, Any]]) -> tuple[Fact, ...]:
    """The links that were not made before: CI names its run with every update."""
    seen = [dict(data) for data in known]
    return tuple(fact for fact in links if dict(fact.data) not in seen)


def position_of(checklist: Checklist, words: str) -> int | None:
    """The item with this key or text, whatever its case; None where there is none, or several."""
    wanted = " ".join(words.split()).casefold()
    items = checklist.items
    keys = [at for at, item in enumerate(items) if item.key.casefold() == wanted]
    found = keys or [at for at, item in enumerate(items) if " ".join(item.text.split()).casefold() == wanted]
    return found[0] if len(found) == 1 else None
