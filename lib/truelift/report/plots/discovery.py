"""Pictures of what discovery found: the class of graphs, and its edges over the floor."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from truelift.graph.discovery.pattern import ARROW, CIRCLE, TAIL, Pattern, pattern_of_lines
from truelift.graph.discovery.results import DiscoveryResult
from truelift.report.plots.canvas import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    Width,
    drawn,
    literal,
    new_figure,
    title,
)

_GAP = 0.11  # inches between an edge's end and the middle of its node


@drawn
def learned_graph(result: DiscoveryResult, width: Width = "wide") -> Figure:
    """The class of graphs: arrows where the data decide, plain lines where they do not.

    A line is as dark as its edge is frequent among the graphs of halves.

    Parameters
    ----------
    result : DiscoveryResult
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    pattern = pattern_of_lines(result.names, result.lines)
    places = node_places(pattern, result.tiers)
    rows = max(len(group) for group in _rows(places))
    levels = len(_rows(places))
    figure = new_figure(width, max(2.2, (0.62 if width == "wide" else 0.75) * levels + 0.02 * rows))
    axes = figure.add_subplot()
    often = {(e.first, e.second): e.frequency for e in result.edges if e.line}
    for i, j in pattern.edges():
        share = often.get((result.names[i], result.names[j]))
        _edge(axes, places[i], places[j], pattern, i, j, 1.0 if share is None else share)
    size = (
        max(4.5, min(8.5, 60.0 / max(rows, 1)))
        if width == "wide"
        else max(4.0, min(8.0, 30.0 / max(rows, 1)))
    )
    for i, name in enumerate(result.names):
        axes.text(
            *places[i], literal(name), ha="center", va="center", fontsize=size, color=INK, zorder=3,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": LIGHT},
        )  # fmt: skip
    axes.set_axis_off()
    axes.set_xlim(-0.06, 1.06)
    axes.set_ylim(-levels + 0.4, 0.6)
    return figure


def _edge(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], pattern: Pattern, i: int,
    j: int, share: float,
) -> None:  # fmt: skip
    left, right = int(pattern.marks[j, i]), int(pattern.marks[i, j])
    style = (
        "<|-|>"
        if left == right == ARROW
        else "-|>"
        if right == ARROW
        else "<|-"
        if left == ARROW
        else "-"
    )
    level = abs(start[1] - end[1]) < 1e-9
    axes.annotate(
        "", xy=end, xytext=start, zorder=1,
        arrowprops={
            "arrowstyle": style, "color": BLUE if ARROW in {left, right} else GREY,
            "alpha": 0.25 + 0.75 * min(max(share, 0.0), 1.0), "linewidth": 1.1, "shrinkA": 10, "shrinkB": 10,
            "connectionstyle": f"arc3,rad={0.25 if level else 0.06}",
            "linestyle": "--" if CIRCLE in {left, right} or left == right == TAIL else "-",
        },
    )  # fmt: skip


def _rows(places: list[tuple[float, float]]) -> list[list[float]]:
    found: dict[float, list[float]] = {}
    for x, y in places:
        found.setdefault(y, []).append(x)
    return list(found.values())


def node_places(
    pattern: Pattern, tiers: tuple[tuple[str, ...], ...] = (), most: int = 9
) -> list[tuple[float, float]]:
    """Where nodes are drawn: tiers, or else causes, above; neighbours near each other.

    Rows of more than ``most`` nodes are broken.
    """
    depth = _tier_depth(pattern, tiers) if tiers else _cause_depth(pattern)
    levels: list[list[int]] = []
    for value in sorted(set(depth)):
        own = [i for i, d in enumerate(depth) if d == value]
        pieces = -(-len(own) // most)
        size = -(-len(own) // pieces)
        levels += [own[k : k + size] for k in range(0, len(own), size)]
    at = {i: (k + 0.5) / len(level) for level in levels for k, i in enumerate(level)}
    for _ in range(8):
        for level in levels:
            level.sort(key=lambda i: _middle(pattern, i, at))
            at |= {i: (k + 0.5) / len(level) for k, i in enumerate(level)}
    rows = {i: -float(row) for row, level in enumerate(levels) for i in level}
    return [(at[i], rows[i]) for i in range(len(pattern))]


def _middle(pattern: Pattern, i: int, at: dict[int, float]) -> float:
    near = [at[j] for j in range(len(pattern)) if pattern.adjacent[i, j]]
    return sum(near) / len(near) if near else at[i]


def _tier_depth(pattern: Pattern, tiers: tuple[tuple[str, ...], ...]) -> list[int]:
    place = {name: t for t, group in enumerate(tiers) for name in group}
    return [place.get(name, 0) for name in pattern.names]


def _cause_depth(pattern: Pattern) -> list[int]:
    """The longest way along arrows to each node."""
    depth = [0] * len(pattern)
    for _ in range(len(pattern)):
        moved = False
        for i, j in pattern.edges():
            if pattern.directed[i, j] and depth[j] < depth[i] + 1 < len(pattern):
                depth[j], moved = depth[i] + 1, True
        if not moved:
            break
    # A node that no arrow reaches stands beside its neighbours.
    for i in range(len(pattern)):
        near = [depth[j] for j in range(len(pattern)) if pattern.adjacent[i, j]]
        if near and not pattern.directed[:, i].any() and not pattern.directed[i].any():
            depth[i] = math.floor(sum(near) / len(near))
    return depth


@drawn
def floor_curve(result: DiscoveryResult, width: Width = "wide") -> Figure:
    """How many edges are left where a smaller dependence counts as none.

    Parameters
    ----------
    result : DiscoveryResult
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(width, 2.2)
    axes = figure.add_subplot()
    axes.step(
        [p.floor for p in result.curve], [p.edges for p in result.curve], where="post", color=BLUE
    )
    axes.axvline(result.floor, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    axes.set_xlabel("smallest dependence that counts")
    title(axes, "Edges of the graph")
    return figure
