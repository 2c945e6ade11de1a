"""How well the model ranks for cold and warm users, and for cold and popular items."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from truelift.evaluation.results import Measure, RankingMetrics
from truelift.evaluation.segment_names import SEGMENTS
from truelift.report.numbers import model_name
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


def shown_segments(metrics: Sequence[RankingMetrics]) -> list[str]:
    """Segments in which anyone was evaluated, in their order."""
    found = {s.segment for m in metrics for s in m.segments}
    return [name for name in SEGMENTS if name in found]


def ndcg_of(metrics: RankingMetrics, segment: str) -> tuple[int, Measure] | None:
    """Users and NDCG of a segment."""
    for found in metrics.segments:
        if found.segment == segment:
            return found.users, next(m for m in found.measures if m.name == "ndcg")
    return None


@drawn
def segment_bars(
    model: RankingMetrics, baseline: RankingMetrics | None, width: Width = "wide"
) -> Figure:
    """NDCG with its interval in every segment, of the model and of the best baseline.

    Parameters
    ----------
    model : RankingMetrics
        Its ``segments`` must not be empty.
    baseline : RankingMetrics or None
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    segments = shown_segments([model])
    pair = [(model, BLUE, "o")] + ([(baseline, GREY, "s")] if baseline else [])
    figure = new_figure(width, 1.1 + 0.46 * len(segments))
    axes = figure.add_subplot()
    labels, top = [], 1e-6
    for row, segment in enumerate(segments):
        own = ndcg_of(model, segment)
        assert own is not None
        labels.append(f"{segment} ({own[0]:,})")
        for number, (metrics, colour, marker) in enumerate(pair):
            found = ndcg_of(metrics, segment)
            if found is None:
                continue
            measure, place = found[1], row + 0.18 * (2 * number - len(pair) + 1)
            if measure.ci_lower is not None and measure.ci_upper is not None:
                ends = [max(measure.ci_lower, 0.0), min(measure.ci_upper, 1.0)]
                axes.plot(ends, [place, place], color=colour, linewidth=2)
                top = max(top, ends[1])
            name = literal(model_name(metrics.model)) if row == 0 else None
            axes.plot(
                [measure.value], [place], marker, color=colour, markersize=5, linestyle="none",
                label=name,
            )  # fmt: skip
            top = max(top, measure.value)
    characters = 16 if width == "narrow" else 34
    axes.set_yticks(range(len(segments)), [literal(wrapped(label, characters)) for label in labels])
    axes.invert_yaxis()
    axes.set_xlim(0, top * 1.1)
    axes.xaxis.set_major_locator(MaxNLocator(4 if width == "narrow" else 6))
    axes.grid(axis="x")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=1 if width == "narrow" else 2)
    title(axes, f"NDCG@{model.k} by segment (users)")
    bare_left(axes)
    return figure
