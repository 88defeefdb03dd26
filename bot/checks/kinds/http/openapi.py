"""Whether an API answers as its OpenAPI document says."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from bot.checks.calls import Credentials, media_type, place
from bot.checks.kind import Answer, Broken, Context, Kind, NoData, TargetDown
from bot.checks.openapi import Document, Operation, read_document, response_for
from bot.domain.check import Observation, Rules

#: Longest document that is read, in bytes.
_LONGEST = 5_000_000


class OpenApiParams(Credentials):
    """Which document, and which requests to make by it."""

    url: str | None = Field(None, description="URL the service serves its OpenAPI document at, JSON or YAML.")
    file: str | None = Field(
        None, description="Committed document; the served one must describe the same operations."
    )
    exercise: bool = Field(
        True, description="Whether to call the GET operations and hold the answers against it."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="Parameter name, or `operationId.name` → value to call with; examples fill the gaps.",
    )
    skip: list[str] = Field(
        default_factory=list, description="Operations not to call, e.g. `GET /reports/{id}`."
    )
    base_url: str | None = Field(
        None, description="Base of the API; without it, the document's first server at the host of `url`."
    )
    most: int = Field(100, ge=1, le=500, description="Most operations to call.")


@dataclass(kw_only=True)
class _Tally:
    """What came of the calls."""

    exercised: int = 0
    undocumented: int = 0
    mismatches: int = 0
    server_errors: int = 0
    rows: list[str] = field(default_factory=list)

    def add(self, document: Document, operation: Operation, answer: Answer) -> None:
        """Hold an answer against the document."""
        said = "ok"
        pointer = response_for(operation.responses, answer.status)
        if answer.status >= 500:
            self.server_errors += 1
            said = "breaks down"
        elif pointer is None:
            self.undocumented += 1
            said = f"undocumented; documented are {', '.join(operation.responses) or 'none'}"
        elif answer.truncated:
            said = "too long to be compared"
        else:
            wrong = document.mismatch(pointer, media_type(answer), answer.body)
            if wrong is not None:
                self.mismatches += 1
                said = wrong
            elif 200 <= answer.status < 300:
                self.exercised += 1
            else:
                said = "documented, but no good answer: check parameters and credentials"
        self.rows.append(f"{answer.status}  {operation.name}  {said}")


class OpenApi(Kind[OpenApiParams]):
    """Validates the document, compares it with the committed one, and calls its GET operations."""

    name = "http.openapi"
    about = "OpenAPI document: valid, same operations as the committed one, GET operations answer as it says."
    params = OpenApiParams
    values: ClassVar[Mapping[str, str]] = {
        "valid": "whether the document is valid OpenAPI",
        "problems": "what is wrong with it",
        "operations": "operations it describes",
        "exercised_share": "share of the GET operations that gave a good answer, 0 to 1; only with exercise",
        "undocumented": "answers with a status the document does not have; only with exercise",
        "mismatches": "answers that are not as their schema says; only with exercise",
        "server_errors": "answers with a 5xx, or none; only with exercise",
        "differences": "operations only one of the two documents has; only with url and file",
    }
    timeout = 60.0

    def defaults(self, params: OpenApiParams) -> Rules:
        """Catalogue E1 and O2."""
        fail = {}
        if params.exercise:
            fail = {"undocumented": "> 0", "mismatches": "> 0", "server_errors": "> 0"}
        if params.url is not None and params.file is not None:
            fail["differences"] = "> 0"
        return Rules(
            must={"valid": True}, fail=fail, warn={"exercised_share": "< 0.8"} if params.exercise else {}
        )

    def problem(self, params: OpenApiParams) -> str | None:
        """No document, or nowhere to call it."""
        if params.url is None and params.file is None:
            return "there is no document: give url or file"
        if params.exercise and params.url is None and params.base_url is None:
            return "with file alone, give base_url, or set exercise to false"
        return params.credentials_problem()

    async def observe(self, params: OpenApiParams, context: Context) -> Observation:
        """Read, compare, call."""
        text, where = await _read(params, context)
        document = await asyncio.to_thread(read_document, text)
        problems = await asyncio.to_thread(document.problems)
        operations = document.operations()
        values: dict[str, Any] = {
            "valid": not problems,
            "problems": problems,
            "operations": len(operations),
        }
        said = [f"{len(operations)} operations", "valid" if not problems else f"{len(problems)} problems"]
        rows = [f"problem  {problem}" for problem in problems[:5]]
        if params.url is not None and params.file is not None:
            committed = await asyncio.to_thread(read_document, _file(params.file, context))
            rows += _differences(operations, committed.operations())
            values["differences"] = len(operations ^ committed.operations())
            said.append(f"{values['differences']} differences from {params.file}")
        if params.exercise and document.version == "2.0":
            raise Broken("Swagger 2 can be validated only: set exercise to false")
        if params.exercise and not problems:
            tally, count = await _exercise(document, params, context)
            values |= {
                "undocumented": tally.undocumented,
                "mismatches": tally.mismatches,
                "server_errors": tally.server_errors,
            }
            if count:
                values["exercised_share"] = round(tally.exercised / count, 3)
            rows += tally.rows
            said.append(f"{tally.exercised} of {count} GET operations answer as documented")
        return Observation(
            target=where,
            values=values,
            summary=", ".join(said),
            excerpt="\n".join(rows),
            facts={"openapi": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"},
        )


async def _read(params: OpenApiParams, context: Context) -> tuple[str, str]:
    """The document, the served one where there is one, and where it is from."""
    if params.url is None:
        return _file(params.file or "", context), params.file or ""
    answer = await context.web.request(
        "GET", params.url, headers=params.sent_headers(), max_bytes=_LONGEST, timeout=context.timeout / 3
    )
    where = place(params.url)
    if answer.status != 200:
        raise TargetDown(f"{where} answers {answer.status} instead of an OpenAPI document")
    if answer.truncated:
        raise NoData(f"{where} is longer than {_LONGEST} bytes")
    return answer.text, where


def _file(path: str, context: Context) -> str:
    found = context.path(path)
    try:
        return found.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Broken(f"{path} cannot be read: {why}") from error


def _differences(served: set[str], committed: set[str]) -> list[str]:
    return [f"not committed  {name}" for name in sorted(served - committed)][:20] + [
        f"not served     {name}" for name in sorted(committed - served)
    ][:20]


def _base(document: Document, params: OpenApiParams) -> str:
    """Where the API is. The host is never taken from the document: that often names another environment."""
    if params.base_url is not None:
        return params.base_url.rstrip("/")
    servers = document.data.get("servers")
    first = servers[0].get("url", "/") if isinstance(servers, list) and servers else "/"
    if "{" in str(first):
        raise Broken("the document's first server has variables: give base_url")
    origin = urlsplit(params.url or "")
    path = urlsplit(str(first)).path.rstrip("/")
    return urlunsplit((origin.scheme, origin.netloc, path, "", ""))


async def _exercise(document: Document, params: OpenApiParams, context: Context) -> tuple[_Tally, int]:
    """Call the GET operations; their number without those to skip."""
    base = _base(document, params)
    tally = _Tally()
    wanted = [one for one in document.readable(params.parameters) if one.name not in params.skip]
    for operation in wanted[: params.most]:
        if operation.unknown:
            tally.rows.append(f"-    {operation.name}  no sample for {', '.join(operation.unknown)}")
            continue
        try:
            answer = await context.web.request(
                "GET",
                f"{base}{operation.path}",
                params=operation.query or None,
                headers={"Accept": "application/json, */*", **operation.headers, **params.sent_headers()},
                max_bytes=_LONGEST,
                timeout=10.0,
            )
        except TargetDown as down:
            tally.server_errors += 1
            tally.rows.append(f"-    {operation.name}  {down}")
        else:
            await asyncio.to_thread(tally.add, document, operation, answer)
    return tally, len(wanted)
