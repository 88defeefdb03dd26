"""`deploybot serve`: the bot, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from bot.app import Application
from bot.cli import settings as cli_settings
from bot.config import Settings
from bot.domain.errors import DeploybotError, EncryptionKeyUnusable
from bot.slack.gateway import SlackFailure
from bot.storage.sealing import Vault


def serve() -> None:
    """Run the bot against Slack, over Socket Mode (SLACK_APP_TOKEN) or HTTP (SLACK_SIGNING_SECRET)."""
    settings = cli_settings.load()
    missing = missing_settings(settings)
    if missing:
        for sentence in missing:
            print(f"deploybot: {sentence}", file=sys.stderr)
        print("deploybot: `deploybot doctor` checks everything.", file=sys.stderr)
        sys.exit(2)
    run(_serve(settings))


def missing_settings(settings: Settings) -> list[str]:
    """A sentence for each setting that must be made before anything can run."""
    missing = []
    missing += _missing_for_many(settings)
    if not settings.slack_bot_token.get_secret_value() and not settings.many_teams:
        missing.append(
            "SLACK_BOT_TOKEN is not set. It begins with xoxb- and stands on the app's "
            "“OAuth & Permissions” page once the app is installed."
        )
    if not settings.socket_mode and not settings.slack_signing_secret.get_secret_value():
        missing.append(
            "Neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is set. For Socket Mode, make an app-level "
            "token (xapp-) with the scope connections:write under “Basic Information”; for HTTP delivery, "
            "copy the signing secret from there."
        )
    return missing


def _missing_for_many(settings: Settings) -> list[str]:
    """What is missing of the three settings that only work together."""
    secret = settings.slack_client_secret.get_secret_value()
    key = settings.encryption_key.get_secret_value()
    given = {
        "SLACK_CLIENT_ID": settings.slack_client_id,
        "SLACK_CLIENT_SECRET": secret,
        "DEPLOYBOT_ENCRYPTION_KEY": key,
    }
    missing = [name for name, value in given.items() if not value]
    sentences = []
    if missing and len(missing) < len(given):
        sentences.append(
            f"For several workspaces {' and '.join(missing)} must be set, too. Client ID and secret stand "
            "under “Basic Information”; `deploybot new-key` makes a key."
        )
    if key:
        try:
            Vault(key)
        except EncryptionKeyUnusable as error:
            sentences.append(str(error))
    return sentences


def run(work: Awaitable[None]) -> None:
    """Run to the end on uvloop where there is one; errors become a sentence and exit code 1."""
    if sys.platform == "win32":
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    else:
        import uvloop  # noqa: PLC0415 - not made for Windows

        loop_factory = uvloop.new_event_loop

    async def to_the_end() -> None:
        task = asyncio.current_task()
        if task is not None and sys.platform != "win32":
            # While starting, SIGTERM unwinds what has been started; `until_stopped` takes over from here.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await work

    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(to_the_end())
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    except SlackFailure as failure:
        sys.exit(f"deploybot: Slack refused {failure.method} ({failure.code}). {failure.hint}")
    except OSError as error:
        sys.exit(f"deploybot: {error.strerror or error}. Is the port taken? Set PORT to another one.")
    except DeploybotError as error:
        sys.exit(f"deploybot: {error}")


async def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def _serve(settings: Settings) -> None:
    application = Application(settings)
    try:
        await application.start()
        await until_stopped()
    finally:
        await application.stop()
