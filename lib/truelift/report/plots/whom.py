"""With whom the effect is larger: groups sorted by forecast, and what treating the top brings."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from truelift.effects.heterogeneity.varying import VaryingEffect
from truelift.report.numbers import level, outcome_name
from truelift.report.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    SKY,
    Width,
    drawn,
    literal,
    new_figure,
    title,
)


@drawn
def sorted_groups(varying: VaryingEffect, width: Width = "wide") -> Figure:
    """Average effect of each quantile group of the forecast effect, the least affected first.

    Parameters
    ----------
    varying : VaryingEffect
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 3.0)
    axes = figure.add_subplot()
    places = np.arange(1, len(varying.groups) + 1)
    bands = zip(places, varying.band_lower, varying.band_upper, strict=True)
    for row, (place, lower, upper) in enumerate(bands):
        axes.plot(
            [place, place], [lower, upper], color=BLUE, linewidth=0.9, marker="_", markersize=7,
            label="band for all groups at once" if row == 0 else None,
        )  # fmt: skip
    for row, (place, group) in enumerate(zip(places, varying.groups, strict=True)):
        axes.plot(
            [place, place], [group.ci_lower, group.ci_upper], color=BLUE, linewidth=3.2,
            solid_capstyle="butt", label="interval" if row == 0 else None,
        )  # fmt: skip
        axes.plot([place], [group.estimate], "o", color=BLUE, markersize=7, mec="white", mew=1.2)
    average = varying.calibration.average.estimate
    axes.axhline(average, color=GREEN, linewidth=1.2, linestyle=(0, (1, 1.5)), label="average")
    _no_effect(axes)
    names = [str(place) for place in places]
    names[0], names[-1] = f"{names[0]}\nlowest", f"{names[-1]}\nhighest"
    axes.set_xticks(places, names)
    axes.set_xlim(0.5, len(places) + 0.5)
    axes.set_xlabel("group by forecast effect")
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    title(
        axes, f"{_outcome(varying)}: effect and {level(varying.confidence)} interval by group"
        if width == "wide" else f"{_outcome(varying)}: effect by group",
    )  # fmt: skip
    figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 3)
    return figure


@drawn
def targeting_curve(varying: VaryingEffect, width: Width = "wide") -> Figure:
    """Effect among the top share by forecast less the average effect (TOC), with its band.

    Parameters
    ----------
    varying : VaryingEffect
        ``targeting`` must not be empty.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 3.0)
    axes = figure.add_subplot()
    order = np.argsort([row.fraction for row in varying.targeting])
    rows = [varying.targeting[i] for i in order]
    across = [100 * row.fraction for row in rows]
    axes.fill_between(
        across, np.array(varying.toc_lower)[order], np.array(varying.toc_upper)[order],
        color=SKY, alpha=0.28, linewidth=0, label="band for all shares at once",
    )  # fmt: skip
    axes.plot(
        across, [row.against_average.estimate for row in rows], "o-", color=BLUE, markersize=4.5,
        label="effect among them less the average",
    )  # fmt: skip
    _no_effect(axes)
    axes.set_xlim(0, 102)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0f}%"))
    axes.set_xlabel("share of the units treated, highest forecasts first")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="y")
    title(axes, f"{_outcome(varying)}: gain from choosing whom to treat")
    figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 2)
    return figure


def _no_effect(axes: Axes) -> None:
    axes.axhline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.tick_params(axis="x", color=GREY)


def _outcome(varying: VaryingEffect) -> str:
    return literal(outcome_name(varying.outcome).capitalize())
