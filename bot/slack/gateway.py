"""The calls the bot makes to Slack, with every failure told apart by what may be done about it.

No call is ever repeated here: the SDK's own retry would send a POST again whose answer was lost, and post a
message twice. Whoever calls decides, knowing whether the outcome is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import AudienceUnknown, GroupUnknown
from bot.domain.localtime import FALLBACK, Reader
from bot.slack.blocks.words import Block, Drawing
from bot.slack.ids import POST_EVENT
from bot.slack.mrkdwn import shorten

#: Longest wait for an answer from Slack, in seconds, and for those needed before Slack's own 3 s are over.
CALL_S = 10.0
QUICK_S = 1.2
#: How long the members of a user group, or a private channel, are believed, in seconds: who was just added
#: waits so long at most. `usergroups.users.list` is Tier 2, 20 calls a minute (Slack docs: rate limits).
MEMBERS_S = 120.0
#: Members asked for at once (Slack docs: conversations.members).
PAGE = 1000

#: Slack's own bot, which does not say that it is one (Slack docs: user object).
SLACKBOT = "USLACKBOT"

#: Codes that no later attempt changes unless somebody does something.
_PERMANENT = {
    "account_inactive",
    "cant_update_message",
    "channel_not_found",
    "edit_window_closed",
    "invalid_auth",
    "invalid_blocks",
    "invalid_blocks_format",
    "is_archived",
    "missing_scope",
    "msg_blocks_too_long",
    "msg_too_long",
    "not_authed",
    "not_in_channel",
    "restricted_action",
    "thread_not_found",
    "token_expired",
    "token_revoked",
}

#: What Slack says of a conversation that the bot cannot see.
UNSEEN = {"channel_not_found", "missing_scope", "not_in_channel"}

#: What to do about a refusal, per code.
_HINTS = {
    "account_inactive": "The app was removed from the workspace: install it again.",
    "invalid_auth": "The bot token is not valid: check SLACK_BOT_TOKEN, or reinstall the app.",
    "not_authed": "The bot token is missing: set SLACK_BOT_TOKEN.",
    "token_revoked": "The bot token was revoked: reinstall the app and set the new SLACK_BOT_TOKEN.",
    "token_expired": "The bot token has expired: reinstall the app and set the new SLACK_BOT_TOKEN.",
    "missing_scope": "The app lacks a scope: reinstall it with the manifest from `deploybot manifest`.",
    "not_in_channel": "Invite the bot to the channel.",
    "channel_not_found": "The channel is gone, or private without the bot in it.",
    "is_archived": "The channel is archived.",
}


class SlackFailure(Exception):
    """A call to Slack that did not succeed.

    `code` is Slack's own or `timeout`, `connection`, `http_503` and the like; `retry_after` is in seconds
    where Slack named it; `outcome_known` is False where the call may have taken effect all the same.
    """

    def __init__(
        self, method: str, code: str, *, outcome_known: bool = True, retry_after: float | None = None
    ) -> None:
        self.method = method
        self.code = code
        self.outcome_known = outcome_known
        self.retry_after = retry_after
        super().__init__(f"{method}: {code}")

    @property
    def permanent(self) -> bool:
        """Whether trying again is useless until somebody does something."""
        return self.code in _PERMANENT

    @property
    def hint(self) -> str:
        """What to do about it."""
        return _HINTS.get(self.code, "Try again; if it stays so, tell whoever runs this bot.")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in the workspace."""

    id: str
    name: str
    #: IANA time zone.
    timezone: str
    #: As Slack writes it, `de-DE`; empty where it does not say.
    locale: str = ""
    #: Whether it is an app.
    bot: bool = False

    @property
    def reader(self) -> Reader:
        """How they read times."""
        return Reader(timezone=self.timezone, locale=self.locale or FALLBACK)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whom the token belongs to."""

    team: str
    team_name: str
    user: str
    #: The bot's own id (`B…`), under which its messages come back.
    bot: str
    #: Slack's handle of the bot.
    name: str
    url: str
    #: What the token may do, from Slack's `x-oauth-scopes`.
    scopes: frozenset[str]


def web_client(
    token: str, api_url: str, session: aiohttp.ClientSession, tls: ssl.SSLContext | None = None
) -> AsyncWebClient:
    """A client on a shared session that never repeats a call. A session's own timeout is what counts.

    `tls` is shared where there are many clients: making one reads every certificate there is.
    """
    return AsyncWebClient(
        token=token or None,
        base_url=api_url,
        session=session,
        retry_handlers=[],
        ssl=tls or ssl.create_default_context(),
    )


@dataclass(kw_only=True)
class Account:
    """The bot's account in one workspace, and what is known of the workspace."""

    #: With the workspace's token.
    client: AsyncWebClient
    #: How long the people of groups and channels are believed, in seconds.
    believed_s: float = MEMBERS_S
    #: Where the workspace is; known once `identity` was asked.
    url: str = ""
    #: Slack's handle of the bot there, as in `@deploybot`; the ids of its user and of the bot (`B…`).
    handle: str = ""
    user: str = ""
    bot: str = ""
    #: People by id, and the direct conversations with them.
    people: dict[str, Person] = field(default_factory=dict)
    direct: dict[str, str] = field(default_factory=dict)
    #: The people of user groups, with the second they were asked for; the names of user groups.
    members: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    #: The people of private channels, None for public ones, with the second they were asked for.
    audiences: dict[str, tuple[float, frozenset[str] | None]] = field(default_factory=dict)


class Gateway:
    """Slack's Web API as the bot uses it, in one workspace."""

    def __init__(self, client: AsyncWebClient | Account) -> None:
        """With a client alone, `identity` finds out the rest."""
        self._account = client if isinstance(client, Account) else Account(client=client)

    @property
    def account(self) -> Account:
        """Whom the calls are made as."""
        return self._account

    @property
    def client(self) -> AsyncWebClient:
        """The SDK's client with the workspace's token."""
        return self.account.client

    @property
    def workspace_url(self) -> str:
        """Where the workspace is; empty until `identity` was asked."""
        return self.account.url

    @property
    def handle(self) -> str:
        """Slack's handle of the bot there."""
        return self.account.handle

    async def call(
        self, method: str, *, timeout: float = CALL_S, form: bool = False, **arguments: Any
    ) -> dict[str, Any]:
        """One call, once; as a `form` where the method takes no JSON. Raises SlackFailure."""
        try:
            async with asyncio.timeout(timeout):
                if form:
                    response = await self.client.api_call(method, data=arguments)
                else:
                    response = await self.client.api_call(method, json=arguments)
        except SlackApiError as error:
            raise failure_of(method, error) from error
        except aiohttp.ClientConnectorError as error:
            raise SlackFailure(method, "connection") from error
        except TimeoutError as error:
            raise SlackFailure(method, "timeout", outcome_known=False) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SlackFailure(method, "connection", outcome_known=False) from error
        data = response.data
        return data if isinstance(data, dict) else {}

    async def identity(self) -> Identity:
        """Who we are. Raises SlackFailure."""
        try:
            async with asyncio.timeout(CALL_S):
                response = await self.client.auth_test()
        except SlackApiError as error:
            raise failure_of("auth.test", error) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise SlackFailure("auth.test", "connection") from error
        headers = {str(k).lower(): v for k, v in response.headers.items()}
        scopes = str(headers.get("x-oauth-scopes", ""))
        account = self.account
        account.url = str(response.get("url", ""))
        account.handle = str(response.get("user", "deploybot"))
        account.user = str(response["user_id"])
        account.bot = str(response.get("bot_id", ""))
        return Identity(
            team=str(response["team_id"]),
            team_name=str(response.get("team", "")),
            user=account.user,
            bot=account.bot,
            name=account.handle,
            url=account.url,
            scopes=frozenset(scope.strip() for scope in scopes.split(",") if scope.strip()),
        )

    async def post(
        self, drawing: Drawing, *, channel: str, thread_ts: str | None, uid: str, broadcast: bool = False
    ) -> str:
        """Post a message that can be found again by its uid; its ts. Raises SlackFailure.

        `broadcast` shows a reply in the channel as well; an update cannot add or take that (Slack docs:
        chat.update).
        """
        arguments: dict[str, Any] = {
            "channel": channel,
            "text": drawing.text,
            "blocks": list(drawing.blocks),
            "metadata": {"event_type": POST_EVENT, "event_payload": {"key": uid}},
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread_ts is not None:
            arguments["thread_ts"] = thread_ts
            if broadcast:
                arguments["reply_broadcast"] = True
        return str((await self.call("chat.postMessage", **arguments))["ts"])

    async def update(self, drawing: Drawing, *, channel: str, ts: str) -> None:
        """Draw a message again. Raises SlackFailure."""
        await self.call("chat.update", channel=channel, ts=ts, text=drawing.text, blocks=list(drawing.blocks))

    async def upload(
        self,
        data: bytes,
        *,
        name: str,
        title: str,
        alt: str = "",
        channel: str = "",
        thread_ts: str | None = None,
        comment: str = "",
    ) -> str:
        """Give Slack a file; its id. Raises SlackFailure.

        Without a channel it is an image for a message's block. With one it is shared there, with a comment in
        mrkdwn. Each try is a new file: what a failed one left behind is shown to nobody.
        """
        described: dict[str, Any] = {"alt_txt": shorten(alt, 1000)} if alt else {}
        place = await self.call(
            "files.getUploadURLExternal", form=True, filename=name, length=str(len(data)), **described
        )
        session = self.client.session
        if session is None:
            raise SlackFailure("upload", "connection")
        try:
            async with asyncio.timeout(CALL_S), session.post(place["upload_url"], data=data) as answer:
                if answer.status != 200:
                    raise SlackFailure("upload", f"http_{answer.status}")
        except TimeoutError as error:
            raise SlackFailure("upload", "timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            raise SlackFailure("upload", "connection") from error
        file = str(place["file_id"])
        shared = {"channel_id": channel, "thread_ts": thread_ts, "initial_comment": comment}
        where: dict[str, Any] = {key: value for key, value in shared.items() if value} if channel else {}
        await self.call("files.completeUploadExternal", files=[{"id": file, "title": title}], **where)
        return file

    async def find(self, *, channel: str, thread_ts: str | None, uid: str, since: float) -> str | None:
        """The ts of the message with this uid, posted after `since` (seconds), or None.

        Raises SlackFailure.
        """
        method = "conversations.history" if thread_ts is None else "conversations.replies"
        arguments: dict[str, Any] = {
            "channel": channel,
            "oldest": f"{since:.6f}",
            "inclusive": True,
            "limit": 200,
            # Without it only event_type comes back (Slack docs: message metadata).
            "include_all_metadata": True,
        }
        if thread_ts is not None:
            arguments["ts"] = thread_ts
        while True:
            page = await self.call(method, **arguments)
            for message in page.get("messages", ()):
                metadata = message.get("metadata") or {}
                if metadata.get("event_type") == POST_EVENT and metadata["event_payload"].get("key") == uid:
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not page.get("has_more") or not cursor:
                return None
            arguments["cursor"] = cursor

    async def tell(
        self,
        *,
        channel: str,
        user: str,
        text: str,
        blocks: Sequence[Block] | None = None,
        thread_ts: str | None = None,
    ) -> None:
        """Say something to one person only. Raises SlackFailure."""
        arguments: dict[str, Any] = {"channel": channel, "user": user, "text": text}
        if blocks is not None:
            arguments["blocks"] = list(blocks)
        if thread_ts is not None:
            arguments["thread_ts"] = thread_ts
        await self.call("chat.postEphemeral", **arguments)

    async def direct(self, user: str) -> str:
        """The id of the direct conversation with a person, kept once known. Raises SlackFailure.

        `chat.update` and `conversations.history` need it; `chat.postMessage` alone would take the user's id
        (Slack docs: conversations.open).
        """
        direct = self.account.direct
        if user not in direct:
            answer = await self.call("conversations.open", users=user)
            direct[user] = str((answer.get("channel") or {}).get("id", ""))
        return direct[user]

    async def open_view(self, trigger_id: str, view: Mapping[str, Any], *, on_top: bool = False) -> None:
        """Open a modal, `on_top` of one that is open. A trigger_id lives for 3 s and works once.

        Raises SlackFailure.
        """
        method = "views.push" if on_top else "views.open"
        await self.call(method, timeout=2.5, trigger_id=trigger_id, view=dict(view))

    async def write_to(self, user: str, text: str, *, blocks: Sequence[Block] | None = None) -> None:
        """Write to one person directly. Raises SlackFailure."""
        arguments: dict[str, Any] = {"channel": await self.direct(user), "text": text, "unfurl_links": False}
        if blocks is not None:
            arguments["blocks"] = list(blocks)
        await self.call("chat.postMessage", **arguments)

    async def publish_home(self, user: str, view: Mapping[str, Any]) -> None:
        """Show a person this in their App Home. Raises SlackFailure."""
        await self.call("views.publish", user_id=user, view=dict(view))

    async def pin(self, channel: str, ts: str) -> None:
        """Pin a message in its channel; one that is pinned already is. Raises SlackFailure."""
        await self._pinned("pins.add", channel, ts, done="already_pinned")

    async def unpin(self, channel: str, ts: str) -> None:
        """Let a pinned message go; one that is not pinned is let go. Raises SlackFailure."""
        await self._pinned("pins.remove", channel, ts, done="no_pin")

    async def _pinned(self, method: str, channel: str, ts: str, *, done: str) -> None:
        try:
            await self.call(method, form=True, channel=channel, timestamp=ts)
        except SlackFailure as failure:
            if failure.code != done:
                raise

    async def update_view(self, view_id: str, view: Mapping[str, Any]) -> None:
        """Draw a modal that is open anew. Raises SlackFailure."""
        await self.call("views.update", timeout=QUICK_S * 2, view_id=view_id, view=dict(view))

    async def groups(self) -> list[tuple[str, str]]:
        """The workspace's user groups: (id, name), by name. Raises SlackFailure."""
        answer = await self.call("usergroups.list", timeout=QUICK_S, form=True)
        found = [(str(group["id"]), str(group.get("name", ""))) for group in answer.get("usergroups", ())]
        self.account.groups.clear()
        self.account.groups.update(found)
        return sorted(found, key=lambda group: group[1].casefold())

    def link(self, channel: str, ts: str | None, thread_ts: str | None = None) -> str | None:
        """A link to a message or a reply, as chat.getPermalink gives it; None before it is posted."""
        if ts is None or not self.workspace_url:
            return None
        place = f"{self.workspace_url.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"
        return f"{place}?thread_ts={thread_ts}&cid={channel}" if thread_ts and thread_ts != ts else place

    async def is_member(self, channel: str) -> bool:
        """Whether the bot can post in the channel. Raises SlackFailure where Slack does not say."""
        try:
            answer = await self.call("conversations.info", timeout=QUICK_S, channel=channel)
        except SlackFailure as failure:
            if failure.code == "channel_not_found":
                return False  # what Slack says of a private channel the bot is not in
            raise
        conversation = answer.get("channel") or {}
        return bool(conversation.get("is_member") or conversation.get("is_im"))

    async def audience(self, channel: str) -> frozenset[str] | None:
        """Who may read a channel, as of two minutes ago at most: None where it is public.

        Nobody for a conversation the bot cannot see. Where Slack does not answer, what it said last counts;
        raises AudienceUnknown where it has said nothing yet.
        """
        asked_at, known = self.account.audiences.get(channel, (None, None))
        if asked_at is not None and time.monotonic() - asked_at < self.account.believed_s:
            return known
        try:
            found = await self._audience(channel)
        except SlackFailure as failure:
            if failure.code in UNSEEN:
                found = frozenset()
            elif asked_at is None:
                raise AudienceUnknown(channel, failure.code) from failure
            else:
                return known
        self.account.audiences[channel] = (time.monotonic(), found)
        return found

    async def _audience(self, channel: str) -> frozenset[str] | None:
        answer = await self.call("conversations.info", timeout=QUICK_S, channel=channel)
        conversation = answer.get("channel") or {}
        if conversation.get("is_im"):
            return frozenset({str(conversation.get("user", ""))})
        if not (conversation.get("is_private") or conversation.get("is_mpim")):
            return None
        people: set[str] = set()
        cursor = ""
        while True:
            page = await self.call(
                "conversations.members",
                timeout=QUICK_S,
                form=True,
                channel=channel,
                limit=PAGE,
                cursor=cursor,
            )
            people.update(str(user) for user in page.get("members", ()))
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return frozenset(people)

    async def person(self, user: str, *, timeout: float = CALL_S) -> Person:
        """The person's name, zone and locale, kept once known; their id and UTC where Slack does not say."""
        people = self.account.people
        known = people.get(user)
        if known is not None:
            return known
        try:
            info = (await self.call("users.info", timeout=timeout, user=user, include_locale=True)).get(
                "user"
            ) or {}
        except SlackFailure:
            return Person(id=user, name=user, timezone="UTC")
        profile = info.get("profile") or {}
        name = profile.get("display_name") or profile.get("real_name") or info.get("real_name")
        person = Person(
            id=user,
            name=name or info.get("name") or user,
            timezone=info.get("tz") or "UTC",
            locale=info.get("locale") or "",
            bot=bool(info.get("is_bot")) or user == SLACKBOT,
        )
        if len(people) > 5_000:
            people.clear()
        people[user] = person
        return person

    async def members(self, group: str) -> frozenset[str]:
        """Who is in a user group, as of two minutes ago at most. Raises GroupUnknown."""
        asked_at, known = self.account.members.get(group, (-self.account.believed_s, frozenset()))
        if time.monotonic() - asked_at < self.account.believed_s:
            return known
        try:
            answer = await self.call("usergroups.users.list", timeout=QUICK_S, form=True, usergroup=group)
        except SlackFailure as failure:
            raise GroupUnknown(group, failure.code) from failure
        members = frozenset(str(user) for user in answer.get("users", ()))
        self.account.members[group] = (time.monotonic(), members)
        return members

    async def names(self, users: Sequence[str]) -> dict[str, str]:
        """The names of these people, and of user groups among them."""
        groups = [user for user in users if user.startswith("S")]
        people = await asyncio.gather(*(self.person(user) for user in users if user not in groups))
        named = {person.id: person.name for person in people}
        if any(group not in self.account.groups for group in groups):
            with contextlib.suppress(SlackFailure):
                await self.groups()
        return named | {group: self.account.groups.get(group) or "a user group" for group in groups}


def failure_of(method: str, error: SlackApiError) -> SlackFailure:
    """What the SDK's error means."""
    response = error.response
    status = getattr(response, "status_code", 200)
    if status == 429:
        retry_after = (response.headers or {}).get("Retry-After", 1)
        return SlackFailure(method, "ratelimited", retry_after=float(retry_after))
    if status >= 500:
        return SlackFailure(method, f"http_{status}", outcome_known=False)
    data = response.data if isinstance(getattr(response, "data", None), dict) else {}
    code = str(data.get("error") or "unknown_error")
    # "Some aspect of the operation may have succeeded" (Slack docs: errors fatal_error, internal_error).
    return SlackFailure(method, code, outcome_known=code not in {"fatal_error", "internal_error"})
