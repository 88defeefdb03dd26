"""A program of one's own: for what no other kind knows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field

from bot.checks.commands import last_words, run_allowed
from bot.checks.kind import Broken, Context, Kind, Params, Pool, SecretValue
from bot.domain.check import Observation, Rules

#: What a variable may be called; those that change what a program loads are not among them.
_VARIABLE = re.compile(r"(?!LD_|DYLD_)[A-Za-z_][A-Za-z0-9_]*")
#: Lines of output kept as evidence.
LINES = 10


class CommandParams(Params):
    """What to run, and what to take from its output."""

    argv: list[str] = Field(min_length=1, description="Program and arguments; no shell reads them.")
    cwd: str = Field(default="", description="Folder to run it in.")
    env: dict[str, str | SecretValue] = Field(default_factory=dict, description="Its environment.")
    extract: dict[str, str] = Field(
        default_factory=dict, description="Values by name: JMESPath expressions on the JSON it prints."
    )


class Command(Kind[CommandParams]):
    """Runs a program from the sidecar's `commands` list, without a shell, with a clean environment."""

    name = "command"
    about = "Runs a listed program; its exit code and values from the JSON it prints."
    params = CommandParams
    values: ClassVar[Mapping[str, str]] = {
        "exit_code": "its exit code; negative where a signal ended it",
        "ms": "milliseconds it took",
        "*": "what `extract` names; absent where the expression finds nothing",
    }
    pool = Pool.COMMAND
    cheap = False
    #: Nobody knows what it does when it is run twice.
    repeatable = False

    def defaults(self, params: CommandParams) -> Rules:
        """It succeeds."""
        return Rules(must={"exit_code": 0})

    def problem(self, params: CommandParams) -> str | None:
        """Expressions and variables that cannot be."""
        for name, expression in params.extract.items():
            if name in ("exit_code", "ms"):
                return f"extract: {name} is a value of its own"
            try:
                jmespath.compile(expression)
            except JMESPathError as error:
                return f"extract {name}: {str(error).splitlines()[0]}"
        for name in params.env:
            if not _VARIABLE.fullmatch(name):
                return f"env: {name} cannot be set"
        return None

    async def observe(self, params: CommandParams, context: Context) -> Observation:
        """Run it to its end."""
        finished = await run_allowed(context, params.argv, cwd=params.cwd, env=params.env)
        extracted: dict[str, Any] = {}
        if params.extract:
            try:
                printed = json.loads(finished.out)
            except ValueError as error:
                # A program that failed need not print anything; its exit code decides.
                if finished.code == 0:
                    what = "more than 1 MB" if finished.truncated else "no JSON"
                    raise Broken(f"{params.argv[0]} prints {what}, so nothing can be extracted") from error
            else:
                extracted = {
                    name: jmespath.search(expression, printed) for name, expression in params.extract.items()
                }
        said = f"exit code {finished.code}"
        if finished.code:
            said += f": {last_words(finished)}"
        elif extracted:
            said = ", ".join(f"{name}={value}" for name, value in list(extracted.items())[:6])
        output = finished.out if finished.out.strip() else finished.err
        return Observation(
            target=" ".join(params.argv[:6]),
            values={**extracted, "exit_code": finished.code, "ms": round(finished.ms, 1)},
            summary=said,
            excerpt="\n".join(output.strip().splitlines()[:LINES]),
        )


KINDS = (Command(),)
