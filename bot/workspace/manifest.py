"""An app as its manifest declares it, and what the workspace hands out when it is installed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

#: From Slack's published manifest schema (slackapi/manifest-schema 2.0.0).
MAX_NAME, MAX_BOT_NAME, MAX_COMMAND, MAX_COMMANDS, MAX_SHORTCUTS = 35, 80, 32, 50, 10
MAX_SHORTCUT_NAME, MAX_SHORTCUT_DESCRIPTION = 24, 150


class ManifestProblem(ValueError):
    """The manifest would not be accepted by Slack."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A slash command."""

    #: With its slash.
    name: str
    #: What the client shows beside it.
    description: str
    #: The arguments, as a hint.
    usage_hint: str = ""
    #: Where it is delivered without Socket Mode.
    url: str = ""
    #: Users, channels and links come as `<@U…|name>`, `<#C…|name>`, `<https://…>`.
    should_escape: bool = False


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A global or message shortcut."""

    #: The label in the menu.
    name: str
    #: `global` or `message`.
    type: str
    #: What the app recognises it by.
    callback_id: str
    #: What the client shows beside it.
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The parts of an app manifest the workspace acts on."""

    #: As it was given.
    raw: Json
    #: The app's name.
    name: str
    #: The bot user's name.
    bot_name: str
    commands: tuple[Command, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    #: Bot scopes asked for.
    scopes: frozenset[str] = frozenset()
    #: Events the bot subscribed to.
    bot_events: frozenset[str] = frozenset()
    #: Where events go without Socket Mode.
    events_url: str = ""
    #: Buttons, modals and shortcuts do something.
    interactivity: bool = False
    #: Where interactions go without Socket Mode.
    interactivity_url: str = ""
    #: Where the options of external selects are asked for without Socket Mode.
    options_url: str = ""
    socket_mode: bool = False
    home_tab: bool = False
    messages_tab: bool = True
    #: Where people may be sent back to; an app without them is installed by its own team only.
    redirect_urls: tuple[str, ...] = ()
    #: Whether bot tokens expire and are renewed.
    rotates_tokens: bool = False

    @classmethod
    def read(cls, raw: Json) -> Manifest:
        """Read Slack's JSON manifest; raise `ManifestProblem` with everything that is wrong."""
        problems: list[str] = []
        information = raw.get("display_information") or {}
        features = raw.get("features") or {}
        settings = raw.get("settings") or {}
        asked = (raw.get("oauth_config") or {}).get("scopes") or {}
        scopes = asked.get("bot") or []
        unknown = sorted(set(asked.get("bot_optional") or []) - set(scopes))
        if unknown:
            problems.append(
                f"oauth_config.scopes.bot_optional: {', '.join(unknown)} not among the bot scopes"
            )
        name = information.get("name") or ""
        if not 1 <= len(name) <= MAX_NAME:
            problems.append(f"display_information.name must have 1 to {MAX_NAME} characters")
        bot_name = (features.get("bot_user") or {}).get("display_name") or name
        if len(bot_name) > MAX_BOT_NAME:
            problems.append(f"features.bot_user.display_name must have at most {MAX_BOT_NAME} characters")
        commands = features.get("slash_commands") or []
        shortcuts = features.get("shortcuts") or []
        if len(commands) > MAX_COMMANDS:
            problems.append(f"features.slash_commands must have at most {MAX_COMMANDS} entries")
        if len(shortcuts) > MAX_SHORTCUTS:
            problems.append(f"features.shortcuts must have at most {MAX_SHORTCUTS} entries")
        socket_mode = bool(settings.get("socket_mode_enabled"))
        for index, command in enumerate(commands):
            word = command.get("command", "")
            if not word.startswith("/") or not 2 <= len(word) <= MAX_COMMAND or " " in word:
                problems.append(f"features.slash_commands/{index}/command: {word!r} is not a command")
            if not command.get("description"):
                problems.append(f"features.slash_commands/{index}/description is missing")
            if not socket_mode and not command.get("url"):
                problems.append(f"features.slash_commands/{index}/url is needed without Socket Mode")
        for index, shortcut in enumerate(shortcuts):
            if shortcut.get("type") not in ("global", "message") or not shortcut.get("callback_id"):
                problems.append(
                    f"features.shortcuts/{index} needs a type (global, message) and a callback_id"
                )
            if not 1 <= len(shortcut.get("name") or "") <= MAX_SHORTCUT_NAME:
                problems.append(
                    f"features.shortcuts/{index}/name must have 1 to {MAX_SHORTCUT_NAME} characters"
                )
            if not 1 <= len(shortcut.get("description") or "") <= MAX_SHORTCUT_DESCRIPTION:
                most = MAX_SHORTCUT_DESCRIPTION
                problems.append(f"features.shortcuts/{index}/description must have 1 to {most} characters")
        if (commands or shortcuts) and "commands" not in scopes:
            problems.append('slash commands and shortcuts need the scope "commands"')
        if problems:
            raise ManifestProblem("; ".join(problems))
        events = settings.get("event_subscriptions") or {}
        interactivity = settings.get("interactivity") or {}
        home = features.get("app_home") or {}
        return cls(
            raw=raw,
            name=name,
            bot_name=bot_name,
            commands=tuple(
                Command(
                    name=c["command"],
                    description=c["description"],
                    usage_hint=c.get("usage_hint") or "",
                    url=c.get("url") or "",
                    should_escape=bool(c.get("should_escape")),
                )
                for c in commands
            ),
            shortcuts=tuple(
                Shortcut(
                    name=s["name"],
                    type=s["type"],
                    callback_id=s["callback_id"],
                    description=s["description"],
                )
                for s in shortcuts
            ),
            scopes=frozenset(scopes),
            bot_events=frozenset(events.get("bot_events") or []),
            events_url=events.get("request_url") or "",
            interactivity=bool(interactivity.get("is_enabled")),
            interactivity_url=interactivity.get("request_url") or "",
            options_url=interactivity.get("message_menu_options_url")
            or interactivity.get("request_url")
            or "",
            socket_mode=socket_mode,
            home_tab=bool(home.get("home_tab_enabled")),
            messages_tab=bool(home.get("messages_tab_enabled", True)),
            redirect_urls=tuple((raw.get("oauth_config") or {}).get("redirect_urls") or ()),
            rotates_tokens=bool(settings.get("token_rotation_enabled")),
        )


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What an app needs to talk to this workspace."""

    bot_token: str
    app_token: str
    signing_secret: str
    bot_user_id: str
    app_id: str
    #: Base of the Web API, with a slash at the end: the SDK's `base_url`.
    api_url: str
    bot_id: str = ""
    team_id: str = ""
    client_id: str = ""
    client_secret: str = ""


@dataclass
class App:
    """An installed app."""

    app_id: str
    bot_id: str
    bot_user_id: str
    bot_token: str
    app_token: str
    signing_secret: str
    #: Deprecated, but Slack still sends it in payloads.
    verification_token: str
    manifest: Manifest
    #: Scopes a test took away.
    removed_scopes: set[str] = field(default_factory=set)
    #: Tokens that no longer work.
    revoked: set[str] = field(default_factory=set)
    client_id: str = ""
    client_secret: str = ""
    #: Where tokens are renewed: those that are good, with when each expires, and what the next costs.
    expiring: dict[str, float] = field(default_factory=dict)
    refresh_token: str = ""

    def installed(self, *, bot_id: str, bot_user_id: str, bot_token: str) -> App:
        """The app with its bot in a team."""
        return App(
            app_id=self.app_id,
            bot_id=bot_id,
            bot_user_id=bot_user_id,
            bot_token=bot_token,
            app_token=self.app_token,
            signing_secret=self.signing_secret,
            verification_token=self.verification_token,
            manifest=self.manifest,
            client_id=self.client_id,
            client_secret=self.client_secret,
        )

    def uninstalled(self) -> App:
        """The app itself, in no team."""
        return self.installed(bot_id="", bot_user_id="", bot_token="")

    @property
    def scopes(self) -> frozenset[str]:
        """Scopes the bot token has now."""
        return self.manifest.scopes - self.removed_scopes

    def command(self, name: str) -> Command | None:
        """The command with this name, if the app has it."""
        return next((c for c in self.manifest.commands if c.name == name), None)

    def to_json(self) -> Json:
        """For the store."""
        return {
            "app_id": self.app_id,
            "bot_id": self.bot_id,
            "bot_user_id": self.bot_user_id,
            "bot_token": self.bot_token,
            "app_token": self.app_token,
            "signing_secret": self.signing_secret,
            "verification_token": self.verification_token,
            "manifest": self.manifest.raw,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "expiring": self.expiring,
            "refresh_token": self.refresh_token,
        }

    @classmethod
    def from_json(cls, value: Json) -> App:
        """From the store."""
        return cls(**{**value, "manifest": Manifest.read(value["manifest"])})
