"""Size, colours and type of every plot; figures without pyplot's global state.

Colours are from Okabe and Ito's set, which people with any of the usual colour-vision
deficiencies can tell apart; shape and direct labels carry the same information.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, TypeVar, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

Width = Literal["wide", "narrow"]

INCHES: dict[str, float] = {"wide": 7.9, "narrow": 3.5}

BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#00795A"
SKY = "#56B4E9"
GREY = "#6B7280"
LIGHT = "#D5DAE1"
INK = "#1F2933"

TITLE_PAD = 6.0  # points

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "truelift",
    "axes.unicode_minus": True,
}

Plot = TypeVar("Plot", bound=Callable[..., Figure])


def drawn(plot: Plot) -> Plot:
    """Run a plot function under the report's style and leave the global style alone."""

    @wraps(plot)
    def styled(*args: Any, **kwargs: Any) -> Figure:
        with matplotlib.rc_context(STYLE):
            return plot(*args, **kwargs)

    return cast(Plot, styled)


def new_figure(width: Width, height: float) -> Figure:
    """An empty figure of the page's width; ``height`` in inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.05)
    return Figure(figsize=(INCHES[width], height), layout=layout)


def bare_left(axes: Axes) -> None:
    """Row labels without an axis line and ticks."""
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def title(axes: Axes, text: str) -> None:
    """A panel title that starts at the left edge of the figure, above the row labels."""
    figure = axes.get_figure()
    assert figure is not None
    artist = axes.set_title(literal(text), loc="left")
    across = blended_transform_factory(figure.transFigure, axes.transAxes)
    above = ScaledTranslation(0, TITLE_PAD / 72, figure.dpi_scale_trans)
    artist.set_transform(across + above)
    artist.set_x(0.012)


def wrapped(text: str, characters: int) -> str:
    """Text broken into lines of about ``characters``."""
    import textwrap

    return "\n".join(textwrap.wrap(text, characters, break_long_words=True) or [""])


def literal(text: str) -> str:
    """Text from data as matplotlib must show it: a dollar sign starts no formula."""
    return text.replace("$", r"\$")
