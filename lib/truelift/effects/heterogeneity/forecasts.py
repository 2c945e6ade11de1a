"""CATE models of boosted trees or networks: the final stage of a DR-learner that is not linear.

Kennedy (2023), "Towards optimal doubly robust estimation of heterogeneous causal effects": the
doubly robust scores, made of nuisances that have not seen the unit, are regressed on its
features. The models of fold k are fitted on the scores of the folds before it, and forecast the
effects of its own units. All contrasts share one reading of the table and the binned features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.boosting.reading import Block
from truelift.effects.heterogeneity.blocks import Forecast
from truelift.effects.heterogeneity.scored_contrasts import ScoredContrasts
from truelift.effects.nuisances.learners.learner import FoldRegressions
from truelift.effects.panel.source import PanelSource
from truelift.progress import Tell
from truelift.registries import LEARNERS
from truelift.settings import EffectOptions


@dataclass(frozen=True, eq=False)
class ScoreReader:
    """Blocks of a panel whose outcomes are the scores of its contrasts, in one arm.

    Scores are divided by the outcome's scale, so that networks meet numbers of order one.
    """

    scored: ScoredContrasts

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the features."""
        return self.scored.scoring.design.names

    @property
    def arms(self) -> int:
        """One: a score is a regression's target, whatever arm the unit is in."""
        return 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns to read."""
        return tuple(self.scored.scoring.columns.of_scores())

    @property
    def outcome_count(self) -> int:
        """The number of contrasts."""
        return len(self.scored.contrasts)

    def scale(self, place: int) -> float:
        """What the scores of a contrast are divided by."""
        return float(self.scored.scoring.outcomes.scale[self.scored.contrasts[place].outcome])

    def __call__(self, batch: pa.RecordBatch, fold: int | np.ndarray) -> Block:
        """The batch's rows as arrays; the fold is one for all rows, or one for each."""
        folds = np.full(batch.num_rows, fold)
        parts = []
        for k in np.unique(folds):
            rows = np.flatnonzero(folds == k)
            whole = len(rows) == batch.num_rows
            parts.append(self._part(batch if whole else batch.take(pa.array(rows)), int(k)))
        if len(parts) == 1:
            return parts[0]
        return _joined(parts) if parts else self._part(batch, 0)

    def _part(self, batch: pa.RecordBatch, fold: int) -> Block:
        blocks = self.scored(batch, fold)
        scores = [block.score / self.scale(place) for place, block in enumerate(blocks)]
        first, n = blocks[0], batch.num_rows
        return Block(
            first.x.astype(np.float32),
            np.zeros(n, np.int64),
            np.array(scores),
            first.cluster,
            np.full(n, fold),
            first.weight,
        )


def _joined(parts: list[Block]) -> Block:
    weights = [p.weight for p in parts if p.weight is not None]
    return Block(
        np.concatenate([p.covariates for p in parts], axis=1),
        np.concatenate([p.arm for p in parts]),
        np.concatenate([p.outcome for p in parts], axis=1),
        np.concatenate([p.cluster for p in parts]),
        np.concatenate([p.fold for p in parts]),
        np.concatenate(weights) if weights else None,
    )


@dataclass(frozen=True, eq=False)
class RegressedCate:
    """The CATE of one contrast, in its outcome's units; a :class:`~.blocks.CateModel`.

    Parameters
    ----------
    models : FoldRegressions
        Of the scores of all contrasts.
    place : int
        Of the contrast.
    scale : float
        What its scores were divided by.
    """

    models: FoldRegressions
    place: int
    scale: float

    def predict(self, x: np.ndarray, fold: int) -> np.ndarray:
        """CATE of units of ``fold`` (n) from ``x`` (p x n)."""
        return self.scale * self.models.regression(x, fold, 0, self.place)


def fit_forecasts(
    source: PanelSource, scored: ScoredContrasts, options: EffectOptions,
    progress: Tell = lambda text: None, *, sequential: bool = True,
) -> tuple[Forecast, ...] | None:  # fmt: skip
    """A CATE model for each contrast, by ``effects.heterogeneity.learner``.

    Parameters
    ----------
    source : PanelSource
        The panel of the estimation.
    scored : ScoredContrasts
    options : EffectOptions
        ``boosting`` and ``neural`` are those of the nuisances, less monotone constraints and
        targeted regularisation.
    progress : callable, optional
    sequential : bool
        Fit fold k on the scores of the folds before it; otherwise on those of all others. The
        nuisances of those folds' scores have seen fold k, its scores reach no model of its own.

    Returns
    -------
    tuple of Forecast, or None
        By contrast; None for ``'linear'``, whose models come from the sums of the first pass.

    Raises
    ------
    ConfigError, DataError
        For options that name no covariate, and for rows that cannot be fitted on.
    """
    if options.heterogeneity.learner.name == "linear":
        return None
    reader = ScoreReader(scored)
    learner = LEARNERS.row(options.heterogeneity.learner.name, "effects.heterogeneity.learner")
    assert learner.forecast is not None  # the options have seen to it
    models = learner.forecast(source, reader, options, sequential, progress)
    return tuple(
        Forecast(RegressedCate(models, place, reader.scale(place)), int(sequential))
        for place in range(reader.outcome_count)
    )
