"""Which service and environment goes by which checklist, and which of GitHub's deployments are ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

#: The checklist used where nothing else says which.
DEFAULT_CHECKLIST = "production"


def matches(pattern: str, value: str) -> bool:
    """Whether a name fits a pattern with `*` and `?`, whatever its case."""
    return fnmatchcase(value.casefold(), pattern.casefold())


@dataclass(frozen=True, kw_only=True)
class ServiceRule:
    """What goes for the services and environments that fit; empty where it says nothing."""

    service: str = "*"
    environment: str = "*"
    checklist: str = ""
    #: Where CI's deployments are started: Slack channel id.
    channel: str = ""
    #: Who leads what CI starts without naming anybody: Slack user id.
    lead: str = ""
    #: Slack id of the workspace where CI does not say which; empty with one workspace.
    team: str = ""
    #: The only checklists anybody may name for it; empty for any.
    only: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GitHubRule:
    """What becomes of a repository's deployments to an environment."""

    #: OWNER/NAME, with `*` and `?`.
    repository: str
    #: GitHub's name of the environment, with `*` and `?`.
    environment: str = "*"
    #: Our names; empty for the repository's own name, and for GitHub's environment.
    service: str = ""
    deploy_to: str = ""
    channel: str = ""
    lead: str = ""
    #: Slack user ids of people by their login on GitHub: who created the deployment leads it.
    leads: Mapping[str, str] = field(default_factory=dict)
    checklist: str = ""
    #: Slack id of the workspace; empty for that of the service.
    team: str = ""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """All the rules; of those that fit, the first that says something decides."""

    services: tuple[ServiceRule, ...] = ()
    github: tuple[GitHubRule, ...] = ()

    def of(self, service: str, environment: str) -> ServiceRule:
        """What goes for this service in this environment."""
        fitting = [
            rule
            for rule in self.services
            if matches(rule.service, service) and matches(rule.environment, environment)
        ]
        return ServiceRule(
            service=service,
            environment=environment,
            checklist=next((rule.checklist for rule in fitting if rule.checklist), ""),
            channel=next((rule.channel for rule in fitting if rule.channel), ""),
            lead=next((rule.lead for rule in fitting if rule.lead), ""),
            team=next((rule.team for rule in fitting if rule.team), ""),
            only=next((rule.only for rule in fitting if rule.only), ()),
        )

    def of_github(self, repository: str, environment: str) -> GitHubRule | None:
        """What becomes of this repository's deployments to this environment; None where they are not ours."""
        return next(
            (
                rule
                for rule in self.github
                if matches(rule.repository, repository) and matches(rule.environment, environment)
            ),
            None,
        )
