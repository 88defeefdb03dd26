"""Whether every environment variable of a list is set to something that can be right."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field

from bot.checks import environments
from bot.checks.environments import Environment, Unreadable
from bot.checks.kind import Broken, Context, Kind, NoData, Params, SecretValue, TargetDown
from bot.domain.check import Observation, Rules

#: Names in the evidence, at most, of each finding.
SHOWN = 20
LARGEST = 1_000_000


class EnvParams(Params):
    """Which names, and where they are set: one of url, dotenv, manifests, process."""

    names: dict[str, str] = Field(
        min_length=1,
        description=f"Names with their type ({', '.join(environments.TYPES)}) or a regular expression.",
    )
    url: str = Field(default="", description="Endpoint that tells names as JSON, never values.")
    bearer: SecretValue | None = Field(default=None, description="Token for that endpoint.")
    path: str = Field(default="", description="JMESPath of the names in its answer.")
    dotenv: str = Field(default="", description="A dotenv file.")
    manifests: list[str] = Field(default_factory=list, description="Kubernetes manifests (globs).")
    workload: str = Field(default="", description="Name of the workload in the manifests.")
    container: str = Field(default="", description="Name of its container.")
    process: bool = Field(default=False, description="The environment of the bot itself.")
    ignore: list[str] = Field(default_factory=list, description="Globs of names that need not be listed.")


class FilesEnv(Kind[EnvParams]):
    """Environment variables, by name (catalogue A1). Values are looked at and never told."""

    name = "files.env"
    about = "Every listed environment variable is set, of its type and no placeholder."
    params = EnvParams
    values: ClassVar[Mapping[str, str]] = {
        "expected": "how many names are listed",
        "set": "how many of them are set to something",
        "missing": "how many are not",
        "unparsable": "how many are not of their type",
        "placeholder": "how many were never filled in, e.g. changeme",
        "unlisted": "how many are set and not listed",
        "unchecked": "how many have a type and a value that the source does not show",
        "missing_names": "the missing names",
    }

    def defaults(self, params: EnvParams) -> Rules:
        """All set and of their type; better no placeholder, none unlisted, none left unchecked."""
        return Rules(
            fail={"missing": "> 0", "unparsable": "> 0"},
            warn={"placeholder": "> 0", "unlisted": "> 0", "unchecked": "> 0"},
        )

    def problem(self, params: EnvParams) -> str | None:
        """Not exactly one source, or an expression that is none."""
        sources = [bool(source) for source in (params.url, params.dotenv, params.manifests, params.process)]
        if sum(sources) != 1:
            return "name one source: url, dotenv, manifests or process"
        for name, kind in params.names.items():
            if kind not in environments.TYPES:
                try:
                    re.compile(kind)
                except re.error as error:
                    return f"names: {name}: '{kind}' is no type and no regular expression: {error}"
        if params.path:
            try:
                jmespath.compile(params.path)
            except JMESPathError as error:
                return f"path: {str(error).splitlines()[0]}"
        return None

    async def observe(self, params: EnvParams, context: Context) -> Observation:
        """Read the source and compare."""
        try:
            environment, target = await self._source(params, context)
        except Unreadable as error:
            raise Broken(str(error)) from error
        ignore = [*params.ignore, "*"] if params.process else params.ignore
        found = environments.compare(environment, params.names, ignore=ignore)
        if found.missing and environment.unresolved:
            raise NoData(
                f"{', '.join(found.missing[:SHOWN])} may be in {', '.join(environment.unresolved)}, "
                "which is not among the manifests"
            )
        findings = {
            "missing": found.missing,
            "unparsable": found.unparsable,
            "placeholder": found.placeholder,
            "unlisted": found.unlisted,
            "unchecked": found.unchecked,
        }
        said = [f"{len(found.present)} of {len(params.names)} names set"]
        said += [f"{what}: {', '.join(names[:5])}" for what, names in findings.items() if names]
        return Observation(
            target=target,
            values={
                "expected": len(params.names),
                "set": len(found.present),
                **{what: len(names) for what, names in findings.items()},
                "missing_names": list(found.missing),
            },
            summary="; ".join(said),
            excerpt="\n".join(
                f"{what}: {', '.join(names[:SHOWN])}" for what, names in findings.items() if names
            ),
        )

    async def _source(self, params: EnvParams, context: Context) -> tuple[Environment, str]:
        if params.process:
            return Environment(values=dict(os.environ)), "the bot's own environment"
        if params.url:
            return await self._endpoint(params, context), params.url
        if params.dotenv:
            return environments.from_dotenv(_text(context, params.dotenv)), params.dotenv
        texts = [_text(context, name) for name in _matching(context, params.manifests)]
        if not texts:
            raise NoData(f"no file matches {', '.join(params.manifests)}")
        found = environments.from_manifests(texts, workload=params.workload, container=params.container)
        return found, ", ".join(params.manifests)

    @staticmethod
    async def _endpoint(params: EnvParams, context: Context) -> Environment:
        headers = {"Accept": "application/json"}
        if params.bearer is not None:
            headers["Authorization"] = f"Bearer {params.bearer.reveal()}"
        answer = await context.web.request("GET", params.url, headers=headers)
        if answer.status >= 500:
            raise TargetDown(f"{params.url} answers {answer.status}")
        if answer.status != 200:
            raise NoData(f"{params.url} answers {answer.status}")
        try:
            data: Any = json.loads(answer.body)
        except ValueError:
            raise NoData(f"{params.url} answers with no JSON") from None
        return environments.from_names(jmespath.search(params.path, data) if params.path else data)


def _text(context: Context, name: str) -> str:
    path = context.path(name)
    if not path.is_file():
        raise NoData(f"there is no file {name}")
    if path.stat().st_size > LARGEST:
        raise Broken(f"{name} is larger than 1 MB")
    return path.read_text("utf-8", "replace")


def _matching(context: Context, patterns: list[str]) -> list[str]:
    root = context.path("")
    found: dict[str, None] = {}
    for pattern in patterns:
        context.path(pattern)
        found |= dict.fromkeys(str(path.relative_to(root)) for path in sorted(root.glob(pattern)))
    return list(found)
