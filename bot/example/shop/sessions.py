"""Who is logged in: opaque tokens in memory, a short one for the API and a long one to get it anew."""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass

#: Seconds a token lasts.
ACCESS_S, REFRESH_S = 15 * 60, 24 * 3600
#: Sessions at once; the oldest go first.
_MOST = 1000


@dataclass(kw_only=True)
class _Session:
    account: str
    access: str
    refresh: str
    access_until: float
    refresh_until: float


class Sessions:
    """Every session."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    def begin(self, account: str) -> tuple[str, str]:
        """Log in: an access token and a refresh token."""
        while len(self._sessions) >= _MOST:
            self._sessions.pop(next(iter(self._sessions)))
        now = time.monotonic()
        session = _Session(
            account=account,
            access=secrets.token_urlsafe(32),
            refresh=secrets.token_urlsafe(32),
            access_until=now + ACCESS_S,
            refresh_until=now + REFRESH_S,
        )
        self._sessions[session.refresh] = session
        return session.access, session.refresh

    def renew(self, refresh: str) -> tuple[str, str] | None:
        """New tokens for a refresh token, which is worth nothing afterwards; None for one that is unknown."""
        session = self._sessions.pop(refresh, None)
        if session is None or session.refresh_until < time.monotonic():
            return None
        return self.begin(session.account)

    def end(self, token: str) -> None:
        """Log out by either token."""
        ended = [key for key, one in self._sessions.items() if token in (one.access, one.refresh)]
        for key in ended:
            del self._sessions[key]

    def account_of(self, access: str) -> str | None:
        """Whose access token it is; None for one that is unknown or has expired."""
        now = time.monotonic()
        for session in self._sessions.values():
            if self.same(session.access, access) and session.access_until > now:
                return session.account
        return None

    @staticmethod
    def same(one: str, other: str) -> bool:
        """Whether two secrets are the same, in a time that tells nothing."""
        return hmac.compare_digest(one.encode(), other.encode())
