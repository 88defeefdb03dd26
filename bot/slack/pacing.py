"""When a message is redrawn: at once when it was quiet, merged while people are clicking, never past Slack's
limits."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta

from bot.storage.posts import Post

#: A message not redrawn for this long is redrawn at once.
IDLE = timedelta(seconds=3)
#: While changes keep coming, wait until none came for this long …
QUIET = timedelta(seconds=0.9)
#: … but no longer than this, by how many updates went out in the last minute.
PATIENCE = ((8, timedelta(seconds=4)), (20, timedelta(seconds=10)), (10_000, timedelta(seconds=20)))

#: `chat.update` is a tier 3 method: 50 a minute and workspace (Slack docs: rate limits). A few are kept for
#: what cannot wait.
UPDATES_A_MINUTE = 50
RESERVE = 6
#: One message a second and channel (Slack docs: rate limits).
POST_EVERY = 1.05


def due_at(post: Post, *, recent_updates: int) -> datetime:
    """When the message should be sent, by what changed and when."""
    if post.retry_at is not None:
        return post.retry_at
    if post.ts is None or post.shown_at is None:
        return post.first_wanted_at
    if post.first_wanted_at - post.shown_at >= IDLE:
        return post.first_wanted_at
    patience = next(wait for most, wait in PATIENCE if recent_updates < most)
    return min(post.last_wanted_at + QUIET, post.first_wanted_at + patience)


class RateLimits:
    """Slack's limits as this process knows them; what other processes use shows up as 429."""

    def __init__(self) -> None:
        self._updates: deque[float] = deque()
        self._posted: dict[str, float] = {}
        self._blocked: dict[str, float] = defaultdict(float)

    def recent_updates(self, now: float) -> int:
        """Updates sent in the last minute."""
        while self._updates and self._updates[0] <= now - 60:
            self._updates.popleft()
        return len(self._updates)

    def update_at(self, now: float, *, urgent: bool = False) -> float:
        """The earliest time an update may go out, in seconds of the same clock as `now`."""
        most = UPDATES_A_MINUTE - (0 if urgent else RESERVE)
        recent = self.recent_updates(now)
        free = now if recent < most else self._updates[recent - most] + 60
        return max(free, self._blocked["chat.update"])

    def post_at(self, channel: str, now: float) -> float:
        """The earliest time a message may be posted to the channel."""
        return max(now, self._posted.get(channel, 0) + POST_EVERY, self._blocked["chat.postMessage"])

    def updated(self, now: float) -> None:
        """An update goes out now."""
        self._updates.append(now)

    def posted(self, channel: str, now: float) -> None:
        """A message goes out now."""
        self._posted[channel] = now

    def refused(self, method: str, now: float, retry_after: float) -> None:
        """Slack answered 429: the method rests (Slack docs: Retry-After, in seconds)."""
        self._blocked[method] = max(self._blocked[method], now + retry_after)
