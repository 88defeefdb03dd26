"""OpenAPI documents: whether they are valid, which read-only requests they describe, and whether an answer is
as they say. Documents that refer to other documents are not followed there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bot.checks.kind import Broken, NoData

MISSING = "openapi-spec-validator is not installed where the bot runs: pip install 'deploybot[openapi]'"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
#: How deep references to references are followed.
_DEEPEST = 20


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A GET operation, with what is needed to call it."""

    #: `GET /items/{id}`.
    name: str
    #: Path with the sample values in it.
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    #: Required parameters no sample value is known for: it cannot be called.
    unknown: tuple[str, ...]
    #: Response key (`200`, `2XX`, `default`) → JSON pointer to the response object.
    responses: Mapping[str, str]


class Document:
    """A parsed OpenAPI 3 document."""

    def __init__(self, data: Any) -> None:
        if not isinstance(data, dict) or not isinstance(data.get("openapi") or data.get("swagger"), str):
            raise Broken("the document is no OpenAPI document: it has no `openapi` version")
        self.data = data
        #: `3.0`, `3.1`; `2.0` for Swagger.
        self.version = ".".join(str(data.get("openapi") or data.get("swagger")).split(".")[:2])
        outside = next(_outside_references(data), None)
        if outside is not None:
            raise NoData(f"the document refers to another one ({outside}): bundle it into one first")

    def problems(self) -> list[str]:
        """What the specification finds wrong with the document. Raises Broken without the validator."""
        try:
            # Half a second of imports, and an extra: only who checks API documents pays for it.
            import openapi_spec_validator as validators  # noqa: PLC0415
            from jsonschema_path import SchemaPath  # noqa: PLC0415
        except ImportError as error:
            raise Broken(MISSING) from error
        known = {
            "2.0": validators.OpenAPIV2SpecValidator,
            "3.0": validators.OpenAPIV30SpecValidator,
            "3.1": validators.OpenAPIV31SpecValidator,
            "3.2": validators.OpenAPIV32SpecValidator,
        }
        if self.version not in known:
            return [f"version {self.version} is not known"]
        found: list[str] = []
        try:
            for wrong in known[self.version](SchemaPath.from_dict(self.data, handlers={})).iter_errors():
                where = "/".join(str(step) for step in wrong.absolute_path)
                found.append(f"{where or 'document'}: {wrong.message[:160]}")
                if len(found) == 20:
                    break
        except Exception as error:  # the validator meets broken references with errors of many libraries
            found.append(f"{type(error).__name__}: {str(error)[:160]}")
        return found

    def operations(self) -> set[str]:
        """All operations, as `GET /items/{id}`."""
        return {f"{method.upper()} {path}" for path, _, method, _ in self._operations()}

    def readable(self, samples: Mapping[str, Any]) -> list[Operation]:
        """The GET operations. Samples are by parameter name, or by `operationId.name`; where none is given,
        the document's own examples serve."""
        found = []
        for path, item, method, operation in self._operations():
            if method != "get":
                continue
            pointer = f"/paths/{_escaped(path)}/get/responses"
            responses = operation.get("responses")
            found.append(
                self._with_values(
                    path,
                    operation,
                    [*_list(item.get("parameters")), *_list(operation.get("parameters"))],
                    samples,
                    {
                        str(key): f"{pointer}/{_escaped(str(key))}"
                        for key in (responses if isinstance(responses, dict) else {})
                    },
                )
            )
        return found

    def _operations(self) -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any]]]:
        paths = self.data.get("paths")
        for path, given in (paths if isinstance(paths, dict) else {}).items():
            item = self.resolved(given)[0]
            for method in METHODS:
                operation = item.get(method) if isinstance(item, dict) else None
                if isinstance(operation, dict):
                    yield path, item, method, operation

    def _with_values(
        self,
        path: str,
        operation: Mapping[str, Any],
        parameters: Sequence[Any],
        samples: Mapping[str, Any],
        responses: Mapping[str, str],
    ) -> Operation:
        # The operation's own parameter stands in for the path's of the same name and place.
        by_name: dict[tuple[str, str], dict[str, Any]] = {}
        for given in parameters:
            parameter = self.resolved(given)[0]
            if isinstance(parameter, dict) and "name" in parameter:
                by_name[parameter["name"], str(parameter.get("in"))] = parameter
        filled, query, headers, unknown = path, [], {}, []
        for (name, place), parameter in by_name.items():
            value = samples.get(f"{operation.get('operationId')}.{name}", samples.get(name))
            if value is None and (parameter.get("required") or place == "path"):
                value = self._example(parameter)
            if value is None:
                if parameter.get("required") or place == "path":
                    unknown.append(name)
                continue
            text = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
            match place:
                case "path":
                    filled = filled.replace("{" + name + "}", quote(text, safe=""))
                case "query":
                    query += [(name, _text(one)) for one in (value if isinstance(value, list) else [value])]
                case "header":
                    headers[name] = text
                case "cookie":
                    headers["Cookie"] = "; ".join(filter(None, [headers.get("Cookie", ""), f"{name}={text}"]))
        return Operation(
            name=f"GET {path}",
            path=filled,
            query=tuple(query),
            headers=headers,
            unknown=tuple(unknown),
            responses=responses,
        )

    def _example(self, parameter: Mapping[str, Any]) -> Any:
        schema = self.resolved(parameter.get("schema"))[0]
        schema = schema if isinstance(schema, dict) else {}
        named = parameter.get("examples")
        first = self.resolved(next(iter(named.values()), None))[0] if isinstance(named, dict) else None
        choices = (
            parameter.get("example"),
            first.get("value") if isinstance(first, dict) else None,
            schema.get("example"),
            next(iter(_list(schema.get("examples"))), None),
            schema.get("default"),
            next(iter(_list(schema.get("enum"))), None),
        )
        return next((choice for choice in choices if choice is not None), None)

    def mismatch(self, pointer: str, media_type: str | None, body: bytes) -> str | None:
        """What an answer's body has that its documented response has not, or None; JSON only.

        Raises Broken without the validator.
        """
        response, pointer = self.resolved(self._at(pointer), pointer)
        content = response.get("content") if isinstance(response, dict) else None
        if not isinstance(content, dict) or not content:
            return None
        key = _matching(content, media_type)
        if key is None:
            return f"{media_type or 'no content type'} instead of {' or '.join(content)}"
        if not (media_type or "").endswith("json") or "schema" not in (content[key] or {}):
            return None
        try:
            value = json.loads(body)
        except ValueError:
            return "the body is no JSON"
        for error in self._schema(f"{pointer}/content/{_escaped(key)}/schema").iter_errors(value):
            where = "/".join(str(step) for step in error.absolute_path)
            return f"{where or 'body'}: {error.message[:160]}"
        return None

    def _schema(self, pointer: str) -> Any:
        try:
            from openapi_schema_validator import OAS30ReadValidator, OAS31Validator  # noqa: PLC0415 - an extra
            from referencing import Registry  # noqa: PLC0415 - comes with it
            from referencing.jsonschema import DRAFT202012  # noqa: PLC0415 - comes with it
        except ImportError as error:
            raise Broken(MISSING) from error
        document = DRAFT202012.create_resource(self.data)
        registry = Registry().with_resource("urn:openapi", document)
        kind = OAS30ReadValidator if self.version == "3.0" else OAS31Validator
        return kind({"$ref": f"urn:openapi#{quote(pointer, safe='/~')}"}, registry=registry)

    def resolved(self, node: Any, pointer: str = "") -> tuple[Any, str]:
        """A node with references to other places of the document followed, and the pointer to it."""
        for _ in range(_DEEPEST):
            if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                return node, pointer
            pointer = node["$ref"].removeprefix("#")
            node = self._at(pointer)
        return None, pointer

    def _at(self, pointer: str) -> Any:
        at: Any = self.data
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(at, dict) and name in at:
                at = at[name]
            elif isinstance(at, dict):
                # YAML reads the key 200 as a number.
                at = next((value for key, value in at.items() if str(key) == name), None)
            else:
                return None
        return at


def response_for(responses: Mapping[str, str], status: int) -> str | None:
    """The pointer to the response documented for a status: itself, its class, the default."""
    for key in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
        if key in responses:
            return responses[key]
    return None


def read_document(text: str) -> Document:
    """A document from JSON or YAML. Raises Broken where it is neither, NoData where it is not complete."""
    try:
        return Document(json.loads(text))
    except ValueError:
        pass
    try:
        # Through JSON, so that numbers as keys become the texts they are in OpenAPI.
        return Document(json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str)))
    except (YAMLError, ValueError, TypeError) as error:
        raise Broken(f"the document is neither JSON nor YAML: {str(error).splitlines()[0]}") from error


def _outside_references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            yield reference
        for inner in node.values():
            yield from _outside_references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _outside_references(inner)


def _matching(content: Mapping[str, Any], media_type: str | None) -> str | None:
    """The key of the media type among those documented, which may be ranges."""
    for key in content:
        bare = key.partition(";")[0].strip().casefold()
        if bare in (media_type, "*/*"):
            return key
        if bare.endswith("/*") and (media_type or "").startswith(bare[:-1]):
            return key
    return None


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
