"""A repository as checks see it, and the kind that is a folder with git in it.

Only questions are asked: nothing is fetched, and no hook, pager or external diff of the repository is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from bot.checks.kind import Broken, Context, NoData, Processes

#: The checkout may well belong to another user than the bot's; nothing it is configured to run is run.
_SETTINGS = (
    *("-c", "safe.directory=*"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "log.showSignature=false"),
)

Relation = Literal["ahead", "identical", "behind", "diverged"]


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit."""

    sha: str
    author: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What changed from a base to a head, since they parted."""

    #: Where the head is, seen from the base.
    relation: Relation
    #: Path → `A` added, `M` changed, `D` removed.
    files: dict[str, str]


class Repository(Protocol):
    """What is asked of a repository; revisions are branches, tags or commits."""

    #: Where it is, for people.
    title: str

    async def resolve(self, revision: str) -> Commit | None:
        """The commit a revision means; None where there is none."""

    async def protected(self, ref: str) -> bool | None:
        """Whether a branch is protected; None where that cannot be told."""

    async def changes(self, base: str, head: str) -> Changes:
        """What changed. Raises NoData where the history between them is not at hand."""

    async def read(self, path: str, revision: str) -> str | None:
        """A file's text; None where there is none."""

    async def exists(self, path: str, revision: str) -> bool:
        """Whether there is a file or folder of that path."""

    async def last_commit(self, path: str, revision: str) -> Commit | None:
        """The newest commit that touched a path."""

    async def tag_before(self, revision: str) -> str | None:
        """The newest release before a revision; None where there is none."""


class LocalGit:
    """A folder with git in it."""

    def __init__(self, context: Context, folder: str) -> None:
        self.title = folder
        self._folder: Path = context.path(folder)
        self._processes: Processes = context.processes
        self._timeout = context.timeout

    async def resolve(self, revision: str) -> Commit | None:
        """A remote branch as last fetched goes before a local one of its name, which may lag behind."""
        candidates = [revision] if revision == "HEAD" else [f"refs/remotes/origin/{revision}", revision]
        for candidate in candidates:
            sha = await self._git(
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                f"{candidate}^{{commit}}",
                none=(1, 128),
            )
            if sha is not None:
                return await self._commit(sha.strip())
        await self._git("rev-parse", "--git-dir")  # not found, or no repository at all?
        return None

    async def protected(self, ref: str) -> bool | None:
        """Protection is the forge's."""
        return None

    async def changes(self, base: str, head: str) -> Changes:
        """What changed on the head's side since it parted from the base."""
        left, right = await self._known(base), await self._known(head)
        if left == right:
            relation: Relation = "identical"
        elif await self._is_ancestor(left, right):
            relation = "ahead"
        elif await self._is_ancestor(right, left):
            relation = "behind"
        elif await self._shallow():
            raise NoData(f"the clone is too shallow to compare {base} with {head}: fetch the whole history")
        else:
            relation = "diverged"
        listed = await self._git(
            "diff", "--name-status", "-z", "--no-renames", "--no-ext-diff", "--relative", f"{left}...{right}"
        )
        parts = (listed or "").split("\0")
        return Changes(relation=relation, files=dict(zip(parts[1::2], parts[0::2], strict=False)))

    async def read(self, path: str, revision: str) -> str | None:
        """As it is committed; what only lies in the working folder nobody else has."""
        return await self._git(
            "cat-file", "blob", f"{await self._known(revision)}:./{_inside(path)}", none=(128,)
        )

    async def exists(self, path: str, revision: str) -> bool:
        """Whether it is committed."""
        name = f"{await self._known(revision)}:./{_inside(path)}"
        return await self._git("cat-file", "-e", name, none=(1, 128)) is not None

    async def last_commit(self, path: str, revision: str) -> Commit | None:
        """The newest commit that touched a path. Raises NoData in a shallow clone, where all looks new."""
        if await self._shallow():
            raise NoData("the clone is shallow, so the age of files cannot be told: fetch the whole history")
        sha = await self._git(
            "log", "-1", "--format=%H", await self._known(revision), "--", f"./{_inside(path)}"
        )
        return await self._commit(sha.strip()) if sha and sha.strip() else None

    async def tag_before(self, revision: str) -> str | None:
        """The nearest tag in the history of the revision's parent."""
        known = await self._known(revision)
        found = await self._git("describe", "--tags", "--abbrev=0", f"{known}^", none=(128,))
        return found.strip() if found else None

    async def _known(self, revision: str) -> str:
        commit = await self.resolve(revision)
        if commit is None:
            raise NoData(f"there is no {revision} in the clone {self.title}: fetch its branches and tags")
        return commit.sha

    async def _commit(self, sha: str) -> Commit:
        told = await self._git("log", "-1", "--format=%H%x00%an%x00%cI", sha)
        full, author, at = (told or "").strip().split("\0")
        return Commit(sha=full, author=author, at=datetime.fromisoformat(at))

    async def _is_ancestor(self, old: str, new: str) -> bool:
        return await self._git("merge-base", "--is-ancestor", old, new, none=(1,)) is not None

    async def _shallow(self) -> bool:
        return (await self._git("rev-parse", "--is-shallow-repository") or "").strip() == "true"

    async def _git(self, *arguments: str, none: tuple[int, ...] = ()) -> str | None:
        """The output of a git command; None for an exit code of `none`. Raises NoData for any other."""
        if not self._folder.is_dir():
            raise Broken(f"{self.title} is no folder")
        done = await self._processes.run(
            [
                "git",
                "-C",
                str(self._folder),
                *_SETTINGS,
                "--no-pager",
                *arguments,
            ],
            timeout=self._timeout,
            env={"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"},
            max_bytes=4_000_000,
        )
        if done.timed_out:
            raise NoData(f"git did not answer within {self._timeout:g} s")
        if done.code in none:
            return None
        if done.code:
            raise NoData(f"git: {' '.join(done.err.split())[:200] or f'exit code {done.code}'}")
        if done.truncated:
            raise NoData(f"git {arguments[0]} says more than can be read")
        return done.out


def _inside(path: str) -> str:
    """A path relative to the repository's folder. Raises Broken for one that leads out of it."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise Broken(f"{path} leads out of the repository")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
