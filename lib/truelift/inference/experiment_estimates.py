"""Difference in means, ratio metrics and CUPED from the sums of a clustered, randomised experiment.

Without clusters the difference in means is Welch's test, and with one unit of both arms in every
cluster it is the paired t test. CUPED (Deng, Xu, Kohavi & Walker 2013) takes
``theta'(x - mean of x)`` from every outcome, x being known before the assignment. A ratio metric is
one sum by another, such as clicks by impressions; all of it is the delta method on the clusters' sums
(Deng, Knoblich & Lu 2018), in which a mean is the ratio whose lower sum counts units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy import special

from truelift.errors import ConfigError, DataError
from truelift.inference.arguments import checked_share
from truelift.inference.contrasts import Contrasts, many_to_one
from truelift.inference.experiment_results import ContrastEstimate, ExperimentResult
from truelift.inference.experiments import ExperimentSums
from truelift.inference.normal_equations import COLLINEAR, solve_symmetric
from truelift.inference.small_samples import effective_clusters_difference

#: A sum by another, as two positions in ``z = (1, x, y)``; position 0 counts units.
Ratio: TypeAlias = tuple[int, int]
_THETA = ("clusters", "units")
# A variance below this share of what it would be without cancellation is a rounding error.
_ROUNDING = 1e-12


def difference_in_means(
    sums: ExperimentSums,
    outcome: int = 0,
    contrasts: Contrasts | None = None,
    confidence: float = 0.95,
) -> ExperimentResult:
    """Arm means and their contrasts with clustered errors.

    Parameters
    ----------
    sums : ExperimentSums
    outcome : int
        Position of the outcome.
    contrasts : Contrasts, optional
        Of the A arm means; each arm minus the control by default.
    confidence : float

    Raises
    ------
    DataError
        If an arm has fewer than two clusters, or the outcome does not vary within the arms.
    """
    ratio = _outcome_mean(sums, outcome)
    return _result(sums, ratio, (), np.zeros(0), contrasts, confidence, "difference in means")


def cuped(
    sums: ExperimentSums,
    outcome: int = 0,
    contrasts: Contrasts | None = None,
    confidence: float = 0.95,
    theta_from: str = "clusters",
) -> ExperimentResult:
    """The same, less what covariates from before the assignment explain.

    Parameters
    ----------
    sums : ExperimentSums
        With at least one covariate.
    outcome : int
    contrasts : Contrasts, optional
    confidence : float
    theta_from : str
        ``'clusters'`` makes the clustered variance of the differences to the control smallest
        (their sum, with several arms); ``'units'`` is least squares within the arms over units,
        which with one arm and the control is the analysis of covariance.

    Raises
    ------
    DataError
        If there is no covariate, or an arm has fewer than two clusters.
    """
    if theta_from not in _THETA:
        raise ConfigError(f"theta_from is {theta_from!r}; expected one of {_THETA}.")
    if not sums.covariates:
        raise DataError(
            "CUPED takes a covariate from before the assignment, and the sums have none; use "
            "difference_in_means."
        )
    ratio, before = _outcome_mean(sums, outcome), [(i + 1, 0) for i in range(sums.covariates)]
    _checked(sums)
    theta = _theta(sums, [*before, ratio], theta_from)
    method = f"CUPED, theta from {theta_from}"
    return _result(sums, ratio, before, theta, contrasts, confidence, method)


def ratio_of_sums(
    sums: ExperimentSums,
    ratio: Ratio,
    before: Sequence[Ratio] = (),
    contrasts: Contrasts | None = None,
    confidence: float = 0.95,
) -> ExperimentResult:
    """Arms' ratios of two sums, less what ratios from before the assignment explain.

    Parameters
    ----------
    sums : ExperimentSums
    ratio : (int, int)
        Positions of the upper and the lower sum in ``z = (1, x, y)``; ``(j, 0)`` is a mean.
    before : sequence of (int, int)
        The same, for CUPED; theta makes the clustered variance of the differences smallest.
    contrasts : Contrasts, optional
        Of the A ratios; each arm minus the control by default.
    confidence : float

    Raises
    ------
    DataError
        If an arm has fewer than two clusters, a lower sum is not above zero, or the metric does not
        vary within the arms.
    """
    _checked(sums)
    for _, per in (ratio, *before):
        if not np.all(sums.total[:, per] > 0):
            raise DataError(
                f"The sums below the line are {sums.total[:, per].tolist()} by arm; a ratio takes sums "
                "above zero."
            )
    theta = _theta(sums, [*before, ratio], "clusters") if before else np.zeros(0)
    method = "CUPED" if before else "difference"
    return _result(sums, ratio, before, theta, contrasts, confidence, method)


def ratios_together(
    sums: ExperimentSums, ratios: Sequence[Ratio], arm: int
) -> tuple[np.ndarray, np.ndarray]:
    """Several ratios' differences of one arm and the control (R,), with their covariance (R, R).

    The same clusters may be in all of them, as where the ratios are of parts of the time.

    Parameters
    ----------
    sums : ExperimentSums
    ratios : sequence of (int, int)
        Each with lower sums above zero in both arms.
    arm : int
    """
    _checked(sums)
    rows, values = [], []
    for upper, lower in ratios:
        influence = _ratio_influence(sums, (upper, lower))
        rows.append(influence[arm] - influence[0])
        found = sums.total[[arm, 0], upper] / sums.total[[arm, 0], lower]
        values.append(found[0] - found[1])
    stacked = np.stack(rows)
    covariance = stacked @ _scaled_cross(sums) @ stacked.T
    return np.array(values), (covariance + covariance.T) / 2


def _outcome_mean(sums: ExperimentSums, outcome: int) -> Ratio:
    if not 0 <= outcome < sums.outcomes:
        raise DataError(f"Outcome {outcome}; the sums have {sums.outcomes}.")
    return 1 + sums.covariates + outcome, 0


def _theta(sums: ExperimentSums, ratios: Sequence[Ratio], theta_from: str) -> np.ndarray:
    p = len(ratios) - 1
    kept, per = [upper for upper, _ in ratios], [lower for _, lower in ratios]
    pooled, raw = np.zeros((p + 1, p + 1)), np.zeros(p + 1)
    if theta_from == "units":
        for arm in range(sums.arms):
            mean = sums.total[arm, kept] / sums.units[arm]
            within = sums.gram[arm][np.ix_(kept, kept)]
            pooled += within - sums.units[arm] * np.outer(mean, mean)
            raw += np.diag(within)
    else:
        cross = _scaled_cross(sums)
        influence = np.stack([_ratio_influence(sums, ratio) for ratio in ratios])
        second = np.diag(cross).reshape(sums.arms, -1)
        for arm in range(1, sums.arms):
            difference = influence[:, arm] - influence[:, 0]
            pooled += difference @ cross @ difference.T
            below = sums.total[[0, arm]][:, per]
            raw += (second[[0, arm]][:, kept] / below**2).sum(axis=0)
    # A covariate that does not vary leaves rounding errors, whose ratios are not coefficients.
    still = np.flatnonzero(np.diag(pooled) <= COLLINEAR * raw)
    pooled[still], pooled[:, still] = 0.0, 0.0
    return solve_symmetric(pooled[:p, :p], pooled[:p, p])


def _result(
    sums: ExperimentSums,
    ratio: Ratio,
    before: Sequence[Ratio],
    theta: np.ndarray,
    contrasts: Contrasts | None,
    confidence: float,
    method: str,
) -> ExperimentResult:
    checked_share(confidence, "confidence")
    _checked(sums)
    contrasts = contrasts or many_to_one([f"arm {a}" for a in range(sums.arms)])
    means = sums.total[:, ratio[0]] / sums.total[:, ratio[1]]
    influence = _ratio_influence(sums, ratio)
    for covariate, slope in zip(before, theta, strict=True):
        upper, lower = (sums.total[:, place] for place in covariate)
        means = means - slope * (upper / lower - upper.sum() / lower.sum())
        of_overall = _overall_influence(sums, covariate)
        influence = influence - slope * (_ratio_influence(sums, covariate) - of_overall)
    factor = _lost_degrees(sums, len(theta))
    cross = factor * _scaled_cross(sums)
    of_means = influence @ cross @ influence.T
    of_means = (of_means + of_means.T) / 2
    combinations = np.einsum("pa,as->ps", contrasts.matrix, influence)
    alone = combinations**2 @ np.clip(np.diag(cross), 0.0, None)
    if np.any(np.sum((combinations @ cross) * combinations, axis=1) <= _ROUNDING * alone):
        raise DataError(
            f"{method}: the outcome does not vary between clusters within the arms, so its contrasts "
            "have no standard error."
        )
    values, covariance = contrasts.apply(means, of_means)
    found = tuple(
        _contrast(sums, name, value, variance, row, weights, len(theta), confidence)
        for name, value, variance, row, weights in zip(
            contrasts.names,
            values,
            np.diag(covariance),
            combinations,
            contrasts.matrix,
            strict=True,
        )
    )
    return ExperimentResult(
        method=method,
        means=means,
        covariance=of_means,
        theta=theta,
        contrasts=found,
        clusters=sums.cluster_count,
        confidence=confidence,
    )


def _contrast(
    sums: ExperimentSums,
    name: str,
    value: float,
    variance: float,
    combination: np.ndarray,
    weights: np.ndarray,
    covariates: int,
    confidence: float,
) -> ContrastEstimate:
    degrees = _degrees(sums, combination, covariates)
    error = float(np.sqrt(max(variance, 0.0)))
    half = float(special.stdtrit(degrees, 0.5 + confidence / 2)) * error
    p_value = 1.0 if value == 0 else 0.0
    if error > 0:
        p_value = float(2 * special.stdtr(degrees, -abs(value) / error))
    blocks = combination.reshape(sums.arms, -1)
    independent = float(np.einsum("ai,aij,aj", blocks, sums.gram, blocks))
    return ContrastEstimate(
        name=name,
        estimate=float(value),
        standard_error=error,
        ci_lower=float(value - half),
        ci_upper=float(value + half),
        p_value=p_value,
        degrees_of_freedom=degrees,
        design_effect=variance / independent if independent > 0 else float("nan"),
        effective_clusters=_effective(sums, weights),
    )


def _checked(sums: ExperimentSums) -> None:
    few = [int(a) for a in np.flatnonzero(sums.arm_clusters < 2)]
    if few or sums.arms < 2:
        raise DataError(
            f"Arms {few} of {sums.arms} have fewer than two clusters "
            f"({sums.arm_clusters.tolist()}); a clustered comparison takes two in each of two arms."
        )


def _ratio_influence(sums: ExperimentSums, ratio: Ratio) -> np.ndarray:
    """Rows (A, A q) such that a row by S is a cluster's influence on an arm's ratio."""
    arms, width = sums.total.shape
    upper, lower = ratio
    below = sums.total[:, lower]
    influence = np.zeros((arms, arms, width))
    each = np.arange(arms)
    with np.errstate(divide="ignore", invalid="ignore"):  # arms that are not asked for
        influence[each, each, upper] = 1 / below
        influence[each, each, lower] -= sums.total[:, upper] / below**2
    return influence.reshape(arms, -1)


def _overall_influence(sums: ExperimentSums, ratio: Ratio) -> np.ndarray:
    """The same (A q,) for the ratio over all arms."""
    upper, lower = ratio
    below = sums.total[:, lower].sum()
    influence = np.zeros(sums.total.shape)
    influence[:, upper] = 1 / below
    influence[:, lower] -= sums.total[:, upper].sum() / below**2
    return influence.ravel()


def _scaled_cross(sums: ExperimentSums) -> np.ndarray:
    """Sum of S S' with the small-sample factor.

    ``G / (G - 1)``; where clusters were assigned whole, ``G_a / (G_a - 1)`` within each arm, whose
    blocks are then independent.
    """
    if sums.clusters_in_several_arms:
        return sums.cross * (sums.cluster_count / (sums.cluster_count - 1))
    factor = np.repeat(sums.arm_clusters / (sums.arm_clusters - 1), sums.total.shape[1])
    return sums.cross * np.sqrt(np.outer(factor, factor))


def _lost_degrees(sums: ExperimentSums, covariates: int) -> float:
    """What estimating theta makes the variance look too small by, as in least squares."""
    used = 1 if sums.clusters_in_several_arms else sums.arms
    left = sums.cluster_count - used
    if left <= covariates:
        raise DataError(
            f"{covariates} covariates for {sums.cluster_count} clusters in {sums.arms} arms; "
            "expected more clusters than arms and covariates together."
        )
    return left / (left - covariates)


def _degrees(sums: ExperimentSums, combination: np.ndarray, covariates: int) -> float:
    if sums.clusters_in_several_arms:
        return max(float(sums.cluster_count - 1 - covariates), 1.0)
    blocks = combination.reshape(sums.arms, -1)
    cross = _scaled_cross(sums).reshape(sums.arms, blocks.shape[1], sums.arms, -1)
    parts = np.array([blocks[a] @ cross[a, :, a] @ blocks[a] for a in range(sums.arms)])
    spread = float((parts**2 / (sums.arm_clusters - 1)).sum())
    degrees = float(parts.sum() ** 2 / spread) if spread > 0 else float(sums.cluster_count - 1)
    return max(degrees - covariates, 1.0)


def _effective(sums: ExperimentSums, weights: np.ndarray) -> float:
    others = np.flatnonzero(weights)
    if len(others) != 2 or others[0] != 0 or weights.sum() != 0:
        return float("nan")
    return effective_clusters_difference(sums.sizes[others[1]])
