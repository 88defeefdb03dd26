"""What the repository knows: refs, checks of a commit, documents, releases, and the way back."""

from __future__ import annotations

import asyncio
import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from bot.checks import documents
from bot.checks.commit_checks import weigh
from bot.checks.downgrades import irreversible
from bot.checks.hosting import RepositoryParams, revision_of
from bot.checks.kind import Context, Duration, Kind, NoData, SecretValue
from bot.checks.links import follow
from bot.checks.repository import Repository
from bot.domain.check import Observation, Rules

_NAMES = r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]+)="


def _none_or(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


class RefParams(RepositoryParams):
    """A branch or tag, and where it must be."""

    ref: str = Field("", description="Branch or tag that must exist; unset: the deployment's version.")
    sha: str = Field("", description="Commit, or another ref, it must be at.")


class Ref(Kind[RefParams]):
    """Whether a branch or tag exists and is where it should be."""

    name = "vcs.ref"
    about = "A branch or tag exists, is at the expected commit and, on GitHub, is protected."
    params = RefParams
    values: ClassVar[Mapping[str, str]] = {
        "exists": "whether the ref exists",
        "at": "whether it is at the expected commit; absent where none is expected",
        "sha": "the commit it is at; absent where it does not exist",
        "protected": "whether the branch is protected; absent where that cannot be told, as for tags",
    }
    indirect = True

    def defaults(self, params: RefParams) -> Rules:
        """Catalogue G2: missing or not at the commit fails, unprotected warns."""
        return Rules(
            must={"exists": True, **({"at": True} if params.sha else {})},
            warn={"protected": False} if params.github else {},
        )

    async def observe(self, params: RefParams, context: Context) -> Observation:
        """Look it up."""
        repository = params.repository(context)
        ref = revision_of(params.ref, context)
        commit = await repository.resolve(ref)
        if commit is None:
            values: dict[str, Any] = {"exists": False, "at": False, "sha": None, "protected": None}
            return Observation(values=values, target=repository.title, summary=f"there is no {ref}")
        at = None
        if params.sha:
            wanted = await repository.resolve(revision_of(params.sha, context))
            at = wanted is not None and wanted.sha == commit.sha
        protected = await repository.protected(ref)
        said = {True: ", protected", False: ", not protected", None: ""}[protected]
        return Observation(
            values={"exists": True, "at": at, "sha": commit.sha, "protected": protected},
            target=repository.title,
            summary=f"{ref} is at {commit.sha[:12]} by {commit.author}, {commit.at:%Y-%m-%d %H:%M}{said}",
            facts={"commit": commit.sha},
        )


class ChecksParams(RepositoryParams):
    """A commit and the checks that must have passed on it."""

    ref: str = Field("", description="Commit, branch or tag; unset: the deployment's version.")
    required: list[str] = Field(
        default=[], description="Checks that must have succeeded; none: all that report, one at least."
    )


class Checks(Kind[ChecksParams]):
    """Whether the checks of a commit have succeeded: check runs (Actions, apps) and commit statuses alike.

    A required check that was skipped or neutral has not run, so it does not count; among those not named,
    GitHub's own reading holds, by which they do no harm.
    """

    name = "vcs.checks"
    about = "The checks GitHub reports for a commit have succeeded."
    params = ChecksParams
    values: ClassVar[Mapping[str, str]] = {
        "reported": "checks reported",
        "succeeded": "those that succeeded",
        "failed": "those that ended in any other way, or none",
        "pending": "those that have not ended, or none",
        "missing": "required ones that are not reported, or none",
    }
    indirect = True

    def defaults(self, params: ChecksParams) -> Rules:
        """Catalogue G3: any required check that is no success."""
        return Rules(must={"failed": "none", "pending": "none", "missing": "none"}, fail={"succeeded": "< 1"})

    def problem(self, params: ChecksParams) -> str | None:
        """Checks are the forge's."""
        return None if params.github else "checks are only known on GitHub: name the repository under github"

    async def observe(self, params: ChecksParams, context: Context) -> Observation:
        """Both lists, in full. Raises NoData where nothing is reported or the commit is unknown."""
        hub, ref = params.hub(context), revision_of(params.ref, context)
        commit = await hub.resolve(ref)
        if commit is None:
            raise NoData(f"{params.github} has no {ref}")
        runs, statuses = await asyncio.gather(hub.check_runs(commit.sha), hub.statuses(commit.sha))
        checks = weigh(runs, statuses, required=params.required)
        if not checks.reported:
            raise NoData(f"nothing reports checks for {ref} ({commit.sha[:12]})")
        whole = len(checks.counted) + len(checks.missing)
        return Observation(
            values={
                "reported": checks.reported,
                "succeeded": checks.succeeded,
                "failed": _none_or(checks.failed),
                "pending": _none_or(checks.pending),
                "missing": _none_or(checks.missing),
            },
            target=f"{params.github} {ref}",
            summary=f"{checks.succeeded} of {whole} checks succeeded on {commit.sha[:12]}",
            excerpt="\n".join(
                f"{state:<10} {name}  {link}".rstrip() for name, state, link in checks.counted[:30]
            ),
            facts={"commit": commit.sha},
        )


class ChangedParams(RepositoryParams):
    """Which changes need which documents."""

    base: str = Field("", description="Tag or commit before; unset: the nearest tag before the head.")
    head: str = Field("", description="What is deployed; unset: the deployment's version.")
    code: list[str] = Field(default=["*"], description="Globs of what needs documents, e.g. api/*.")
    docs: list[str] = Field(default=["docs/*", "*.md"], description="Globs of the documents.")


class Changed(Kind[ChangedParams]):
    """Whether documents were touched where code was."""

    name = "vcs.changed"
    about = "Documents changed where code did, since the last release."
    params = ChangedParams
    values: ClassVar[Mapping[str, str]] = {
        "docs": "touched, untouched, or not needed where no code changed",
        "code_changed": "changed files that need documents",
        "docs_changed": "changed documents",
        "relation": "where the head is, seen from the base: ahead, identical, behind, diverged",
    }
    indirect = True

    def defaults(self, params: ChangedParams) -> Rules:
        """Catalogue G4: documents untouched while code changed. A head behind its base compares nothing."""
        return Rules(must={"relation": ["ahead", "identical", "diverged"]}, warn={"docs": "untouched"})

    async def observe(self, params: ChangedParams, context: Context) -> Observation:
        """Compare. Raises NoData where either end is unknown."""
        repository, head = params.repository(context), revision_of(params.head, context)
        base = params.base or await repository.tag_before(head)
        if not base:
            raise NoData(f"there is no tag before {head} to compare with")
        changes = await repository.changes(revision_of(base, context), head)
        docs = [path for path in changes.files if _matches(path, params.docs)]
        code = [path for path in changes.files if path not in docs and _matches(path, params.code)]
        state = "touched" if docs else "untouched" if code else "not needed"
        return Observation(
            values={
                "docs": state,
                "code_changed": len(code),
                "docs_changed": len(docs),
                "relation": changes.relation,
            },
            target=f"{repository.title} {base}...{head}",
            summary=f"{len(code)} code files and {len(docs)} documents changed since {base}",
            excerpt="\n".join(
                [*(f"doc   {path}" for path in docs[:20]), *(f"code  {path}" for path in code[:20])]
            ),
        )


def _matches(path: str, globs: Sequence[str]) -> bool:
    """`*` matches slashes too, as in CODEOWNERS-like lists."""
    return any(fnmatch.fnmatchcase(path, glob.replace("**/", "*").replace("**", "*")) for glob in globs)


class DocParams(RepositoryParams):
    """A document and what must be in it."""

    path: str = Field(description="The document in the repository.")
    ref: str = Field("HEAD", description="Revision it is read at.")
    headings: list[str] = Field(default=[], description="Sections it must have, with something in them.")
    names: list[str] = Field(
        default=[], description="Names that must appear, e.g. settings, alerts, dashboards."
    )
    names_from: str = Field("", description="File whose names must appear, e.g. .env.example.")
    names_pattern: str = Field(_NAMES, description="Regular expression for a name in that file, as group 1.")
    max_age: Duration | None = Field(None, gt=0, description="Age of its last change that is worth a look.")
    since: str = Field("", description="Tag it should have been touched since.")
    links: bool = Field(True, description="Whether its links are followed.")


class Doc(Kind[DocParams]):
    """Whether a document is there, complete, current, and its links lead somewhere."""

    name = "vcs.doc"
    about = "A document exists, has its sections and names, is current, and its links work."
    params = DocParams
    values: ClassVar[Mapping[str, str]] = {
        "exists": "whether it is in the repository",
        "missing_headings": "required sections that are missing or empty, or none",
        "missing_names": "required names that do not appear, or none",
        "dead_links": "links that lead nowhere, or none",
        "links": "links followed",
        "unchecked_links": "links that could not be judged: outside the allow-list, behind a login, too many",
        "age_days": "days since its last change",
        "touched": "whether it changed since the tag; absent where none is named",
    }
    indirect = True
    timeout = 30.0

    def defaults(self, params: DocParams) -> Rules:
        """Catalogue O1, O3, O4, O5: names undocumented, link dead, not touched: warn; absent: fail."""
        warn: dict[str, Any] = {"missing_names": "!= none"} if params.names or params.names_from else {}
        warn |= {"dead_links": "!= none"} if params.links else {}
        warn |= {"age_days": f"> {params.max_age / 86400:g}"} if params.max_age else {}
        warn |= {"touched": False} if params.since else {}
        return Rules(must={"exists": True, "missing_headings": "none"}, warn=warn)

    def problem(self, params: DocParams) -> str | None:
        """A pattern that cannot name anything."""
        try:
            groups = re.compile(params.names_pattern).groups
        except re.error as error:
            return f"names_pattern is no regular expression: {error}"
        return None if groups == 1 else "names_pattern needs one group, for the name"

    async def observe(self, params: DocParams, context: Context) -> Observation:
        """Read it. Raises NoData where the repository or the file with names cannot be read."""
        repository, ref = params.repository(context), revision_of(params.ref, context)
        text = await repository.read(params.path, ref)
        if text is None:
            if await repository.resolve(ref) is None:
                raise NoData(f"{repository.title} has no {ref}")
            return Observation(
                values={"exists": False, "missing_headings": "none"},
                target=f"{repository.title} {params.path}",
                summary=f"there is no {params.path}",
            )
        document = documents.read(text)
        names = [*params.names, *await self._names(params, repository, ref)]
        headings, absent = document.missing_headings(params.headings), document.missing_names(names)
        values: dict[str, Any] = {
            "exists": True,
            "missing_headings": _none_or(headings),
            "missing_names": _none_or(absent),
        }
        dead: list[str] = []
        if params.links:
            dead, followed, unchecked = await follow(document.links, params.path, repository, ref, context)
            values |= {"dead_links": _none_or(dead), "links": followed, "unchecked_links": unchecked}
        said = [f"{len(document.filled)} sections"]
        commit = await repository.last_commit(params.path, ref)
        if commit is not None:
            values["age_days"] = round((context.now() - commit.at).total_seconds() / 86400, 1)
            said.append(f"changed {commit.at:%Y-%m-%d} by {commit.author}")
        if params.since:
            changes = await repository.changes(revision_of(params.since, context), ref)
            values["touched"] = params.path in changes.files
        wrong = {"missing section": headings, "missing name": absent, "dead link": dead}
        said += [f"{len(found)} {what}{'s' * (len(found) > 1)}" for what, found in wrong.items() if found]
        return Observation(
            values=values,
            target=f"{repository.title} {params.path}",
            summary=", ".join(said),
            excerpt="\n".join(f"{what}: {one}" for what, found in wrong.items() for one in found[:20]),
            facts={"commit": commit.sha} if commit else {},
        )

    @staticmethod
    async def _names(params: DocParams, repository: Repository, ref: str) -> list[str]:
        if not params.names_from:
            return []
        text = await repository.read(params.names_from, ref)
        names = list(dict.fromkeys(re.findall(params.names_pattern, text or "", re.MULTILINE)))
        if not names:
            raise NoData(f"{params.names_from} gives no names to look for")
        return names


class ReleaseParams(RepositoryParams):
    """A version, and where it is written about."""

    tag: str = Field("", description="Tag of the version; unset: the deployment's version.")
    changelog: str = Field(
        "CHANGELOG.md", description="Changelog in the repository; empty: only releases count."
    )
    ref: str = Field("HEAD", description="Revision the changelog is read at.")


class Release(Kind[ReleaseParams]):
    """Whether a version is written about: a changelog entry with content, or a published GitHub release."""

    name = "vcs.release"
    about = "The version has a changelog entry, or a published release on GitHub."
    params = ReleaseParams
    values: ClassVar[Mapping[str, str]] = {
        "documented": "whether there is an entry or a release, with text in it",
        "entry_lines": "lines of the changelog entry; absent where there is none",
        "release": "whether a release is published; absent where GitHub was not asked",
    }
    indirect = True

    def defaults(self, params: ReleaseParams) -> Rules:
        """Catalogue P3: no changelog entry for the tag."""
        return Rules(must={"documented": True})

    def problem(self, params: ReleaseParams) -> str | None:
        """Nowhere to look."""
        return None if params.changelog or params.github else "name a changelog or a repository on GitHub"

    async def observe(self, params: ReleaseParams, context: Context) -> Observation:
        """Look in both places."""
        repository, tag = params.repository(context), revision_of(params.tag, context)
        lines, release, link = None, None, ""
        if params.changelog:
            text = await repository.read(params.changelog, revision_of(params.ref, context))
            lines = None if text is None else documents.changelog_lines(text, tag)
        if params.github:
            found = await params.hub(context).release(tag)
            release = bool(found and str(found.get("body") or "").strip())
            link = str(found.get("html_url", "")) if found else ""
        said = []
        if lines is not None:
            said.append(
                f"{params.changelog} has {lines} lines for {tag}"
                if lines
                else f"{params.changelog}: empty entry"
            )
        if release:
            said.append(f"release {tag} is published")
        return Observation(
            values={"documented": bool(lines) or bool(release), "entry_lines": lines, "release": release},
            target=f"{repository.title} {tag}",
            summary=", ".join(said) or f"nothing is written about {tag}",
            excerpt=link,
        )


class RollbackParams(RepositoryParams):
    """What a rollback needs."""

    head: str = Field("", description="What is deployed; unset: the deployment's version.")
    previous: str = Field("", description="Tag to go back to; unset: the nearest before the head.")
    artifact: str = Field(
        "", description="URL of its artifact; {tag} is replaced, e.g. a registry's manifest."
    )
    artifact_bearer: SecretValue | None = Field(None, description="Token for that URL.")
    migrations: str = Field("", description="Folder of Alembic revisions that must have a way back.")
    plan: str = Field("", description="Document with the plan; a revision it names is accepted as it is.")


class Rollback(Kind[RollbackParams]):
    """Whether there is a way back: the previous version, its artifact, undoable migrations, a plan."""

    name = "vcs.rollback"
    about = "The previous version, its artifact and a way back for every migration are there."
    params = RollbackParams
    values: ClassVar[Mapping[str, str]] = {
        "previous": "the tag to go back to; absent where there is none",
        "artifact": "whether its artifact is there; absent where none is asked for",
        "irreversible": "new migrations without a way back that the plan does not name, or none",
        "plan": "whether the plan is there; absent where none is asked for",
    }
    indirect = True
    timeout = 30.0

    def defaults(self, params: RollbackParams) -> Rules:
        """Catalogue G5: no previous artifact, or an irreversible migration without a note."""
        must: dict[str, Any] = {"previous": "~ .", "irreversible": "none"}
        must |= {"artifact": True} if params.artifact else {}
        must |= {"plan": True} if params.plan else {}
        return Rules(must=must)

    async def observe(self, params: RollbackParams, context: Context) -> Observation:
        """Look for each. Raises NoData where the head is unknown or the artifact cannot be asked for."""
        repository, head = params.repository(context), revision_of(params.head, context)
        if await repository.resolve(head) is None:
            raise NoData(f"{repository.title} has no {head}")
        previous = params.previous or await repository.tag_before(head)
        commit = await repository.resolve(revision_of(previous, context)) if previous else None
        if previous is None or commit is None:
            gone = f"there is no {previous}" if previous else f"there is no tag before {head}"
            # An empty text, not None: a demand on nothing would be undecidable, and this has been decided.
            values: dict[str, Any] = {
                "previous": "",
                "irreversible": "none",
                "artifact": False,
                "plan": False,
            }
            return Observation(values=values, target=repository.title, summary=gone)
        plan = await repository.read(params.plan, head) if params.plan else None
        stuck = await self._stuck(params, repository, previous, head)
        unnamed = [name for name in stuck if not plan or name.partition(" ")[0] not in plan]
        artifact = await self._artifact(params, context, previous) if params.artifact else None
        said = [f"back to {previous} ({commit.sha[:12]})"]
        said += [] if artifact is None else ["artifact there" if artifact else "artifact missing"]
        said += [f"{len(unnamed)} migrations without a way back"] if unnamed else []
        return Observation(
            values={
                "previous": previous,
                "irreversible": _none_or(unnamed),
                "artifact": artifact,
                "plan": bool(plan and plan.strip()) if params.plan else None,
            },
            target=f"{repository.title} {head}",
            summary=", ".join(said),
            excerpt="\n".join(f"no way back: {name}" for name in stuck),
            facts={"previous": commit.sha},
        )

    @staticmethod
    async def _stuck(params: RollbackParams, repository: Repository, previous: str, head: str) -> list[str]:
        if not params.migrations:
            return []
        folder = params.migrations.strip("/") + "/"
        changes = await repository.changes(previous, head)
        added = [
            path
            for path, state in changes.files.items()
            if state != "D" and path.startswith(folder) and path.endswith(".py")
        ]
        stuck: list[str] = []
        for path in added:
            try:
                revision = irreversible(await repository.read(path, head) or "")
            except ValueError as error:
                raise NoData(f"{path} cannot be read as Python: {error}") from error
            if revision is not None:
                stuck.append(f"{revision} ({path.removeprefix(folder)})")
        return stuck

    @staticmethod
    async def _artifact(params: RollbackParams, context: Context, previous: str) -> bool:
        url = params.artifact.replace("{tag}", previous)
        headers = {
            "Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json,"
            " application/vnd.docker.distribution.manifest.list.v2+json,"
            " application/vnd.docker.distribution.manifest.v2+json, */*"
        }
        if params.artifact_bearer is not None:
            headers["Authorization"] = f"Bearer {params.artifact_bearer.reveal()}"
        answer = await context.web.request("HEAD", url, headers=headers)
        if answer.status in (404, 410):
            return False
        if answer.status >= 400:
            raise NoData(f"whether the artifact is there cannot be told: {url} answers {answer.status}")
        return True


KINDS = (Ref(), Checks(), Changed(), Doc(), Release(), Rollback())
