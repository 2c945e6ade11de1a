"""All models of all folds, from one binned copy of the rows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import log_expit, logsumexp

from truelift.effects.boosting.linear_start import LinearStart, design_chunks, log_odds
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Preparation, TrainingRows
from truelift.effects.boosting.trees import LabelledRows, Target, TreeGrower, tree_margins
from truelift.effects.boosting.workers import Workers


@dataclass(eq=False)
class Fits:
    """Boosters and losses as training finds them; outer index fold, then arm, then outcome."""

    folds: int
    arms: int
    outcomes: int
    propensity: list[bytes] = field(default_factory=list)
    outcome: list[list[list[bytes]]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.propensity = [b""] * self.folds
        self.outcome = [
            [[b""] * self.outcomes for _ in range(self.arms)] for _ in range(self.folds)
        ]
        self.propensity_rounds = np.zeros(self.folds, int)
        self.outcome_rounds = np.zeros((self.folds, self.arms, self.outcomes), int)
        self.rows = np.zeros((self.folds, self.arms), int)
        # Weighted sums over held-out rows: loss, loss of the linear start, 1.
        self.propensity_sums = np.zeros((self.folds, 3))
        self.outcome_sums = np.zeros((self.folds, self.arms, self.outcomes, 3))


@dataclass(frozen=True, eq=False)
class _Parts:
    """Rows of one model by what they are for."""

    training: np.ndarray
    validation: np.ndarray
    held_out: np.ndarray


def fit_all(
    rows: TrainingRows, preparation: Preparation, start: LinearStart, uses: np.ndarray, arms: int,
    signs: tuple[int, ...], options: BoostingOptions, workers: Workers, threads: int,
) -> Fits:  # fmt: skip
    """Fit the propensity of several arms, and each outcome in each arm, for each fold in turn.

    ``uses`` is that of :func:`~truelift.effects.training_folds.training_folds`. A fold that has no
    rows on any worker is skipped: no unit will ask for its model.
    """
    folds = len(uses)
    fits = Fits(folds, arms, len(rows.outcome))
    grower = TreeGrower(preparation.bins, options, workers, threads)
    counts = np.bincount(rows.fold * arms + rows.arm, minlength=folds * arms).astype(float)
    present = workers.sum(counts).reshape(folds, arms)
    fits.seconds = {"propensity": 0.0, "outcome": 0.0}
    for k in range(folds):
        if not present[k].sum():
            continue
        begun = time.perf_counter()
        odds, residual = _from_start(rows, preparation, start, k)
        if arms > 1:
            _fit_propensity(fits, k, uses[k], rows, odds, grower, options, workers)
        fits.seconds["propensity"] += time.perf_counter() - begun
        begun = time.perf_counter()
        for a in range(arms):
            _fit_outcomes(fits, k, a, uses[k], rows, residual, grower, signs, options, workers)
        fits.seconds["outcome"] += time.perf_counter() - begun
    return fits


def _from_start(
    rows: TrainingRows, preparation: Preparation, start: LinearStart, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Log odds (A, n), and outcomes less the linear regression of the row's own arm (J, n)."""
    arms = len(start.propensity[k]) + 1
    odds, residual = np.empty((arms, len(rows.arm))), np.empty_like(rows.outcome)
    for here, z in design_chunks(rows, preparation):
        odds[:, here] = log_odds(start.propensity[k], z)
        for a in range(arms):
            member = here.start + np.flatnonzero(rows.arm[here] == a)
            linear = start.outcome[k, a] @ z[:, member - here.start]
            residual[:, member] = rows.outcome[:, member] - linear
    return odds, residual


def _fit_propensity(
    fits: Fits, k: int, uses: np.ndarray, rows: TrainingRows, odds: np.ndarray, grower: TreeGrower,
    options: BoostingOptions, workers: Workers,
) -> None:  # fmt: skip
    arms = fits.arms
    parts = _parts(rows, k, uses, np.ones(len(rows.arm), bool))
    classes = arms if arms > 2 else 0
    target = Target("multi:softprob" if classes else "binary:logistic", classes=classes)
    labelled = LabelledRows(rows.arm, rows.weight, odds.T if classes else odds[1])
    start = _log_losses(odds, rows.arm)
    base = _mean(start, rows.weight, parts.validation, workers)
    matrices = _matrices(grower, rows, parts, options, workers)
    booster, rounds = _grow(
        grower, target, rows, parts, labelled, base, workers, model=k, matrices=matrices
    )
    fits.propensity[k], fits.propensity_rounds[k] = booster, rounds
    out = parts.held_out
    trees = tree_margins(booster, rows.codes[out], classes)
    final = odds[:, out] + (trees.T if classes else np.stack([np.zeros(len(out)), trees]))
    losses = np.stack([_log_losses(final, rows.arm[out]), start[out]])
    fits.propensity_sums[k] = _held_out_sums(losses, rows.weight[out], workers)


def _fit_outcomes(
    fits: Fits, k: int, a: int, uses: np.ndarray, rows: TrainingRows, residual: np.ndarray,
    grower: TreeGrower, signs: tuple[int, ...], options: BoostingOptions, workers: Workers,
) -> None:  # fmt: skip
    parts = _parts(rows, k, uses, rows.arm == a)
    matrices = _matrices(grower, rows, parts, options, workers)
    out = parts.held_out
    fits.rows[k, a] = int(workers.sum(np.array([float(len(out))]))[0])
    for j in range(fits.outcomes):
        # XGBoost's metric is the root of the mean square.
        base = float(np.sqrt(_mean(residual[j] ** 2, rows.weight, parts.validation, workers)))
        booster, rounds = _grow(
            grower, Target("reg:squarederror", signs), rows, parts,
            LabelledRows(residual[j], rows.weight), base, workers,
            model=((1 + a) * fits.outcomes + j) * fits.folds + k, matrices=matrices,
        )  # fmt: skip
        fits.outcome[k][a][j], fits.outcome_rounds[k, a, j] = booster, rounds
        left = residual[j, out] - tree_margins(booster, rows.codes[out])
        losses = np.stack([left**2, residual[j, out] ** 2])
        fits.outcome_sums[k, a, j] = _held_out_sums(losses, rows.weight[out], workers)


def _parts(rows: TrainingRows, k: int, uses: np.ndarray, member: np.ndarray) -> _Parts:
    others = member & uses[rows.fold]
    return _Parts(
        training=np.flatnonzero(others & ~rows.validation),
        validation=np.flatnonzero(others & rows.validation),
        held_out=np.flatnonzero(member & (rows.fold == k)),
    )


def _matrices(
    grower: TreeGrower, rows: TrainingRows, parts: _Parts, options: BoostingOptions,
    workers: Workers,
) -> tuple[Any, Any]:  # fmt: skip
    """Training and validation matrix; no second one where no worker has rows for it."""
    training = grower.training_matrix(rows.codes[parts.training])
    found = workers.sum(np.array([float(len(parts.validation))]))[0]
    if not options.early_stopping_rounds or not found:
        return training, None
    return training, grower.validation_matrix(rows.codes[parts.validation], training)


def _grow(
    grower: TreeGrower, target: Target, rows: TrainingRows, parts: _Parts, labelled: LabelledRows,
    base: float, workers: Workers, model: int, matrices: tuple[Any, Any],
) -> tuple[bytes, int]:  # fmt: skip
    if not workers.sum(np.array([float(len(parts.training))]))[0]:
        return b"", 0
    training, stopping = matrices
    return grower.grow(
        target,
        training,
        labelled.take(parts.training),
        None if stopping is None else (stopping, labelled.take(parts.validation)),
        base,
        rows.hashes[parts.training],
        model,
    )


def _log_losses(odds: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Minus the log probability of the arm that each row has."""
    if len(odds) == 2:
        return -log_expit(np.where(arm == 1, odds[1], -odds[1]))
    if not len(arm):
        return np.zeros(0)
    return logsumexp(odds, axis=0) - odds[arm, np.arange(len(arm))]


def _mean(losses: np.ndarray, weight: np.ndarray, index: np.ndarray, workers: Workers) -> float:
    chosen = weight[index]
    total, count = workers.sum(np.array([chosen @ losses[index], chosen.sum()]))
    return float(total / count) if count else np.inf


def _held_out_sums(losses: np.ndarray, weight: np.ndarray, workers: Workers) -> np.ndarray:
    return workers.sum(np.append(losses @ weight, weight.sum()))
