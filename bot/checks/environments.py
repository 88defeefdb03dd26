"""Environment variables: where they are written down, and whether their values can be right.

Values pass through here to be looked at; none of them leaves, nor anything made of one.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

#: Types a value can be demanded to have; anything else is a regular expression that must match it whole.
TYPES = ("str", "int", "float", "bool", "url", "json", "path", "email")

_PLACEHOLDER = re.compile(
    r"""(?ix) ^(?:
        change[-_ ]?me .* | replace[-_ ]?(?:me|this|with) .* | (?:your|my)[-_ ][\w -]+ | <[^<>]*>
        | \[[A-Z _-]+\] | \$\{[^}]*\}
        | \{\{[^}]*\}\} | to[-_ ]?do | tbd | fix[-_ ]?me | x{3,} | \*{3,} | \.{3,}
        | placeholder .* | dummy .* | example .* | insert[-_ ] .* | none | null | undefined | n/?a
    )$ | ://[^/]*\bchange[-_]?me\b | (?:^|[./@])example\.(?:com|org|net)(?:$|[:/])"""
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*?)\s*")

#: What an endpoint that tells names only may say of each.
_SET = frozenset({"set", "ok", "present", "configured", "valid", "yes", "true"})
_MISSING = frozenset({"missing", "unset", "absent", "not set", "no", "false", "empty", ""})
_INVALID = frozenset({"invalid", "unparsable", "bad", "error"})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Names that are set, with their values where the source shows them."""

    #: A value of None is set and not shown.
    values: Mapping[str, str | None]
    #: Names the source itself calls invalid.
    invalid: frozenset[str] = frozenset()
    #: References the source makes to what is not at hand, e.g. a Secret that is made elsewhere.
    unresolved: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is wrong with an environment: names only."""

    present: Sequence[str]
    missing: Sequence[str]
    unparsable: Sequence[str]
    placeholder: Sequence[str]
    #: Set and not on the list.
    unlisted: Sequence[str]
    #: On the list with a type, and the source does not show their values.
    unchecked: Sequence[str]


class Unreadable(Exception):
    """A source that cannot be read; `str()` says why and quotes no value."""


def compare(environment: Environment, names: Mapping[str, str], *, ignore: Iterable[str] = ()) -> Comparison:
    """An environment against the list of names with their types."""
    shown = environment.values
    # A variable that is set to nothing is as good as missing.
    present = [name for name in names if name in shown and shown[name] != ""]
    typed = [name for name in present if names[name] not in ("", "str")]
    wrong = [name for name in typed if not fits(shown[name], names[name])]
    patterns = list(ignore)
    return Comparison(
        present=present,
        missing=[name for name in names if name not in present],
        unparsable=sorted({*wrong, *(environment.invalid & set(names))}),
        placeholder=[name for name in present if is_placeholder(shown[name])],
        unlisted=sorted(
            name
            for name in shown
            if name not in names and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        ),
        unchecked=[name for name in typed if shown[name] is None],
    )


def fits(value: str | None, kind: str) -> bool:
    """Whether a value is of a type or matches an expression; one that is not shown may be."""
    if value is None:
        return True
    match kind:
        case "" | "str":
            return True
        case "int":
            return re.fullmatch(r"[+-]?\d+", value) is not None
        case "float":
            return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value) is not None
        case "bool":
            return value.casefold() in {"1", "0", "true", "false", "yes", "no", "on", "off"}
        case "url":
            try:
                parts = urlsplit(value)
            except ValueError:
                return False
            return bool(parts.scheme and (parts.netloc or parts.path.startswith("/")) and "://" in value)
        case "json":
            try:
                json.loads(value)
            except ValueError:
                return False
            return True
        case "path":
            return PurePosixPath(value).is_absolute()
        case "email":
            return _EMAIL.fullmatch(value) is not None
    return re.fullmatch(kind, value) is not None


def is_placeholder(value: str | None) -> bool:
    """Whether a value stands for one that was never filled in."""
    return value is not None and _PLACEHOLDER.search(value.strip()) is not None


# ── sources ──────────────────────────────────────────────────────────────────────────────────────────────


def from_dotenv(text: str) -> Environment:
    """A dotenv file: `NAME=value`, quotes and `export` as a shell reads them, `#` begins a comment."""
    found: dict[str, str | None] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match:
            found[match[1]] = _unquoted(match[2], lines)
    return Environment(values=found)


def _unquoted(value: str, lines: Iterator[str]) -> str:
    quote = value[:1]
    if quote not in ("'", '"'):
        return re.split(r"\s+#", value, maxsplit=1)[0].strip() if not value.startswith("#") else ""
    value = value[1:]
    # A value in quotes may go over several lines, e.g. a private key.
    while (end := _closing(value, quote)) < 0:
        more = next(lines, None)
        if more is None:
            return value
        value = f"{value}\n{more}"
    return value[:end]


def _closing(value: str, quote: str) -> int:
    found = re.search(r'(?<!\\)(?:\\\\)*"' if quote == '"' else "'", value)
    return found.end() - 1 if found else -1


def from_names(data: Any) -> Environment:
    """What an endpoint tells: a list of names, or names with `true`, `set`, `missing`, `invalid` and so on.

    Raises Unreadable for anything else, for it may be values.
    """
    if isinstance(data, list) and all(isinstance(name, str) for name in data):
        return Environment(values=dict.fromkeys(data))
    if not isinstance(data, Mapping):
        raise Unreadable("it tells neither a list of names nor names with their states")
    found: dict[str, str | None] = {}
    invalid: set[str] = set()
    for name, state in data.items():
        said = str(state).casefold() if isinstance(state, (bool, str)) else "?"
        if state is None or said in _MISSING:
            continue
        if said in _INVALID:
            invalid.add(name)
        elif said not in _SET:
            raise Unreadable(f"it tells something else than a state of {name}; it must not tell values")
        found[name] = None
    return Environment(values=found, invalid=frozenset(invalid))


def from_manifests(texts: Iterable[str], *, workload: str = "", container: str = "") -> Environment:
    """The environment of a container in Kubernetes manifests, ConfigMaps and Secrets among them looked up.

    Raises Unreadable for what is no YAML, and where it is not clear which container is meant.
    """
    documents = [document for text in texts for document in _documents(text)]
    stores = {
        (one["kind"], _name(one)): _store(one)
        for one in documents
        if one.get("kind") in ("ConfigMap", "Secret")
    }
    candidates = [
        (f"{_name(one)}/{spec.get('name', '?')}", spec)
        for one in documents
        if not workload or _name(one) == workload
        for spec in _containers(one)
        if not container or spec.get("name") == container
    ]
    if not candidates and not workload and not container and stores:
        # ConfigMaps alone: their keys are the environment.
        return Environment(values={key: value for store in stores.values() for key, value in store.items()})
    if len(candidates) != 1:
        what = ", ".join(title for title, _ in candidates[:6]) or "none"
        raise Unreadable(f"name the workload and container that is meant; there is: {what}")
    return _of_container(candidates[0][1], stores)


def _of_container(
    spec: Mapping[str, Any], stores: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Environment:
    found: dict[str, str | None] = {}
    unresolved: list[str] = []
    for source in spec.get("envFrom") or ():
        for field_, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            reference = source.get(field_)
            if reference is None:
                continue
            store = stores.get((kind, reference.get("name", "")))
            if store is None:
                unresolved.append(f"{kind} {reference.get('name', '?')}")
            else:
                prefix = source.get("prefix", "")
                found |= {f"{prefix}{key}": value for key, value in store.items()}
    for one in spec.get("env") or ():
        name = str(one.get("name", ""))
        if "value" in one:
            found[name] = "" if one["value"] is None else str(one["value"])
            continue
        found[name] = None
        for field_, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            reference = (one.get("valueFrom") or {}).get(field_)
            if reference is not None:
                store = stores.get((kind, reference.get("name", "")))
                if store is not None and reference.get("key") in store:
                    found[name] = store[reference["key"]]
                elif store is not None:
                    del found[name]  # the key it refers to is not there
    return Environment(values=found, unresolved=unresolved)


def _documents(text: str) -> list[dict[str, Any]]:
    try:
        loaded = list(YAML(typ="safe", pure=True).load_all(text))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable(f"line {mark.line + 1 if mark else '?'} is no YAML") from None
    flat: list[dict[str, Any]] = []
    for document in loaded:
        if isinstance(document, dict):
            flat += document["items"] if document.get("kind") == "List" else [document]
    return flat


def _name(document: Mapping[str, Any]) -> str:
    return str((document.get("metadata") or {}).get("name", ""))


def _store(document: Mapping[str, Any]) -> dict[str, str | None]:
    """The values of a ConfigMap or a Secret, whose data is base64."""
    data = {key: str(value) for key, value in (document.get("data") or {}).items()}
    if document["kind"] == "Secret":
        return {key: _decoded(value) for key, value in data.items()} | {
            key: str(value) for key, value in (document.get("stringData") or {}).items()
        }
    return dict(data)


def _decoded(value: str) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _containers(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Containers of a Pod, of anything with a pod template, and of a CronJob."""
    spec = document.get("spec") or {}
    if document.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    if "template" in spec:
        spec = (spec["template"] or {}).get("spec") or {}
    return [one for one in spec.get("containers") or () if isinstance(one, dict)]
