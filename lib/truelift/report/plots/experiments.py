"""Plots of experiments: the power of a design, effects by group and over time, looks."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from truelift.experiments.analysis.results import Analysis, Breakdown
from truelift.experiments.design_results import Design
from truelift.report.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Width,
    bare_left,
    drawn,
    literal,
    new_figure,
    title,
    wrapped,
)

_COLOURS = (BLUE, ORANGE, GREEN)


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


@drawn
def breakdown_forest(found: Breakdown, metric: str, width: Width = "wide") -> Figure:
    """The effect in every group or part of the time, with intervals for all of them together.

    Parameters
    ----------
    found : Breakdown
    metric : str
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = list(dict.fromkeys(cell.cell for cell in found.cells))
    arms = list(dict.fromkeys(cell.arm for cell in found.cells))
    figure = new_figure(width, 1.0 + (0.26 + 0.08 * len(arms)) * len(names))
    axes = figure.add_subplot()
    for cell in found.cells:
        arm = arms.index(cell.arm)
        colour = _COLOURS[arm % len(_COLOURS)]
        place = names.index(cell.cell) + 0.16 * (2 * arm - len(arms) + 1) / max(len(arms) - 1, 1)
        axes.plot([cell.ci_lower, cell.ci_upper], [place, place], color=colour)
        label = literal(cell.arm) if cell.cell == names[0] else None
        axes.plot([cell.estimate], [place], "o", color=colour, markersize=4.5, label=label)
    axes.axvline(0, color=GREY, linewidth=0.8)
    characters = 14 if width == "narrow" else 30
    axes.set_yticks(range(len(names)), [literal(wrapped(name, characters)) for name in names])
    axes.invert_yaxis()
    axes.grid(axis="x")
    if len(arms) > 1:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    title(axes, f"Effect on {metric} by {found.column}")
    bare_left(axes)
    return figure


@drawn
def looks_path(analysis: Analysis, width: Width = "wide") -> Figure:
    """The leading arm's effect at every look, with the interval that holds for all of them.

    Parameters
    ----------
    analysis : Analysis
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 2.6)
    axes = figure.add_subplot()
    places = [look.units for look in analysis.looks]
    for look in analysis.looks:
        axes.plot([look.units, look.units], [look.lower, look.upper], color=BLUE)
    axes.plot(places, [look.estimate for look in analysis.looks], "o-", color=BLUE, linewidth=0.8)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("units")
    title(axes, f"Effect on {analysis.primary} at every look")
    return figure
