"""Forests of a family's models, round by round.

The models of a family grow together: one round is one tree for each fold, and each level of those
trees costs one sum over all workers, however many folds there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.distributed.collective import Collective
from truelift.models.trees.binning import Bins
from truelift.models.trees.family import Family, Masses
from truelift.models.trees.forest import Forest, Tree, tree_margins
from truelift.models.trees.growing import HISTOGRAM_BYTES, Grower, Growing, Threads
from truelift.models.trees.kernels import SQUARED, add_leaves, loss_sums
from truelift.models.trees.options import TreeOptions


class Trainer:
    """Fits families of models, round by round."""

    def __init__(self, bins: Bins, options: TreeOptions, workers: Collective, threads: int):
        self._options, self._workers, self._threads = options, workers, Threads(threads)
        categorical = np.array(bins.categorical, bool)
        used = min(bins.codes_used, 255)
        self._grower = Grower(used, categorical, options, workers, self._threads)
        widest = 2 ** (options.depth - 1) * len(categorical) * (used + 1) * 8
        self._together = max(int(HISTOGRAM_BYTES // widest), 1)

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
