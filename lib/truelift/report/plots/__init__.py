"""Plots as functions of result objects; each returns a matplotlib figure, without pyplot."""

from truelift.report.plots.effects import effects_forest
from truelift.report.plots.fragility import (
    clip_path,
    confounder_contour,
    left_out,
    placebo_histogram,
)
from truelift.report.plots.overlap import love_plot, overlap_histogram
from truelift.report.plots.rows import rows_funnel
from truelift.report.plots.segments import segment_bars
from truelift.report.plots.sessions import sessions_over_time
from truelift.report.plots.training import learning_curve, ranking_bars
from truelift.report.plots.whom import sorted_groups, targeting_curve

__all__ = [
    "clip_path",
    "confounder_contour",
    "effects_forest",
    "learning_curve",
    "left_out",
    "love_plot",
    "overlap_histogram",
    "placebo_histogram",
    "ranking_bars",
    "rows_funnel",
    "segment_bars",
    "sessions_over_time",
    "sorted_groups",
    "targeting_curve",
]
