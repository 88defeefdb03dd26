"""Files: environments, backups, secrets in real repositories, patterns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from tests.checking import examine, make_context
from tests.contracts import backup_tools as printed
from tests.contracts.migration_tools import program
from tests.servers.git import GitRepository


async def files(kind: str, root: Path, params: dict[str, Any], **more: Any) -> Evidence:
    context = make_context(root=root, commands=more.pop("commands", ()))
    return await examine(f"files.{kind}", params, context=context, **more)


# ── environments ─────────────────────────────────────────────────────────────────────────────────────────

NAMES = {"DATABASE_URL": "url", "PORT": "int", "API_KEY": "sk_live_.+"}
GOOD = "DATABASE_URL=postgresql://app:k3y-of-ours@db/shop\nPORT=8080\nAPI_KEY=sk_live_0123456789abcdef\n"


async def dotenv(root: Path, text: str, **more: Any) -> Evidence:
    (root / ".env").write_text(text)
    return await files("env", root, {"names": NAMES, "dotenv": ".env", **more})


async def test_a_complete_environment_passes_and_shows_no_value(tmp_path: Path) -> None:
    seen = await dotenv(tmp_path, GOOD)
    assert (seen.outcome, seen.observed) == (Outcome.PASS, "3 of 3 names set")
    assert "sk_live" not in repr(seen).replace(repr(NAMES), "")
    assert "k3y-of-ours" not in repr(seen)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (("PORT=8080\n", ""), "missing"),
        (("PORT=8080", "PORT="), "missing"),
        (("PORT=8080", "PORT=eighty"), "unparsable"),
        (("sk_live_", "sk_test_"), "unparsable"),
    ],
)
async def test_a_name_that_is_missing_or_unparsable_fails(
    tmp_path: Path, change: tuple[str, str], value: str
) -> None:
    seen = await dotenv(tmp_path, GOOD.replace(*change))
    assert (seen.outcome, seen.values[value]) == (Outcome.FAIL, 1)
    assert "eighty" not in repr(seen)


async def test_a_placeholder_and_a_name_that_is_not_listed_warn(tmp_path: Path) -> None:
    seen = await dotenv(tmp_path, GOOD.replace("app:k3y-of-ours", "app:changeme"))
    assert (seen.outcome, seen.values["placeholder"]) == (Outcome.WARN, 1)
    seen = await dotenv(tmp_path, GOOD + "EXTRA=1\n")
    assert (seen.outcome, "unlisted: EXTRA" in seen.observed) == (Outcome.WARN, True)
    assert (await dotenv(tmp_path, GOOD + "EXTRA=1\n", ignore=["EX*"])).outcome is Outcome.PASS


async def test_a_file_that_is_missing_is_unknown_and_one_outside_an_error(tmp_path: Path) -> None:
    params: dict[str, Any] = {"names": NAMES}
    assert (await files("env", tmp_path, params | {"dotenv": "no.env"})).outcome is Outcome.UNKNOWN
    assert (await files("env", tmp_path, params | {"dotenv": "../.env"})).outcome is Outcome.ERROR
    assert (await files("env", tmp_path, params | {"manifests": ["k8s/*.yaml"]})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "params", [{}, {"dotenv": ".env", "process": True}, {"dotenv": ".env", "path": "[["}]
)
async def test_sources_that_make_no_sense_are_found_before(tmp_path: Path, params: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match=r"source|path"):
        await files("env", tmp_path, {"names": NAMES, **params})


async def test_the_bots_own_environment_can_be_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PORT", "8080")
    params = {"names": {"SHOP_PORT": "int"}, "process": True}
    assert (await files("env", tmp_path, params)).outcome is Outcome.PASS
    monkeypatch.delenv("SHOP_PORT")
    assert (await files("env", tmp_path, params)).outcome is Outcome.FAIL


async def test_manifests_are_read_with_what_they_refer_to(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(
        "kind: Deployment\nmetadata: {name: shop}\nspec: {template: {spec: {containers: [{name: app,"
        " envFrom: [{secretRef: {name: keys}}], env: [{name: PORT, value: '80'}]}]}}}\n"
    )
    params = {"names": {"PORT": "int", "TOKEN": ""}, "manifests": ["*.yaml"]}
    seen = await files("env", tmp_path, params)
    assert (seen.outcome, "Secret keys" in seen.reason) == (Outcome.UNKNOWN, True)
    (tmp_path / "keys.yaml").write_text("kind: Secret\nmetadata: {name: keys}\nstringData: {TOKEN: x}\n")
    assert (await files("env", tmp_path, params)).outcome is Outcome.PASS
    (tmp_path / "keys.yaml").write_text("kind: Secret\nmetadata: {name: keys}\nstringData: {OTHER: x}\n")
    assert (await files("env", tmp_path, params)).outcome is Outcome.FAIL
    (tmp_path / "keys.yaml").write_text("kind: [\n")
    assert (await files("env", tmp_path, params)).outcome is Outcome.ERROR


@pytest.fixture
async def endpoint() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """An endpoint that answers what the test puts into the mapping."""
    answers: dict[str, Any] = {"status": 200, "body": []}

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer tok-of-ours"
        return web.Response(status=answers["status"], text=json.dumps(answers["body"]))

    app = web.Application()
    app.router.add_get("/health/config", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://localhost:{port}/health/config", answers
    await runner.cleanup()


async def test_an_endpoint_tells_names_only(tmp_path: Path, endpoint: tuple[str, dict[str, Any]]) -> None:
    url, answers = endpoint
    bearer = Secret("token", "tok-of-ours")
    params = {"names": {"A": "", "B": ""}, "url": url, "bearer": bearer, "path": "environment"}
    answers["body"] = {"environment": {"A": "set", "B": True}}
    assert (await files("env", tmp_path, params)).outcome is Outcome.PASS
    answers["body"] = {"environment": ["A"]}
    assert (await files("env", tmp_path, params)).outcome is Outcome.FAIL
    answers["body"] = {"environment": {"A": "set", "B": "invalid"}}
    assert (await files("env", tmp_path, params)).values["unparsable"] == 1
    answers["body"] = {"environment": {"A": "the-value-itself", "B": "set"}}
    seen = await files("env", tmp_path, params)
    assert (seen.outcome, "the-value" in repr(seen)) == (Outcome.ERROR, False)
    answers["body"] = {"environment": ["A", "B"]}
    typed = params | {"names": {"A": "int", "B": ""}}
    seen = await files("env", tmp_path, typed)
    assert (seen.outcome, "unchecked: A" in seen.observed) == (Outcome.WARN, True)
    for status, outcome in ((404, Outcome.UNKNOWN), (503, Outcome.FAIL)):
        answers["status"] = status
        assert (await files("env", tmp_path, params)).outcome is outcome


# ── backups ──────────────────────────────────────────────────────────────────────────────────────────────


NOW = datetime.now(UTC)


def backup(root: Path, name: str, *, hours: float, size: int = 1000) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    at = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
    os.utime(path, (at, at))


async def recency(root: Path, **params: Any) -> Evidence:
    return await files("recency", root, {"glob": "backups/*.dump", **params})


async def test_a_fresh_backup_of_the_usual_size_passes(tmp_path: Path) -> None:
    backup(tmp_path, "backups/old.dump", hours=30)
    backup(tmp_path, "backups/new.dump", hours=6, size=900)
    seen = await recency(tmp_path)
    assert (seen.outcome, seen.values["newest"], seen.values["size_ratio"]) == (Outcome.PASS, "new.dump", 0.9)


@pytest.mark.parametrize(
    ("hours", "size", "value"), [(27, 1000, "age_hours"), (6, 400, "size_ratio"), (6, 0, "empty")]
)
async def test_an_old_a_small_and_an_empty_backup_fail(
    tmp_path: Path, hours: float, size: int, value: str
) -> None:
    backup(tmp_path, "backups/old.dump", hours=50)
    backup(tmp_path, "backups/new.dump", hours=hours, size=size)
    seen = await recency(tmp_path)
    assert (seen.outcome, value in seen.reason) == (Outcome.FAIL, True)


async def test_a_backup_being_written_is_not_judged(tmp_path: Path) -> None:
    """False alarm: it is small because it is not finished."""
    backup(tmp_path, "backups/older.dump", hours=30)
    backup(tmp_path, "backups/old.dump", hours=6)
    backup(tmp_path, "backups/now.dump", hours=0.01, size=10)
    assert (await recency(tmp_path)).outcome is Outcome.PASS
    assert (await recency(tmp_path, settle=0)).outcome is Outcome.FAIL


async def test_no_backup_one_alone_and_one_from_the_future_are_unknown(tmp_path: Path) -> None:
    assert (await recency(tmp_path)).outcome is Outcome.UNKNOWN
    backup(tmp_path, "backups/only.dump", hours=6)
    seen = await recency(tmp_path)
    assert (seen.outcome, "no size to compare" in seen.observed) == (Outcome.UNKNOWN, True)
    assert (await recency(tmp_path, compare=False)).outcome is Outcome.PASS
    backup(tmp_path, "backups/next.dump", hours=-5)
    seen = await recency(tmp_path, settle=0)
    assert (seen.outcome, "in the future" in seen.reason) == (Outcome.UNKNOWN, True)


async def test_restoring_that_was_not_tested_lately_warns(tmp_path: Path) -> None:
    backup(tmp_path, "backups/new.dump", hours=6)
    tested = {"compare": False, "restore_test": "restored/*"}
    seen = await recency(tmp_path, **tested)
    assert (seen.outcome, "never tested" in seen.observed) == (Outcome.WARN, True)
    backup(tmp_path, "restored/stamp", hours=24 * 40)
    assert (await recency(tmp_path, **tested)).outcome is Outcome.WARN
    backup(tmp_path, "restored/stamp", hours=24 * 3)
    assert (await recency(tmp_path, **tested)).outcome is Outcome.PASS


async def listed(root: Path, tool: str, out: str, *, code: int = 0, **params: Any) -> Evidence:
    path = program(root, tool, out=out, err="" if not code else "Fatal: wrong password\n", code=code)
    asked = {"tool": tool, "command": [str(path)], **params}
    return await files("recency", root, asked, commands=[str(path)])


async def test_pgbackrest_is_read(tmp_path: Path) -> None:
    old, new = NOW - timedelta(hours=30), NOW - timedelta(hours=6)
    seen = await listed(tmp_path, "pgbackrest", printed.pgbackrest_info((old, 1000), (new, 990)))
    assert (seen.outcome, seen.values["size_ratio"]) == (Outcome.PASS, 0.99), seen.reason
    late = printed.pgbackrest_info((old, 1000), (NOW - timedelta(hours=28), 990))
    assert (await listed(tmp_path, "pgbackrest", late)).outcome is Outcome.FAIL
    damaged = printed.pgbackrest_info((old, 1000), (new, 990), error=True)
    seen = await listed(tmp_path, "pgbackrest", damaged)
    assert (seen.outcome, "errored is yes" in seen.reason) == (Outcome.FAIL, True)
    for out in ("[]", "nonsense", printed.pgbackrest_info((old, 1), code=2), '[{"backup": [{"label": 1}]}]'):
        assert (await listed(tmp_path, "pgbackrest", out)).outcome is Outcome.UNKNOWN, out
    other = await listed(tmp_path, "pgbackrest", printed.pgbackrest_info((new, 1)), stanza="other")
    assert other.outcome is Outcome.UNKNOWN


async def test_restic_is_read(tmp_path: Path) -> None:
    old, new = NOW - timedelta(hours=30), NOW - timedelta(hours=6)
    seen = await listed(tmp_path, "restic", printed.restic_snapshots((old, 1000), (new, 1200)))
    assert (seen.outcome, seen.values["size_ratio"]) == (Outcome.PASS, 1.2), seen.reason
    without = printed.restic_snapshots((old, None), (new, None))
    assert (await listed(tmp_path, "restic", without)).outcome is Outcome.UNKNOWN
    assert (await listed(tmp_path, "restic", without, compare=False)).outcome is Outcome.PASS
    mixed = printed.restic_snapshots((old, 9), (new, 9), paths=("/srv/data", "/etc"))
    seen = await listed(tmp_path, "restic", mixed)
    assert (seen.outcome, "several hosts or paths" in seen.reason) == (Outcome.UNKNOWN, True)
    refused = await listed(tmp_path, "restic", "", code=1)
    assert (refused.outcome, "wrong password" in refused.reason) == (Outcome.UNKNOWN, True)


async def test_any_json_is_read_by_an_expression(tmp_path: Path) -> None:
    out = json.dumps(
        {"items": [{"at": f"{NOW - timedelta(hours=h):%Y-%m-%dT%H:%M:%SZ}", "n": 5} for h in (3, 30)]}
    )
    entries = "items[].{time: at, size: n}"
    assert (await listed(tmp_path, "json", out, entries=entries)).outcome is Outcome.PASS
    assert (await listed(tmp_path, "json", out, entries="nothing")).outcome is Outcome.UNKNOWN
    with pytest.raises(AssertionError, match="needs command"):
        await files("recency", tmp_path, {"tool": "json"})
    with pytest.raises(AssertionError, match="one source"):
        await files("recency", tmp_path, {})


async def test_a_tool_that_is_not_listed_is_an_error(tmp_path: Path) -> None:
    path = program(tmp_path, "restic")
    seen = await files("recency", tmp_path, {"tool": "restic", "command": [str(path)]})
    assert (seen.outcome, "under `commands`" in seen.reason) == (Outcome.ERROR, True)


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────

#: Looks like a key of AWS; put together so that this file holds none.
KEY = "AKIA" + "Z7QWERTYUIOPLKJ2"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    repository = GitRepository(tmp_path)
    repository.commit(
        {"README.md": "hello\n", "settings.py": "DEBUG = False\n", ".env.example": "KEY=\n"}, tag="v1"
    )
    return repository


async def secrets(repository: GitRepository, **params: Any) -> Evidence:
    return await files("secrets", repository.folder, params)


async def test_a_clean_repository_passes(repository: GitRepository) -> None:
    seen = await secrets(repository)
    assert (seen.outcome, seen.values["files"]) == (Outcome.PASS, 3), seen.reason


async def test_a_secret_in_a_tracked_file_fails_and_is_not_shown(repository: GitRepository) -> None:
    repository.commit({"aws.py": f"key = '{KEY}'\n"})
    seen = await secrets(repository)
    assert (seen.outcome, seen.values["findings"] > 0) == (Outcome.FAIL, True)
    assert "aws.py:1" in seen.excerpt
    assert KEY not in repr(seen)
    assert "hash" not in repr(seen)
    assert (await secrets(repository, exclude=["*.py"])).outcome is Outcome.PASS


async def test_an_accepted_finding_passes_and_a_new_one_beside_it_fails(repository: GitRepository) -> None:
    repository.commit({"aws.py": f"key = '{KEY}'\n"})
    found = await secrets(repository)
    assert found.outcome is Outcome.FAIL
    repository.commit({".secrets.baseline": scan(repository.folder, "aws.py")})
    seen = await secrets(repository)
    assert (seen.outcome, seen.values["accepted"] > 0) == (Outcome.PASS, True), seen.excerpt
    repository.commit({"aws.py": f"key = '{KEY}'\nother = '{KEY[:-1]}3'\n"})
    assert (await secrets(repository)).outcome is Outcome.FAIL
    repository.commit({".secrets.baseline": "nonsense"})
    assert (await secrets(repository)).outcome is Outcome.ERROR


def scan(folder: Path, name: str) -> str:
    """A baseline as a team makes it."""
    argv = [sys.executable, "-m", "detect_secrets", "scan", "--no-verify", name]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True).stdout


async def test_env_files_that_are_tracked_or_loose_fail(repository: GitRepository) -> None:
    env = repository.folder / "app/.env"
    env.parent.mkdir()
    env.write_text("PORT=1\n")
    env.chmod(0o644)
    seen = await secrets(repository)
    assert (seen.outcome, seen.values["loose_env"], "mode 0644  app/.env" in seen.excerpt) == (
        Outcome.FAIL,
        1,
        True,
    )
    env.chmod(0o600)
    assert (await secrets(repository)).outcome is Outcome.PASS
    repository.commit({"app/.env.production": "PORT=1\n"})
    (repository.folder / "app/.env.production").chmod(0o600)
    seen = await secrets(repository)
    # `git add --all` took both along.
    assert (seen.outcome, seen.values["tracked_env"]) == (Outcome.FAIL, 2)


async def test_only_changes_are_looked_at_where_that_is_said(repository: GitRepository) -> None:
    repository.commit({"aws.py": f"key = '{KEY}'\n"}, tag="v2")
    repository.commit({"later.py": "x = 1\n"})
    seen = await secrets(repository, since="v2")
    assert (seen.outcome, seen.values["files"]) == (Outcome.PASS, 1)
    assert (await secrets(repository, since="v1")).outcome is Outcome.FAIL
    assert (await secrets(repository, since="v9")).outcome is Outcome.UNKNOWN
    assert (await secrets(repository, since="--output=/tmp/x")).outcome is Outcome.UNKNOWN


async def test_without_a_repository_or_files_it_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    seen = await files("secrets", tmp_path / "plain", {})
    assert (seen.outcome, "git cannot list" in seen.reason) == (Outcome.UNKNOWN, True)
    GitRepository(tmp_path / "empty")
    assert (await files("secrets", tmp_path / "empty", {})).outcome is Outcome.UNKNOWN
    assert (await files("secrets", tmp_path / "plain", {"path": ".."})).outcome is Outcome.ERROR


async def test_a_module_of_the_repositorys_is_not_run(repository: GitRepository) -> None:
    trap = "open('ran', 'w').close()\nraise SystemExit('{\"results\": {}}')\n"
    repository.commit({"detect_secrets.py": trap, "json.py": trap, "aws.py": f"key = '{KEY}'\n"})
    assert (await secrets(repository)).outcome is Outcome.FAIL
    assert not (repository.folder / "ran").exists()


# ── patterns ─────────────────────────────────────────────────────────────────────────────────────────────


async def regex(root: Path, **params: Any) -> Evidence:
    rules = {name: params.pop(name) for name in ("expect", "warn") if name in params}
    asked = {"files": ["src/**/*.tsx"], "pattern": "<ErrorBoundary", **params}
    return await files("regex", root, asked, **rules)


async def test_a_pattern_is_found_or_not(tmp_path: Path) -> None:
    assert (await regex(tmp_path)).outcome is Outcome.UNKNOWN
    (tmp_path / "src/app").mkdir(parents=True)
    (tmp_path / "src/app/App.tsx").write_text("one\n  <ErrorBoundary fallback={x}>\n")
    (tmp_path / "src/Other.tsx").write_text("nothing\n")
    seen = await regex(tmp_path)
    assert (seen.outcome, seen.excerpt) == (Outcome.PASS, "src/app/App.tsx:2: <ErrorBoundary fallback={x}>")
    assert (await regex(tmp_path, warn={"matching_files": "< 2"})).outcome is Outcome.WARN
    assert (await regex(tmp_path, pattern="Suspense")).outcome is Outcome.FAIL
    assert (await regex(tmp_path, expect={"matches": 0})).outcome is Outcome.FAIL
    assert (await regex(tmp_path, exclude=["src/app/*"])).outcome is Outcome.FAIL
    (tmp_path / "src/Large.tsx").write_text("x" * 1_000_001)
    assert (await regex(tmp_path)).outcome is Outcome.UNKNOWN


async def test_files_outside_the_root_are_never_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (tmp_path / "Out.tsx").write_text("<ErrorBoundary>")
    (root / "src/Link.tsx").symlink_to(tmp_path / "Out.tsx")
    assert (await regex(root)).outcome is Outcome.UNKNOWN
    assert (await regex(root, files=["../*.tsx"])).outcome is Outcome.ERROR
    with pytest.raises(AssertionError, match="no regular expression"):
        await regex(root, pattern="(")
