"""All credibility checks of an estimation, in one further pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.credibility.assessment import AssessmentOptions, Credibility, assess
from truelift.effects.credibility.benchmarks import ShortModel
from truelift.effects.credibility.blocks import CredibilityBlock
from truelift.effects.credibility.kernel import CredibilityKernel, CredibilityOptions
from truelift.effects.credibility.placebo import PlaceboOptions
from truelift.effects.look import Pass, Passes
from truelift.effects.panel.arms import Levels
from truelift.effects.scores.quantities import clipped
from truelift.effects.scores.sums import Scoring
from truelift.settings import EffectOptions

NO_LEVEL = "none"


@dataclass(frozen=True, eq=False)
class CredibilityBlocks:
    """``block(batch, fold) -> CredibilityBlock``: what was observed and what was predicted.

    Parameters
    ----------
    scoring : Scoring
    left_out : Levels, optional
        The column whose levels are left out one by one; rows without one are a level of their
        own.
    short : tuple of ShortModel
        One a benchmark.
    """

    scoring: Scoring
    left_out: Levels | None = None
    short: tuple[ShortModel, ...] = ()

    def __call__(self, batch: pa.RecordBatch, fold: int) -> CredibilityBlock:
        """The block of one batch."""
        scoring = self.scoring
        # The models depend on the bucket through its fold alone.
        block, units = scoring.units(batch, fold)
        cluster = scoring.clusters(batch)
        groups = []
        if self.left_out is not None:
            codes = self.left_out.codes(batch)
            groups.append(np.where(codes < 0, len(self.left_out.values), codes))
        return CredibilityBlock(
            outcome=units.outcome,
            arm=units.arm,
            propensity=clipped(units.propensity, scoring.clip),
            outcome_regression=units.outcome_regression,
            cluster=cluster,
            # Placebo treatments are drawn by cluster, so no check asks for the unit.
            unit=cluster,
            fold=fold,
            groups=groups,
            short=tuple(
                model.predict(block, fold, units.propensity, scoring.clip) for model in self.short
            ),
        )


def checked_effects(
    scoring: Scoring,
    options: EffectOptions,
    left_out: Levels | None = None,
    short: tuple[ShortModel, ...] = (),
) -> Passes[Credibility]:
    """Every check of every arm and outcome; one pass.

    Parameters
    ----------
    scoring : Scoring
    options : EffectOptions
    left_out : Levels, optional
    short : tuple of ShortModel
    """
    labels, outcomes = scoring.columns.arms.labels, scoring.outcomes
    levels = () if left_out is None else ((*left_out.labels, NO_LEVEL),)
    kernel = CredibilityOptions(
        arms=len(labels),
        outcomes=len(outcomes.names),
        folds=scoring.folds,
        placebo=PlaceboOptions(options.credibility.placebos, options.seed),
        group_levels=tuple(len(names) for names in levels),
        benchmarks=len(short),
        seed=options.seed,
    )
    extra = () if left_out is None else (left_out.column,)
    blocks = CredibilityBlocks(scoring, left_out, short)
    state = yield Pass(CredibilityKernel(blocks, kernel), extra)
    asked = AssessmentOptions(
        outcomes=outcomes.names,
        scales=tuple(outcomes.scale.tolist()),
        arms=labels,
        groups=() if left_out is None else (left_out.column,),
        group_levels=levels,
        benchmarks=tuple(model.covariate for model in short),
        negative_controls={name: 0.0 for name in options.credibility.negative_controls},
        confidence=options.inference.confidence,
    )
    return assess(state, kernel, asked)
