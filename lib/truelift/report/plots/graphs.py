"""A causal graph in columns, causes to the left; what identifies an effect is marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text

from truelift.graph.layout import columns_of, places_of
from truelift.graph.model import CausalGraph
from truelift.graph.results import Identification
from truelift.report.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    SKY,
    Width,
    drawn,
    literal,
    new_figure,
    title,
    wrapped,
)

_TALLEST = 9.0
# What stands less than this off the line of an arrow is gone around.
_CLEAR, _BEND = 0.4, 0.2

Point = tuple[float, float]


@drawn
def graph_picture(
    shown: CausalGraph | Identification,
    width: Width = "wide",
    broken: Iterable[tuple[str, str]] = (),
) -> Figure:
    """The graph; of an identified effect also its two ends, what is adjusted for, and the way between.

    Parameters
    ----------
    shown : CausalGraph or Identification
    width : {'wide', 'narrow'}
    broken : iterable of (str, str)
        Pairs that the data find joined though the graph has them apart: dotted in orange.

    Returns
    -------
    matplotlib.figure.Figure
    """
    graph = shown.graph if isinstance(shown, Identification) else shown
    columns = columns_of(graph)
    across = width == "wide"
    tall = max(len(names) for names in columns) if across else len(columns)
    figure = new_figure(width, min(0.9 + 0.62 * tall, _TALLEST))
    axes = figure.add_subplot()
    places = {n: (x, y) if across else (y, -x) for n, (x, y) in places_of(columns).items()}
    colours = _colours(shown)
    boxes = {}
    for name, (x, y) in places.items():
        latent = graph.by_name[name].latent
        boxes[name] = axes.text(
            x, y, literal(wrapped(name, 18 if across else 12)), ha="center", va="center", zorder=3,
            color=colours.get(name, GREY if latent else INK),
            bbox={
                "boxstyle": "round,pad=0.35", "facecolor": "white",
                "edgecolor": colours.get(name, GREY), "linestyle": "--" if latent else "-",
                "linewidth": 1.6 if name in colours else 0.9,
            },
        )  # fmt: skip
    way = _way(shown)
    for a, b in graph.arrows:
        on = (a, b) in way
        _arrow(axes, boxes, (a, b), "-|>", "-", BLUE if on else GREY, 1.8 if on else 1.0)
    for a, b in graph.confounded:
        _arrow(axes, boxes, (a, b), "<|-|>", "--", GREY, 1.0, bend=0.3)
    for a, b in broken:
        _arrow(axes, boxes, (a, b), "-", ":", ORANGE, 2.0, bend=-0.2)
    xs, ys = ([place[i] for place in places.values()] for i in (0, 1))
    axes.set_xlim(min(xs) - 0.5, max(xs) + 0.5)
    axes.set_ylim(min(ys) - 0.6, max(ys) + 0.6)
    axes.axis("off")
    told = shown.sentence() if isinstance(shown, Identification) else f"{len(places)} nodes"
    title(axes, wrapped(told, 92 if across else 42))
    return figure


def _colours(shown: CausalGraph | Identification) -> dict[str, str]:
    if isinstance(shown, CausalGraph):
        return {}
    marked = dict.fromkeys(shown.covariates, GREEN)
    if shown.method == "front door":
        marked |= dict.fromkeys(shown.front_door or (), SKY)
    if shown.method == "instrument":
        marked |= dict.fromkeys([i.name for i in shown.instruments[:1]], ORANGE)
    if shown.method == "none":
        marked |= {name: ORANGE for name in shown.missing or () if name in shown.graph.by_name}
    return marked | {shown.treatment: BLUE, shown.outcome: BLUE}


def _way(shown: CausalGraph | Identification) -> set[tuple[str, str]]:
    """Arrows on directed paths from the treatment to the outcome."""
    if isinstance(shown, CausalGraph):
        return set()
    nodes = {shown.treatment, *shown.way()}
    return {
        (a, b) for a, b in shown.graph.arrows if a in nodes and b in nodes and b != shown.treatment
    }


def _arrow(
    axes: Axes, boxes: Mapping[str, Text], ends: tuple[str, str], head: str, line: str, colour: str,
    thick: float, bend: float = 0.0,
) -> None:  # fmt: skip
    """An arrow from box to box; it is drawn after these, for their edges are known then."""
    start, end = (boxes[name] for name in ends)
    between = [box.get_position() for name, box in boxes.items() if name not in ends]
    a, b = start.get_position(), end.get_position()
    axes.add_patch(
        FancyArrowPatch(
            a, b, arrowstyle=head, linestyle=line, color=colour, linewidth=thick, mutation_scale=11,
            patchA=start.get_bbox_patch(), patchB=end.get_bbox_patch(), shrinkA=1, shrinkB=1,
            connectionstyle=f"arc3,rad={bend or _around(a, b, between)}", zorder=4,
        )
    )  # fmt: skip


def _around(a: Point, b: Point, others: Iterable[Point]) -> float:
    """How far an arrow bends so that it does not run through a box on its way."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    for x, y in others:
        along = ((x - a[0]) * dx + (y - a[1]) * dy) / length
        off = ((x - a[0]) * dy - (y - a[1]) * dx) / length**0.5
        if 0.1 < along < 0.9 and abs(off) < _CLEAR:
            return -_BEND if off > 0 else _BEND
    return 0.0
