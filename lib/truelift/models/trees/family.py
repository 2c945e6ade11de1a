"""A family of models: one target, one model a fold, rows of their own each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from truelift.distributed.collective import Collective
from truelift.models.trees.kernels import loss_sums

_RING = 2**64
_TURN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, eq=False)
class Family:
    """What the models of all folds are fitted to, on this worker's rows.

    Parameters
    ----------
    kind : int
        ``SQUARED``, ``LOGISTIC`` or ``SOFTMAX``.
    codes : ndarray of uint8, (n, p)
    label : ndarray of int64, n
        The class; of no account for squares.
    weight : ndarray, n
    hashes : ndarray of uint64, n
    state : ndarray of float32, (K, C, n)
        Residuals of squares, margins of the others; C is 1 but for softmax. The own fold's row
        keeps what the trees start from.
    training, validation, held_out : tuple of ndarray of int64, (R, 2)
        Ranges of rows of each fold's model.
    signs : ndarray of int64, p
        Monotone constraints.
    number : int
        Tells the family's draws from those of others.
    """

    kind: int
    codes: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    hashes: np.ndarray
    state: np.ndarray
    training: tuple[np.ndarray, ...]
    validation: tuple[np.ndarray, ...]
    held_out: tuple[np.ndarray, ...]
    signs: np.ndarray
    number: int

    @property
    def classes(self) -> int:
        """C."""
        return self.state.shape[1]

    def losses(self, ranges: np.ndarray, fold: int) -> float:
        """Weighted sum of a fold's model's losses."""
        return float(loss_sums(self.kind, self.state[fold], self.label, self.weight, ranges))

    def mass(self, ranges: np.ndarray) -> float:
        """Sum of weights."""
        return float(sum(self.weight[low:high].sum() for low, high in ranges))

    def window(self, ranges: np.ndarray, share: float, turn: int, seed: int) -> np.ndarray:
        """Rows of the ranges whose hashes lie in a share of all hashes; another one each turn.

        Hashes rise within a range, so what is drawn is two pieces of it at most, and the same
        rows wherever they lie.
        """
        if share >= 1.0:
            return ranges
        begin = (_TURN * (1 + seed * 1000 + self.number) + int(share * _RING) * turn) % _RING
        end = begin + int(share * _RING)
        pieces = [(begin, min(end, _RING))] + ([(0, end - _RING)] if end > _RING else [])
        return ranges_of(
            (low + _place(self.hashes[low:high], a), low + _place(self.hashes[low:high], b))
            for low, high in ranges
            for a, b in pieces
        )


def _place(hashes: np.ndarray, bound: int) -> int:
    if bound >= _RING:
        return len(hashes)
    return int(np.searchsorted(hashes, np.uint64(bound)))


def ranges_of(pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Those of the ranges that hold any row, (R, 2)."""
    return np.array([p for p in pairs if p[0] < p[1]], np.int64).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Masses:
    """Rows and weights of a family's models over all workers, fold by fold."""

    training_rows: np.ndarray
    validation: np.ndarray
    largest_weight: np.ndarray

    @classmethod
    def of(cls, family: Family, workers: Collective) -> Masses:
        """Two reductions."""
        folds = len(family.training)
        sums, largest = np.zeros((folds, 2)), np.zeros(folds)
        for k in range(folds):
            for low, high in family.training[k]:
                sums[k, 0] += high - low
                largest[k] = max(largest[k], family.weight[low:high].max())
            sums[k, 1] = family.mass(family.validation[k])
        sums = workers.sum(sums)
        return cls(sums[:, 0], sums[:, 1], workers.max(largest))
