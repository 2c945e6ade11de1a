"""Effects with their intervals, beside the naive difference."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from truelift.effects.results import EffectsResult, Estimate
from truelift.report.estimates import (
    LIFT,
    NAIVE,
    by_outcome,
    decimals,
    is_supported,
    qualified,
)
from truelift.report.numbers import (
    level,
    number,
    outcome_name,
)
from truelift.report.plots.canvas import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    Width,
    bare_left,
    drawn,
    literal,
    new_figure,
    title,
)

NAMES = {
    NAIVE: ("Naive difference", "Naive"),
    "ATE": ("ATE: everyone, against no one", "ATE"),
    "ATT": ("ATT: those who were treated", "ATT"),
    "ATO": ("ATO: those who could go either way", "ATO"),
    "APO": ("Mean under", "Mean"),
    "policy value": ("Value of the policy", "Value"),
    "policy gain": ("Gain of the policy", "Gain"),
}


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
    groups = {
        outcome: [e for e in group if e.estimand != LIFT]
        for outcome, group in by_outcome(result).items()
    }
    rows = [len(group) for group in groups.values()]
    figure = new_figure(width, 0.75 * len(rows) + (0.44 if width == "narrow" else 0.34) * sum(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axes, (outcome, group) in zip(panels, groups.items(), strict=True):
        _forest_panel(axes, result, outcome, group, width)
    return figure


def _forest_panel(
    axes: Axes, result: EffectsResult, outcome: str, group: list[Estimate], width: Width
) -> None:
    labels, values = [], []
    for row, e in enumerate(group):
        naive, doubtful = e.estimand == NAIVE, not is_supported(result, e)
        colour = GREY if naive else ORANGE if doubtful else BLUE
        line = (0, (2, 1.5)) if doubtful else "-"
        axes.plot([e.ci_lower, e.ci_upper], [row, row], color=colour, linewidth=2.2, linestyle=line)
        axes.plot(
            [e.estimate],
            [row],
            "s" if naive else "o",
            color=colour,
            markersize=6.5,
            mfc="white" if naive or doubtful else colour,
            mew=1.6,
        )
        places = decimals(e)
        name = NAMES.get(e.estimand, (e.estimand, e.estimand))[width == "narrow"]
        if told := qualified(result, e):
            name = f"{name.partition(':')[0]} · {told}"
        if e.band_lower is not None and e.band_upper is not None:
            axes.plot([e.band_lower, e.band_upper], [row, row], color=colour, linewidth=0.8)
        labels.append(f"{name}\n(not supported by the data)" if doubtful else name)
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
