"""Plots of the closed loop: measures by round and strategy, and forecasts beside what came."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from truelift.loop.results import TOLD, LoopResult
from truelift.loop.table import ORACLE
from truelift.report.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    SKY,
    Width,
    drawn,
    new_figure,
    title,
)

_COLOURS = (GREY, ORANGE, GREEN, SKY, BLUE, INK)
_STYLES = ("-", "--", ":")
_SHOWN = (
    "additional",
    "purchases_a_visit",
    "click_rate",
    "regret_oracle",
    "satisfaction",
    "list_similarity",
)
#: What is drawn in the place of regrets where the oracle was not run.
_WITHOUT_ORACLE = "gini_bought"


@drawn
def loop_curves(found: LoopResult, width: Width = "wide") -> Figure:
    """Measures by round, a line a strategy, with bands over worlds.

    Parameters
    ----------
    found : LoopResult
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = 2 if width == "wide" else 1
    rows = -(-len(_SHOWN) // columns)
    oracle = ORACLE in found.strategies
    shown = [_WITHOUT_ORACLE if m == "regret_oracle" and not oracle else m for m in _SHOWN]
    figure = new_figure(width, 2.2 * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, measure in zip(panels, shown, strict=True):
        for place, strategy in enumerate(found.strategies):
            _line(axes, found, strategy, measure, place)
        # Not the shared title: panels stand side by side.
        axes.set_title(TOLD[measure], loc="left")
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4 if width == "wide" else 2)
    return figure


def _line(axes: Axes, found: LoopResult, strategy: str, measure: str, place: int) -> None:
    curve = found.curve(strategy, measure)
    rounds = np.arange(1, len(curve.mean) + 1)
    colour = _COLOURS[place % len(_COLOURS)]
    style = _STYLES[place // len(_COLOURS) % len(_STYLES)]
    axes.plot(rounds, curve.mean, color=colour, linestyle=style, label=strategy.replace("_", " "))
    if np.isfinite(curve.lower).all():
        axes.fill_between(rounds, curve.lower, curve.upper, color=colour, alpha=0.15, linewidth=0)


@drawn
def forecasts_and_what_came(found: LoopResult, strategy: str, width: Width = "wide") -> Figure:
    """Forecasts of a strategy's next lists with their intervals, and what came, in the first world.

    Parameters
    ----------
    found : LoopResult
    strategy : str
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [
        r
        for r in found.rounds.to_pylist()
        if r["strategy"] == strategy and r["seed"] == found.seeds[0] and r["forecast"] is not None
    ]
    figure = new_figure(width, 2.6)
    axes = figure.add_subplot()
    rounds = np.array([r["round"] + 1 for r in rows])
    middle = np.array([r["forecast"] for r in rows])
    ends = np.abs(np.array([[r["forecast_lower"], r["forecast_upper"]] for r in rows]).T - middle)
    axes.errorbar(
        rounds - 0.08, middle, yerr=ends, fmt="o", color=BLUE, markersize=4, capsize=2,
        label="forecast before play",
    )  # fmt: skip
    axes.plot(
        rounds + 0.08, [r["additional"] for r in rows], "D", color=ORANGE, markersize=4,
        label="what came (truth)",
    )  # fmt: skip
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best")
    title(axes, f"Additional purchases a visit, {strategy.replace('_', ' ')}")
    return figure
