"""What acting changes in needs and outcomes: a forest."""

from __future__ import annotations

from matplotlib.figure import Figure

from truelift.graph.need.effects import ALL
from truelift.graph.need.results import NeedEffect, NeedsResult
from truelift.report.numbers import level
from truelift.report.plots.canvas import (
    BLUE,
    GREY,
    Width,
    bare_left,
    drawn,
    literal,
    new_figure,
    title,
    wrapped,
)

#: Rows that are drawn; all stand in the table.
MOST_ROWS = 24


def shown_effects(result: NeedsResult) -> list[NeedEffect]:
    """Effects of acting on everyone, at the step that it is for."""
    return [e for e in result.effects if e.population == ALL and e.step == 1]


@drawn
def needs_forest(result: NeedsResult, width: Width = "wide") -> Figure:
    """Every effect with its interval."""
    rows = shown_effects(result)[:MOST_ROWS]
    figure = new_figure(width, 0.8 + 0.32 * max(len(rows), 1))
    axes = figure.add_subplot()
    for place, e in enumerate(rows):
        axes.plot([e.ci_lower, e.ci_upper], [-place, -place], color=BLUE)
        axes.plot([e.estimate], [-place], "o", color=BLUE, markersize=4)
    characters = 48 if width == "wide" else 22
    names = [literal(wrapped(f"{e.intervention}: {e.of}", characters)) for e in rows]
    axes.set_yticks([-i for i in range(len(rows))], names)
    axes.axvline(0, color=GREY, linewidth=0.8)
    bare_left(axes)
    title(axes, f"Changes with {level(result.confidence)} intervals")
    return figure
