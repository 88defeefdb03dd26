"""Draws the flight recorder as an SVG that needs no style sheet of its own, no script and no other file.

Colours come from the page's classes, so that it follows light, dark and print; shapes differ besides colours.
"""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup, escape

from bot.domain.recorder import Curve, Lane, LaneKind, Mark, Recorder, on_lines
from bot.templates.documents import clean, clock

#: Widths in units of the drawing: all of it, the names of the lanes, the right edge.
WIDTH, LEFT, RIGHT = 1000, 190, 14
#: Heights: room for the names of moments, the curve, a lane, the axis.
TOP, CURVE, LANE, AXIS = 44, 150, 30, 26


def draw(shown: Recorder, *, label: str) -> Markup:
    """The `<svg>` element, labelled by the ids in `label`."""
    curve = CURVE + 12 if shown.curve is not None else 0
    height = TOP + curve + LANE * len(shown.lanes) + AXIS
    bottom = height - AXIS
    parts = [
        Markup('<svg class="recorder" role="img" aria-labelledby="{}" viewBox="0 0 {} {}">').format(
            label, WIDTH, height
        )
    ]
    parts += _axis(shown, bottom)
    if shown.curve is not None:
        parts += _curve(shown, shown.curve)
    for number, lane in enumerate(shown.lanes):
        parts += _lane(shown, lane, TOP + curve + LANE * number)
    parts += _moments(shown, bottom)
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def _x(shown: Recorder, at: datetime) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * shown.share(at), 1)


def _axis(shown: Recorder, bottom: float) -> list[Markup]:
    parts = [Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, bottom, WIDTH - RIGHT)]
    for at, label in shown.axis:
        x = _x(shown, at)
        parts.append(Markup('<path class="grid" d="M{} {}V{}"/>').format(x, TOP, bottom))
        parts.append(Markup('<text class="time" x="{}" y="{}">{}</text>').format(x, bottom + 18, label))
    return parts


def _moments(shown: Recorder, bottom: float) -> list[Markup]:
    parts = []
    spans = []
    for moment in shown.moments:
        x, width = _x(shown, moment.at), 9 * len(moment.name) + 8
        spans.append((x - width, x) if x > WIDTH - RIGHT - width else (x, x + width))
    for moment, (left, _), line in zip(shown.moments, spans, on_lines(spans), strict=True):
        x = _x(shown, moment.at)
        y = 16 + 18 * (line or 0)
        parts.append(Markup('<path class="moment" d="M{} {}V{}"/>').format(x, y - 12, bottom))
        if line is None:
            continue
        late = left < x
        parts.append(
            Markup('<text class="name" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                x - 5 if late else x + 5, y, "end" if late else "start", clean(moment.name)
            )
        )
    return parts


def _curve(shown: Recorder, curve: Curve) -> list[Markup]:
    values = [value for _, value in curve.points] + list(curve.band or ())
    low, high = min(0.0, *values), max(values)
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return round(TOP + CURVE - (CURVE - 14) * (value - low) / span, 1)

    parts = [_left(curve.title, TOP + 18)]
    if curve.band is not None:
        top, bottom = y(curve.band[1]), y(curve.band[0])
        parts.append(
            Markup('<rect class="band" x="{}" y="{}" width="{}" height="{}"/>').format(
                LEFT, top, WIDTH - LEFT - RIGHT, max(1.5, round(bottom - top, 1))
            )
        )
        parts.append(_left("band: usual before", TOP + 38, small=True))
    parts += [
        Markup('<text class="value" x="{}" y="{}">{}</text>').format(LEFT - 8, y(value) + 5, f"{value:.3g}")
        for value in (low, high)
    ]
    line = " ".join(f"{_x(shown, at)},{y(value)}" for at, value in curve.points)
    parts.append(Markup('<polyline class="curve" points="{}"/>').format(line))
    return parts


def _left(text: str, y: float, *, small: bool = False) -> Markup:
    kind = "value start" if small else "lane"
    # The column holds about 24 characters.
    words = clean(text)
    shown = words if len(words) <= 24 else f"{words[:23]}…"
    return Markup('<text class="{}" x="0" y="{}">{}</text>').format(kind, y, shown)


def _lane(shown: Recorder, lane: Lane, top: float) -> list[Markup]:
    middle = top + LANE / 2
    parts = [
        _left(f"{lane.name} ({lane.total})", middle + 5),
        Markup('<path class="rule" d="M{} {}H{}"/>').format(LEFT, middle, WIDTH - RIGHT),
    ]
    for mark in lane.marks:
        shape = _shape(lane.kind, _x(shown, mark.at), middle)
        said = _said(mark, shown.timezone)
        parts.append(
            Markup('<path class="{}" d="{}"><title>{}</title></path>').format(lane.kind.value, shape, said)
        )
    return parts


def _said(mark: Mark, timezone: str) -> Markup:
    more = f" and {mark.count - 1} more" if mark.count > 1 else ""
    return escape(f"{clock(mark.at, timezone)}: {clean(mark.text)}{more}")


def _shape(kind: LaneKind, x: float, y: float) -> str:
    """A path for each kind: strokes, crosses, triangles, rounds and squares are told apart without colour."""
    match kind:
        case LaneKind.TICKS | LaneKind.BOT:
            return f"M{x} {y - 9}V{y + 9}"
        case LaneKind.PASSED:
            return f"M{x - 3} {y}l3 4l6 -9"
        case LaneKind.NOT_PASSED:
            return f"M{x - 5} {y - 5}l10 10m0 -10l-10 10"
        case LaneKind.ALERTS:
            return f"M{x} {y - 9}l9 16h-18z"
        case LaneKind.ANSWERS:
            return f"M{x - 7} {y}a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z"
    return f"M{x - 6} {y - 6}h12v12h-12z"
