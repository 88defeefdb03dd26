"""Draws the flight recorder as a PNG, like a chart; `bot.templates.recorder_svg` draws it for pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.domain.recorder import Curve, Lane, LaneKind, Recorder, on_lines
from bot.slack.canvas import BAD, BAND, GROUND, INK, LINE, QUIET, SMALL, blank, png

#: Heights in pixels: the curve, a lane, what stands around them.
CURVE, LANE, AROUND = 240, 46, 150
#: Okabe and Ito's green and orange, dark enough on the grey ground.
GOOD, NOTE = "#00664a", "#9a5b00"
#: Shape and colour of each lane's marks.
_MARKS = {
    LaneKind.TICKS: ("|", LINE, 22),
    LaneKind.BOT: ("|", QUIET, 22),
    LaneKind.PASSED: ("o", GOOD, 10),
    LaneKind.NOT_PASSED: ("X", BAD, 13),
    LaneKind.ALERTS: ("^", BAD, 16),
    LaneKind.ANSWERS: ("D", NOTE, 12),
    LaneKind.ROLLBACK: ("s", INK, 12),
}


def draw(shown: Recorder) -> bytes:
    """The PNG. Takes some 200 ms of processor time: call it in a thread."""
    return png(make_figure(shown))


def make_figure(shown: Recorder) -> Any:
    """The figure."""
    lanes = max(len(shown.lanes), 1)
    curve = CURVE if shown.curve is not None else 0
    figure = blank(AROUND + curve + LANE * lanes)
    figure.get_layout_engine().set(h_pad=0.08, hspace=0)
    figure.suptitle(shown.title, color=INK, fontsize=SMALL + 2, weight="bold", x=0.02, ha="left")
    if shown.curve is None:
        parts = [figure.add_subplot(facecolor=GROUND)]
    else:
        parts = list(figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [curve, LANE * lanes]}))
        _draw_curve(parts[0], shown, shown.curve)
    _draw_lanes(parts[-1], shown)
    for axes in parts:
        axes.set_facecolor(GROUND)
        for moment in shown.moments:
            axes.axvline(_number(shown, moment.at), color=INK, lw=1.8, ls="--", gid="moment", zorder=1)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("bottom", "left"):
            axes.spines[side].set_color(QUIET)
        axes.set_xlim(0.0, 1.0)
        axes.tick_params(colors=INK, labelsize=SMALL)
    _name_moments(parts[0], shown)
    labels = _few(shown.axis)
    parts[-1].set_xticks([_number(shown, at) for at, _ in labels], [label for _, label in labels])
    return figure


def _number(shown: Recorder, at: datetime) -> float:
    return shown.share(at)


def _few(axis: tuple[tuple[datetime, str], ...]) -> tuple[tuple[datetime, str], ...]:
    """As many labels as can be read beside each other: every second one where they are many or long."""
    wide = max((len(label) for _, label in axis), default=0)
    return axis[::2] if len(axis) > 5 or (wide > 6 and len(axis) > 3) else axis


def _draw_curve(axes: Any, shown: Recorder, curve: Curve) -> None:
    if curve.band is not None:
        low, high = curve.band
        axes.axhspan(low, high, color=BAND, alpha=0.35, lw=0, gid="band")
    times = [_number(shown, at) for at, _ in curve.points]
    values = [value for _, value in curve.points]
    axes.plot(times, values, color=LINE, lw=2.4, gid="values")
    top = max([*values, *(curve.band or ())])
    axes.set_ylim(min(0.0, *values), top * 1.12 if top > 0 else 1.0)
    said = f"{curve.title} (band: usual before the deploy)" if curve.band is not None else curve.title
    axes.set_title(said, color=INK, fontsize=SMALL, loc="left", pad=26)
    axes.grid(axis="y", color=QUIET, alpha=0.25)
    axes.yaxis.get_major_locator().set_params(nbins=4)


def _draw_lanes(axes: Any, shown: Recorder) -> None:
    for number, lane in enumerate(shown.lanes):
        _draw_lane(axes, shown, lane, -number)
    names = [f"{lane.name} ({lane.total})" for lane in shown.lanes] or ["nothing was done"]
    axes.set_yticks([-number for number in range(len(names))], names)
    axes.set_ylim(0.6 - len(names), 0.6)
    axes.tick_params(axis="y", length=0)


def _draw_lane(axes: Any, shown: Recorder, lane: Lane, level: int) -> None:
    marker, colour, size = _MARKS[lane.kind]
    axes.axhline(level, color=QUIET, lw=1, alpha=0.35, zorder=0)
    axes.plot(
        [_number(shown, mark.at) for mark in lane.marks],
        [level] * len(lane.marks),
        ls="",
        marker=marker,
        ms=size,
        mew=3 if marker == "|" else 1,
        color=colour,
        gid=lane.kind.value,
        clip_on=False,
    )


def _name_moments(axes: Any, shown: Recorder) -> None:
    """Their names above the picture, on two lines where they would lie on each other."""
    spans = []
    for moment in shown.moments:
        at, width = _number(shown, moment.at), 0.021 * len(moment.name) + 0.01
        spans.append((at - width, at) if at > 1 - width else (at, at + width))
    for moment, (left, _), line in zip(shown.moments, spans, on_lines(spans), strict=True):
        if line is None:
            continue
        at = _number(shown, moment.at)
        late = left < at
        axes.annotate(
            moment.name,
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, 4 if line == 0 else -SMALL),
            textcoords="offset points",
            color=INK,
            fontsize=SMALL - 2,
            ha="right" if late else "left",
            annotation_clip=False,
        )
