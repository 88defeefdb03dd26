"""GitHub's webhooks about deployments: `deployment` and `deployment_status`. Pure.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#deployment and #deployment_status: only what
is used is read, so that what GitHub adds does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.domain.ci import CiState
from bot.domain.outbound import GITHUB_SIGN
from bot.domain.reading import Reading, address, cut

#: The states of a deployment status that say something of ours; the others are waited out.
STATES = {
    "in_progress": CiState.DEPLOYING,
    "success": CiState.DEPLOYED,
    "failure": CiState.FAILED,
    "error": CiState.FAILED,
}
#: States before anything has gone live: a deployment that is not known yet can still be started by them.
EARLY = ("queued", "pending", "waiting", "in_progress")
_ADVICE = "Send GitHub's events “deployment” and “deployment_status” as JSON to /hooks/github"


@dataclass(frozen=True, kw_only=True)
class GitHubDeployment:
    """A deployment as GitHub tells of it."""

    #: OWNER/NAME.
    repository: str
    id: int
    environment: str
    #: Branch, tag or commit that was asked for, and the commit.
    ref: str
    sha: str
    #: GitHub login of who created it.
    creator: str
    #: What its creator sent along, where that is an object.
    payload: Mapping[str, Any] = field(default_factory=dict)
    #: The page of the repository's deployments.
    url: str = ""

    @property
    def version(self) -> str:
        """What is deployed: the payload's word, else the ref, a bare commit shortened."""
        told = self.payload.get("version")
        if isinstance(told, str) and told.strip():
            return told.strip()
        return self.ref[:12] if self.ref == self.sha else self.ref

    @property
    def service(self) -> str:
        """The payload's word for the service, else the repository's name."""
        told = self.payload.get("service")
        return told.strip() if isinstance(told, str) and told.strip() else self.repository.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class GitHubStatus:
    """A status of a deployment."""

    deployment: GitHubDeployment
    #: GitHub's word.
    state: str
    said: str
    #: The log of the run.
    url: str

    @property
    def ours(self) -> bool:
        """Whether it is one we made ourselves, come back."""
        return self.said.startswith(GITHUB_SIGN)


def deployment_of(payload: Any) -> GitHubDeployment:
    """What a `deployment` event tells. Raises InboundUnusable with everything that is wrong."""
    reading = Reading()
    found = _deployment(reading, reading.object(payload, "the request"))
    reading.refuse(_ADVICE, what="event")
    return found


def status_of(payload: Any) -> GitHubStatus:
    """What a `deployment_status` event tells. Raises InboundUnusable with everything that is wrong."""
    reading = Reading()
    body = reading.object(payload, "the request")
    status = reading.object(body.get("deployment_status"), "deployment_status")
    found = GitHubStatus(
        deployment=_deployment(reading, body),
        state=reading.text(status, "state", "deployment_status", needed=True),
        said=cut(reading.text(status, "description", "deployment_status").strip(), 500),
        url=address(reading.text(status, "log_url", "deployment_status"))
        or address(reading.text(status, "target_url", "deployment_status")),
    )
    reading.refuse(_ADVICE, what="event")
    return found


def _deployment(reading: Reading, body: Mapping[str, Any]) -> GitHubDeployment:
    told = reading.object(body.get("deployment"), "deployment")
    repository = reading.object(body.get("repository"), "repository")
    creator = told.get("creator")
    number = told.get("id")
    if isinstance(number, bool) or not isinstance(number, int):
        reading.wrong("deployment.id is no number")
        number = 0
    return GitHubDeployment(
        repository=reading.text(repository, "full_name", "repository", needed=True),
        id=number,
        environment=reading.text(told, "environment", "deployment", needed=True),
        ref=reading.text(told, "ref", "deployment", needed=True),
        sha=reading.text(told, "sha", "deployment"),
        creator=reading.text(creator, "login", "deployment.creator") if isinstance(creator, dict) else "",
        payload=_payload(told.get("payload")),
        url=_page(reading.text(repository, "html_url", "repository")),
    )


def _payload(value: Any) -> Mapping[str, Any]:
    """An object, or a text that is one (REST API: `payload` may be either)."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _page(repository: str) -> str:
    return f"{repository}/deployments" if address(repository) else ""
