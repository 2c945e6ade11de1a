"""Figures of an evaluation for the MLflow run; the report draws its own."""

from __future__ import annotations

from typing import Any

from truelift.evaluation.results import RankingMetrics


def segments_figure(model: RankingMetrics, baseline: RankingMetrics | None) -> Any:
    """NDCG with its interval in every segment, of the model and of the best baseline."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.2 + 0.4 * len(model.segments)), layout="constrained")
    axes = figure.subplots()
    names = [f"{s.segment} ({s.users:,})" for s in model.segments]
    rows = {s.segment: row for row, s in enumerate(model.segments)}
    for metrics, shift, colour in ((model, -0.12, "C0"), (baseline, 0.12, "0.5")):
        if metrics is None:
            continue
        for number, segment in enumerate(metrics.segments):
            if segment.segment not in rows:
                continue
            ndcg = next(m for m in segment.measures if m.name == "ndcg")
            place = rows[segment.segment] + shift
            if ndcg.ci_lower is not None and ndcg.ci_upper is not None:
                ends = [max(ndcg.ci_lower, 0.0), min(ndcg.ci_upper, 1.0)]
                axes.plot(ends, [place, place], color=colour)
            label = metrics.model if number == 0 else None
            axes.plot(ndcg.value, place, "o", color=colour, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(f"NDCG@{model.k}, 95% interval")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
