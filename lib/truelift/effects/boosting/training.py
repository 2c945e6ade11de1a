"""All models of all folds, from one binned copy of the rows.

The models of a family grow together: one round is one tree for each fold, and each level of those
trees costs one sum over all workers, however many folds there are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from truelift.effects.boosting.binning import Bins
from truelift.effects.boosting.family import Family, Masses, outcome_family, propensity_family
from truelift.effects.boosting.forest import Forest, Tree, tree_margins
from truelift.effects.boosting.growing import HISTOGRAM_BYTES, Grower, Growing, Threads
from truelift.effects.boosting.kernels import SQUARED, add_leaves, loss_sums
from truelift.effects.boosting.linear_start import LinearStart, design_chunks, log_odds
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Preparation, TrainingRows
from truelift.effects.boosting.workers import Workers


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
    signs: tuple[int, ...], options: BoostingOptions, workers: Workers, threads: int,
) -> Fits:  # fmt: skip
    """Fit the propensity of several arms, and each outcome in each arm, for all folds.

    ``uses`` is that of :func:`~truelift.effects.training_folds.training_folds`. A fold that has no
    rows on any worker is skipped: no unit will ask for its model.
    """
    folds, outcomes = len(uses), len(rows.outcome)
    fits = Fits(folds, arms, outcomes)
    trainer = _Trainer(preparation.bins, options, workers, threads)
    begun = time.perf_counter()
    fits.rows = trainer.counted(rows, folds, arms)
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


class _Trainer:
    """Fits families of models, round by round."""

    def __init__(self, bins: Bins, options: BoostingOptions, workers: Workers, threads: int):
        self._options, self._workers, self._threads = options, workers, Threads(threads)
        categorical = np.array(bins.categorical, bool)
        used = min(bins.codes_used, 255)
        self._grower = Grower(used, categorical, options, workers, self._threads)
        widest = 2 ** (options.depth - 1) * len(categorical) * (used + 1) * 8
        self._together = max(int(HISTOGRAM_BYTES // widest), 1)

    def counted(self, rows: TrainingRows, folds: int, arms: int) -> np.ndarray:
        """Rows of all workers by fold and arm."""
        counts = np.bincount(rows.fold * arms + rows.arm, minlength=folds * arms).astype(float)
        return self._workers.sum(counts).reshape(folds, arms).astype(int)

    def fit(self, family: Family, folds: Sequence[int]) -> dict[int, tuple[bytes, int]]:
        """Forest and rounds of each fold's model; no forest where no tree lowers the loss."""
        masses = Masses.of(family, self._workers)
        found: dict[int, tuple[bytes, int]] = {k: (b"", 0) for k in folds}
        able = [k for k in folds if masses.training_rows[k]]
        size = max(self._together // family.classes, 1)
        for first in range(0, len(able), size):
            for k, trees in self._grow(family, masses, able[first : first + size]).items():
                if trees:
                    found[k] = Forest.of(trees).to_bytes(), len(trees) // family.classes
        return found

    def _grow(self, family: Family, masses: Masses, folds: list[int]) -> dict[int, list[Tree]]:
        options = self._options
        patience = options.early_stopping_rounds
        stops = {k: bool(patience and masses.validation[k]) for k in folds}
        trees: dict[int, list[Tree]] = {k: [] for k in folds}
        kept = dict.fromkeys(folds, 0)
        best = dict(zip(folds, self._validation_losses(family, folds), strict=True))
        largest = self._largest(family, folds)
        active = list(folds)
        for turn in range(options.trees):
            growing = self._grower.start(family, masses, largest, active, turn)
            self._grower.grow(family, growing)
            values = self._grower.leaf_values(family, growing)
            moved = self._threads.each(
                lambda pair: _move(family, *pair), list(zip(growing, values, strict=True))
            )
            for tree, value in zip(growing, values, strict=True):
                trees[tree.fold].append(tree.tree(value))
            if family.kind == SQUARED:
                largest |= dict(zip(active, self._workers.max(np.array(moved)), strict=True))
            watched = [k for k in active if stops[k]]
            for k, loss in zip(watched, self._validation_losses(family, watched), strict=True):
                if loss < best[k] * (1 - 1e-7):
                    best[k], kept[k] = loss, turn + 1
            active = [k for k in active if not stops[k] or turn + 1 - kept[k] < patience]
            if not active:
                break
        return {
            k: found[: kept[k] * family.classes] if stops[k] else found
            for k, found in trees.items()
        }

    def _validation_losses(self, family: Family, folds: list[int]) -> np.ndarray:
        if not folds or not self._options.early_stopping_rounds:
            return np.zeros(len(folds))
        own = [family.losses(family.validation[k], k) for k in folds]
        return self._workers.sum(np.array(own))

    def _largest(self, family: Family, folds: list[int]) -> dict[int, float]:
        """Largest gradient of a residual in the training rows."""
        found = np.zeros(len(folds))
        if family.kind == SQUARED:
            for place, k in enumerate(folds):
                for low, high in family.training[k]:
                    part = np.abs(family.weight[low:high] * family.state[k, 0, low:high])
                    found[place] = max(found[place], part.max())
            found = self._workers.max(found)
        return dict(zip(folds, found, strict=True))

    def held_out(self, family: Family, k: int, forest: bytes) -> np.ndarray:
        """Weighted sums over the fold's own rows: loss, loss of the start, 1."""
        sums = np.zeros(3)
        for low, high in family.held_out[k]:
            state = family.state[k][:, low:high]
            trees = tree_margins(forest, family.codes[low:high], family.classes).T
            final = state - trees if family.kind == SQUARED else state + trees
            label, weight = family.label[low:high], family.weight[low:high]
            whole = np.array([[0, high - low]])
            sums[0] += loss_sums(family.kind, final, label, weight, whole)
            sums[1] += loss_sums(family.kind, state.astype(np.float64), label, weight, whole)
            sums[2] += weight.sum()
        return self._workers.sum(sums)


def _move(family: Family, growing: Growing, values: np.ndarray) -> float:
    return float(
        add_leaves(
            family.kind, family.state[growing.fold], growing.output, family.weight,
            growing.counted, growing.leaf, values,
        )
    )  # fmt: skip
