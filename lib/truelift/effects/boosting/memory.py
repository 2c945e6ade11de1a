"""Boosting nuisances of arrays in one process: coverage studies and tests."""

from __future__ import annotations

import numpy as np

from truelift.arrays.keys import mix
from truelift.distributed.collective import Alone
from truelift.effects.boosting.fitting import fit_blocks
from truelift.effects.boosting.nuisances import BoostingNuisances
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Block
from truelift.errors import DataError


def fit_in_memory(
    x: np.ndarray, arm: np.ndarray, outcome: np.ndarray, fold: np.ndarray,
    options: BoostingOptions | None = None, *, folds: int | None = None, arms: int | None = None,
    cluster: np.ndarray | None = None, weight: np.ndarray | None = None,
    covariates: tuple[str, ...] | None = None, threads: int = 1, sequential: bool = False,
) -> BoostingNuisances:  # fmt: skip
    """Cross-fitted propensity and outcome regressions of arrays.

    Parameters
    ----------
    x : ndarray, (p, n)
        Covariates in their own units, NaN where missing.
    arm : ndarray of int, n
        Codes 0 to A - 1.
    outcome : ndarray, (J, n)
    fold : ndarray of int, n
        Codes 0 to K - 1; a cluster has to lie in one fold.
    options : BoostingOptions, optional
    folds, arms : int, optional
        K and A; by default one more than the highest code. With one arm there is no propensity.
    cluster : ndarray of int, n, optional
        Rows that share it fall together into or out of the validation part; by default each
        row is its own cluster.
    weight : ndarray, n, optional
        Positive; all 1 by default.
    covariates : tuple of str, optional
        Names for the options; ``x_0`` to ``x_{p-1}`` by default.
    threads : int
    sequential : bool
        See :func:`~truelift.effects.panel.training_folds.training_folds`.

    Returns
    -------
    BoostingNuisances

    Raises
    ------
    ConfigError
        If an option names no covariate.
    DataError
        If lengths differ, or a value cannot be used (see :func:`~.reading.prepare`).
    """
    n = x.shape[1]
    names = tuple(f"x_{j}" for j in range(len(x))) if covariates is None else tuple(covariates)
    keys = np.arange(n) if cluster is None else np.asarray(cluster)
    found = {
        "covariates": len(names) - len(x) + n,
        "arm": len(arm),
        "outcome": outcome.shape[1],
        "fold": len(fold),
        "cluster": len(keys),
        "weight": n if weight is None else len(weight),
    }
    if wrong := {name: length for name, length in found.items() if length != n}:
        raise DataError(f"Arrays of {n} rows and {len(x)} covariates; found lengths {wrong}.")
    arm, fold = np.asarray(arm, np.int64), np.asarray(fold, np.int64)
    folds = int(fold.max(initial=0)) + 1 if folds is None else folds
    if n and not 0 <= fold.min() <= fold.max() < folds:
        raise DataError(f"Folds {fold.min()} to {fold.max()}, expected 0 to {folds - 1}.")
    block = Block(
        covariates=x,
        arm=arm,
        outcome=np.asarray(outcome, np.float64),
        cluster=mix(keys.astype(np.int64).view(np.uint64)),
        fold=fold,
        weight=None if weight is None else np.asarray(weight, np.float64),
    )
    return fit_blocks(
        iter([block]),
        names,
        len(outcome),
        int(arm.max(initial=0)) + 1 if arms is None else arms,
        folds,
        options or BoostingOptions(),
        Alone(),
        threads,
        "arrays",
        sequential=sequential,
    )
