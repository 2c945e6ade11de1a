"""A family of models: one target, one model a fold, rows of their own each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from truelift.effects.boosting.kernels import LOGISTIC, SOFTMAX, SQUARED, loss_sums
from truelift.effects.boosting.reading import TrainingRows
from truelift.effects.boosting.workers import Workers

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
        The arm; of no account for squares.
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
        return _ranges(
            (low + _place(self.hashes[low:high], a), low + _place(self.hashes[low:high], b))
            for low, high in ranges
            for a, b in pieces
        )


def _place(hashes: np.ndarray, bound: int) -> int:
    if bound >= _RING:
        return len(hashes)
    return int(np.searchsorted(hashes, np.uint64(bound)))


def _ranges(pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    return np.array([p for p in pairs if p[0] < p[1]], np.int64).reshape(-1, 2)


def outcome_family(
    rows: TrainingRows, residual: np.ndarray, arm: int, uses: np.ndarray, signs: Sequence[int],
    number: int,
) -> Family:  # fmt: skip
    """Regressions of one outcome in one arm; ``residual`` (K, n) is that of the linear starts."""
    here = rows.arm_rows(arm)
    return Family(
        kind=SQUARED,
        codes=rows.codes[here],
        label=rows.arm[here],
        weight=rows.weight[here],
        hashes=rows.hashes[here],
        state=residual[:, None, here],
        **_parts(rows, [arm], uses, here.start),
        signs=np.array(signs, np.int64),
        number=number,
    )


def propensity_family(rows: TrainingRows, odds: np.ndarray, uses: np.ndarray) -> Family:
    """Propensities; ``odds`` (K, C, n) are log odds, C = 1 for two arms."""
    arms = max(odds.shape[1], 2)
    return Family(
        kind=LOGISTIC if odds.shape[1] == 1 else SOFTMAX,
        codes=rows.codes,
        label=rows.arm,
        weight=rows.weight,
        hashes=rows.hashes,
        state=odds,
        **_parts(rows, range(arms), uses, 0),
        signs=np.zeros(rows.codes.shape[1], np.int64),
        number=0,
    )


def _parts(
    rows: TrainingRows, arms: Iterable[int], uses: np.ndarray, start: int
) -> dict[str, tuple[np.ndarray, ...]]:
    folds, arms = len(uses), list(arms)

    def of(parts: Sequence[int], member: np.ndarray) -> np.ndarray:
        bounds = [
            rows.segment(a, int(j), part)
            for a in arms
            for j in np.flatnonzero(member)
            for part in parts
        ]
        return _ranges((s.start - start, s.stop - start) for s in bounds)

    return {
        "training": tuple(of((0,), uses[k]) for k in range(folds)),
        "validation": tuple(of((1,), uses[k]) for k in range(folds)),
        "held_out": tuple(of((0, 1), np.arange(folds) == k) for k in range(folds)),
    }


@dataclass(frozen=True, eq=False)
class Masses:
    """Rows and weights of a family's models over all workers, fold by fold."""

    training_rows: np.ndarray
    validation: np.ndarray
    largest_weight: np.ndarray

    @classmethod
    def of(cls, family: Family, workers: Workers) -> Masses:
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
