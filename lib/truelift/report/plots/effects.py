"""Effects with their intervals, beside the naive difference."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.scores.kinds.kind import kind_of
from truelift.report.estimates import (
    NAIVE,
    by_outcome,
    decimals,
    is_doubtful,
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
    wrapped,
)

#: Changes of an outcome that are drawn; a GATE of many groups has its table.
MOST_ROWS = 24


def drawn_panels(result: EffectsResult) -> list[tuple[str, list[Estimate], bool]]:
    """Panels of the forest: an outcome, its estimates, and whether they are levels.

    Changes and levels never share an axis.
    """
    panels = []
    for outcome, group in by_outcome(result).items():
        # Shares stand in tables and sentences, never on the axis of changes.
        kinds = [kind_of(e.estimand) for e in group]
        changes = [e for e, k in zip(group, kinds, strict=True) if not (k.share or k.level)]
        levels = [e for e, k in zip(group, kinds, strict=True) if k.level]
        panels += [
            (outcome, part[:MOST_ROWS], part is levels) for part in (changes, levels) if part
        ]
    return panels


def not_drawn(result: EffectsResult) -> dict[str, int]:
    """Estimates by outcome that the forest has no room for."""
    drawn_ones = {id(e) for _, part, _ in drawn_panels(result) for e in part}
    left: dict[str, int] = {}
    for e in result.estimates:
        if not kind_of(e.estimand).share and id(e) not in drawn_ones:
            left[e.outcome] = left.get(e.outcome, 0) + 1
    return left


@drawn
def effects_forest(result: EffectsResult, width: Width = "wide") -> Figure:
    """An outcome's changes with their intervals, then its levels on an axis of their own.

    Parameters
    ----------
    result : EffectsResult
        ``estimates`` must not be empty.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = drawn_panels(result)
    rows = [len(group) for _, group, _ in panels]
    height = (0.95 if result.design.measured_in else 0.75) * len(rows) + (
        0.44 if width == "narrow" else 0.34
    ) * sum(rows)
    figure = new_figure(width, max(height, 1.0))
    if not panels:
        return figure
    axes = figure.subplots(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0]
    for one, (outcome, group, levels) in zip(axes, panels, strict=True):
        _forest_panel(one, result, outcome, group, width, levels)
    return figure


def _forest_panel(
    axes: Axes, result: EffectsResult, outcome: str, group: list[Estimate], width: Width,
    levels: bool,
) -> None:  # fmt: skip
    labels, values = [], []
    for row, e in enumerate(group):
        naive, doubtful = e.estimand == NAIVE, is_doubtful(result, e)
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
        kind = kind_of(e.estimand)
        name = (kind.short or kind.title) if width == "narrow" else kind.title
        if told := qualified(result, e):
            name = f"{name.partition(':')[0]} · {told}"
        if e.band_lower is not None and e.band_upper is not None:
            axes.plot([e.band_lower, e.band_upper], [row, row], color=colour, linewidth=0.8)
        labels.append(f"{name}\n(not supported by the data)" if doubtful else name)
        values.append(
            f"{number(e.estimate, places, signed=not levels)} "
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
    ends = [] if levels else [0.0]  # what changes are measured from; of a level it says nothing
    if not levels:
        axes.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    low = min(ends + [min(e.ci_lower, e.estimate) for e in group])
    high = max(ends + [max(e.ci_upper, e.estimate) for e in group])
    margin = 0.06 * (high - low or 1.0)
    axes.set_xlim(low - margin, high + margin)
    axes.xaxis.set_major_locator(MaxNLocator(4 if width == "narrow" else 7))
    axes.grid(axis="x")
    confidence = level(group[0].confidence)
    noun = "mean" if levels else "change"
    told = f"{outcome_name(outcome).capitalize()}: {noun} and {confidence} interval"
    if unit := result.design.measured_in.get(outcome):
        told += "\n" + wrapped(unit, 44 if width == "narrow" else 90)
    title(axes, told)
    bare_left(axes)
