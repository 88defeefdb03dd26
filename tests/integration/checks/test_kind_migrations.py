"""Migrations: Alembic and Django for real, the others by what they print."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bot.domain.check import Evidence, Outcome, Secret
from bot.example.programs import free_port
from bot.storage import migrating
from bot.storage.database import Database
from tests.checking import examine, make_context
from tests.contracts import migration_tools as printed
from tests.postgres import PostgresServer

REPOSITORY = Path(__file__).parents[3]


def migration(
    folder: Path, revision: str, down: str | None, *, extra: str = "", body: str = "raise SystemExit('run!')"
) -> None:
    """A migration file that must not be run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{revision}_step.py").write_text(
        f"import not_installed_here\nrevision = {revision!r}\ndown_revision = {down!r}\n{extra}\n{body}\n"
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two migrations, a, b."""
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/db\n")
    migration(tmp_path / "db/versions", "a", None)
    migration(tmp_path / "db/versions", "b", "a")
    return tmp_path


async def at(postgres: PostgresServer, *revisions: str) -> Secret:
    """A database at these revisions."""
    url = postgres.new_database()
    connection = await asyncpg.connect(url)
    await connection.execute("create table alembic_version (version_num varchar(32) primary key)")
    for revision in revisions:
        await connection.execute("insert into alembic_version values ($1)", revision)
    await connection.close()
    return Secret("db", url)


async def alembic(dsn: Secret, root: Path, **params: Any) -> Evidence:
    return await examine("migrations.alembic", {"dsn": dsn, **params}, context=make_context(root=root))


# ── Alembic ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_database_at_head_passes(postgres: PostgresServer, project: Path) -> None:
    seen = await alembic(await at(postgres, "b"), project)
    assert seen.outcome is Outcome.PASS, seen.reason
    assert seen.facts == {"migration_head": "b", "migration_current": "b"}


async def test_a_database_that_is_behind_fails(postgres: PostgresServer, project: Path) -> None:
    seen = await alembic(await at(postgres, "a"), project)
    assert (seen.outcome, seen.values["behind"]) == (Outcome.FAIL, 1)
    assert "at a, head b, 1 of 2 not applied" in seen.observed


async def test_a_database_ahead_of_the_code_fails(postgres: PostgresServer, project: Path) -> None:
    seen = await alembic(await at(postgres, "c"), project)
    assert (seen.outcome, seen.values["unknown"]) == (Outcome.FAIL, 1)


async def test_a_database_without_the_table_fails(postgres: PostgresServer, project: Path) -> None:
    seen = await alembic(Secret("db", postgres.new_database()), project)
    assert seen.outcome is Outcome.FAIL
    assert "no table alembic_version" in seen.observed


async def test_two_heads_warn_once_both_are_applied(postgres: PostgresServer, project: Path) -> None:
    migration(project / "db/versions", "c", "a")
    seen = await alembic(await at(postgres, "b", "c"), project)
    assert (seen.outcome, seen.values["heads"]) == (Outcome.WARN, ["b", "c"])
    assert (await alembic(await at(postgres, "b"), project)).outcome is Outcome.FAIL


async def test_no_migration_files_are_unknown(postgres: PostgresServer, tmp_path: Path) -> None:
    """False green: nothing in the code and nothing in the database are equal."""
    (tmp_path / "db/versions").mkdir(parents=True)
    seen = await alembic(await at(postgres), tmp_path, scripts="db")
    assert seen.outcome is Outcome.UNKNOWN


async def test_the_bots_own_database_is_at_head_and_alembic_agrees(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "migrations", tmp_path / "migrations")
    database = Database(f"sqlite:///{tmp_path / 'own.db'}")
    await migrating.upgrade(database)
    await database.close()
    seen = await alembic(Secret("db", "sqlite:///own.db"), tmp_path, scripts="migrations")
    assert seen.outcome is Outcome.PASS, seen.reason
    assert seen.values["heads"] == [migrating.newest()]


async def test_a_config_that_is_missing_or_leads_out_is_an_error(
    postgres: PostgresServer, project: Path
) -> None:
    dsn = await at(postgres, "b")
    (project / "out.ini").write_text("[alembic]\nscript_location = /etc\n")
    (project / "empty.ini").write_text("[other]\n")
    for config in ("nothing.ini", "../alembic.ini", "out.ini", "empty.ini"):
        assert (await alembic(dsn, project, config=config)).outcome is Outcome.ERROR
    seen = await alembic(dsn, project, table="alembic_version; drop table x")
    assert (seen.outcome, "no table's name" in seen.reason) == (Outcome.ERROR, True)


async def test_a_database_that_is_down_fails(project: Path) -> None:
    seen = await alembic(Secret("db", f"postgresql://app@localhost:{free_port()}/shop"), project)
    assert seen.outcome is Outcome.FAIL


# ── a recorded revision ──────────────────────────────────────────────────────────────────────────────────


async def expected(dsn: Secret, revision: Any, *, root: Path = Path(), **params: Any) -> Evidence:
    context = make_context(root=root)
    return await examine("migrations.expected", {"dsn": dsn, "revision": revision, **params}, context=context)


async def test_the_recorded_revision_passes_and_another_fails(postgres: PostgresServer) -> None:
    dsn = await at(postgres, "a")
    assert (await expected(dsn, "a")).outcome is Outcome.PASS
    seen = await expected(dsn, "b")
    assert (seen.outcome, seen.observed) == (Outcome.FAIL, "at a, expected b")
    assert (await expected(await at(postgres, "x", "y"), ["y", "x"])).outcome is Outcome.PASS


async def test_no_table_is_unknown_and_no_database_url_an_error(postgres: PostgresServer) -> None:
    assert (await expected(Secret("db", postgres.new_database()), "a")).outcome is Outcome.UNKNOWN
    assert (await expected(Secret("db", "mysql://localhost/shop"), "a")).outcome is Outcome.ERROR


async def test_the_newest_of_flyway_and_rails_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript(
            "create table flyway_schema_history (installed_rank int, version text, type text, success int);"
            "insert into flyway_schema_history values (1, '9', 'SQL', 1), (2, '10.1', 'SQL', 1),"
            "  (3, '11', 'SQL', 1), (4, null, 'SQL', 1), (5, '11', 'UNDO_SQL', 1), (6, '12', 'SQL', 0);"
            "create table schema_migrations (version text);"
            "insert into schema_migrations values ('20260101000000'), ('20260301000000'), ('20251201000000');"
        )
    dsn = Secret("db", "sqlite:///shop.db")
    seen = await expected(dsn, "10.1", root=tmp_path, tool="flyway")
    assert seen.outcome is Outcome.PASS, seen.observed
    assert (await expected(dsn, "11", root=tmp_path, tool="flyway")).outcome is Outcome.FAIL
    seen = await expected(dsn, "20260301000000", root=tmp_path, tool="rails")
    assert seen.outcome is Outcome.PASS, seen.observed


# ── tools by command ─────────────────────────────────────────────────────────────────────────────────────


async def tool(name: str, root: Path, program: Path, **more: Any) -> Evidence:
    context = make_context(root=root, commands=[str(program)])
    rules = {part: more.pop(part) for part in ("warn",) if part in more}
    params = {"command": [str(program)], **more}
    return await examine(f"migrations.{name}", params, context=context, **rules)


async def says(tmp_path: Path, name: str, **said: Any) -> Evidence:
    return await tool(name, tmp_path, printed.program(tmp_path, name, **said))


async def test_flyway_with_everything_applied_passes(tmp_path: Path) -> None:
    out = "WARNING: old JVM\n" + printed.flyway_info("Success", "Out of Order", "Baseline", "Superseded")
    seen = await says(tmp_path, "flyway", out=out)
    assert seen.outcome is Outcome.PASS, seen.reason
    assert seen.facts == {"migration_current": "2"}
    assert (tmp_path / "flyway.arguments").read_text() == "info -outputType=json\n"


@pytest.mark.parametrize(
    ("state", "value"),
    [
        ("Pending", "pending"),
        ("Outdated", "pending"),
        ("Failed", "failed"),
        ("Failed (Future)", "failed"),
        ("Missing", "diverged"),
        ("Ignored", "diverged"),
        ("Future", "diverged"),
    ],
)
async def test_flyway_with_anything_else_fails(tmp_path: Path, state: str, value: str) -> None:
    seen = await says(tmp_path, "flyway", out=printed.flyway_info("Success", state))
    assert (seen.outcome, seen.values[value]) == (Outcome.FAIL, 1)


@pytest.mark.parametrize(
    ("out", "code"),
    [
        (printed.FLYWAY_ERROR, 1),
        (printed.flyway_info(), 0),
        (printed.flyway_info("Success", "Brand New State"), 0),
        ("", 1),
        ("{", 0),
    ],
)
async def test_flyway_that_says_nothing_of_use_is_unknown(tmp_path: Path, out: str, code: int) -> None:
    assert (await says(tmp_path, "flyway", out=out, code=code)).outcome is Outcome.UNKNOWN


async def test_prisma_passes_only_when_it_says_so(tmp_path: Path) -> None:
    assert (await says(tmp_path, "prisma", out=printed.PRISMA_UP_TO_DATE)).outcome is Outcome.PASS
    seen = await says(tmp_path, "prisma", out=printed.PRISMA_UP_TO_DATE, code=1)
    assert seen.outcome is Outcome.UNKNOWN
    warned = await tool("prisma", tmp_path, tmp_path / "prisma", warn={"pending": ">= 0"})
    assert warned.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("out", "err", "values"),
    [
        (printed.PRISMA_BEHIND, "", {"pending": 1, "failed": 0, "diverged": 0}),
        ("", printed.PRISMA_DIVERGED, {"pending": 1, "failed": 0, "diverged": 1}),
        ("", printed.PRISMA_FAILED, {"pending": 0, "failed": 1, "diverged": 0}),
        ("", printed.PRISMA_UNMANAGED, {"pending": 0, "failed": 0, "diverged": 1}),
    ],
)
async def test_prisma_that_is_not_at_head_fails(
    tmp_path: Path, out: str, err: str, values: dict[str, int]
) -> None:
    seen = await says(tmp_path, "prisma", out=out, err=err, code=1)
    assert seen.outcome is Outcome.FAIL
    assert {name: seen.values[name] for name in values} == values


async def test_prisma_without_a_database_or_without_migrations_is_unknown(tmp_path: Path) -> None:
    """False green: with no migrations folder it exits 0 and calls the schema up to date."""
    seen = await says(tmp_path, "prisma", err=printed.PRISMA_UNREACHABLE, code=1)
    assert (seen.outcome, "P1001" in seen.reason) == (Outcome.UNKNOWN, True)
    assert (await says(tmp_path, "prisma", out=printed.PRISMA_NONE)).outcome is Outcome.UNKNOWN


async def test_rails_reads_up_and_down(tmp_path: Path) -> None:
    up = ("up", "20260101000000", "Create orders")
    gone = ("up", "20250101000000", "********** NO FILE **********")
    seen = await says(tmp_path, "rails", out=printed.rails_status(gone, up))
    assert (seen.outcome, seen.values["current"]) == (Outcome.PASS, "20260101000000"), seen.reason
    assert "1 applied migrations have no file" in seen.observed
    down = ("down", "20260301000000", "Add note to orders")
    seen = await says(tmp_path, "rails", out=printed.rails_status(up, down))
    assert (seen.outcome, seen.values["pending"]) == (Outcome.FAIL, 1)
    ahead = ("up", "20260401000000", "********** NO FILE **********")
    seen = await says(tmp_path, "rails", out=printed.rails_status(up, ahead))
    assert (seen.outcome, seen.values["diverged"]) == (Outcome.FAIL, 1)


async def test_rails_without_a_table_fails_and_without_an_answer_is_unknown(tmp_path: Path) -> None:
    err = "Schema migrations table does not exist yet.\n"
    assert (await says(tmp_path, "rails", err=err, code=1)).outcome is Outcome.FAIL
    err = "ActiveRecord::ConnectionNotEstablished: connection refused\n"
    assert (await says(tmp_path, "rails", err=err, code=1)).outcome is Outcome.UNKNOWN
    assert (await says(tmp_path, "rails", out=printed.rails_status())).outcome is Outcome.UNKNOWN


async def test_a_program_of_the_project_is_found_in_its_folder(tmp_path: Path) -> None:
    up = printed.rails_status(("up", "20260101000000", "Create orders"))
    binary = printed.program(tmp_path / "app/bin", "rails", out=up)
    context = make_context(root=tmp_path, commands=[str(binary)])
    seen = await examine("migrations.rails", {"cwd": "app"}, context=context)
    assert seen.outcome is Outcome.PASS, seen.reason


@pytest.mark.parametrize("name", ["django", "flyway", "prisma", "rails"])
async def test_a_program_that_is_not_listed_is_an_error_and_is_not_run(tmp_path: Path, name: str) -> None:
    path = printed.program(tmp_path, name)
    context = make_context(root=tmp_path)
    seen = await examine(f"migrations.{name}", {"command": [str(path)]}, context=context)
    assert seen.outcome is Outcome.ERROR
    assert f"list {path} under `commands`" in seen.reason
    assert not path.with_name(f"{name}.arguments").exists()
    missing = await examine(f"migrations.{name}", {"command": ["not-there"]}, context=context)
    assert (missing.outcome, "not installed" in missing.reason) == (Outcome.ERROR, True)


# ── Django, for real ─────────────────────────────────────────────────────────────────────────────────────

_SETTINGS = """
import os
SECRET_KEY = "x"
INSTALLED_APPS = ["orders"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
"""
_MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
_MIGRATION = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = {needs}
    operations = [migrations.CreateModel("{model}", [("id", models.BigAutoField(primary_key=True))])]
"""


@pytest.fixture(scope="module")
def django_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder Django is installed in."""
    folder = tmp_path_factory.mktemp("django")
    uv = Path(sys.executable).with_name("uv")
    installer = [str(uv), "pip", "install"] if uv.exists() else [sys.executable, "-m", "pip", "install"]
    command = [*installer, "--quiet", "--target", str(folder), "django==5.2.*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing = f"Django cannot be installed here: {done.stderr.strip()[-200:]}"
        # Without a package index at hand that is nobody's fault; where everything must run, it is.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A Django project with one migration."""
    (tmp_path / "manage.py").write_text(_MANAGE)
    (tmp_path / "settings.py").write_text(_SETTINGS)
    migrations = tmp_path / "orders/migrations"
    migrations.mkdir(parents=True)
    for folder in (migrations, migrations.parent):
        (folder / "__init__.py").write_text("")
    (migrations / "0001_initial.py").write_text(_MIGRATION.format(needs=[], model="Order"))
    return tmp_path


async def django(site: Path, path: Path, database: str = "site.db") -> Evidence:
    params = {
        "command": [sys.executable, "manage.py"],
        "env": {"PYTHONPATH": str(path), "DATABASE": Secret("name", database)},
    }
    context = make_context(root=site, commands=[sys.executable])
    return await examine("migrations.django", params, context=context, timeout=60)


def migrate(site: Path, path: Path) -> None:
    """Apply what there is."""
    env = {"PYTHONPATH": str(path), "DATABASE": "site.db"}
    command = [sys.executable, "manage.py", "migrate", "--no-input"]
    subprocess.run(command, cwd=site, env=env, check=True, capture_output=True)


async def test_django_is_read_in_every_state(site: Path, django_path: Path) -> None:
    seen = await django(site, django_path)
    assert (seen.outcome, seen.values.get("pending")) == (Outcome.FAIL, 1), seen.reason
    assert "pending: orders.0001_initial" in seen.excerpt
    migrate(site, django_path)
    seen = await django(site, django_path)
    assert seen.outcome is Outcome.PASS, seen.reason
    for name in ("0002_left", "0002_right"):
        text = _MIGRATION.format(needs=[("orders", "0001_initial")], model=name[5:])
        (site / f"orders/migrations/{name}.py").write_text(text)
    seen = await django(site, django_path)
    assert (seen.outcome, "several leaf nodes" in seen.observed) == (Outcome.FAIL, True)


async def test_django_that_crashes_is_unknown_although_it_exits_as_if_behind(
    site: Path, django_path: Path
) -> None:
    seen = await django(site, django_path, "/nowhere/site.db")
    assert (seen.outcome, "unable to open database file" in seen.reason) == (Outcome.UNKNOWN, True)
    seen = await django(site, Path("/nowhere"))
    assert (seen.outcome, "No module named 'django'" in seen.reason) == (Outcome.UNKNOWN, True)
