"""Intervals and tests from a clustered covariance matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.distributions import stats
from truelift.effects.heterogeneity.results import JointTest, Term
from truelift.errors import DataError

_RANK = 1e-10


@dataclass(frozen=True)
class ClusteredInference:
    """Student t and F with as many degrees of freedom as clusters less one.

    Parameters
    ----------
    clusters : int
    confidence : float
    """

    clusters: int
    confidence: float

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise DataError(
                f"Intervals need at least two clusters with a forecast, found {self.clusters}."
            )

    @property
    def correction(self) -> float:
        """G / (G - 1)."""
        return self.clusters / (self.clusters - 1)

    def term(self, name: str, estimate: float, variance: float, null: float = 0.0) -> Term:
        """A number with its interval and its two-sided test against ``null``."""
        error = float(np.sqrt(max(variance, 0.0)))
        degrees = self.clusters - 1
        half = float(stats.t.ppf(0.5 + self.confidence / 2, degrees)) * error
        p = float(2 * stats.t.sf(abs(estimate - null) / error, degrees)) if error > 0 else np.nan
        value = float(estimate)
        return Term(name, value, error, value - half, value + half, p, null)

    def joint(self, hypothesis: str, values: np.ndarray, covariance: np.ndarray) -> JointTest:
        """Wald's F that all ``values`` (q) are zero; directions without variance are left out."""
        scale = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
        scale = np.where(scale > 0, scale, 1.0)
        roots, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        kept = roots > _RANK * max(float(roots[-1]), 0.0) if len(roots) else np.zeros(0, bool)
        rank = int(np.count_nonzero(kept))
        degrees = (float(rank), float(self.clusters - 1))
        if not rank:
            return JointTest(hypothesis, np.nan, degrees, np.nan)
        rotated = (vectors.T @ (values / scale))[kept]
        statistic = float(np.sum(rotated**2 / roots[kept]) / rank)
        return JointTest(hypothesis, statistic, degrees, float(stats.f.sf(statistic, *degrees)))

    def not_below_zero(
        self, hypothesis: str, values: np.ndarray, covariance: np.ndarray
    ) -> JointTest:
        """That no value is negative: the smallest t, with Bonferroni's bound."""
        errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
        ratios = np.divide(values, errors, out=np.zeros(len(values)), where=errors > 0)
        smallest = float(ratios.min()) if len(ratios) else np.nan
        degrees = (float(len(values)), float(self.clusters - 1))
        p = float(min(1.0, len(values) * stats.t.cdf(smallest, self.clusters - 1)))
        return JointTest(hypothesis, smallest, degrees, p)
