"""Programs the sidecar names: only those its `commands` list allows; secrets go into the environment only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.checks.kind import Broken, Context, Finished, TargetDown
from bot.domain.check import Secret

#: Seconds left of an attempt to kill the program and tell what it did.
MARGIN_S = 0.5


class Overdue(TargetDown):
    """A program that was killed because its time was up; started again, it would do its work again."""

    retryable = False


async def run_allowed(
    context: Context,
    argv: Sequence[str],
    *,
    cwd: str = "",
    env: Mapping[str, str | Secret] | None = None,
) -> Finished:
    """Run a program of the sidecar's to its end.

    Raises Broken where it is not installed, not allowed or cannot be started, Overdue where it takes longer
    than the check may.
    """
    folder = context.path(cwd)
    if not folder.is_dir():
        raise Broken(f"there is no folder {cwd}")
    program = argv[0]
    if "/" in program and not program.startswith("/"):
        program = str(folder / program)
    found = context.processes.find(program)
    if found is None:
        raise Broken(f"{argv[0]} is not installed on the machine the bot runs on")
    if not context.processes.allowed(program):
        raise Broken(f"{argv[0]} may not be run: list {found} under `commands` if it is meant")
    finished = await context.processes.run(
        [program, *argv[1:]],
        timeout=max(context.timeout - MARGIN_S, 0.1),
        cwd=folder,
        env={
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in (env or {}).items()
        },
    )
    if finished.timed_out:
        raise Overdue(
            f"{argv[0]} did not end within {context.timeout:g} s; it was killed with all it started"
        )
    return finished


def last_words(finished: Finished) -> str:
    """What a program that failed says of it: the last line that is not empty, of errors before output."""
    for text in (finished.err, finished.out):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            return lines[-1][:200]
    return f"exit code {finished.code}, no output"
