"""Families of models of a panel: one outcome in one arm, or the propensities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from truelift.effects.boosting.reading import TrainingRows
from truelift.models.trees.family import Family, ranges_of
from truelift.models.trees.kernels import LOGISTIC, SOFTMAX, SQUARED


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
        return ranges_of((s.start - start, s.stop - start) for s in bounds)

    return {
        "training": tuple(of((0,), uses[k]) for k in range(folds)),
        "validation": tuple(of((1,), uses[k]) for k in range(folds)),
        "held_out": tuple(of((0, 1), np.arange(folds) == k) for k in range(folds)),
    }
