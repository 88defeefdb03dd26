"""Files: environments, backups, secrets, patterns."""

from __future__ import annotations

from bot.checks.kinds.files.env import FilesEnv
from bot.checks.kinds.files.recency import FilesRecency
from bot.checks.kinds.files.regex import FilesRegex
from bot.checks.kinds.files.secrets import FilesSecrets

KINDS = (FilesEnv(), FilesRecency(), FilesSecrets(), FilesRegex())
