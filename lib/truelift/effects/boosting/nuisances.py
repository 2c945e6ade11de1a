"""Fitted nuisances: what they predict, how good they are, how long they took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from truelift.effects.boosting.linear_start import LinearStart, log_odds
from truelift.errors import TableError
from truelift.models.trees.binning import Bins
from truelift.models.trees.forest import tree_margins

if TYPE_CHECKING:
    import pandas as pd

    from truelift.effects.boosting.training import Fits


@dataclass(frozen=True, eq=False)
class BoostingNuisances:
    """Cross-fitted propensity and outcome regressions; K folds, A arms, J outcomes.

    Holds bytes and arrays only, so it pickles; a process reads each booster once.

    Parameters
    ----------
    covariates : tuple of str
        Names of the rows that ``predict`` takes.
    bins : Bins
    start : LinearStart
    propensity_boosters : tuple of bytes, K
        A :class:`~.forest.Forest`; empty where the linear start was not bettered.
    outcome_boosters : tuple of tuple of tuple of bytes, K x A x J
    propensity_rounds : ndarray of int, K
    outcome_rounds : ndarray of int, (K, A, J)
        Rounds that early stopping kept.
    propensity_loss, propensity_loss_start : ndarray, K
        Mean log loss of the held-out rows, of the model and of its start without trees.
    outcome_loss, outcome_loss_start : ndarray, (K, A, J)
        Mean squared error of the held-out rows of the arm, likewise.
    rows : ndarray, (K, A)
        Held-out rows that these are (weighted) means of.
    seconds : dict of str to float
        ``read``, ``start``, ``propensity``, ``outcome`` and their sum, on the first worker.
    """

    covariates: tuple[str, ...]
    bins: Bins
    start: LinearStart
    propensity_boosters: tuple[bytes, ...]
    outcome_boosters: tuple[tuple[tuple[bytes, ...], ...], ...]
    propensity_rounds: np.ndarray
    outcome_rounds: np.ndarray
    propensity_loss: np.ndarray
    propensity_loss_start: np.ndarray
    outcome_loss: np.ndarray
    outcome_loss_start: np.ndarray
    rows: np.ndarray
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def folds(self) -> int:
        """K."""
        return len(self.propensity_boosters)

    @property
    def arms(self) -> int:
        """A."""
        return self.outcome_rounds.shape[1]

    def predict(self, x: np.ndarray, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Nuisances of units of one fold, by the models that have not seen it.

        Parameters
        ----------
        x : ndarray, (p, n)
            Covariates in their own units, NaN where missing.
        fold : int

        Returns
        -------
        propensity : ndarray, (A, n)
            Columns sum to 1; not clipped.
        outcome_regression : ndarray, (A, J, n)
            In the units that the models were fitted in.

        Raises
        ------
        TableError
            If there are not p rows, or no such fold.
        """
        self._check(x, fold)
        codes, z = self.bins.codes(x), self.start.design(x)
        odds = log_odds(self.start.propensity[fold], z)
        classes = self.arms if self.arms > 2 else 0
        trees = tree_margins(self.propensity_boosters[fold], codes, classes)
        if classes:
            odds += trees.T
        elif self.arms == 2:
            odds[1] += trees
        regression = self.start.outcome[fold] @ z
        for a, boosters in enumerate(self.outcome_boosters[fold]):
            for j, booster in enumerate(boosters):
                regression[a, j] += tree_margins(booster, codes)
        return softmax(odds, axis=0), regression

    def regression(self, x: np.ndarray, fold: int, arm: int, outcome: int) -> np.ndarray:
        """One outcome regression (n) of :meth:`predict`, without the work of the others."""
        self._check(x, fold)
        linear = self.start.outcome[fold][arm, outcome] @ self.start.design(x)
        booster = self.outcome_boosters[fold][arm][outcome]
        return linear + tree_margins(booster, self.bins.codes(x)) if booster else linear

    def _check(self, x: np.ndarray, fold: int) -> None:
        if len(x) != len(self.covariates):
            raise TableError(
                f"Boosting nuisances: found {len(x)} covariates, expected {len(self.covariates)}: "
                f"{', '.join(self.covariates)}."
            )
        if not 0 <= fold < self.folds:
            raise TableError(f"Boosting nuisances: fold {fold}, expected 0 to {self.folds - 1}.")

    def to_pandas(self) -> pd.DataFrame:
        """One row a model: part, fold, arm, outcome, rounds, rows, loss, loss without trees."""
        import pandas as pd

        lines: list[dict[str, object]] = []
        for k in range(self.folds):
            lines.append(
                {
                    "model": "propensity",
                    "fold": k,
                    "arm": None,
                    "outcome": None,
                    "rounds": int(self.propensity_rounds[k]),
                    "rows": int(self.rows[k].sum()),
                    "loss": float(self.propensity_loss[k]),
                    "loss_start": float(self.propensity_loss_start[k]),
                }
            )
            lines += [
                {
                    "model": "outcome",
                    "fold": k,
                    "arm": a,
                    "outcome": j,
                    "rounds": int(self.outcome_rounds[k, a, j]),
                    "rows": int(self.rows[k, a]),
                    "loss": float(self.outcome_loss[k, a, j]),
                    "loss_start": float(self.outcome_loss_start[k, a, j]),
                }
                for a in range(self.arms)
                for j in range(self.outcome_rounds.shape[2])
            ]
        return pd.DataFrame(lines)

    def __repr__(self) -> str:
        folds, arms, outcomes = self.outcome_rounds.shape
        return (
            f"BoostingNuisances({folds} folds, {arms} arms, {outcomes} outcomes, "
            f"{len(self.covariates)} covariates; rounds: propensity "
            f"{self.propensity_rounds.min()}-{self.propensity_rounds.max()}, outcomes "
            f"{self.outcome_rounds.min()}-{self.outcome_rounds.max()}; "
            f"{self.seconds.get('total', 0.0):.1f} s)"
        )


def make_nuisances(
    covariates: tuple[str, ...], bins: Bins, start: LinearStart, fits: Fits,
    seconds: dict[str, float],
) -> BoostingNuisances:  # fmt: skip
    """The result of training; losses become means, NaN where a fold has no such rows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        propensity = fits.propensity_sums[:, :2] / fits.propensity_sums[:, 2:]
        outcome = fits.outcome_sums[..., :2] / fits.outcome_sums[..., 2:]
    return BoostingNuisances(
        covariates=covariates,
        bins=bins,
        start=start,
        propensity_boosters=tuple(fits.propensity),
        outcome_boosters=tuple(tuple(tuple(arm) for arm in fold) for fold in fits.outcome),
        propensity_rounds=fits.propensity_rounds,
        outcome_rounds=fits.outcome_rounds,
        propensity_loss=propensity[:, 0],
        propensity_loss_start=propensity[:, 1],
        outcome_loss=outcome[..., 0],
        outcome_loss_start=outcome[..., 1],
        rows=fits.rows,
        seconds=seconds
        | fits.seconds
        | {"total": sum(seconds.values()) + sum(fits.seconds.values())},
    )
