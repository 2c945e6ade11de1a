"""Beyond the average: effects along a distribution, and effects of many groups before and after shrinking."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from truelift.effects.results import Estimate
from truelift.report.numbers import level, outcome_name
from truelift.report.plots.canvas import (
    BLUE,
    GREY,
    INK,
    Width,
    bare_left,
    drawn,
    literal,
    new_figure,
    title,
)


@drawn
def quantile_effects(estimates: Sequence[Estimate], width: Width = "wide") -> Figure:
    """Effects of one arm on an outcome's quantiles, from low to high.

    Parameters
    ----------
    estimates : sequence of Estimate
        In the order of their levels.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 3.0)
    axes = figure.add_subplot()
    places = range(len(estimates))
    if all(e.band_lower is not None for e in estimates):
        axes.fill_between(
            places, [e.band_lower or 0.0 for e in estimates], [e.band_upper or 0.0 for e in estimates],
            color=BLUE, alpha=0.15, linewidth=0, label="band for all levels at once",
        )  # fmt: skip
    for place, e in zip(places, estimates, strict=True):
        axes.plot(
            [place, place], [e.ci_lower, e.ci_upper], color=BLUE, linewidth=2.6, solid_capstyle="butt",
            label="interval" if place == 0 else None,
        )  # fmt: skip
    axes.plot(places, [e.estimate for e in estimates], "o-", color=BLUE, markersize=6, linewidth=1)
    axes.axhline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    names = [e.population.removeprefix("the ").removesuffix(" quantile") for e in estimates]
    axes.set_xticks(list(places), names)
    axes.set_xlabel("quantile of the outcome")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="y")
    e = estimates[0]
    title(
        axes, f"{outcome_name(e.outcome).capitalize()}: change and {level(e.confidence)} interval"
    )
    figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 2)
    return figure


@drawn
def before_and_after(
    before: Sequence[Estimate], after: Sequence[Estimate], width: Width = "wide"
) -> Figure:
    """A forest of effects, each as estimated (grey) and after shrinking (blue), the smallest first.

    Parameters
    ----------
    before, after : sequence of Estimate
        Of the same groups or arms, in the same order.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = sorted(range(len(after)), key=lambda i: after[i].estimate)
    figure = new_figure(width, max(0.26 * len(order) + 0.9, 2.0))
    axes = figure.add_subplot()
    for row, i in enumerate(order):
        for e, colour, shift, marker, size in (
            (before[i], GREY, -0.17, "s", 4.5), (after[i], BLUE, 0.17, "o", 5.5)
        ):  # fmt: skip
            axes.plot([e.ci_lower, e.ci_upper], [row + shift] * 2, color=colour, linewidth=1.6)
            axes.plot(
                [e.estimate], [row + shift], marker, color=colour, markersize=size,
                mfc="white" if colour == GREY else colour, linestyle="none",
                label=("as estimated" if colour == GREY else "after shrinking") if row == 0 else None,
            )  # fmt: skip
    e = after[0]
    named = [after[i].arm if e.population == "all units" else after[i].population for i in order]
    axes.set_yticks(
        range(len(order)), [literal(name.partition(" = ")[2] or name) for name in named]
    )
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(4 if width == "narrow" else 7))
    axes.grid(axis="x")
    title(
        axes, f"{outcome_name(e.outcome).capitalize()}: change and {level(e.confidence)} interval"
    )
    bare_left(axes)
    figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 2)
    return figure
