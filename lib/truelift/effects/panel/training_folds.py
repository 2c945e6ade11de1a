"""Which folds a fold's model is fitted on."""

from __future__ import annotations

import numpy as np


def training_folds(folds: int, sequential: bool = False) -> np.ndarray:
    """Whether the model of fold k (row) may see fold j (column).

    Parameters
    ----------
    folds : int
        K.
    sequential : bool
        False: all folds but k (cross-fitting). True: the folds before k (sequential validation;
        Wager 2024, arXiv 2405.05534); fold 0 has no model then.

    Returns
    -------
    ndarray of bool, (K, K)
    """
    if sequential:
        return np.tri(folds, k=-1, dtype=bool)
    return ~np.eye(folds, dtype=bool)
