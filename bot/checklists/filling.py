"""Fill `${vars.name}` and `{secret: name}` into a sidecar's values: once, no expressions, no recursion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bot.checklists.sidecar import Environment, SecretSource, Sidecar, Variable, did_you_mean
from bot.domain.check import Secret

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
#: What every check may use besides the sidecar's own variables.
BUILT_IN = ("service", "version", "environment")


@dataclass(frozen=True, kw_only=True)
class Values:
    """The variables and secrets of one environment."""

    #: By name; None where nothing sets it.
    variables: Mapping[str, Any]
    secrets: Mapping[str, Secret | None]
    built_in: Mapping[str, str]
    #: How each may be set, for what is unset.
    how: Mapping[str, str]
    #: Values of the right form for those that are unset.
    examples: Mapping[str, Any]


@dataclass
class Filled:
    """A value with everything filled in, and what could not be."""

    value: Any = None
    #: `vars.name` and `secrets.name` that are unset; examples stand in their place.
    unset: dict[str, str] = field(default_factory=dict)
    #: Names that are not declared, a phrase each.
    unknown: list[str] = field(default_factory=list)


def values_for(
    sidecar: Sidecar, environment: str, process: Mapping[str, str], built_in: Mapping[str, str]
) -> Values:
    """The values of one environment: what it says itself, then the process's environment, then defaults."""
    block = environment_block(sidecar, environment)
    variables: dict[str, Any] = {}
    how: dict[str, str] = {}
    for name, variable in sidecar.vars.items():
        value = block.vars.get(name)
        if value is None and variable.env:
            value = _as_written(process.get(variable.env), like=variable)
        variables[name] = variable.default if value is None else value
        ways = [f"environments/{environment}/vars", *([f"${variable.env}"] if variable.env else [])]
        how[f"vars.{name}"] = " or ".join(ways)
    sources: dict[str, SecretSource] = {**sidecar.secrets, **block.secrets}
    secrets: dict[str, Secret | None] = {}
    for name, source in sources.items():
        found = process.get(source.env)
        secrets[name] = Secret(name, found) if found else None
        how[f"secrets.{name}"] = f"${source.env}"
    return Values(
        variables=variables,
        secrets=secrets,
        built_in=built_in,
        how=how,
        examples={name: variable.example for name, variable in sidecar.vars.items()},
    )


def _as_written(text: str | None, *, like: Variable) -> Any:
    """What an environment variable holds; a list as YAML or as `a, b`, a mapping as YAML."""
    form = like.example if like.default is None else like.default
    if not text or not isinstance(form, list | dict):
        return text or None
    if text.lstrip().startswith(("[", "{")):
        try:
            return YAML(typ="safe", pure=True).load(text)
        except YAMLError:
            return text
    return [part.strip() for part in text.split(",") if part.strip()]


def environment_block(sidecar: Sidecar, environment: str) -> Environment:
    """What the sidecar says of an environment; `*` for one it does not name."""
    folded = {name.casefold(): block for name, block in sidecar.environments.items()}
    return folded.get(environment.casefold(), folded.get("*", Environment()))


def fill_in(value: Any, values: Values) -> Filled:
    """The value with references replaced; a string that is one reference takes over the variable's type."""
    filled = Filled()
    filled.value = _fill(value, values, filled)
    return filled


def _fill(value: Any, values: Values, filled: Filled) -> Any:
    match value:
        case str():
            return _fill_text(value, values, filled)
        case Mapping() if set(value) == {"secret"} and isinstance(value["secret"], str):
            return _secret(value["secret"], values, filled)
        case Mapping():
            return {key: _fill(inner, values, filled) for key, inner in value.items()}
        case list():
            return [_fill(inner, values, filled) for inner in value]
    return value


def _fill_text(text: str, values: Values, filled: Filled) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return _resolve(whole[1], values, filled)
    return _REFERENCE.sub(lambda match: str(_resolve(match[1], values, filled)), text)


def _resolve(reference: str, values: Values, filled: Filled) -> Any:
    if reference in values.built_in:
        return values.built_in[reference]
    name = reference.removeprefix("vars.")
    if reference == name or name not in values.variables:
        known = [*BUILT_IN, *(f"vars.{known}" for known in values.variables)]
        filled.unknown.append(f"${{{reference}}} is not declared{did_you_mean(reference, known)}")
        return ""
    found = values.variables[name]
    if found is None:
        filled.unset[f"vars.{name}"] = values.how[f"vars.{name}"]
        return values.examples[name]
    return found


def _secret(name: str, values: Values, filled: Filled) -> Secret:
    if name not in values.secrets:
        filled.unknown.append(f"secret “{name}” is not declared{did_you_mean(name, values.secrets)}")
        return Secret(name, "")
    found = values.secrets[name]
    if found is None:
        filled.unset[f"secrets.{name}"] = values.how[f"secrets.{name}"]
        return Secret(name, "postgresql://user@host/name")
    return found
