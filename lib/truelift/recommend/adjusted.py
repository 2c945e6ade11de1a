"""Predicted actions before and after what people were shown is taken into account, on users who taught nothing of it.

A model of what people do, ``m(x)``, knows whom it predicts and not what he was shown. What showing changes is learnt
apart, ``tau(x)``, with its sign, and the prediction moves by as much as somebody was shown more than is usual for
people like him (Robinson, Econometrica 1988; Nie & Wager, Biometrika 2021):

    E[Y | x, t] = m(x) + tau(x) (t - e(x))

``m``, ``e`` and ``tau`` of a user come from the other folds' users alone. An adjustment by a mean over the rows that
it is then judged on would gain accuracy from knowing the answers; this one gains none where showing does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError
from truelift.evaluation.unbiased import Judged, judge

_PENALTY = 1.0
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True, eq=False)
class AdjustedActions:
    """Accuracy of predicted actions, and what the adjustment changes.

    Parameters
    ----------
    before, after : dict of str to Judged
        Accuracy, recall, precision, F1 and AUC of ``m`` and of ``m + tau (t - e)``.
    accuracy : Judged
        After less before, with its interval over users.
    effect : ndarray, n
        ``tau`` of every row, by users of other folds.
    mean_effect : float
    """

    before: dict[str, Judged]
    after: dict[str, Judged]
    accuracy: Judged
    effect: np.ndarray
    mean_effect: float

    def __str__(self) -> str:
        gain = self.accuracy
        return (
            f"Accuracy of predicted actions: {self.before['accuracy'].value:.4f} before, "
            f"{self.after['accuracy'].value:.4f} after what was shown is taken into account; the difference is "
            f"{gain.value:+.4f} ({gain.lower:+.4f} to {gain.upper:+.4f}, over {gain.users:,} users). Showing "
            f"changes the action's chance by {self.mean_effect:+.4f} on average."
        )


def adjusted_actions(
    users: np.ndarray,
    features: np.ndarray,
    shown: np.ndarray,
    action: np.ndarray,
    chance: np.ndarray | None = None,
    folds: int = 5,
    seed: int = 7,
) -> AdjustedActions:
    """Predict actions with and without the effect of what was shown.

    Parameters
    ----------
    users : ndarray, n
        Whose row it is; all rows of a user lie in one fold.
    features : ndarray, n x p
        Known before anything was shown.
    shown : ndarray, n
        1 where it was shown, 0 where not; or how much of it.
    action : ndarray of bool, n
    chance : ndarray, n, optional
        Logged ``e(x)``; estimated where there is none.
    folds, seed : int

    Raises
    ------
    DataError
        Where all did the same, were shown the same, or there are fewer users than folds.
    """
    owner = np.unique(users, return_inverse=True)[1]
    people = int(owner.max(initial=-1)) + 1
    if people < folds:
        raise DataError(f"users: found {people}, expected at least {folds}, one a fold.")
    done, dose = np.asarray(action, float), np.asarray(shown, float)
    if np.ptp(dose) == 0 or np.ptp(done) == 0:
        raise DataError(
            "adjusted actions: found rows that were all shown the same, or all did the same; expected "
            "both kinds."
        )
    fold = (np.random.default_rng(seed).permutation(people) % folds)[owner]
    usual, expected = np.zeros(len(done)), np.zeros(len(done))
    effect = np.zeros(len(done))
    for part in range(folds):
        mine, others = fold == part, fold != part
        spread = features[others].std(axis=0)
        unit = (features - features[others].mean(axis=0)) / np.maximum(spread, _LEAST_SPREAD)
        unit = unit[:, spread > _LEAST_SPREAD]
        # Residuals of the other users are out of fold too: tau is learnt from what neither model has seen.
        inner = np.where(owner[others] % 2 == 0, 0, 1)
        miss, moved = np.zeros(int(others.sum())), np.zeros(int(others.sum()))
        for half in (0, 1):
            here, there = inner == half, inner != half
            rows = unit[others]
            miss[here] = done[others][here] - _ridge(rows[there], done[others][there])(rows[here])
            moved[here] = dose[others][here] - (
                _ridge(rows[there], dose[others][there])(rows[here])
                if chance is None
                else chance[others][here]
            )
        usual[mine] = _ridge(unit[others], done[others])(unit[mine])
        expected[mine] = (
            _ridge(unit[others], dose[others])(unit[mine]) if chance is None else chance[mine]
        )
        effect[mine] = _ridge(unit[others], miss, moved)(unit[mine])
    after = usual + effect * (dose - expected)
    labels = done > 0.5
    judged = [judge(users, labels, score) for score in (usual, after)]
    gain = judged[1]["accuracy"].less(judged[0]["accuracy"])
    return AdjustedActions(judged[0], judged[1], gain, effect, float(effect.mean()))


def _ridge(
    features: np.ndarray, outcome: np.ndarray, dose: np.ndarray | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Least squares of ``outcome`` on ``dose x (1, features)``, the slopes penalised, the mean hardly."""
    rows = np.column_stack([np.ones(len(features)), features])
    design = rows if dose is None else rows * dose[:, None]
    scale = 1.0 if dose is None else max(float(np.square(dose).mean()), _LEAST_SPREAD)
    penalty = np.full(design.shape[1], _PENALTY * scale * (1 if dose is None else 20))
    penalty[0] *= 1e-3
    found = np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ outcome)
    return lambda new: found[0] + new @ found[1:]
