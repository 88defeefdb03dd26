"""`services.yaml` beside the checklists: which service goes by which checklist, and GitHub's deployments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bot.checklists.sidecar import did_you_mean, problems_of
from bot.domain.ci_requests import CHANNEL, PERSON, TEAM
from bot.domain.errors import ServicesUnusable
from bot.domain.routing import GitHubRule, Routing, ServiceRule

#: The file's name, in the folder of the checklists.
NAME = "services.yaml"
#: Largest file. Own choice: thousands of services fit.
LARGEST = 1024 * 1024


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(_Strict):
    """What goes for the services and environments that fit."""

    service: str = Field(default="*", description="Name of the service; * and ? stand for anything.")
    environment: str = Field(default="*", description="Name of the environment; * and ? stand for anything.")
    checklist: str = Field(default="", description="The checklist it goes by where nobody names one.")
    channel: str = Field(default="", description="Slack channel id (C…) where CI's deployments start.")
    lead: str = Field(default="", description="Slack user id (U…) of who leads what CI starts.")
    team: str = Field(default="", description="Slack workspace id (T…), where the bot is in several.")
    only: tuple[str, ...] = Field(
        default=(), description="The only checklists anybody may name for it; any where unset."
    )


class GitHub(_Strict):
    """What becomes of a repository's deployments."""

    repository: str = Field(
        description="OWNER/NAME; * and ? stand for anything.", pattern=r"^[^/\s]+/[^/\s]+$"
    )
    environment: str = Field(default="*", description="GitHub's name of the environment.")
    service: str = Field(default="", description="Our name of the service; the repository's where unset.")
    deploy_to: str = Field(default="", description="Our name of the environment; GitHub's where unset.")
    channel: str = Field(default="", description="Slack channel id (C…) to start in.")
    lead: str = Field(default="", description="Slack user id (U…) of who leads it.")
    leads: dict[str, str] = Field(
        default_factory=dict, description="Slack user ids by GitHub login: who created it leads it."
    )
    checklist: str = Field(default="", description="The checklist it goes by.")
    team: str = Field(default="", description="Slack workspace id (T…); that of the service where unset.")


class ServicesFile(_Strict):
    """The whole file."""

    version: Literal[1] = Field(description="Of this format.")
    services: list[Service] = Field(
        default_factory=list, description="Of those that fit, the first that says something decides."
    )
    github: list[GitHub] = Field(default_factory=list, description="The first that fits decides.")


def read_services(path: Path, checklists: Collection[str]) -> Routing:
    """The rules in a file. Raises ServicesUnusable with everything that is wrong."""
    try:
        data = path.read_bytes()
        if len(data) > LARGEST:
            raise ServicesUnusable(path.name, ("it is larger than 1 MiB",))
        loaded = YAML(typ="safe", pure=True).load(data.decode("utf-8-sig"))
    except OSError as error:
        raise ServicesUnusable(path.name, (f"it cannot be read ({error.strerror})",)) from error
    except UnicodeDecodeError as error:
        raise ServicesUnusable(path.name, ("it is not UTF-8 text",)) from error
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise ServicesUnusable(path.name, (f"{where}it is no YAML, or has a key twice",)) from error
    if not isinstance(loaded, Mapping):
        raise ServicesUnusable(path.name, ("it holds no mapping: begin with `version: 1`",))
    try:
        content = ServicesFile.model_validate(loaded)
    except ValidationError as error:
        raise ServicesUnusable(path.name, tuple(problems_of(error, ServicesFile))) from error
    problems = tuple(_problems(content, checklists))
    if problems:
        raise ServicesUnusable(path.name, problems)
    return Routing(
        services=tuple(ServiceRule(**rule.model_dump()) for rule in content.services),
        github=tuple(GitHubRule(**_folded(rule)) for rule in content.github),
    )


def _folded(rule: GitHub) -> dict[str, Any]:
    told = rule.model_dump()
    return {**told, "leads": {login.casefold(): user for login, user in rule.leads.items()}}


def _problems(content: ServicesFile, checklists: Collection[str]) -> Iterator[str]:
    listed = [(f"services/{at}", rule) for at, rule in enumerate(content.services)]
    listed_github = [(f"github/{at}", rule) for at, rule in enumerate(content.github)]
    every: list[tuple[str, Service | GitHub]] = [*listed, *listed_github]
    for where, rule in every:
        if rule.checklist and rule.checklist not in checklists:
            hint = did_you_mean(rule.checklist, checklists)
            yield f"{where}/checklist: there is no checklist “{rule.checklist}”{hint}"
        if rule.channel and not CHANNEL.fullmatch(rule.channel):
            yield f"{where}/channel: “{rule.channel}” is no Slack channel id (C…)"
        if rule.lead and not PERSON.fullmatch(rule.lead):
            yield f"{where}/lead: “{rule.lead}” is no Slack user id (U…)"
        if rule.team and not TEAM.fullmatch(rule.team):
            yield f"{where}/team: “{rule.team}” is no Slack workspace id (T…)"
    for where, service in listed:
        for name in service.only:
            if name not in checklists:
                yield f"{where}/only: there is no checklist “{name}”{did_you_mean(name, checklists)}"
        if service.only and service.checklist and service.checklist not in service.only:
            yield f"{where}/checklist: “{service.checklist}” is not among its own `only`"
    for where, github in listed_github:
        for login, user in github.leads.items():
            if not PERSON.fullmatch(user):
                yield f"{where}/leads/{login}: “{user}” is no Slack user id (U…)"
