"""`deploybot installations`, `rotate-keys`, `new-key`: the workspaces that have the bot, and their keys."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from rich.console import Console
from rich.table import Table

from bot.cli import settings as cli_settings
from bot.cli.serve import run
from bot.config import Settings
from bot.domain.errors import DeploybotError, EncryptionKeyUnusable, TokenUnreadable
from bot.slack.manifest import SCOPES
from bot.storage import installations as stored
from bot.storage.database import Database
from bot.storage.installations import Installation
from bot.storage.sealing import Vault, new_key


def installations() -> None:
    """List the workspaces that installed the bot: who, when, and whether its token works; never a token."""
    run(_list(cli_settings.load()))


def rotate_keys() -> None:
    """Encrypt every token with the first key of DEPLOYBOT_ENCRYPTION_KEY, so that the others can go."""
    run(_rotate(cli_settings.load()))


def make_key() -> None:
    """Print a new key for DEPLOYBOT_ENCRYPTION_KEY."""
    print(new_key())


def state_of(one: Installation, vault: Vault | None) -> tuple[bool | None, str]:
    """Whether the installation can be used (None: it is not wanted any more), and in words."""
    if one.revoked_at is not None:
        return None, f"taken away {one.revoked_at:%Y-%m-%d %H:%M} UTC"
    if vault is None:
        return False, "DEPLOYBOT_ENCRYPTION_KEY is not set"
    try:
        for sealed in filter(None, (one.token, one.refresh_token)):
            vault.open(one.team, sealed, name=one.name)
    except TokenUnreadable:
        return False, "no key decrypts its token: put the old key back, or install it again"
    missing = sorted(SCOPES.keys() - one.scopes)
    if missing:
        return False, f"lacks {', '.join(missing)}: install it again at /slack/install"
    older = any(not vault.newest(sealed) for sealed in (one.token, one.refresh_token) if sealed)
    return True, "works" + ("; an older key, see `deploybot rotate-keys`" if older else "")


async def listed(settings: Settings) -> Sequence[Installation]:
    """Every installation. Raises StorageFailed."""
    async with _opened(settings) as database, database.read() as tx:
        return await stored.every(tx)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        await database.close()


async def _list(settings: Settings) -> None:
    found = await listed(settings)
    if not found:
        print("No workspace has installed the bot yet: /slack/install is where they do.")
        return
    vault = _vault(settings)
    table = Table(box=None, pad_edge=False)
    for heading in ("Team", "Workspace", "Bot", "Installed", "By", "State"):
        table.add_column(heading, overflow="fold")
    for one in found:
        since = f"{one.installed_at:%Y-%m-%d %H:%M} UTC"
        said = state_of(one, vault)[1]
        if one.expires_at is not None:
            said += f"; token until {one.expires_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(one.team, one.name, f"@{one.handle}", since, one.installer, said)
    # Broken lines would be no use to whoever reads them in a file.
    console = Console() if sys.stdout.isatty() else Console(width=240)
    console.print(table, markup=False)


def _vault(settings: Settings) -> Vault | None:
    key = settings.encryption_key.get_secret_value()
    return Vault(key) if key else None


async def _rotate(settings: Settings) -> None:
    vault = _vault(settings)
    if vault is None:
        raise EncryptionKeyUnusable(0)
    done, lost = 0, 0
    async with _opened(settings) as database:
        async with database.read() as tx:
            found = [one for one in await stored.every(tx) if one.token is not None]
        for one in found:
            try:
                done += await _reseal(database, vault, one.team)
            except TokenUnreadable as error:
                lost += 1
                print(f"deploybot: {error}", file=sys.stderr)
    kept = len(found) - done - lost
    print(f"{done} encrypted anew with the first of {vault.keys} keys, {kept} were already.")
    if lost:
        sys.exit(1)
    if vault.keys > 1:
        print("Where the bot runs with the new key, the others can be taken out of DEPLOYBOT_ENCRYPTION_KEY.")


async def _reseal(database: Database, vault: Vault, team: str) -> bool:
    """Encrypt a workspace's tokens with the first key; False where they are. Raises TokenUnreadable."""
    async with database.write() as tx:
        one = await stored.get(tx, team, locked=True)
        if one is None or one.token is None:
            return False
        token = vault.open(team, one.token, name=one.name)
        refresh = vault.open(team, one.refresh_token, name=one.name) if one.refresh_token else None
        if all(vault.newest(sealed) for sealed in (one.token, one.refresh_token) if sealed):
            return False
        changed = await stored.reseal(
            tx,
            one,
            token=vault.seal(team, token),
            refresh_token=vault.seal(team, refresh) if refresh is not None else None,
        )
    if not changed:
        raise DeploybotError(f"The token of {team} was changed meanwhile: run it again.")
    return True
