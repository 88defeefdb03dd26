"""Real git repositories in folders of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class GitRepository:
    """A repository that commits are made in, each an hour after the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hour = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """Run git in it."""
        at = f"2026-03-01T{self._hour:02}:00:00+00:00"
        who = {"NAME": "Ana", "EMAIL": "ana@example.com", "DATE": at}
        env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        done = subprocess.run(
            ["git", "-c", "commit.gpgsign=false", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **env},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str], *, tag: str = "") -> str:
        """Write files, commit them and perhaps tag it; the commit's id."""
        self._hour += 1
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", tag or "Change")
        if tag:
            self.git("tag", "-a", tag, "-m", tag)
        return self.git("rev-parse", "HEAD")
