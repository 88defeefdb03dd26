"""The shop's repository: a checkout with releases, documents, migrations and manifests."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.example.programs import ExampleTrouble, find, run

#: What the repository is made of.
PROJECT = Path(__file__).parent / "storefront"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release, and what tells it from the newest."""

    days_ago: int
    #: Its newest migration.
    head: str
    #: Files that only came later.
    without: tuple[str, ...] = ()


#: Releases from the oldest.
RELEASES = {
    "v1.4.0": Release(days_ago=21, head="0003", without=("0004_orders_by_customer.py",)),
    "v1.4.1": Release(days_ago=9, head="0003", without=("0004_orders_by_customer.py",)),
    "v1.4.2": Release(days_ago=0, head="0004"),
}
#: The release that is being deployed.
VERSION = "v1.4.2"
#: Names a package cannot carry as they are.
_NAMES = {"gitignore": ".gitignore", "env.example": ".env.example"}
_AUTHOR = ("Ana", "ana@example.com")


class Repository:
    """A checkout in a folder, kept between runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._commits: dict[str, str] = {}

    @staticmethod
    def installed() -> bool:
        """Whether there is git; without it there are files, but no history."""
        return find("git") is not None

    @property
    def rules(self) -> Path:
        """The alerting rules."""
        return self.folder / "ops" / "alerts.yml"

    def commit(self, version: str) -> str:
        """The commit of a release; empty without git."""
        return self._commits.get(version, "")

    async def start(self) -> None:
        """Make the checkout where there is none of this making. Raises ExampleTrouble."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if not self.installed():
            self._lay_out(VERSION)
            return
        if not await self._is_ours():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            await self._git("init", "--quiet", "--initial-branch=main")
            for version in RELEASES:
                await self._release(version)
            await self._git("branch", f"release/{VERSION}")
        for version in RELEASES:
            self._commits[version] = (await self._git("rev-parse", f"{version}^{{commit}}")).strip()

    async def check_out(self, version: str) -> None:
        """Have the files of a release. Raises ExampleTrouble."""
        if self.installed():
            await self._git("checkout", "--quiet", "main" if version == VERSION else version)
        else:
            self._lay_out(version)

    async def migrate(self, database_dsn: str, *direction: str) -> None:
        """Run Alembic: `upgrade head`, `downgrade -1`. Raises ExampleTrouble."""
        argv = [sys.executable, "-m", "alembic", "-c", str(self.folder / "alembic.ini"), *direction]
        quiet = {"PYTHONDONTWRITEBYTECODE": "1"}
        await run(argv, cwd=self.folder, env={"SHOP_DATABASE_DSN": database_dsn, **quiet})

    async def _is_ours(self) -> bool:
        try:
            tags = (await self._git("tag", "--list")).split()
            changed = await self._git("status", "--porcelain", "--untracked-files=no")
            await self._git("checkout", "--quiet", "main")
        except (ExampleTrouble, OSError):
            return False
        return set(tags) == set(RELEASES) and not changed.strip() and self._is_current()

    def _is_current(self) -> bool:
        """Whether the newest release is as we would make it: this program may be newer than the checkout."""
        try:
            return all(
                target.read_text() == self._text(source, VERSION) for source, target in self._files(VERSION)
            )
        except OSError:
            return False

    async def _release(self, version: str) -> None:
        self._lay_out(version)
        at = datetime.now(UTC) - timedelta(days=RELEASES[version].days_ago, minutes=5)
        await self._git("add", "--all", at=at)
        await self._git("commit", "--quiet", "--message", f"Release {version}", at=at)
        await self._git("tag", "--annotate", version, "--message", f"Release {version}", at=at)

    def _lay_out(self, version: str) -> None:
        """The files of a release."""
        for later in RELEASES[version].without:
            (self.folder / "migrations" / "versions" / later).unlink(missing_ok=True)
        for source, target in self._files(version):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self._text(source, version))
        shutil.copytree(PROJECT / "web", self.folder / "web", dirs_exist_ok=True)

    def _files(self, version: str) -> Iterator[tuple[Path, Path]]:
        """What the files of a release are made of, and where they belong; what browsers load left out."""
        for source in sorted(PROJECT.rglob("*")):
            relative = source.relative_to(PROJECT)
            if source.is_dir() or "__pycache__" in relative.parts or relative.parts[0] == "web":
                continue
            if relative.name not in RELEASES[version].without:
                yield source, self.folder / relative.with_name(_NAMES.get(relative.name, relative.name))

    def _text(self, source: Path, version: str) -> str:
        text = source.read_text().replace("{{version}}", version)
        return _changes_until(text, version) if source.name == "CHANGELOG.md" else text

    async def _git(self, *arguments: str, at: datetime | None = None) -> str:
        name, mail = _AUTHOR
        env = {
            # Nobody's own settings: no hooks, no signatures.
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": mail,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": mail,
        }
        if at is not None:
            env |= {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
        return await run([str(find("git")), "-C", str(self.folder), *arguments], env=env)


def _changes_until(changelog: str, version: str) -> str:
    """A changelog without what came after a release."""
    head, *sections = re.split(r"(?m)^(?=## )", changelog)
    names = list(RELEASES)
    known = names[: names.index(version) + 1]
    return head + "".join(section for section in sections if section[3:].split()[0] in known)
