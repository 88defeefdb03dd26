"""Settings, from the environment or a `.env` file; nothing secret is ever shown or logged."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.domain.check import Secret

#: Slack's own address.
SLACK_API_URL = "https://slack.com/api/"


class Settings(BaseSettings):
    """Everything that can be set from outside."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", populate_by_name=True
    )

    #: `xoxb-…`, from the app's "OAuth & Permissions" page.
    slack_bot_token: SecretStr = Field(default=SecretStr(""), alias="SLACK_BOT_TOKEN")
    #: `xapp-…` with `connections:write`: selects Socket Mode.
    slack_app_token: SecretStr = Field(default=SecretStr(""), alias="SLACK_APP_TOKEN")
    #: From "Basic Information": selects HTTP delivery where there is no app token.
    slack_signing_secret: SecretStr = Field(default=SecretStr(""), alias="SLACK_SIGNING_SECRET")
    #: Where the Web API is; any Slack-compatible server will do.
    slack_api_url: str = Field(default=SLACK_API_URL, alias="SLACK_API_URL")
    #: From "Basic Information": with these and a key, any workspace can install the bot by itself.
    slack_client_id: str = Field(default="", alias="SLACK_CLIENT_ID")
    slack_client_secret: SecretStr = Field(default=SecretStr(""), alias="SLACK_CLIENT_SECRET")
    #: What workspaces' tokens are encrypted with; several keys, separated by commas: the first encrypts.
    encryption_key: SecretStr = Field(default=SecretStr(""), alias="DEPLOYBOT_ENCRYPTION_KEY")
    #: The bot's public address, as in the app's redirect URL; without it Slack takes the app's first.
    public_url: str = Field(default="", alias="DEPLOYBOT_URL")
    #: The workspaces that may install it, by id (`T…`), with commas; empty for any that finds the page.
    allowed_teams: str = Field(default="", alias="DEPLOYBOT_ALLOWED_TEAMS")
    #: `sqlite:///file.db` or `postgresql://…`.
    database_url: str = Field(default="sqlite:///deploybot.db", alias="DATABASE_URL")
    #: Folder with the checklists.
    checklists: Path = Field(default=Path("checklists"), alias="DEPLOYBOT_CHECKLISTS")
    #: The slash command, where another app has taken `/deploy`.
    command: str = Field(default="/deploy", alias="DEPLOYBOT_COMMAND", pattern=r"^/[a-z0-9_-]{1,31}$")
    #: Address and port of the health pages and of HTTP delivery.
    host: str = Field(default="0.0.0.0", alias="HOST")
    port: int = Field(default=3000, alias="PORT", ge=0, le=65535)
    #: What other systems authenticate with when they post alerts to `/hooks/…`; without it they cannot.
    hook_token: SecretStr = Field(default=SecretStr(""), alias="DEPLOYBOT_HOOK_TOKEN")
    #: What GitHub signs its webhooks with; without it they are off.
    github_webhook_secret: SecretStr = Field(default=SecretStr(""), alias="DEPLOYBOT_GITHUB_WEBHOOK_SECRET")
    #: May write deployment statuses (fine-grained: Deployments, read and write); without it none are written.
    github_deployments_token: SecretStr = Field(
        default=SecretStr(""), alias="DEPLOYBOT_GITHUB_DEPLOYMENTS_TOKEN"
    )
    #: GitHub's REST API, where it is not github.com.
    github_api_url: str = Field(default="https://api.github.com", alias="DEPLOYBOT_GITHUB_API_URL")
    #: Addresses that are told what happens, apart by commas or spaces: they may hold tokens.
    webhook_urls: SecretStr = Field(default=SecretStr(""), alias="DEPLOYBOT_WEBHOOK_URLS")
    #: `whsec_…`: what those are signed with.
    webhook_secret: SecretStr = Field(default=SecretStr(""), alias="DEPLOYBOT_WEBHOOK_SECRET")
    #: How much is logged.
    log_level: str = Field(default="INFO", alias="LOG_LEVEL", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")

    @property
    def socket_mode(self) -> bool:
        """Whether deliveries come over a WebSocket we open."""
        return bool(self.slack_app_token.get_secret_value())

    @property
    def many_teams(self) -> bool:
        """Whether workspaces can install the bot by themselves."""
        return bool(
            self.slack_client_id
            and self.slack_client_secret.get_secret_value()
            and self.encryption_key.get_secret_value()
        )

    @property
    def allowed(self) -> frozenset[str]:
        """The workspaces that may install it; empty for any."""
        return frozenset(filter(None, (team.strip() for team in self.allowed_teams.split(","))))

    @property
    def redirect_uri(self) -> str:
        """Where Slack sends people back to; empty where the app's own settings say it."""
        return f"{self.public_url.rstrip('/')}/slack/oauth_redirect" if self.public_url else ""

    @property
    def secrets(self) -> list[Secret]:
        """Our own secrets: never to be seen in evidence."""
        own = {
            "slack_bot_token": self.slack_bot_token,
            "slack_app_token": self.slack_app_token,
            "slack_signing_secret": self.slack_signing_secret,
            "hook_token": self.hook_token,
            "github_webhook_secret": self.github_webhook_secret,
            "github_deployments_token": self.github_deployments_token,
            "webhook_secret": self.webhook_secret,
            "slack_client_secret": self.slack_client_secret,
        }
        revealed = {name: value.get_secret_value() for name, value in own.items()}
        keys = self.encryption_key.get_secret_value().split(",")
        revealed |= {f"encryption_key_{number}": key.strip() for number, key in enumerate(keys, start=1)}
        password = unquote(urlsplit(self.database_url).password or "")
        return [Secret(name, value) for name, value in {**revealed, "database": password}.items() if value]

    @property
    def api_url(self) -> str:
        """The Web API's address with the slash the SDK expects."""
        return f"{self.slack_api_url.rstrip('/')}/"


#: Tokens, database passwords, and what OAuth sends along in addresses and forms.
_SECRET = re.compile(
    r"(xox[a-z][-.]|xapp-)[\w.-]+|(?<=://)([^:/@\s]+):[^@\s]+@"
    r"|\b((?:code|state|client_secret|refresh_token|access_token)(?:=|['\"]\s*:\s*['\"]))[\w.%~-]{8,}"
)
#: Shorter than this a secret could be a word that is said for other reasons.
_LONG = 8


class _Redacted(logging.Filter):
    """Takes tokens, passwords and OAuth's secrets out of every log line."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._own = [secret for secret in secrets if len(secret) >= _LONG]

    def _clean(self, text: str) -> str:
        for secret in self._own:
            text = text.replace(secret, "…")
        return _SECRET.sub(lambda m: f"{m[1] or m[3] or m[2] + ':'}…", text)

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = self._clean(message)
        if clean != message:
            record.msg, record.args = clean, ()
        if record.exc_info and not record.exc_text:
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_text = self._clean(text)
        return True


class _Meant(logging.Filter):
    """Drops what Bolt warns of although it is meant: our own client, whom it acts as,
    and connections we closed ourselves."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(meant in message for meant in _MEANT)


_MEANT = (
    "As you gave `client`",
    "`authorize` has been used",
    "ConnectionClosedOK",
    # Said in our own words, with the workspace.
    "the AuthorizeResult (returned value from authorize) for it was not found",
)


def set_up_logging(level: str, secrets: Iterable[str] = ()) -> None:
    """Log to standard error, one line an entry, without what looks like a secret or is one of `secrets`."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.addFilter(_Redacted(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("apscheduler", "alembic", "httpx", "slack_sdk", "websockets", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    bolt = logging.getLogger("slack_bolt")
    bolt.setLevel(logging.WARNING)
    bolt.addFilter(_Meant())
