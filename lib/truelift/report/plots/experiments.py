"""Plots of experiments: the power of a design."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from truelift.experiments.design_results import Design
from truelift.report.plots.canvas import (
    BLUE,
    GREY,
    ORANGE,
    Width,
    drawn,
    literal,
    new_figure,
    title,
)


@drawn
def power_curve(design: Design, width: Width = "wide") -> Figure:
    """Chance to find an effect, by its size; drawn experiments beside the formula's.

    Parameters
    ----------
    design : Design
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 2.9)
    axes = figure.add_subplot()
    effects = [point.effect for point in design.curve]
    axes.plot(effects, [p.power for p in design.curve], color=BLUE, label="by formula")
    if design.history is not None:
        found = design.history.curve
        axes.plot(
            [p.effect for p in found], [p.power for p in found], "o", color=ORANGE, markersize=3.5,
            label="drawn from the past, one look",
        )  # fmt: skip
        axes.legend(loc="lower right")
    axes.axhline(design.target, color=GREY, linewidth=0.8)
    axes.axvline(design.detectable, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="y")
    axes.set_xlabel(literal(f"effect on {design.metric}"))
    title(axes, f"Chance to find an effect with {design.units:,.0f} units")
    return figure
