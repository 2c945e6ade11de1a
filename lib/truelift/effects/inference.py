"""From sums over clusters to estimates with clustered standard errors.

Every estimate is a ratio of sums, so its influence function summed over a cluster is a linear
combination ``a'S`` of the cluster's sums S, and its variance is ``a' (sum of S S') a`` times the
small-sample factor G / (G - 1). Intervals and tests use Student's t with G - 1 degrees of
freedom, for G clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from truelift.effects.columns import Scale
from truelift.effects.results import Estimate

METHODS = {
    "ATE": "cross-fitted AIPW, linear nuisances",
    "ATT": "cross-fitted AIPW, linear nuisances",
    "naive difference": "difference in means",
}


@dataclass(frozen=True, eq=False)
class ClusterMoments:
    """Sums of the cluster sums S and of S S', and the number of clusters.

    S is (1, d, and for each outcome psi_b of ATE, psi_b of ATT, d y, (1 - d) y).
    """

    total: np.ndarray
    cross: np.ndarray
    clusters: int

    @property
    def units(self) -> float:
        """Number of units."""
        return float(self.total[0])

    @property
    def treated(self) -> float:
        """Number of treated units."""
        return float(self.total[1])


def influence(moments: ClusterMoments, estimand: str, outcome: int) -> tuple[float, np.ndarray]:
    """The estimate, and ``a`` such that ``a'S`` is a cluster's influence on it.

    Parameters
    ----------
    estimand : str
        ``'ATE'``, ``'ATT'`` or ``'naive difference'``.
    outcome : int
        Position of the outcome.

    Returns
    -------
    estimate : float
        In the scale of the kernels.
    combination : ndarray
        The influence combination; ``combination @ total`` is zero.
    """
    n, treated, total = moments.units, moments.treated, moments.total
    control = n - treated
    ate, att, treated_sum, control_sum = range(2 + 4 * outcome, 6 + 4 * outcome)
    combination = np.zeros(len(total))
    if estimand == "ATE":
        estimate = total[ate] / n
        combination[ate], combination[0] = 1.0 / n, -estimate / n
    elif estimand == "ATT":
        estimate = total[att] / treated
        combination[att], combination[1] = 1.0 / treated, -estimate / treated
    elif estimand == "naive difference":
        mean1, mean0 = total[treated_sum] / treated, total[control_sum] / control
        estimate = mean1 - mean0
        combination[treated_sum], combination[control_sum] = 1.0 / treated, -1.0 / control
        combination[1] = -mean1 / treated - mean0 / control
        combination[0] = mean0 / control
    else:
        raise ValueError(f"unknown estimand {estimand!r}")
    return float(estimate), combination


def estimates(moments: ClusterMoments, outcomes: Scale, confidence: float) -> tuple[Estimate, ...]:
    """ATE, ATT and naive difference of every outcome, in the outcomes' own units."""
    found = []
    groups = moments.clusters
    factor = groups / (groups - 1)
    quantile = stats.t.ppf(0.5 + confidence / 2, groups - 1)
    for j, (name, _, scale) in enumerate(outcomes):
        for estimand, method in METHODS.items():
            value, combination = influence(moments, estimand, j)
            variance = factor * combination @ moments.cross @ combination
            error = scale * float(np.sqrt(max(variance, 0.0)))
            value *= scale
            found.append(
                Estimate(
                    estimand=estimand,
                    outcome=name,
                    estimate=value,
                    standard_error=error,
                    ci_lower=float(value - quantile * error),
                    ci_upper=float(value + quantile * error),
                    p_value=_p_value(value, error, groups),
                    n=int(moments.units),
                    clusters=groups,
                    confidence=confidence,
                    method=f"{method}, standard errors clustered over {groups:,} clusters",
                )
            )
    return tuple(found)


def _p_value(value: float, error: float, groups: int) -> float:
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * stats.t.sf(abs(value) / error, groups - 1))
