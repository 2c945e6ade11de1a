"""The first pass over all rows: from few rows the scales and categories, from all of them the moments."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from truelift.effects.nuisances.moments import (
    Moments,
    MomentsKernel,
    broken_outcomes,
    make_moments,
    missing_covariates,
)
from truelift.effects.panel.categories import categories_of
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.panel.source import PanelSource, State
from truelift.effects.panel.start import (
    StartKernel,
    covariate_scale,
    make_start,
    outcome_scale,
    start_buckets,
)
from truelift.effects.support.covariate_checks import check_range
from truelift.progress import Tell
from truelift.settings import EffectOptions


def start_rows(
    source: PanelSource, columns: PanelColumns, options: EffectOptions, progress: Tell
) -> pa.Table:
    """The few rows that scales and categories are made of, as far as the first pass needs them."""
    progress("drawing the start rows")
    rows = source.bucket_rows()
    return source.start_rows(
        StartKernel(columns, start_buckets(rows, options.nuisances.start_rows))
    )


def first_moments(
    source: PanelSource,
    columns: PanelColumns,
    options: EffectOptions,
    progress: Tell,
    drawn: pa.Table | None = None,
) -> Moments:
    """The first pass over all rows: features, scales and moments.

    ``drawn`` are the start rows, where they are there already.
    """
    if drawn is None:
        drawn = start_rows(source, columns, options, progress)
    check_range(drawn, columns, source.name)
    scales = outcome_scale(drawn, columns), covariate_scale(drawn, columns)
    categories = categories_of(source, drawn, columns, *scales, options, progress)
    start = make_start(drawn, columns, options, categories=categories)

    def first_pass() -> State:
        progress("pass 1: moments and a Newton step")
        kernel = MomentsKernel(columns, start, options.nuisances.folds)
        return source.sum(kernel, columns.of_moments(), columns.batch_rows())

    state = first_pass()
    if gone := broken_outcomes(state, columns):
        # Encodings by outcome have seen their values too: all is made anew without them.
        kept = tuple(name for name in columns.outcomes if name not in gone)
        moments = first_moments(source, replace(columns, outcomes=kept), options, progress)
        return replace(moments, left_out=gone)
    missing = missing_covariates(state, columns)
    if missing and options.features.missing == "indicator":
        # The start rows did not show these; with a feature for them the pass is made again.
        start = make_start(drawn, columns, options, missing, categories)
        state = first_pass()
    return make_moments(state, columns, start, source.name)
