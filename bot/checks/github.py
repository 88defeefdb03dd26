"""A repository on GitHub, over the REST API (version 2022-11-28): a few calls, no client library."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote

from bot.checks.kind import Context, NoData
from bot.checks.repository import Changes, Commit, Relation
from bot.checks.source import Source
from bot.domain.check import Secret

#: GitHub tells no more files of a comparison than these ("Compare two commits").
MOST_FILES = 300
#: Pages of a hundred read at most.
MOST_PAGES = 10
_STATUS = {"added": "A", "removed": "D"}


class GitHub:
    """One repository."""

    def __init__(self, context: Context, name: str, token: Secret | None, *, api: str) -> None:
        self.title = name
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        self._source = Source(context.web, "GitHub", api, headers=headers)
        self._path = f"/repos/{quote(name)}"

    async def resolve(self, revision: str) -> Commit | None:
        """The commit of a branch, tag or commit id."""
        found = await self._get(f"/commits/{quote(revision)}", absent=(404, 422))
        if found is None:
            await self._visible()
            return None
        return _commit(found)

    async def protected(self, ref: str) -> bool | None:
        """By branch protection or a ruleset; None where it is no branch."""
        branch = await self._get(f"/branches/{quote(ref)}", absent=(404,))
        if branch is None:
            return None
        return bool(branch.get("protected")) or bool(
            await self._get(f"/rules/branches/{quote(ref)}", absent=(403, 404))
        )

    async def changes(self, base: str, head: str) -> Changes:
        """What changed on the head's side since it parted from the base."""
        found = await self._get(f"/compare/{quote(base)}...{quote(head)}", absent=(404,))
        if found is None:
            await self._visible()
            raise NoData(f"{self.title} has no {base} or no {head}")
        files = found.get("files") or []
        if len(files) >= MOST_FILES:
            raise NoData(f"more than {MOST_FILES} files changed, and GitHub tells no more of them")
        changed = {str(one["filename"]): _STATUS.get(one["status"], "M") for one in files}
        changed |= {str(one["previous_filename"]): "D" for one in files if one.get("previous_filename")}
        return Changes(relation=cast(Relation, found["status"]), files=changed)

    async def read(self, path: str, revision: str) -> str | None:
        """A file of up to a megabyte."""
        found = await self._contents(path, revision)
        if not isinstance(found, dict) or found.get("type") != "file":
            return None
        if found.get("encoding") != "base64":
            raise NoData(f"{path} is too large to be read over GitHub's API")
        return base64.b64decode(found["content"]).decode("utf-8", "replace")

    async def exists(self, path: str, revision: str) -> bool:
        """Whether there is a file or folder of that path."""
        return await self._contents(path, revision) is not None

    async def last_commit(self, path: str, revision: str) -> Commit | None:
        """The newest commit that touched a path."""
        found = await self._get("/commits", params={"path": path, "sha": revision, "per_page": "1"})
        return _commit(found[0]) if found else None

    async def tag_before(self, revision: str) -> str | None:
        """The newest published release but this one and those after it."""
        names = [
            str(one["tag_name"])
            async for one in self._pages("/releases", "")
            if not one.get("draft") and not one.get("prerelease")
        ]
        after = names[names.index(revision) + 1 :] if revision in names else names
        return after[0] if after else None

    async def release(self, tag: str) -> dict[str, Any] | None:
        """The published release of a tag; drafts are not told of here."""
        found = await self._get(f"/releases/tags/{quote(tag)}", absent=(404,))
        if found is None:
            await self._visible()
            return None
        return None if found.get("draft") else dict(found)

    async def check_runs(self, sha: str) -> list[dict[str, Any]]:
        """The newest run of each check of a commit."""
        return [run async for run in self._pages(f"/commits/{sha}/check-runs", "check_runs")]

    async def statuses(self, sha: str) -> list[dict[str, Any]]:
        """The newest status of each context. What GitHub combines of them is `pending` where there are none,
        so that is not asked."""
        return [status async for status in self._pages(f"/commits/{sha}/status", "statuses")]

    async def _pages(self, path: str, key: str) -> AsyncIterator[dict[str, Any]]:
        for page in range(1, MOST_PAGES + 1):
            found = await self._get(path, params={"per_page": "100", "page": str(page)})
            listed = found.get(key) or [] if key else found
            for one in listed:
                yield one
            if len(listed) < 100:
                return
        raise NoData(f"GitHub lists more than {MOST_PAGES * 100} entries under {path}")

    async def _contents(self, path: str, revision: str) -> Any:
        given = {} if revision == "HEAD" else {"ref": revision}
        return await self._get(f"/contents/{quote(path.strip('/'))}", params=given, absent=(404,))

    async def _visible(self) -> None:
        """Raises NoData where the repository itself is not there for this token: GitHub says 404 to both."""
        if await self._source.get(self._path, absent=(404,)) is None:
            raise NoData(
                f"GitHub shows no repository {self.title}: check the name and what the token may read"
            )

    async def _get(self, path: str, **given: Any) -> Any:
        return await self._source.get(self._path + path, **given)


def _commit(found: dict[str, Any]) -> Commit:
    inner = found["commit"]
    return Commit(
        sha=str(found["sha"]),
        author=str((inner.get("author") or {}).get("name", "")),
        at=datetime.fromisoformat(str(inner["committer"]["date"]).replace("Z", "+00:00")),
    )
