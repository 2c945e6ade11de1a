"""What standard errors are multiplied by, and p-values: for one look or all, one side or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from truelift.errors import ConfigError, DataError
from truelift.inference.anytime import (
    AnytimeOptions,
    any_look_p_values,
    boundary,
    mixture_scale,
    one_sided_boundary,
)
from truelift.inference.arguments import checked_share
from truelift.inference.bands import SimultaneousBands, simultaneous_bands, two_sided

ALTERNATIVES = ("two-sided", "greater", "less")


@dataclass(frozen=True, eq=False)
class CriticalValues:
    """How m estimates with clustered standard errors are read.

    Parameters
    ----------
    degrees : ndarray, m
        Of Student's t, for each estimate.
    clusters : int
        G.
    confidence : float
    alternative : str
        Of :data:`ALTERNATIVES`; decides what p-values test.
    anytime : AnytimeOptions, optional
        Intervals and p-values that hold at every look, in place of Student's t.

    Raises
    ------
    DataError
        If there are fewer clusters than ``anytime.first_look``.
    """

    degrees: np.ndarray
    clusters: int
    confidence: float
    alternative: str = "two-sided"
    anytime: AnytimeOptions | None = None

    def __post_init__(self) -> None:
        checked_share(self.confidence, "confidence")
        if self.alternative not in ALTERNATIVES:
            raise ConfigError(f"alternative is {self.alternative!r}; expected {ALTERNATIVES}.")
        if self.anytime is not None and self.clusters < self.anytime.first_look:
            raise DataError(
                f"{self.clusters:,} clusters at this look; intervals that hold at every look are "
                f"made from {self.anytime.first_look:,} on. Wait for more, or look once, with "
                "effects.inference.anytime=false."
            )

    def of(self, members: Sequence[int]) -> CriticalValues:
        """Those of some of the estimates."""
        return replace(self, degrees=self.degrees[list(members)])

    def interval(self, confidence: float | None = None) -> np.ndarray:
        """Half-widths of two-sided intervals, in standard errors (m)."""
        level = self.confidence if confidence is None else confidence
        if self.anytime is None:
            return special.stdtrit(self.degrees, 0.5 + level / 2)
        return np.full(len(self.degrees), boundary(np.array(self.clusters), self._rho(), level))

    def bound(self) -> np.ndarray:
        """How far a bound on one side alone lies from the estimate, in standard errors (m)."""
        if self.anytime is None:
            return special.stdtrit(self.degrees, self.confidence)
        at = one_sided_boundary(np.array(self.clusters), self._rho(), self.confidence)
        return np.full(len(self.degrees), at)

    def p_values(self, estimates: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Against zero, for ``alternative`` (m); an estimate without error is certain."""
        statistic = _statistic(estimates, errors)
        signed = -statistic if self.alternative == "less" else statistic
        if self.anytime is not None:
            mixture = self.clusters * self._rho() ** 2
            return any_look_p_values(mixture, signed, one_sided=self.alternative != "two-sided")
        if self.alternative == "two-sided":
            return two_sided(statistic, self.degrees)  # type: ignore[arg-type]
        return special.stdtr(self.degrees, -signed)

    def together(
        self, estimates: np.ndarray, covariance: np.ndarray, draws: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Half-widths that hold for all estimates at once, and adjusted p-values.

        Two-sided and for one look by the largest of all t statistics
        (:func:`~.bands.simultaneous_bands`). Where the degrees of freedom differ, what is compared
        is how improbable each statistic is. Otherwise by Bonferroni's inequality, and Holm's
        p-values (1979), which need no joint distribution.

        Returns
        -------
        half_widths : ndarray, m
            In the estimates' units.
        p_values : ndarray, m
        """
        errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
        alone = self.p_values(estimates, errors)
        if self.anytime is not None:
            level = 1 - (1 - self.confidence) / max(len(estimates), 1)
            return self.interval(level) * errors, holm(alone)
        most = float(self.degrees.max())
        comparable = estimates
        if np.any(self.degrees != most):
            equivalent = _equivalent(_statistic(estimates, errors), self.degrees, most)
            comparable = np.where(errors > 0, errors * equivalent, estimates)
        bands: SimultaneousBands = simultaneous_bands(
            comparable, covariance, most, self.confidence, draws=draws, seed=seed
        )
        factor = np.full(len(estimates), bands.quantile.value)
        if np.any(self.degrees != most):
            factor = special.stdtrit(self.degrees, special.stdtr(most, bands.quantile.value))
        adjusted = bands.p_values_adjusted if self.alternative == "two-sided" else holm(alone)
        return factor * errors, np.maximum(adjusted, alone)

    def _rho(self) -> float:
        assert self.anytime is not None
        return mixture_scale(self.anytime.confidence, self.anytime.tightest_at)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values of Holm (1979): the j-th smallest of m times ``m - j + 1``, made to rise."""
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(p_values), 0, -1)
    found = np.empty(len(p_values))
    found[order] = np.minimum(np.maximum.accumulate(p_values[order] * times), 1.0)
    return found


def _statistic(estimates: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Student's t, infinite where the error is zero and the estimate is not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(estimates == 0, 0.0, estimates / errors)


def _equivalent(statistic: np.ndarray, degrees: np.ndarray, wanted: float) -> np.ndarray:
    """The statistic with other degrees of freedom that is as improbable."""
    tail = special.stdtr(degrees, -np.abs(statistic))
    found = -special.stdtrit(wanted, np.maximum(tail, 1e-300))
    return np.sign(statistic) * np.minimum(found, np.abs(statistic))
