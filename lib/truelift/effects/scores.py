"""Doubly robust scores of every unit, out of fold.

For outcome y, treatment d, propensity e and outcome regressions m1, m0 a score is
``psi_a * theta + psi_b`` with mean zero at the effect theta:

* ATE: ``psi_a = -1``, ``psi_b = m1 - m0 + d (y - m1) / e - (1 - d)(y - m0) / (1 - e)``
  (Robins, Rotnitzky & Zhao 1994);
* ATT: ``psi_a = -d / P(d = 1)``, ``psi_b = [d (y - m0) - (1 - d)(y - m0) e / (1 - e)] / P(d = 1)``
  (cross-fitted as in Chernozhukov et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import expit

from truelift.effects.clusters import ClusterSums, bucket_sketch
from truelift.effects.columns import PanelColumns, Scale, design, number_column
from truelift.effects.keys import hash_keys

BINS = 20


@dataclass(frozen=True, eq=False)
class NuisanceModels:
    """Cross-fitted linear models: row k of each array was fitted without fold k.

    Parameters
    ----------
    columns : PanelColumns
    covariates, outcomes : Scale
    propensity : ndarray, K x (1 + p)
    outcome_regression : ndarray, K x 2 x J x (1 + p)
        By fold, arm and outcome.
    clip : float
        Propensities are clipped to [clip, 1 - clip].
    """

    columns: PanelColumns
    covariates: Scale
    outcomes: Scale
    propensity: np.ndarray
    outcome_regression: np.ndarray
    clip: float

    @property
    def folds(self) -> int:
        """K."""
        return len(self.propensity)


@dataclass(frozen=True, eq=False)
class ScoreBlock:
    """Scores of a block of units; outcomes and scores in the scale of ``models.outcomes``.

    ``ate`` and ``att`` are the psi_b parts (J x n); ``att`` is not yet divided by the treated
    share, whose psi_a is ``-treated``.
    """

    block: np.ndarray
    treated: np.ndarray
    outcomes: np.ndarray
    index: np.ndarray
    raw_propensity: np.ndarray
    propensity: np.ndarray
    m0: np.ndarray
    m1: np.ndarray
    ate: np.ndarray
    att: np.ndarray


def score_block(batch: pa.RecordBatch, models: NuisanceModels, fold: int) -> ScoreBlock:
    """Predict every nuisance with the models of ``fold`` and form the scores."""
    block = design(batch, models.covariates)
    treated = number_column(batch, models.columns.treatment)
    outcomes = models.outcomes.rows(batch, np.empty((len(models.outcomes.names), batch.num_rows)))
    index = models.propensity[fold] @ block
    raw = expit(index)
    propensity = np.clip(raw, models.clip, 1.0 - models.clip)
    m0 = models.outcome_regression[fold, 0] @ block
    m1 = models.outcome_regression[fold, 1] @ block
    control = 1.0 - treated
    residual0 = control * (outcomes - m0)
    odds = propensity / (1.0 - propensity)
    ate = (
        m1 - m0
        + treated / propensity * (outcomes - m1)
        - residual0 / (1.0 - propensity)
    )  # fmt: skip
    att = treated * (outcomes - m0) - odds * residual0
    return ScoreBlock(block, treated, outcomes, index, raw, propensity, m0, m1, ate, att)


@dataclass(frozen=True, eq=False)
class ScoreSumsKernel:
    """The second pass: everything that estimates, intervals and overlap need, as sums.

    ``total`` and ``cross`` are sums over clusters of S and S S', with S the cluster's sums of
    (1, d, and for each outcome ate, att, d y, (1 - d) y).
    """

    models: NuisanceModels

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """The state of one bucket."""
        models = self.models
        fold = bucket % models.folds
        outcomes, p = len(models.outcomes.names), len(models.covariates.names)
        clusters = ClusterSums(2 + 4 * outcomes)
        state = {
            "histogram": np.zeros((2, BINS)),
            "clipped": np.zeros(2),
            "weights": np.zeros((3, 2)),
            "weighted_covariates": np.zeros((3, p)),
            "log_loss": np.zeros(1),
            "residual_squares": np.zeros((2, outcomes)),
        }
        for batch in batches:
            scores = score_block(batch, models, fold)
            _add_overlap(state, scores, models.clip)
            quantities = np.empty((2 + 4 * outcomes, batch.num_rows))
            quantities[0], quantities[1] = 1.0, scores.treated
            quantities[2::4], quantities[3::4] = scores.ate, scores.att
            quantities[4::4] = scores.treated * scores.outcomes
            quantities[5::4] = (1.0 - scores.treated) * scores.outcomes
            keys = hash_keys(batch.column(batch.schema.get_field_index(models.columns.cluster)))
            clusters.add(keys, quantities)
        keys, sums = clusters.finish()
        state["total"] = sums.sum(axis=1)
        state["cross"] = sums @ sums.T
        state["clusters"] = np.array(
            [len(keys), np.sum(sums[0] - sums[1] > 0.5), np.sum(sums[1] > 0.5)], dtype=float
        )
        state["max_sketch"] = bucket_sketch(keys, bucket)
        return state


def _add_overlap(state: dict[str, np.ndarray], scores: ScoreBlock, clip: float) -> None:
    """Histogram by arm; clipped units, and treated ones clipped from above; weights.

    Weights are those of the control arm and the treated arm for the ATE, and of the control
    arm for the ATT.
    """
    raw, e, treated = scores.raw_propensity, scores.propensity, scores.treated
    control = 1.0 - treated
    bins = np.minimum((raw * BINS).astype(np.int64), BINS - 1)
    above = raw > 1.0 - clip
    state["clipped"] += (np.count_nonzero((raw < clip) | above), treated @ above)
    state["log_loss"] += np.sum(np.logaddexp(0.0, scores.index) - treated * scores.index)
    for arm, (member, predicted) in enumerate(((control, scores.m0), (treated, scores.m1))):
        state["histogram"][arm] += np.bincount(bins, weights=member, minlength=BINS)
        state["residual_squares"][arm] += (scores.outcomes - predicted) ** 2 @ member
    for row, weights in enumerate((control / (1.0 - e), treated / e, control * e / (1.0 - e))):
        state["weights"][row] += (weights.sum(), np.sum(weights**2))
        state["weighted_covariates"][row] += scores.block[1:] @ weights


@dataclass(frozen=True, eq=False)
class ScoreRowsKernel:
    """Rows of ``gold.scores``: one a unit and outcome, in the outcome's own units.

    The means of ``psi_ate`` and ``psi_att`` over all units are the estimates: ``psi_att`` is
    divided by ``treated_share``.
    """

    models: NuisanceModels
    treated_share: float

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Scores of one bucket."""
        models, fold = self.models, bucket % self.models.folds
        parts = []
        for batch in tables["panel"].to_batches(models.columns.batch_rows()):
            scores = score_block(batch, models, fold)
            names = batch.schema.names
            for j, (name, centre, scale) in enumerate(models.outcomes):
                parts.append(
                    pa.table(
                        {
                            "unit_id": batch.column(names.index(models.columns.unit)),
                            "user_key": batch.column(names.index(models.columns.cluster)),
                            "outcome": pa.repeat(pa.scalar(name), batch.num_rows),
                            "treated": pa.array(scores.treated.astype(np.int32)),
                            "propensity": pa.array(scores.propensity),
                            "mu0": pa.array(centre + scale * scores.m0[j]),
                            "mu1": pa.array(centre + scale * scores.m1[j]),
                            "psi_ate": pa.array(scale * scores.ate[j]),
                            "psi_att": pa.array(scale * scores.att[j] / self.treated_share),
                            "fold": pa.repeat(pa.scalar(fold, pa.int32()), batch.num_rows),
                            "bucket": pa.repeat(pa.scalar(bucket, pa.int32()), batch.num_rows),
                        }
                    )
                )
        return pa.concat_tables(parts) if parts else _no_scores()


def _no_scores() -> pa.Table:
    text, number, whole = pa.string(), pa.float64(), pa.int32()
    types = {"unit_id": text, "user_key": text, "outcome": text, "treated": whole}
    types |= dict.fromkeys(("propensity", "mu0", "mu1", "psi_ate", "psi_att"), number)
    types |= {"fold": whole, "bucket": whole}
    return pa.schema(list(types.items())).empty_table()
