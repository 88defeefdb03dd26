"""Whether secrets lie in the repository."""

from __future__ import annotations

import importlib.util
import json
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from bot.checks.kind import Broken, Context, Kind, NoData, Params, Pool
from bot.domain.check import Observation, Rules

#: Files given to one run of the scanner: a command line has room for so many.
CHUNK = 500
#: `.env` files that are meant to be shared.
_EXAMPLES = (".example", ".sample", ".template", ".dist", ".defaults", ".schema")
#: Folders not searched for `.env` files.
_SKIPPED = frozenset({".git", ".venv", "venv", "node_modules", ".tox", "__pycache__"})
DEEPEST = 6


class SecretsParams(Params):
    """Which files."""

    path: str = Field(default="", description="Folder of the repository to look into.")
    exclude: list[str] = Field(
        default_factory=list, description="Globs of files to leave out, e.g. tests/**/*."
    )
    baseline: str = Field(default=".secrets.baseline", description="Findings that were accepted.")
    since: str = Field(default="", description="Only files changed since this commit or tag.")


class FilesSecrets(Kind[SecretsParams]):
    """Secrets in tracked files, and `.env` files that are tracked or readable by others (catalogue A2)."""

    name = "files.secrets"
    about = "Secrets in tracked files beyond the baseline, and careless .env files (detect-secrets)."
    params = SecretsParams
    values: ClassVar[Mapping[str, str]] = {
        "findings": "what looks like a secret and is not in the baseline",
        "tracked_env": ".env files that git tracks",
        "loose_env": ".env files whose mode is wider than 0600",
        "files": "files scanned",
        "accepted": "findings in the baseline",
    }
    pool = Pool.COMMAND
    cheap = False
    timeout = 120.0

    def defaults(self, params: SecretsParams) -> Rules:
        """Nothing of the kind."""
        return Rules(fail={"findings": "> 0", "tracked_env": "> 0", "loose_env": "> 0"})

    async def observe(self, params: SecretsParams, context: Context) -> Observation:
        """Let git list the files and the scanner look into them."""
        if importlib.util.find_spec("detect_secrets") is None:
            raise Broken("detect-secrets is not installed: pip install 'deploybot[secrets]'")
        folder = context.path(params.path)
        tracked = await self._tracked(folder, params, context)
        skipped = {str(path.relative_to(folder)) for glob in params.exclude for path in folder.glob(glob)}
        names = [name for name in tracked if name not in skipped and name != params.baseline]
        files = [name for name in names if (folder / name).is_file()]
        if not files:
            raise NoData(
                "git tracks no file here" if not params.since else f"no file changed since {params.since}"
            )
        accepted = _baseline(context, folder, params)
        found = await self._scan(folder, files, context)
        fresh = [one for one in found if _mark(one) not in accepted]
        tracked_env = [name for name in files if _is_env(name)]
        loose = sorted(_loose(folder))
        said = [f"{len(fresh)} findings in {len(files)} files"]
        said += [f"{len(tracked_env)} tracked .env files"] if tracked_env else []
        said += [f"{len(loose)} .env files others may read"] if loose else []
        return Observation(
            target=params.path or ".",
            values={
                "findings": len(fresh),
                "tracked_env": len(tracked_env),
                "loose_env": len(loose),
                "files": len(files),
                "accepted": len(found) - len(fresh),
            },
            summary=", ".join(said),
            # Neither the secret nor its hash: what was found, and where.
            excerpt="\n".join(
                [
                    *(f"{one['type']}  {one['filename']}:{one['line_number']}" for one in fresh[:20]),
                    *(f"tracked  {name}" for name in tracked_env[:5]),
                    *(f"mode {mode:04o}  {name}" for name, mode in loose[:5]),
                ]
            ),
        )

    @staticmethod
    async def _tracked(folder: Path, params: SecretsParams, context: Context) -> list[str]:
        # Neither a repository's own hooks nor another owner of the checkout must get in the way.
        git = ["git", "-c", "core.fsmonitor=false", "-c", "safe.directory=*", "-C", str(folder)]
        asked = ["ls-files", "-z"]
        if params.since:
            asked = ["diff", "--name-only", "-z", "--relative", "--end-of-options", params.since, "--"]
        finished = await context.processes.run([*git, *asked], timeout=30, max_bytes=10_000_000)
        if finished.code:
            why = finished.err.strip().splitlines()
            raise NoData(f"git cannot list the files: {why[-1] if why else 'no reason given'}")
        if finished.truncated or finished.timed_out:
            raise NoData("git lists too many files")
        return [name for name in finished.out.split("\0") if name]

    @staticmethod
    async def _scan(folder: Path, files: Sequence[str], context: Context) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for at in range(0, len(files), CHUNK):
            # Isolated: a module of the repository's must not be taken for one of the scanner's.
            # It must not ask the providers whether a secret works: that would send it there.
            argv = [sys.executable, "-I", "-m", "detect_secrets", "scan", "--no-verify", "--all-files"]
            chunk = [f"./{name}" for name in files[at : at + CHUNK]]
            finished = await context.processes.run(
                [*argv, *chunk], timeout=context.timeout, cwd=folder, max_bytes=20_000_000
            )
            try:
                results = json.loads(finished.out)["results"]
            except (ValueError, KeyError, TypeError):
                why = (finished.err or finished.out).strip().splitlines()
                raise NoData(f"detect-secrets gave no answer: {why[-1] if why else 'stopped'}") from None
            if finished.code:
                raise NoData(f"detect-secrets ended with {finished.code}")
            found += [one | {"filename": _plain(name)} for name, ones in results.items() for one in ones]
        return found


def _baseline(context: Context, folder: Path, params: SecretsParams) -> set[tuple[str, str, str]]:
    """Marks of what was accepted. Raises Broken for a baseline that cannot be read."""
    path = context.path(str(folder / params.baseline))
    if not path.is_file():
        return set()
    try:
        results = json.loads(path.read_text("utf-8"))["results"]
        return {
            _mark(one | {"filename": _plain(name)})
            for name, ones in results.items()
            for one in ones
            # One that was audited and found to be real is not accepted.
            if one.get("is_secret") is not True
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Broken(f"{params.baseline} is no baseline of detect-secrets") from error


def _mark(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(one["filename"]), str(one["type"]), str(one["hashed_secret"])


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _is_env(name: str) -> bool:
    base = name.rpartition("/")[2]
    return (base == ".env" or base.startswith(".env.")) and not base.endswith(_EXAMPLES)


def _loose(folder: Path, depth: int = 0) -> Iterator[tuple[str, int]]:
    """`.env` files below a folder that others than their owner may read or write, with their mode."""
    for path in sorted(folder.iterdir()) if depth <= DEEPEST else ():
        if path.is_symlink():
            continue
        if path.is_dir():
            if path.name not in _SKIPPED:
                yield from ((f"{path.name}/{name}", mode) for name, mode in _loose(path, depth + 1))
        elif _is_env(path.name):
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o177:
                yield path.name, mode
