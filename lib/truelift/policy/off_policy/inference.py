"""From sums over clusters to the values of policies, with one covariance matrix for all of them.

An estimate is a sum of ratios of sums, so its influence on cluster level is a combination of the
clusters' sums: ``psi_g = sum_t (N_gt - theta_t D_gt) / D_t``. What is divided by, the sum of the
weights too, counts as the random number that it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError
from truelift.inference.bands import simultaneous_quantile
from truelift.policy.off_policy.estimators import Candidate, Layout

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Values:
    """Estimates of all candidates, and of the policy that wrote the log, last.

    Parameters
    ----------
    layout : Layout
    candidates : tuple of Candidate
    estimates : ndarray, M + 1
    covariance : ndarray, M + 1 x M + 1
        Clustered, with the factor G / (G - 1).
    degrees : ndarray, M + 1
        ``min(G, (sum psi^2)^3 / (sum psi^3)^2) - 1``, at least 1 (:mod:`~.intervals`).
    effective : ndarray, M + 1
        Users in effect: ``min(G, (sum psi^2)^2 / sum psi^4)``, at least 2.
    clusters, rows : int
    """

    layout: Layout
    candidates: tuple[Candidate, ...]
    estimates: np.ndarray
    covariance: np.ndarray
    degrees: np.ndarray
    effective: np.ndarray
    clusters: int
    rows: int

    @property
    def errors(self) -> np.ndarray:
        """Standard errors (M + 1)."""
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))

    @property
    def present(self) -> int:
        """The place of the present policy's value."""
        return len(self.candidates)

    def place(self, candidate: Candidate) -> int:
        """Where a candidate's estimate is."""
        for i, known in enumerate(self.candidates):
            same = (known.policy, known.estimator) == (candidate.policy, candidate.estimator)
            if same and (known.tuning == candidate.tuning or known.tuning != known.tuning):
                return i
        raise DataError(f"{candidate} was not estimated.")

    def differences(self, places: Sequence[int], against: int) -> Differences:
        """Each of some estimates less another one, on the same rows."""
        contrast = np.zeros((len(places), len(self.estimates)))
        contrast[np.arange(len(places)), list(places)] = 1.0
        contrast[:, against] -= 1.0
        spread = contrast @ self.covariance @ contrast.T
        # What is left of a difference of two equal numbers is rounding.
        scale = np.diag(self.covariance)[list(places)] + self.covariance[against, against]
        errors = np.sqrt(np.where(np.diag(spread) > _ROUNDING * scale, np.diag(spread), 0.0))
        degrees = np.minimum(self.degrees[list(places)], self.degrees[against])
        found = self.estimates[list(places)] - self.estimates[against]
        found[np.abs(found) <= _ROUNDING * abs(self.estimates[against])] = 0.0
        return Differences(found, (spread + spread.T) / 2, errors, degrees)


@dataclass(frozen=True, eq=False)
class Differences:
    """Paired differences of estimates (m), with their covariance and degrees of freedom."""

    estimates: np.ndarray
    covariance: np.ndarray
    errors: np.ndarray
    degrees: np.ndarray


def values_of(layout: Layout, state: Mapping[str, np.ndarray]) -> Values:
    """Values from the state of :func:`~.kernel.cluster_products`, added up over all buckets.

    Raises
    ------
    DataError
        If there are fewer than two clusters.
    """
    clusters = round(float(state["clusters"][0]))
    candidates = layout.candidates()
    everything = [*(layout.terms(c) for c in candidates), layout.present()]
    estimates, spread = ratios_of(everything, state)
    return Values(
        layout, candidates, estimates, spread, *_degrees(layout, state, np.diag(spread), clusters),
        clusters, round(float(state["total"][-1])),
    )  # fmt: skip


def ratios_of(
    estimates: Sequence[Sequence[tuple[int, int]]],
    state: Mapping[str, np.ndarray],
    shares: Sequence[Sequence[float]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of ratios of sums, with their covariance clustered by user.

    Parameters
    ----------
    estimates : sequence of sequence of (int, int)
        The lines of numerator and denominator of the ratios that are added up, estimate by estimate.
    state : mapping
        ``total`` (L), ``cross`` (L x L) and ``clusters`` (1).
    shares : sequence of sequence of float, optional
        What each ratio counts, taken as known; one by default.

    Returns
    -------
    ndarray, M
        NaN where something is divided by zero.
    ndarray, M x M

    Raises
    ------
    DataError
        If there are fewer than two clusters.
    """
    total, clusters = state["total"], float(state["clusters"][0])
    if clusters < 2:
        raise DataError(f"The log has {clusters:.0f} user(s); an interval takes at least two.")
    found, jacobian = np.zeros(len(estimates)), np.zeros((len(estimates), len(total)))
    for m, terms in enumerate(estimates):
        for t, (numerator, denominator) in enumerate(terms):
            share = 1.0 if shares is None else shares[m][t]
            by = total[denominator]
            if by == 0:  # no row that the policy would have had
                found[m] = np.nan
                continue
            ratio = total[numerator] / by
            found[m] += share * ratio
            jacobian[m, numerator] += share / by
            jacobian[m, denominator] -= share * ratio / by
    spread = jacobian @ state["cross"] @ jacobian.T
    return found, (spread + spread.T) / 2 * clusters / (clusters - 1)


def _degrees(
    layout: Layout, state: Mapping[str, np.ndarray], variance: np.ndarray, clusters: int
) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of freedom, and users in effect (M + 1 each)."""
    total = state["total"]
    degrees, effective = np.ones(len(variance)), np.full(len(variance), 2.0)
    for m, (first, second, by) in enumerate(layout.single_ratios):
        bottom = total[by]
        if bottom == 0:
            continue
        ratio = (total[first] + (total[second] if second >= 0 else 0.0)) / bottom
        fourth = np.array([1.0, -4 * ratio, 6 * ratio**2, -4 * ratio**3, ratio**4])
        third = np.array([1.0, -3 * ratio, 3 * ratio**2, -(ratio**3)])
        quarts, cubes = state["powers"][m, :5], state["powers"][m, 5:]
        squares = float(variance[m]) * (clusters - 1) / clusters

        def counted(sum_: float, rounding: float, worth: float) -> float:
            return min(worth / sum_, clusters) if sum_ > rounding else float(clusters)

        moment, skewness = fourth @ quarts / bottom**4, (third @ cubes / bottom**3) ** 2
        floor = _ROUNDING * np.abs(fourth) @ np.abs(quarts) / bottom**4
        rounding = (_ROUNDING * np.abs(third) @ np.abs(cubes) / bottom**3) ** 2
        effective[m] = max(counted(float(moment), float(floor), squares**2), 2.0)
        degrees[m] = max(counted(float(skewness), float(rounding), squares**3) - 1, 1.0)
    return degrees, effective


def band_factor(
    covariance: np.ndarray, degrees: np.ndarray, confidence: float, draws: int, seed: int
) -> float:
    """What standard errors are multiplied by so that the intervals hold for all at once."""
    fewest = float(degrees.min())
    return simultaneous_quantile(covariance, fewest, confidence, draws, seed).value
