"""All models of all folds, from one binned copy of the rows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from truelift.distributed.collective import Collective
from truelift.effects.boosting.families import outcome_family, propensity_family
from truelift.effects.boosting.linear_start import LinearStart, design_chunks, log_odds
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Preparation, TrainingRows
from truelift.models.trees.training import Trainer


@dataclass(eq=False)
class Fits:
    """Forests and losses as training finds them; outer index fold, then arm, then outcome."""

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


def fit_all(
    rows: TrainingRows, preparation: Preparation, start: LinearStart, uses: np.ndarray, arms: int,
    signs: tuple[int, ...], options: BoostingOptions, workers: Collective, threads: int,
) -> Fits:  # fmt: skip
    """Fit the propensity of several arms, and each outcome in each arm, for all folds.

    ``uses`` is that of :func:`~truelift.effects.panel.training_folds.training_folds`. A fold that has no
    rows on any worker is skipped: no unit will ask for its model.
    """
    folds, outcomes = len(uses), len(rows.outcome)
    fits = Fits(folds, arms, outcomes)
    trainer = Trainer(preparation.bins, options, workers, threads)
    begun = time.perf_counter()
    fits.rows = _counted(rows, folds, arms, workers)
    present = np.flatnonzero(fits.rows.sum(axis=1)).tolist()
    odds, residual = _from_start(rows, preparation, start)
    if arms > 1:
        family = propensity_family(rows, odds, uses)
        for k, (forest, rounds) in trainer.fit(family, present).items():
            fits.propensity[k], fits.propensity_rounds[k] = forest, rounds
            fits.propensity_sums[k] = trainer.held_out(family, k, forest)
        del family, odds
    fits.seconds = {"propensity": time.perf_counter() - begun}
    begun = time.perf_counter()
    for a in range(arms):
        for j in range(outcomes):
            number = 1 + a * outcomes + j
            family = outcome_family(rows, residual[:, j], a, uses, signs, number)
            for k, (forest, rounds) in trainer.fit(family, present).items():
                fits.outcome[k][a][j], fits.outcome_rounds[k, a, j] = forest, rounds
                fits.outcome_sums[k, a, j] = trainer.held_out(family, k, forest)
    fits.seconds["outcome"] = time.perf_counter() - begun
    return fits


def _from_start(
    rows: TrainingRows, preparation: Preparation, start: LinearStart
) -> tuple[np.ndarray, np.ndarray]:
    """Log odds (K, C, n), and outcomes less the linear regression of the row's own arm (K, J, n).

    C is 1 for two arms: the log odds of the second.
    """
    folds, free = start.propensity.shape[:2]
    odds = np.empty((folds, free + 1 if free > 1 else 1, len(rows.arm)), np.float32)
    residual = np.empty((folds, *rows.outcome.shape), np.float32)
    for here, z in design_chunks(rows, preparation):
        for k in range(folds):
            found = log_odds(start.propensity[k], z)
            odds[k, :, here] = found if free > 1 else found[-1:]
        for (arm, _, _), own in rows.segments_within(here):
            part = z[:, own.start - here.start : own.stop - here.start]
            for k in range(folds):
                residual[k, :, own] = rows.outcome[:, own] - start.outcome[k, arm] @ part
    return odds, residual


def _counted(rows: TrainingRows, folds: int, arms: int, workers: Collective) -> np.ndarray:
    """Rows of all workers by fold and arm."""
    counts = np.bincount(rows.fold * arms + rows.arm, minlength=folds * arms).astype(float)
    return workers.sum(counts).reshape(folds, arms).astype(int)
