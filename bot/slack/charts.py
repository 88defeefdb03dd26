"""Gives alerts and reports their pictures, beside the sending: no message waits for one.

A message is posted without one. Then its picture is drawn in a thread, uploaded, and the message drawn again
with it. Slack may take a while until an uploaded file can be shown (slackapi/python-slack-sdk#1658): what is
refused with its picture goes out without it at once, and gets it later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain import drilling
from bot.domain.deployment import Deployment
from bot.domain.errors import DeploybotError
from bot.domain.signals import FAST, Measured, merged
from bot.domain.triggering import TriggerFinding
from bot.domain.watching import Source, Trigger
from bot.services import reporting
from bot.services.ports import Clock
from bot.slack import canvas, chart, recorder_chart
from bot.slack.blocks.alert import Chart
from bot.slack.gateway import SlackFailure
from bot.slack.series import alt_text, series
from bot.slack.teams import Teams
from bot.storage import posts, samples
from bot.storage.database import Database
from bot.storage.deployments import Deployments
from bot.storage.posts import Post

log = logging.getLogger(__name__)

#: How long Slack is left alone with an uploaded file before it is shown, in seconds.
LOOKED_AT_S = 1.0
#: Waits before each try to make and upload a chart, in seconds; then it is given up.
TRIES_S = (0.0, 2.0, 8.0, 30.0, 120.0)
#: Waits after Slack refused to show an uploaded chart, in seconds; then the alert stays without.
NOT_YET_S = (2.0, 4.0, 8.0, 16.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A PNG with what Slack is told of it."""

    data: bytes
    name: str
    title: str
    #: The same in words.
    alt: str


#: Kinds of messages that get a picture.
PICTURED = ("alert", "report")


class Charts:
    """Charts being made, and those Slack does not show yet."""

    def __init__(
        self,
        *,
        database: Database,
        deployments: Deployments,
        clock: Clock,
        teams: Teams,
        ring: Callable[[], None],
    ) -> None:
        self._database = database
        self._deployments = deployments
        self._clock = clock
        self._teams = teams
        self._ring = ring
        self._begun: set[int] = set()
        self._put_off: dict[int, int] = {}
        self._held_back: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, post: Post) -> Chart | None:
        """The message's picture, once it has one that can be shown."""
        kept = post.content.get("chart") if post.kind in PICTURED else None
        if not kept or post.id in self._held_back:
            return None
        return Chart(file=kept["file"], alt=kept["alt"])

    def begin(self, post: Post) -> None:
        """Make the picture of a message that was sent, unless it has one or one is being made."""
        if post.content.get("chart") or post.id in self._begun or not canvas.available():
            return
        self._begun.add(post.id)
        self._spawn(self._make(post))

    def not_yet(self, post: Post) -> None:
        """Slack would not show the chart: leave it out, and have it tried again later."""
        tries = self._put_off.get(post.id, 0)
        self._put_off[post.id] = tries + 1
        self._held_back.add(post.id)
        if tries < len(NOT_YET_S):
            self._spawn(self._try_again(post, NOT_YET_S[tries]))

    async def stop(self) -> None:
        """Leave what is being made."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try_again(self, post: Post, wait: float) -> None:
        await asyncio.sleep(wait)
        self._held_back.discard(post.id)
        try:
            await self._redraw(post)
        except DeploybotError as error:
            log.warning("the chart of post %s waits: %s", post.id, error)

    async def _make(self, post: Post) -> None:
        for wait in TRIES_S:
            await asyncio.sleep(wait)
            try:
                await self._make_once(post)
                return
            except SlackFailure as failure:
                log.warning("no chart for post %s yet: %s. %s", post.id, failure, failure.hint)
                if failure.permanent:
                    return
            except DeploybotError as error:
                log.warning("no chart for post %s yet: %s", post.id, error)
            except Exception:
                log.exception("the chart of post %s could not be drawn", post.id)
                return

    async def _make_once(self, post: Post) -> None:
        made = await (self._recorder(post) if post.kind == "report" else self._chart(post))
        if made is None:
            return
        async with self._database.read() as tx:
            state = await self._deployments.get(tx, post.deployment_id)
        assert state is not None
        gateway = await self._teams.of(state.team)
        file = await gateway.upload(made.data, name=made.name, title=made.title, alt=made.alt)
        async with self._database.write() as tx:
            await posts.learn(tx, post.id, chart={"file": file, "alt": made.alt})
        await asyncio.sleep(LOOKED_AT_S)
        await self._redraw(post)

    async def _recorder(self, post: Post) -> _Picture:
        report = await reporting.collect(
            self._database, self._deployments, self._clock, post.deployment_id, names=reporting.nobody
        )
        return _Picture(
            data=await asyncio.to_thread(recorder_chart.draw, report.recorder),
            name=f"{report.name}-flight-recorder.png",
            title=f"{report.name}: flight recorder",
            alt=report.recorder.alt,
        )

    async def _chart(self, post: Post) -> _Picture | None:
        async with self._database.read() as tx:
            state = await self._deployments.get(tx, post.deployment_id)
            trigger = state.aftermath.trigger_of(post.content["fired"]) if state is not None else None
            if state is None or trigger is None:
                return None
            finding = TriggerFinding.from_json(post.content["finding"])
            deployed, measured = await self._samples(tx, state, trigger, finding)
        alert = trigger.announced_at or trigger.at
        shown = series(measured, finding, deployed=deployed, alert=alert)
        if shown is None:
            return None
        return _Picture(
            data=await asyncio.to_thread(chart.draw, shown),
            name=f"{state.name}-{finding.signal.removesuffix(FAST)}.png",
            title=f"{state.name}: {shown.label}",
            alt=alt_text(shown),
        )

    async def _samples(
        self, tx: AsyncConnection, state: Deployment, trigger: Trigger, finding: TriggerFinding
    ) -> tuple[datetime | None, Sequence[Measured]]:
        if trigger.source is Source.DRILL:
            return drilling.samples(trigger.at)
        if not finding.signal:
            return None, ()
        deployed = state.aftermath.deployed
        at = deployed.at if deployed is not None else None
        # Whichever of the two raised it, one alone shows only part of what was measured.
        name = finding.signal.removesuffix(FAST)
        regular = (await samples.of(tx, state.id, name)).get(name, ())
        quick = (await samples.of(tx, state.id, name + FAST)).get(name + FAST, ())
        return at, merged(regular, quick, deployed=at)

    async def _redraw(self, post: Post) -> None:
        async with self._database.write() as tx:
            await posts.want_one(tx, post.id, at=self._clock.now())
        self._ring()
