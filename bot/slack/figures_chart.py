"""Draws deployments a week, failed ones apart, as a PNG like the charts of alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.domain.figures import Figures, Week
from bot.slack.canvas import BAD, GROUND, INK, LARGE, LINE, QUIET, SMALL, blank, png
from bot.watch.wording import counted


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the chart shows."""

    title: str
    weeks: tuple[Week, ...]
    #: The same in words.
    alt: str


def shown(figures: Figures) -> Shown:
    """The chart of these figures, as values."""
    where = f"{figures.service or 'all services'}, {figures.environment or 'all environments'}"
    most = max(week.deployments for week in figures.weeks)
    weeks, times = counted(len(figures.weeks), "week"), counted(figures.deployments, "deployment")
    alt = f"Bar chart of {weeks}: {times}, {figures.failed} of them failed, at most {most} in a week."
    return Shown(title=f"Deployments a week, {where}", weeks=figures.weeks, alt=alt)


def draw(shown: Shown) -> bytes:
    """The PNG. Takes some 100 ms of processor time: call it in a thread."""
    return png(make_figure(shown))


def make_figure(shown: Shown) -> Any:
    """The figure."""
    figure = blank()
    axes = figure.add_subplot(facecolor=GROUND)
    places = range(len(shown.weeks))
    well = [week.deployments - week.failed for week in shown.weeks]
    failed = [week.failed for week in shown.weeks]
    axes.bar(places, well, color=LINE, width=0.7, label="went well")
    # Hatched besides its colour: told apart without it.
    axes.bar(
        places, failed, bottom=well, color=BAD, width=0.7, hatch="//", edgecolor=GROUND, lw=0, label="failed"
    )
    step = max(1, -(-len(shown.weeks) // 7))
    labels = [f"{week.monday.day} {week.monday:%b}" for week in shown.weeks]
    axes.set_xticks(list(places)[::step], labels[::step])
    axes.set_title(shown.title, color=INK, fontsize=LARGE, loc="left", weight="bold")
    axes.tick_params(colors=INK, labelsize=SMALL)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", color=QUIET, alpha=0.25)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(QUIET)
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False, labelcolor=INK)
    return figure
