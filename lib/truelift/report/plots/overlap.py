"""What makes effects credible: overlap of the propensities, balance of the covariates."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from truelift.effects.results import EffectsResult
from truelift.effects.support.summaries import CovariateBalance
from truelift.report.numbers import count, covariate_name
from truelift.report.plots.canvas import (
    BLUE,
    GREEN,
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


@drawn
def overlap_histogram(
    result: EffectsResult, width: Width = "wide", arm: str | None = None
) -> Figure:  # fmt: skip
    """Propensity of an arm: its units upwards, the control's downwards, as shares of each.

    Parameters
    ----------
    result : EffectsResult
    width : {'wide', 'narrow'}
    arm : str, optional
        The first after the control by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    control, first, *_ = result.arms
    arm = first if arm is None else arm
    overlap = result.overlaps[arm]
    edges = np.asarray(overlap.bin_edges, dtype=float)
    figure = new_figure(width, 2.9)
    axes = figure.add_subplot()
    tops = []
    arms = (
        (arm, overlap.treated_counts, 1.0, ORANGE, ""),
        (control, overlap.control_counts, -1.0, BLUE, "///"),
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
            label=literal(f"{name} ({count(heights.sum())} units)"),
        )
        tops.append(shares.max(initial=0.0))
    reach = max(*tops, 0.01) * 1.08
    axes.axhline(0, color=INK, linewidth=0.9)
    axes.set_ylim(-reach, reach)
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{abs(100 * v):.0f}%"))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    chances = "estimated propensity" if result.design.assignment == "observed" else "known chance"
    axes.set_xlabel(literal(f"{chances} of {_being(arm)}"))
    title(axes, "Share of each arm's units")
    axes.grid(axis="y")
    figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 2)
    return figure


def _being(arm: str) -> str:
    return "being treated" if arm == "treated" else arm


@drawn
def love_plot(
    result: EffectsResult, width: Width = "wide", arm: str | None = None
) -> Figure:  # fmt: skip
    """Absolute standardised mean differences before and after weighting, largest first.

    Shows the ``LOVE_ROWS`` covariates that differed most before; the line at 0.1 is the usual
    limit of good balance.

    Parameters
    ----------
    result : EffectsResult
        The arm's ``balance`` must not be empty.
    width : {'wide', 'narrow'}
    arm : str, optional
        The first after the control by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    narrow = width == "narrow"
    overlap = result.overlap if arm is None else result.overlaps[arm]
    ranked = sorted(overlap.balance, key=lambda b: (-abs(b.smd_before), b.covariate))
    shown = tuple(ranked[:LOVE_ROWS])
    figure = new_figure(width, 1.2 + (0.3 if narrow else 0.22) * len(shown))
    axes = figure.add_subplot()
    _love_marks(axes, shown)
    axes.axvline(
        BALANCE_LIMIT, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0,
        label="limit of good balance (0.1)",
    )  # fmt: skip
    names = [literal(wrapped(covariate_name(b.covariate), 21 if narrow else 44)) for b in shown]
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.grid(axis="x")
    title(axes, "Difference between the arms (std. deviations)")
    figure.legend(loc="outside lower left", ncols=1 if narrow else 4, columnspacing=1.4)
    bare_left(axes)
    return figure


def _love_marks(axes: Axes, shown: tuple[CovariateBalance, ...]) -> None:
    """A hollow square before weighting, and a mark for each estimand's weights after it."""
    series: list[tuple[str, str, str, list[float | None]]] = [
        ("before", "s", GREY, [b.smd_before for b in shown]),
        ("weighted for the ATE", "o", BLUE, [b.smd_after for b in shown]),
        ("weighted for the ATT", "^", GREEN, [b.smd_after_att for b in shown]),
    ]
    for row, item in enumerate(shown):
        reach = [
            abs(v) for v in (item.smd_before, item.smd_after, item.smd_after_att) if v is not None
        ]
        axes.plot([min(reach), max(reach)], [row, row], color=LIGHT, linewidth=2, zorder=1)
    for name, marker, colour, values in series:
        points = [(abs(v), row) for row, v in enumerate(values) if v is not None]
        if points:
            across, rows = zip(*points, strict=True)
            face = "white" if name == "before" else colour
            axes.plot(
                across,
                rows,
                marker,
                color=colour,
                mfc=face,
                mew=1.5,
                markersize=5.5,
                label=name,
                clip_on=False,
                zorder=3,
            )
