"""Repository kinds: real git in folders of their own, and a contract server of GitHub's API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.checks.catalogue import Catalogue
from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.contracts.github import HEAD, OLD, TOKEN, GitHubServer, check_run, release
from tests.servers.git import GitRepository
from tests.servers.serving import serving


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "shop")


@pytest.fixture
def github() -> Iterator[tuple[GitHubServer, dict[str, Any]]]:
    made = GitHubServer()
    with serving(made.application) as url:
        yield made, {"github": "acme/shop", "token": Secret("github", TOKEN), "api": url}


async def local(kind: str, repository: GitRepository, **params: Any) -> Evidence:
    rules = {name: params.pop(name) for name in ("expect", "fail", "warn") if name in params}
    version = params.pop("version", "v1.4.2")
    context = make_context(root=repository.folder, version=version)
    return await examine(kind, params, context=context, **rules)


# ── vcs.ref ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_tag_at_its_commit_passes_and_the_evidence_rests_on_it(repository: GitRepository) -> None:
    sha = repository.commit({"a": "1"}, tag="v1.4.2")
    evidence = await local("vcs.ref", repository, sha=sha[:12])
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.facts == {"commit": sha}
    assert "Ana" in evidence.observed


async def test_a_missing_ref_fails(repository: GitRepository) -> None:
    repository.commit({"a": "1"})
    evidence = await local("vcs.ref", repository)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.observed == "there is no v1.4.2"


async def test_a_branch_that_moved_on_fails(repository: GitRepository) -> None:
    repository.commit({"a": "1"}, tag="v1.4.2")
    repository.commit({"a": "2"})
    assert (await local("vcs.ref", repository, ref="main", sha="v1.4.2")).outcome is Outcome.FAIL


async def test_a_remote_branch_goes_before_a_local_one_that_lags_behind(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.commit({"a": "1"})
    clone = GitRepository(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(repository.folder))
    clone.git("fetch", "--quiet")
    clone.git("checkout", "--quiet", "-B", "main", "origin/main")
    sha = repository.commit({"a": "2"})
    clone.git("fetch", "--quiet")
    assert (await local("vcs.ref", clone, ref="main", sha=sha)).outcome is Outcome.PASS


async def test_an_option_is_no_ref(repository: GitRepository) -> None:
    repository.commit({"a": "1"})
    assert (await local("vcs.ref", repository, ref="--all")).outcome is Outcome.UNKNOWN


async def test_a_folder_without_git_is_unknown_and_no_folder_an_error(tmp_path: Path) -> None:
    context = make_context(root=tmp_path)
    assert (await examine("vcs.ref", {"ref": "main"}, context=context)).outcome is Outcome.UNKNOWN
    missing = await examine("vcs.ref", {"ref": "main", "repo": "gone"}, context=context)
    outside = await examine("vcs.ref", {"ref": "main", "repo": "../.."}, context=context)
    assert missing.outcome is outside.outcome is Outcome.ERROR


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_a_checkout_of_another_user_can_be_read(repository: GitRepository) -> None:
    repository.commit({"a": "1"}, tag="v1.4.2")
    for folder, _, files in os.walk(repository.folder):
        for path in (folder, *(f"{folder}/{name}" for name in files)):
            os.chown(path, 65534, 65534)
    assert (await local("vcs.ref", repository)).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("ref", "outcome"), [("main", Outcome.PASS), ("release", Outcome.WARN), ("v1.4.2", Outcome.PASS)]
)
async def test_an_unprotected_branch_on_github_warns(
    github: tuple[GitHubServer, dict[str, Any]], ref: str, outcome: Outcome
) -> None:
    evidence = await examine("vcs.ref", {**github[1], "ref": ref})
    assert evidence.outcome is outcome, evidence.reason


async def test_a_ruleset_protects_too(github: tuple[GitHubServer, dict[str, Any]]) -> None:
    github[0].ruled = {"release"}
    evidence = await examine("vcs.ref", {**github[1], "ref": "release", "sha": HEAD})
    assert evidence.outcome is Outcome.PASS


async def test_a_missing_ref_on_github_fails(github: tuple[GitHubServer, dict[str, Any]]) -> None:
    assert (await examine("vcs.ref", {**github[1], "ref": "v9"})).outcome is Outcome.FAIL


async def test_a_repository_the_token_may_not_see_is_unknown(
    github: tuple[GitHubServer, dict[str, Any]],
) -> None:
    evidence = await examine("vcs.ref", {**github[1], "token": Secret("github", "github_pat_other_1")})
    assert evidence.outcome is Outcome.UNKNOWN
    assert "shows no repository" in evidence.reason


async def test_a_used_up_rate_limit_is_unknown(github: tuple[GitHubServer, dict[str, Any]]) -> None:
    github[0].rate_limited = True
    evidence = await examine("vcs.ref", {**github[1], "ref": "main"})
    assert evidence.outcome is Outcome.UNKNOWN
    assert "rate limit" in evidence.reason


async def test_a_github_that_does_not_answer_is_unknown() -> None:
    params = {"github": "acme/shop", "api": f"http://127.0.0.1:{free_port()}"}
    assert (await examine("vcs.ref", params)).outcome is Outcome.UNKNOWN


# ── vcs.checks ───────────────────────────────────────────────────────────────────────────────────────────

Hub = tuple[GitHubServer, dict[str, Any]]


async def test_checks_that_all_succeeded_pass(github: Hub) -> None:
    github[0].check_runs = [check_run("unit"), check_run("docs", "skipped")]
    github[0].statuses = [{"context": "ci/legacy", "state": "success", "target_url": None}]
    evidence = await examine("vcs.checks", github[1])
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.values["succeeded"] == 2
    assert evidence.facts == {"commit": HEAD}


async def test_a_repository_with_actions_only_does_not_look_pending_for_ever(github: Hub) -> None:
    github[0].check_runs = [check_run("unit")]
    assert (await examine("vcs.checks", github[1])).outcome is Outcome.PASS


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out", "action_required"])
async def test_a_check_that_failed_fails(github: Hub, conclusion: str) -> None:
    github[0].check_runs = [check_run("unit"), check_run("e2e", conclusion)]
    evidence = await examine("vcs.checks", github[1])
    assert evidence.outcome is Outcome.FAIL
    assert f"e2e ({conclusion})" in evidence.reason


async def test_a_failed_status_fails_although_every_check_run_succeeded(github: Hub) -> None:
    github[0].check_runs = [check_run("unit")]
    github[0].statuses = [{"context": "ci/legacy", "state": "failure", "target_url": None}]
    assert (await examine("vcs.checks", github[1])).outcome is Outcome.FAIL


async def test_a_check_under_way_is_not_success(github: Hub) -> None:
    github[0].check_runs = [check_run("unit"), check_run("e2e", None, status="in_progress")]
    evidence = await examine("vcs.checks", github[1])
    assert evidence.outcome is Outcome.FAIL
    assert "pending is e2e" in evidence.reason


async def test_a_required_check_that_was_skipped_or_is_not_reported_fails(github: Hub) -> None:
    github[0].check_runs = [check_run("unit"), check_run("e2e", "skipped")]
    skipped = await examine("vcs.checks", {**github[1], "required": ["unit", "e2e"]})
    absent = await examine("vcs.checks", {**github[1], "required": ["unit", "load"]})
    assert skipped.outcome is absent.outcome is Outcome.FAIL
    assert "missing is load" in absent.reason


async def test_a_failed_check_that_is_not_required_does_not_count(github: Hub) -> None:
    github[0].check_runs = [check_run("unit"), check_run("nightly", "failure")]
    evidence = await examine("vcs.checks", {**github[1], "required": ["unit"]}, warn={"reported": "> 1"})
    assert evidence.outcome is Outcome.WARN


async def test_checks_that_were_all_skipped_prove_nothing(github: Hub) -> None:
    github[0].check_runs = [check_run("unit", "skipped")]
    assert (await examine("vcs.checks", github[1])).outcome is Outcome.FAIL


async def test_a_failure_on_the_second_page_is_seen(github: Hub) -> None:
    github[0].check_runs = [check_run(f"job {number}") for number in range(120)] + [check_run("z", "failure")]
    assert (await examine("vcs.checks", github[1])).outcome is Outcome.FAIL


async def test_no_checks_at_all_and_an_unknown_commit_are_unknown(github: Hub) -> None:
    nothing = await examine("vcs.checks", github[1])
    unknown = await examine("vcs.checks", {**github[1], "ref": "v9"})
    assert nothing.outcome is unknown.outcome is Outcome.UNKNOWN


async def test_github_at_a_wrong_address_is_an_error(github: Hub) -> None:
    params = {**github[1], "api": f"{github[1]['api']}/repos/acme/shop/contents"}
    assert (await examine("vcs.checks", {**params, "api": "http://10.1.2.3"})).outcome is Outcome.ERROR


def test_checks_are_asked_on_github_only() -> None:
    kind = Catalogue().get("vcs.checks")
    assert kind is not None
    assert kind.problem(kind.params.model_validate({}))


# ── vcs.changed ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changed", "outcome", "docs"),
    [
        ({"api/a.py": "2", "docs/api.md": "2"}, Outcome.PASS, "touched"),
        ({"api/a.py": "2"}, Outcome.WARN, "untouched"),
        ({"tests/b.py": "2"}, Outcome.PASS, "not needed"),
    ],
)
async def test_documents_should_change_where_code_did(
    repository: GitRepository, changed: dict[str, str], outcome: Outcome, docs: str
) -> None:
    repository.commit({"api/a.py": "1"}, tag="v1.4.1")
    repository.commit(changed, tag="v1.4.2")
    evidence = await local("vcs.changed", repository, code=["api/*", "config/**"])
    assert evidence.outcome is outcome, evidence.reason
    assert evidence.values["docs"] == docs


async def test_a_base_that_is_newer_than_the_head_fails(repository: GitRepository) -> None:
    repository.commit({"a": "1"}, tag="v1.4.2")
    repository.commit({"a": "2"}, tag="v1.5.0")
    assert (await local("vcs.changed", repository, base="v1.5.0")).outcome is Outcome.FAIL


async def test_without_a_tag_before_or_with_a_missing_one_there_is_nothing_to_compare(
    repository: GitRepository,
) -> None:
    repository.commit({"a": "1"}, tag="v1.4.2")
    assert (await local("vcs.changed", repository)).outcome is Outcome.UNKNOWN
    assert (await local("vcs.changed", repository, base="v1.3.0")).outcome is Outcome.UNKNOWN


async def test_a_shallow_clone_is_unknown(repository: GitRepository, tmp_path: Path) -> None:
    repository.commit({"a": "1"}, tag="v1.4.1")
    repository.commit({"a": "2"}, tag="v1.4.2")
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.folder}", str(tmp_path / "clone"))
    context = make_context(root=tmp_path / "clone")
    evidence = await examine("vcs.changed", {"base": "v1.4.1"}, context=context)
    assert evidence.outcome is Outcome.UNKNOWN


async def test_a_repository_outside_the_root_is_an_error(repository: GitRepository) -> None:
    assert (await local("vcs.changed", repository, repo="../..")).outcome is Outcome.ERROR


async def test_changes_are_compared_on_github_too(github: Hub) -> None:
    github[0].compared["files"] = [{"filename": "api/a.py", "status": "modified"}]
    evidence = await examine("vcs.changed", {**github[1], "base": "v1.4.1"})
    assert evidence.outcome is Outcome.WARN, evidence.reason


async def test_more_changes_than_github_tells_are_unknown(github: Hub) -> None:
    files = [{"filename": f"api/{number}.py", "status": "modified"} for number in range(300)]
    github[0].compared["files"] = files
    assert (await examine("vcs.changed", {**github[1], "base": "v1.4.1"})).outcome is Outcome.UNKNOWN


# ── vcs.doc ──────────────────────────────────────────────────────────────────────────────────────────────

GUIDE = "# Guide\n\n## Steps\n\nSet SHOP_URL, see [setup](setup.md).\n\n## Rollback\n\n"


async def test_a_complete_document_passes(repository: GitRepository) -> None:
    sha = repository.commit(
        {"docs/guide.md": GUIDE, "docs/setup.md": "x", ".env.example": "SHOP_URL=\n#A=\n"}
    )
    evidence = await local(
        "vcs.doc", repository, path="docs/guide.md", headings=["Steps"], names_from=".env.example"
    )
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.facts == {"commit": sha}
    assert evidence.values["links"] == 1


async def test_a_missing_document_or_one_that_is_not_committed_fails(repository: GitRepository) -> None:
    repository.commit({"a": "1"})
    (repository.folder / "guide.md").write_text(GUIDE)
    evidence = await local("vcs.doc", repository, path="guide.md")
    assert evidence.outcome is Outcome.FAIL


@pytest.mark.parametrize("heading", ["Contacts", "Rollback"])
async def test_a_missing_or_empty_section_fails(repository: GitRepository, heading: str) -> None:
    repository.commit({"guide.md": GUIDE, "setup.md": "x"})
    evidence = await local("vcs.doc", repository, path="guide.md", headings=["Steps", heading])
    assert evidence.outcome is Outcome.FAIL
    assert heading in evidence.reason


@pytest.mark.parametrize(
    "params",
    [
        {"names": ["SHOP_URL", "SHOP_KEY"]},
        {"names_from": ".env.example"},
        {"max_age": "1h"},
        {"since": "v1.4.1"},
    ],
)
async def test_missing_names_and_old_text_warn(repository: GitRepository, params: dict[str, Any]) -> None:
    repository.commit({"guide.md": GUIDE, "setup.md": "x", ".env.example": "SHOP_KEY=\n"}, tag="v1.4.1")
    repository.commit({"code": "2"}, tag="v1.4.2")
    evidence = await local("vcs.doc", repository, path="guide.md", **params)
    assert evidence.outcome is Outcome.WARN, evidence.reason


async def test_a_document_touched_since_the_last_version_passes(repository: GitRepository) -> None:
    repository.commit({"guide.md": "# Guide\n\nold\n"}, tag="v1.4.1")
    repository.commit({"guide.md": "# Guide\n\nnew\n"}, tag="v1.4.2")
    assert (await local("vcs.doc", repository, path="guide.md", since="v1.4.1")).outcome is Outcome.PASS


async def test_dead_links_warn_and_those_that_cannot_be_judged_do_not(repository: GitRepository) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "HEAD" and request.path == "/no-head":
            raise web.HTTPMethodNotAllowed("HEAD", ["GET"])
        return web.Response(status={"/gone": 404, "/login": 403}.get(request.path, 200))

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    with serving(application) as url:
        good = (
            f"[a]({url}/ok) [b]({url}/no-head) [c]({url}/login) [d](http://10.1.2.3/x) [e](#top) <a@b.cc>\n"
        )
        repository.commit({"good.md": good, "bad.md": f"[a]({url}/gone) [b](gone.md) [c](../../x.md)\n"})
        fine = await local("vcs.doc", repository, path="good.md")
        dead = await local("vcs.doc", repository, path="bad.md")
        not_asked = await local("vcs.doc", repository, path="bad.md", links=False)
    assert fine.outcome is Outcome.PASS, fine.reason
    assert fine.values["unchecked_links"] == 2
    assert dead.outcome is Outcome.WARN
    assert dead.values["dead_links"] == f"{url}/gone, gone.md, ../../x.md"
    assert not_asked.outcome is Outcome.PASS


async def test_names_that_cannot_be_read_are_unknown(repository: GitRepository) -> None:
    repository.commit({"guide.md": GUIDE, "empty": ""})
    assert (
        await local("vcs.doc", repository, path="guide.md", names_from="empty")
    ).outcome is Outcome.UNKNOWN
    assert (await local("vcs.doc", repository, path="guide.md", ref="v9")).outcome is Outcome.UNKNOWN


async def test_a_document_outside_the_repository_is_an_error(repository: GitRepository) -> None:
    repository.commit({"guide.md": GUIDE})
    assert (await local("vcs.doc", repository, path="../guide.md")).outcome is Outcome.ERROR


async def test_a_document_on_github_is_read_too(github: Hub) -> None:
    github[0].files = {"docs/guide.md": GUIDE, "docs/setup.md": "x"}
    evidence = await examine("vcs.doc", {**github[1], "path": "docs/guide.md", "headings": ["Steps"]})
    assert evidence.outcome is Outcome.PASS, evidence.reason


@pytest.mark.parametrize("pattern", ["(", "A", "(a)(b)"])
def test_a_pattern_for_names_needs_one_group(pattern: str) -> None:
    kind = Catalogue().get("vcs.doc")
    assert kind is not None
    assert kind.problem(kind.params.model_validate({"path": "a.md", "names_pattern": pattern}))


# ── vcs.release ──────────────────────────────────────────────────────────────────────────────────────────

CHANGES = "# Changes\n\n## [1.4.2] - 2026-03-01\n\n- search\n\n## [1.4.1]\n"


async def test_a_changelog_entry_passes(repository: GitRepository) -> None:
    repository.commit({"CHANGELOG.md": CHANGES})
    evidence = await local("vcs.release", repository)
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_a_short_entry_can_be_warned_about(repository: GitRepository) -> None:
    repository.commit({"CHANGELOG.md": CHANGES})
    assert (await local("vcs.release", repository, warn={"entry_lines": "< 3"})).outcome is Outcome.WARN


@pytest.mark.parametrize("version", ["v1.4.1", "v1.4.20", "v1.4"])
async def test_an_empty_entry_or_none_fails(repository: GitRepository, version: str) -> None:
    repository.commit({"CHANGELOG.md": CHANGES})
    assert (await local("vcs.release", repository, version=version)).outcome is Outcome.FAIL


async def test_a_repository_without_a_changelog_fails(repository: GitRepository) -> None:
    repository.commit({"a": "1"})
    assert (await local("vcs.release", repository)).outcome is Outcome.FAIL


async def test_a_release_on_github_passes_and_a_draft_or_an_empty_one_does_not(github: Hub) -> None:
    github[0].releases = [release("v1.4.2"), release("v1.4.3", draft=True), release("v1.4.4", body=" ")]
    assert (await examine("vcs.release", github[1])).outcome is Outcome.PASS
    for tag in ("v1.4.3", "v1.4.4", "v1.4.5"):
        assert (await examine("vcs.release", {**github[1], "tag": tag})).outcome is Outcome.FAIL


async def test_a_release_without_a_repository_is_unknown_and_outside_the_root_an_error(
    tmp_path: Path,
) -> None:
    context = make_context(root=tmp_path)
    assert (await examine("vcs.release", {}, context=context)).outcome is Outcome.UNKNOWN
    assert (await examine("vcs.release", {"repo": ".."}, context=context)).outcome is Outcome.ERROR


# ── vcs.rollback ─────────────────────────────────────────────────────────────────────────────────────────

MIGRATION = 'revision = "a1"\n\ndef upgrade():\n    op.drop_column("x", "y")\n\ndef downgrade():\n    {}\n'


async def test_a_way_back_passes(repository: GitRepository) -> None:
    previous = repository.commit({"a": "1"}, tag="v1.4.1")
    repository.commit(
        {"migrations/a1.py": MIGRATION.format("op.add_column()"), "PLAN.md": "Go back"}, tag="v1.4.2"
    )
    evidence = await local("vcs.rollback", repository, migrations="migrations", plan="PLAN.md")
    assert evidence.outcome is Outcome.PASS, evidence.reason
    assert evidence.facts == {"previous": previous}


async def test_a_far_way_back_can_be_warned_about(repository: GitRepository) -> None:
    repository.commit({"a": "1"}, tag="v1.3.9")
    repository.commit({"a": "2"}, tag="v1.4.2")
    evidence = await local("vcs.rollback", repository, warn={"previous": "~ ^v1[.]3"})
    assert evidence.outcome is Outcome.WARN


async def test_no_previous_version_fails(repository: GitRepository) -> None:
    repository.commit({"a": "1"}, tag="v1.4.2")
    assert (await local("vcs.rollback", repository)).outcome is Outcome.FAIL
    assert (await local("vcs.rollback", repository, previous="v1.4.1")).outcome is Outcome.FAIL


async def test_a_migration_without_a_way_back_fails_unless_the_plan_names_it(
    repository: GitRepository,
) -> None:
    repository.commit({"a": "1"}, tag="v1.4.1")
    repository.commit(
        {"migrations/a1.py": MIGRATION.format("pass"), "PLAN.md": "Revision a1: restore"}, tag="v1.4.2"
    )
    unplanned = await local("vcs.rollback", repository, migrations="migrations")
    planned = await local("vcs.rollback", repository, migrations="migrations", plan="PLAN.md")
    assert unplanned.outcome is Outcome.FAIL
    assert "a1 (a1.py)" in unplanned.reason
    assert planned.outcome is Outcome.PASS


async def test_a_missing_plan_fails(repository: GitRepository) -> None:
    repository.commit({"a": "1"}, tag="v1.4.1")
    repository.commit({"a": "2"}, tag="v1.4.2")
    assert (await local("vcs.rollback", repository, plan="PLAN.md")).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, Outcome.PASS), (404, Outcome.FAIL), (401, Outcome.UNKNOWN)]
)
async def test_the_previous_artifact_must_be_there(
    repository: GitRepository, status: int, outcome: Outcome
) -> None:
    async def manifest(request: web.Request) -> web.Response:
        assert request.path == "/v2/shop/manifests/v1.4.1"
        return web.Response(status=status)

    repository.commit({"a": "1"}, tag="v1.4.1")
    repository.commit({"a": "2"}, tag="v1.4.2")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", manifest)
    with serving(application) as url:
        evidence = await local("vcs.rollback", repository, artifact=f"{url}/v2/shop/manifests/{{tag}}")
    assert evidence.outcome is outcome, evidence.reason


async def test_a_way_back_from_an_unknown_version_is_unknown(repository: GitRepository) -> None:
    repository.commit({"a": "1"}, tag="v1.4.1")
    assert (await local("vcs.rollback", repository)).outcome is Outcome.UNKNOWN


async def test_an_artifact_outside_the_allow_list_is_an_error(repository: GitRepository) -> None:
    repository.commit({"a": "1"}, tag="v1.4.1")
    repository.commit({"a": "2"}, tag="v1.4.2")
    evidence = await local("vcs.rollback", repository, artifact="http://10.1.2.3/{tag}")
    assert evidence.outcome is Outcome.ERROR


async def test_a_way_back_is_found_on_github_too(github: Hub) -> None:
    github[0].releases = [release("v1.4.2"), release("v1.4.1"), release("v1.4.0")]
    github[0].files = {"migrations/a1.py": MIGRATION.format("pass")}
    github[0].compared["files"] = [{"filename": "migrations/a1.py", "status": "added"}]
    passed = await examine("vcs.rollback", github[1])
    failed = await examine("vcs.rollback", {**github[1], "migrations": "migrations"})
    assert passed.outcome is Outcome.PASS, passed.reason
    assert passed.facts == {"previous": OLD}
    assert failed.outcome is Outcome.FAIL
