"""Treated units and the mix of others beside them, period after period."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from truelift.effects.designs.synthetic.results import SyntheticCheck
from truelift.report.numbers import outcome_name
from truelift.report.plots.canvas import BLUE, INK, Width, drawn, literal, new_figure, title

_TICKS = {"wide": 10, "narrow": 5}


@drawn
def paths_beside(check: SyntheticCheck, width: Width = "wide") -> Figure:
    """The outcome of the treated, and of their mix, with the period in which the treatment begins.

    Parameters
    ----------
    check : SyntheticCheck
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 3.0)
    axes = figure.add_subplot()
    places = range(len(check.periods))
    axes.plot(places, check.treated_path, color=INK, linewidth=2, label="treated")
    axes.plot(
        places,
        check.mixed_path,
        color=BLUE,
        linewidth=2,
        linestyle=(0, (4, 2)),
        label="mix of others",
    )
    axes.axvline(check.begins - 0.5, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
    step = max(-(-len(check.periods) // _TICKS[width]), 1)
    axes.set_xticks(list(places)[::step], [literal(p) for p in check.periods[::step]])
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="y")
    title(axes, f"{outcome_name(check.outcome).capitalize()}: {check.method}")
    figure.legend(loc="outside lower left", ncols=2)
    return figure
