"""What turns rows into scores: rows and columns chosen, nuisances fitted, nothing added up yet."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from truelift.effects.nuisances.calibration import calibrated
from truelift.effects.nuisances.first_pass import first_moments, start_rows
from truelift.effects.nuisances.fitted import Fitted
from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.selection import Selection, selected, without_outcomes
from truelift.effects.panel.source import PanelSource
from truelift.effects.scores.catalogue import clip_levels_of, clip_of, layout_of
from truelift.effects.scores.sums import Scoring
from truelift.errors import DataError
from truelift.progress import Tell
from truelift.registries import LEARNERS
from truelift.settings import EffectOptions


@dataclass(frozen=True, eq=False)
class Prepared:
    """Cross-fitted nuisances of a panel, and what they were made of.

    Parameters
    ----------
    chosen : Selection
    options : EffectOptions
        For the outcomes that can be estimated.
    drawn : pyarrow.Table
        The start rows.
    moments : Moments
    fitted : Fitted
    scoring : Scoring
    """

    chosen: Selection
    options: EffectOptions
    drawn: pa.Table
    moments: Moments
    fitted: Fitted
    scoring: Scoring


def prepared(source: PanelSource, options: EffectOptions, progress: Tell) -> Prepared:
    """Choose rows and columns, and fit the nuisances by the learner that the options name.

    Raises
    ------
    TableError, DataError
        As :func:`~truelift.effects.estimate.estimate_panel`.
    """
    learner = LEARNERS.row(options.nuisances.learner.name, "effects.nuisances.learner")
    learner.check()
    if not sum(source.bucket_rows().values()):
        raise DataError(
            f"{source.name} has no rows, so there is nothing to estimate. Check how the table was "
            "made: its filters, windows and sample."
        )
    chosen = selected(source, options)
    source = chosen.source
    drawn = start_rows(source, chosen.columns, options, progress)
    moments = first_moments(source, chosen.columns, options, progress, drawn)
    columns = moments.columns
    if gone := [n for n in options.outcomes if n not in columns.outcomes]:
        options = without_outcomes(options, gone)
    fitted = learner.fit(source, moments, options, progress)
    if options.nuisances.calibration:
        fitted = calibrated(source, moments, options, fitted, progress)
    scoring = Scoring(
        columns=columns,
        design=moments.design,
        outcomes=moments.outcomes,
        nuisances=fitted.nuisances,
        folds=options.nuisances.folds,
        clip=clip_of(columns, options),
        clip_levels=clip_levels_of(columns, options),
        layout=layout_of(columns, options),
    )
    return Prepared(chosen, options, drawn, moments, fitted, scoring)
