"""Gradient-boosted trees on top of linear models, in this process or in Spark's barrier tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from truelift.effects.boosting.nuisances import BoostingNuisances
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.nuisances.fitted import Fitted, Predictions
from truelift.effects.nuisances.learners.learner import FoldRegressions, Learner
from truelift.effects.nuisances.learners.reading import DesignReader
from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.source import PanelSource
from truelift.progress import Tell
from truelift.settings import EffectOptions

if TYPE_CHECKING:
    from truelift.effects.boosting.barrier import Reader
    from truelift.effects.heterogeneity.forecasts import ScoreReader


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Boosting models behind the interface of all nuisances."""

    models: BoostingNuisances
    name: str = "boosting"

    def predict(self, block: np.ndarray, fold: int) -> Predictions:
        """See :class:`~truelift.effects.nuisances.fitted.Nuisances`."""
        return Predictions(*self.models.predict(block[1:], fold))


def fit_boosting(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Tell
) -> Fitted:
    """Gradient-boosted trees on top of linear models; all of a fold's models from one binned copy."""
    progress("boosting: binning, then the models of every fold and arm")
    reader = DesignReader(moments.design, moments.outcomes, moments.columns)
    models = grow(source, reader, options.nuisances.folds, options.of_learner(BOOSTING))
    seconds = {f"boosting_seconds_{part}": float(s) for part, s in models.seconds.items()}
    quality = {
        "boosting_propensity_rounds": float(models.propensity_rounds.mean()),
        "boosting_outcome_rounds": float(models.outcome_rounds.mean()),
        **seconds,
    }
    return Fitted(BoostedTrees(models), True, quality, 2)


def forecast(
    source: PanelSource, reader: ScoreReader, options: EffectOptions, sequential: bool,
    progress: Tell,
) -> FoldRegressions:  # fmt: skip
    """Boosted regressions of scores on features."""
    progress("forecasts of effects: boosted trees on the scores")
    # What an outcome rises with, an effect may fall with.
    chosen = replace(options.of_learner(BOOSTING, forecasts=True), monotone=())
    return grow(source, reader, options.nuisances.folds, chosen, sequential)


def grow(
    source: PanelSource, reader: Reader, folds: int, options: BoostingOptions,
    sequential: bool = False,
) -> BoostingNuisances:  # fmt: skip
    """The models of every fold: where the source's rows lie in files, by tasks that read them.

    Parameters
    ----------
    source : PanelSource
    reader : Reader
        Makes blocks of the source's rows.
    folds : int
    options : BoostingOptions
    sequential : bool
        See :func:`~truelift.effects.panel.training_folds.training_folds`.
    """
    spread = source.spread()
    if spread is not None:
        from truelift.effects.boosting.barrier import fit_on_plan

        return fit_on_plan(spread.spark, spread.plan, reader, folds, options, sequential=sequential)
    from truelift.distributed.collective import Alone
    from truelift.effects.boosting.fitting import fit_blocks

    return fit_blocks(
        source.blocks(reader, reader.columns, folds),
        reader.covariates,
        reader.outcome_count,
        reader.arms,
        folds,
        options,
        Alone(),
        1,
        source.name,
        sequential=sequential,
    )


BOOSTING = Learner(
    "boosting", fit_boosting, BoostingOptions, "effects.nuisances.learners.boosting", forecast=forecast
)  # fmt: skip
