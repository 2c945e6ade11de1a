"""A policy as a tree, and a budget as a path of spend and gain."""

from __future__ import annotations

from matplotlib.figure import Figure

from truelift.policy.budget.results import AllocationResult
from truelift.policy.results import PolicyResult
from truelift.report.numbers import level, outcome_name
from truelift.report.plots.canvas import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    SKY,
    Width,
    drawn,
    literal,
    new_figure,
    title,
    wrapped,
)

_INDENT = 4


@drawn
def policy_tree(result: PolicyResult, width: Width = "wide") -> Figure:
    """The tree of all units: questions, and an arm in every leaf."""
    nodes = _placed(result.drawing)
    depth = max(row for _, row, _, _ in nodes)
    figure = new_figure(width, 0.9 + 0.85 * (depth + 1))
    axes = figure.add_subplot()
    characters = 22 if width == "wide" else 12
    for place, row, text, parent in nodes:
        answer, _, words = (
            text.rpartition(": ") if text.startswith(("yes: ", "no: ")) else ("", "", text)
        )
        if parent is not None:
            above, high = nodes[parent][0], nodes[parent][1]
            axes.plot([above, place], [-high, -row], color=GREY, linewidth=1, zorder=1)
            axes.text((above + place) / 2, -(high + row) / 2, answer, color=GREY, ha="center",
                      va="center", backgroundcolor="white", fontsize=8)  # fmt: skip
        leaf = not words.endswith("?")
        box = {
            "boxstyle": "round,pad=0.35", "facecolor": LIGHT if leaf else "white",
            "edgecolor": BLUE if leaf else GREY,
        }  # fmt: skip
        axes.text(place, -row, literal(wrapped(words, characters)), ha="center", va="center",
                  color=INK, bbox=box, zorder=2, fontsize=8.5)  # fmt: skip
    last = max(place for place, *_ in nodes)
    axes.set_xlim(-0.6, last + 0.6)
    axes.set_ylim(-depth - 0.5, 0.5)
    axes.axis("off")
    return figure


@drawn
def budget_curve(result: AllocationResult, width: Width = "wide") -> Figure:
    """Gain by spend with the band of the whole path, beside the same money spent without looking."""
    figure = new_figure(width, 3.0)
    axes = figure.add_subplot()
    spend = [0.0, *(p.budget for p in result.path)]
    gain = [0.0, *(p.gain.estimate for p in result.path)]
    low = [0.0, *(p.gain.band_lower for p in result.path)]
    high = [0.0, *(p.gain.band_upper for p in result.path)]
    lot = [0.0, *(p.gain.estimate - p.over_lot.estimate for p in result.path)]
    shade = f"{level(result.confidence)} band of the path"
    axes.fill_between(spend, low, high, color=SKY, alpha=0.3, linewidth=0, label=shade)
    axes.plot(spend, gain, color=BLUE, label="by forecast")
    axes.plot(spend, lot, color=GREY, linestyle=(0, (4, 2)), label="without looking at the units")
    axes.axvline(result.spend, color=INK, linewidth=0.8, linestyle=(0, (1, 1.5)))
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_xlabel("units treated" if result.money == "capacity" else "spend")
    axes.legend(loc="best")
    title(axes, f"Gain in {outcome_name(result.outcome)} against {result.arms[0]} for all")
    return figure


def _placed(lines: tuple[str, ...]) -> list[tuple[float, int, str, int | None]]:
    """Place, row, text and parent of every line's node; leaves stand side by side."""
    rows = [(len(line) - len(line.lstrip())) // _INDENT for line in lines]
    parents: list[int | None] = []
    for i, row in enumerate(rows):
        parents.append(next((j for j in range(i - 1, -1, -1) if rows[j] == row - 1), None))
    places: dict[int, float] = {}
    leaves = [i for i in range(len(lines)) if i not in parents]
    places |= {node: float(k) for k, node in enumerate(leaves)}
    for i in reversed(range(len(lines))):
        if i not in places:
            below = [places[j] for j, parent in enumerate(parents) if parent == i]
            places[i] = sum(below) / len(below)
    return [(places[i], rows[i], line.strip(), parents[i]) for i, line in enumerate(lines)]
