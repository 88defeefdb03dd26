"""Draws an alert's chart: what was usual, what came, since when it is worse, when the alert was raised."""

from __future__ import annotations

from math import nan
from typing import Any

from bot.slack.canvas import BAD, BAND, GROUND, INK, LARGE, LINE, QUIET, SMALL, blank, png
from bot.slack.series import Series


def draw(shown: Series) -> bytes:
    """The PNG. Takes some 100 ms of processor time: call it in a thread."""
    return png(make_figure(shown))


def make_figure(shown: Series) -> Any:
    """The figure."""
    figure = blank()
    axes = figure.add_subplot(facecolor=GROUND)
    _draw_series(axes, shown)
    _draw_marks(axes, shown)
    _dress(axes, shown)
    # Below the axes: nothing is hidden under it, whatever the values.
    figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False, labelcolor=INK)
    return figure


def _draw_series(axes: Any, shown: Series) -> None:
    if shown.band is not None:
        low, high = shown.band
        axes.axhspan(low, high, color=BAND, alpha=0.35, lw=0, label="usual before the deploy", gid="band")
    times, values = zip(*shown.points, strict=True)
    axes.plot(times, values, color=LINE, lw=2.6, marker="o", ms=4, label=shown.label, gid="values")
    if shown.worse:
        # The line breaks where values are as before again.
        worse, first, last = set(shown.worse), shown.worse[0][0], shown.worse[-1][0]
        bad = [(at, v if (at, v) in worse else nan) for at, v in shown.points if first <= at <= last]
        at, value = zip(*bad, strict=True)
        axes.plot(at, value, color=BAD, lw=3.2, marker="s", ms=8, label="worse", gid="worse", zorder=3)


def _draw_marks(axes: Any, shown: Series) -> None:
    top = max(value for _, value in shown.points)
    axes.set_ylim(min(0.0, *(value for _, value in shown.points)), top * 1.32 if top > 0 else 1.0)
    place = {"transform": axes.get_xaxis_transform(), "fontsize": SMALL, "va": "top"}
    if shown.deployed:
        axes.axvline(0, color=INK, lw=2, ls="--", gid="deploy")
        axes.text(0, 0.98, " deploy", color=INK, ha="left", **place)
    axes.axvline(shown.alert, color=BAD, lw=2, ls="-.", gid="alert")
    axes.text(shown.alert, 0.98, "alert ▲ ", color=BAD, ha="right", weight="bold", **place)


def _dress(axes: Any, shown: Series) -> None:
    axes.set_title(shown.title, color=INK, fontsize=LARGE, loc="left", weight="bold")
    zero = "the deploy" if shown.deployed else "the alert"
    axes.set_xlabel(f"minutes after {zero}", color=INK, fontsize=SMALL)
    axes.tick_params(colors=INK, labelsize=SMALL)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", color=QUIET, alpha=0.25)
    first, last = shown.first, max(shown.points[-1][0], shown.alert)
    axes.set_xlim(first, last + max((last - first) * 0.04, 0.5))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(QUIET)
