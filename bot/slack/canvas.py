"""What every chart is drawn on: a PNG that reads on a light and on a dark screen, and not by colour alone.

matplotlib is an extra (`charts`) and is imported when the first chart is drawn; without it there are none.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
from typing import Any

#: Size in pixels of a chart as it is shown; it is drawn at twice that for sharp screens.
WIDTH, HEIGHT, SCALE = 900, 400, 2
#: A light grey ground: legible in Slack's light and dark mode alike. The colours are Okabe and Ito's,
#: which colour-blind people can tell apart.
GROUND, INK, QUIET = "#eceef1", "#1d2733", "#5b6673"
LINE, BAND, BAD = "#0072b2", "#56b4e9", "#d55e00"
_POINTS_PER_INCH = 100
#: Type in points: Slack shows charts about half as wide as they are, and they must be read there.
SMALL, LARGE = 17, 21
#: Inches between what is drawn and the edge: left and right, top and bottom.
_BESIDE, _ABOVE = 0.14, 0.1


def available() -> bool:
    """Whether charts can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def blank(height: float = HEIGHT) -> Any:
    """An empty figure of so many pixels, on a canvas of its own: nothing global, so threads may draw."""
    figures = importlib.import_module("matplotlib.figure")
    agg = importlib.import_module("matplotlib.backends.backend_agg")
    figure = figures.Figure(
        figsize=(WIDTH / _POINTS_PER_INCH, height / _POINTS_PER_INCH),
        dpi=_POINTS_PER_INCH * SCALE,
        facecolor=GROUND,
        layout="constrained",
    )
    agg.FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=_BESIDE, h_pad=_ABOVE)
    return figure


def png(figure: Any) -> bytes:
    """The figure as a PNG. Takes some 100 ms of processor time: call it in a thread."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=figure.get_facecolor())
    return buffer.getvalue()
