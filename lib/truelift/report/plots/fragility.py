"""How fragile an effect is: confounders, placebos, groups left out, clip levels."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from truelift.effects.credibility.confounding_results import (
    CovariateBenchmark,
    OmittedVariableBounds,
)
from truelift.effects.credibility.results import PlaceboTreatments
from truelift.effects.credibility.stability_results import LeaveOneGroupOut
from truelift.effects.credibility.wording import level_of
from truelift.effects.results import EffectsResult, Estimate
from truelift.report.numbers import covariate_name, level, outcome_name
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

LEFT_OUT_ROWS = 24
_POINTS = 200


@drawn
def confounder_contour(
    bounds: OmittedVariableBounds,
    benchmarks: tuple[CovariateBenchmark, ...] = (),
    width: Width = "wide",
) -> Figure:
    """Strengths of an unobserved confounder that would bring the estimate, or its bound, to zero.

    The bias depends on ``cf_y cf_d / (1 - cf_d)`` alone, so each curve is the set of equal bias
    through its robustness value (where both strengths are equal).

    Parameters
    ----------
    bounds : OmittedVariableBounds
    benchmarks : tuple of CovariateBenchmark
        Observed covariates as yardsticks.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 3.3)
    axes = figure.add_subplot()
    reach = [2.2 * bounds.robustness_value, *(1.25 * max(b.cf_y, b.cf_d) for b in benchmarks)]
    most = float(np.clip(max([0.02, *reach]), 0.02, 1.0))
    curves = (
        (bounds.robustness_value, "estimate would be zero", BLUE, "-"),
        (bounds.robustness_value_confident, "interval would reach zero", ORANGE, (0, (5, 2))),
    )
    for value, name, colour, line in curves:
        if 0 < value < 1:
            across = np.linspace(most / _POINTS, most, _POINTS)
            across = across[across < 1]
            needed = value**2 / (1 - value) * (1 - across) / across
            axes.plot(across, needed, color=colour, linestyle=line, label=name)
            axes.plot([value], [value], "o", color=colour, markersize=6)
    for row, benchmark in enumerate(benchmarks):
        axes.plot(
            [benchmark.cf_d], [benchmark.cf_y], "^", color=GREEN, markersize=7, clip_on=False,
            label="as strong as an observed covariate" if row == 0 else None,
        )  # fmt: skip
        axes.annotate(
            literal(covariate_name(benchmark.covariates)), (benchmark.cf_d, benchmark.cf_y),
            xytext=(6, 4), textcoords="offset points", fontsize=8,
        )  # fmt: skip
    axes.set_xlim(0, most)
    axes.set_ylim(0, most)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g}%"))
        axis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("what it adds to explaining the treatment")
    axes.grid()
    title(axes, "What it adds to explaining the outcome")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 3)
    return figure


@drawn
def placebo_histogram(placebo: PlaceboTreatments, width: Width = "wide") -> Figure:
    """Effects of treatments drawn at random, and the real one in the same score.

    Parameters
    ----------
    placebo : PlaceboTreatments
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 2.6)
    axes = figure.add_subplot()
    edges = np.asarray(placebo.bin_edges, dtype=float)
    axes.bar(
        edges[:-1], placebo.bin_counts, np.diff(edges), align="edge", color=GREY, alpha=0.7,
        edgecolor="white", linewidth=0.5, label="placebo treatments",
    )  # fmt: skip
    axes.axvline(placebo.observed, color=ORANGE, linewidth=2.2, label="the real treatment")
    axes.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(4 if width == "narrow" else 7))
    axes.set_xlabel(literal(f"estimated change in {outcome_name(placebo.outcome)}"))
    axes.grid(axis="y")
    title(axes, "Number of placebo treatments")
    figure.legend(loc="outside lower left", ncols=1 if width == "narrow" else 2)
    return figure


@drawn
def left_out(found: LeaveOneGroupOut, width: Width = "wide") -> Figure:
    """The estimate without each level of a group; those that change it most, at most 24.

    Parameters
    ----------
    found : LeaveOneGroupOut
        ``levels`` must not be empty.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = np.argsort(-np.abs(found.changes), kind="stable")[:LEFT_OUT_ROWS]
    names = [
        _level_name(level_of(found.group, found.levels[i]), 18 if width == "narrow" else 40)
        for i in order
    ]
    tallest = max(name.count("\n") for name in names) + 1
    figure = new_figure(width, 1.0 + (0.1 + 0.14 * tallest) * len(order))
    axes = figure.add_subplot()
    rows = [(found.estimates[i], found.ci_lower[i], found.ci_upper[i]) for i in order]
    _lines(axes, names, rows)
    axes.axvline(found.estimate, color=GREEN, linewidth=1.2, linestyle=(0, (1, 1.5)), zorder=0)
    axes.set_xlabel("dotted: the estimate with all")
    title(axes, f"{found.estimand} on {outcome_name(found.outcome)} without one {found.group}")
    return figure


def _level_name(level: str, characters: int) -> str:
    """At most two lines."""
    lines = wrapped(level, characters).split("\n")
    if len(lines) > 2:
        lines = [lines[0], lines[1][: characters - 1] + "\N{HORIZONTAL ELLIPSIS}"]
    return literal("\n".join(lines))


@drawn
def clip_path(
    result: EffectsResult, width: Width = "wide", arm: str | None = None
) -> Figure:  # fmt: skip
    """The ATE of an arm at several clip levels and within trimming thresholds.

    Parameters
    ----------
    result : EffectsResult
        ``followed`` must not be empty.
    width : {'wide', 'narrow'}
    arm : str, optional
        The first by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    arm = result.followed[0].arm if arm is None else arm
    groups: dict[str, list[Estimate]] = {}
    for e in result.followed:
        if e.arm == arm:
            groups.setdefault(e.outcome, []).append(e)
    counts = [len(group) for group in groups.values()]
    figure = new_figure(width, 0.7 * len(counts) + 0.24 * sum(counts))
    panels = figure.subplots(len(counts), 1, squeeze=False, height_ratios=counts)[:, 0]
    for axes, (outcome, group) in zip(panels, groups.items(), strict=True):
        names = [_followed_name(e, width) for e in group]
        _lines(axes, names, [(e.estimate, e.ci_lower, e.ci_upper) for e in group])
        told = (
            f"{outcome_name(outcome).capitalize()}: ATE and {level(group[0].confidence)} interval"
        )
        title(axes, told)
    return figure


def _followed_name(e: Estimate, width: Width) -> str:
    text = e.population.removeprefix("all units, ")
    if width == "narrow":
        text = text.replace("units with chances in ", "within ")
    return literal(text)


def _lines(axes: Axes, names: list[str], rows: list[tuple[float, float, float]]) -> None:
    """An estimate with its interval a row, from the top."""
    for place, (value, lower, upper) in enumerate(rows):
        axes.plot([lower, upper], [place, place], color=BLUE, linewidth=2.0)
        axes.plot([value], [place], "o", color=BLUE, markersize=5)
    axes.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    low, high = min(0.0, *(r[1] for r in rows)), max(0.0, *(r[2] for r in rows))
    margin = 0.06 * (high - low or 1.0)
    axes.set_xlim(low - margin, high + margin)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", color=LIGHT)
    bare_left(axes)
