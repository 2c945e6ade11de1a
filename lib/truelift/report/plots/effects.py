"""Effects with their intervals, and what makes them credible: overlap and balance."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from truelift.effects.results import EffectsResult, Estimate
from truelift.report.numbers import (
    count,
    covariate_name,
    decimals_for,
    level,
    number,
    outcome_name,
)
from truelift.report.plots.canvas import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    Width,
    bare_left,
    drawn,
    literal,
    new_figure,
    title,
    wrapped,
)

BALANCE_LIMIT = 0.1
LOVE_ROWS = 20

NAMES = {
    "naive difference": ("Naive difference", "Naive"),
    "ATE": ("ATE: everyone, against no one", "ATE"),
    "ATT": ("ATT: those who were treated", "ATT"),
}


def by_outcome(result: EffectsResult) -> dict[str, list[Estimate]]:
    """Estimates grouped by outcome, the naive difference first in each."""
    groups: dict[str, list[Estimate]] = {}
    for estimate in result.estimates:
        groups.setdefault(estimate.outcome, []).append(estimate)
    order = list(NAMES)
    for group in groups.values():
        group.sort(key=lambda e: order.index(e.estimand) if e.estimand in order else len(order))
    return groups


@drawn
def effects_forest(result: EffectsResult, width: Width = "wide") -> Figure:
    """One panel an outcome: naive difference, ATE and ATT with their intervals.

    Parameters
    ----------
    result : EffectsResult
        ``estimates`` must not be empty.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = by_outcome(result)
    rows = [len(group) for group in groups.values()]
    figure = new_figure(width, 0.75 * len(rows) + (0.44 if width == "narrow" else 0.34) * sum(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axes, (outcome, group) in zip(panels, groups.items(), strict=True):
        _forest_panel(axes, outcome, group, width)
    return figure


def _forest_panel(axes: Axes, outcome: str, group: list[Estimate], width: Width) -> None:
    labels, values = [], []
    for row, e in enumerate(group):
        naive = e.estimand == "naive difference"
        colour = GREY if naive else BLUE
        axes.plot([e.ci_lower, e.ci_upper], [row, row], color=colour, linewidth=2.2)
        axes.plot(
            [e.estimate],
            [row],
            "s" if naive else "o",
            color=colour,
            markersize=6.5,
            mfc="white" if naive else colour,
            mew=1.6,
        )
        places = decimals_for(e.standard_error)
        labels.append(NAMES.get(e.estimand, (e.estimand, e.estimand))[width == "narrow"])
        values.append(
            f"{number(e.estimate, places, signed=True)} "
            f"[{number(e.ci_lower, places)}, {number(e.ci_upper, places)}]"
        )
    positions = range(len(group))
    if width == "narrow":
        labels = [f"{name}\n{value}" for name, value in zip(labels, values, strict=True)]
    else:
        right = axes.secondary_yaxis("right")
        right.set_yticks(positions, values)
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
    axes.set_yticks(positions, [literal(label) for label in labels])
    axes.set_ylim(len(group) - 0.5, -0.5)
    axes.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    low = min([0.0] + [min(e.ci_lower, e.estimate) for e in group])
    high = max([0.0] + [max(e.ci_upper, e.estimate) for e in group])
    margin = 0.06 * (high - low or 1.0)
    axes.set_xlim(low - margin, high + margin)
    axes.xaxis.set_major_locator(MaxNLocator(4 if width == "narrow" else 7))
    axes.grid(axis="x")
    confidence = level(group[0].confidence)
    title(axes, f"{outcome_name(outcome).capitalize()}: change and {confidence} interval")
    bare_left(axes)


@drawn
def overlap_histogram(result: EffectsResult, width: Width = "wide") -> Figure:
    """Propensity by arm, treated upwards and controls downwards, as shares of each arm.

    Parameters
    ----------
    result : EffectsResult
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    overlap = result.overlap
    edges = np.asarray(overlap.bin_edges, dtype=float)
    figure = new_figure(width, 2.9)
    axes = figure.add_subplot()
    tops = []
    arms = (
        ("treated", overlap.treated_counts, 1.0, ORANGE, ""),
        ("not treated", overlap.control_counts, -1.0, BLUE, "///"),
    )
    for name, counts, sign, colour, hatch in arms:
        heights = np.asarray(counts, dtype=float)
        shares = heights / max(heights.sum(), 1.0)
        axes.bar(
            edges[:-1],
            sign * shares,
            np.diff(edges),
            align="edge",
            color=colour,
            alpha=0.75,
            edgecolor="white",
            linewidth=0.5,
            hatch=hatch,
            label=f"{name} ({count(heights.sum())} units)",
        )
        tops.append(shares.max(initial=0.0))
    reach = max(*tops, 0.01) * 1.08
    axes.axhline(0, color=INK, linewidth=0.9)
    axes.set_ylim(-reach, reach)
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{abs(100 * v):.0f}%"))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("estimated propensity of being treated")
    title(axes, "Share of each arm's units")
    axes.grid(axis="y")
    figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 2)
    return figure


@drawn
def love_plot(result: EffectsResult, width: Width = "wide") -> Figure:
    """Absolute standardised mean differences before and after weighting, largest first.

    Shows the ``LOVE_ROWS`` covariates that differed most before; the line at 0.1 is the usual
    limit of good balance.

    Parameters
    ----------
    result : EffectsResult
        ``overlap.balance`` must not be empty.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    ranked = sorted(result.overlap.balance, key=lambda b: (-abs(b.smd_before), b.covariate))
    shown = ranked[:LOVE_ROWS]
    figure = new_figure(width, 1.15 + (0.3 if width == "narrow" else 0.22) * len(shown))
    axes = figure.add_subplot()
    for row, item in enumerate(shown):
        before, after = abs(item.smd_before), abs(item.smd_after)
        axes.plot([before, after], [row, row], color=LIGHT, linewidth=2, zorder=1)
        axes.plot(
            [before],
            [row],
            "s",
            color=GREY,
            mfc="white",
            mew=1.5,
            markersize=5.5,
            zorder=2,
            label="before" if row == 0 else None,
        )
        axes.plot(
            [after],
            [row],
            "o",
            color=BLUE,
            markersize=5.5,
            zorder=3,
            label="after weighting" if row == 0 else None,
        )
    axes.axvline(
        BALANCE_LIMIT,
        color=INK,
        linewidth=0.9,
        linestyle=(0, (4, 3)),
        zorder=0,
        label="limit of good balance (0.1)",
    )
    characters = 21 if width == "narrow" else 44
    names = [literal(wrapped(covariate_name(b.covariate), characters)) for b in shown]
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.grid(axis="x")
    title(axes, "Difference between the arms (std. deviations)")
    figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 3)
    bare_left(axes)
    return figure
