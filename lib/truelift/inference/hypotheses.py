"""Tests of one estimate: two-sided, one-sided, non-inferiority, equivalence.

All come from an estimate, its standard error and Student's t with the degrees of freedom of the
clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from truelift.errors import ConfigError, DataError
from truelift.inference.arguments import checked_degrees, checked_share


@dataclass(frozen=True)
class HypothesisTest:
    """One test and what it says.

    Parameters
    ----------
    null, alternative : str
        The two hypotheses in words.
    statistic : float
        Student's t of the comparison that decides.
    p_value : float
    level : float
        The test's size.
    rejected : bool
        Whether the null is rejected at ``level``.
    """

    null: str
    alternative: str
    statistic: float
    p_value: float
    level: float
    rejected: bool

    def __repr__(self) -> str:
        verdict = self.alternative if self.rejected else f"not shown that {self.alternative}"
        return f"HypothesisTest({verdict}: p {self.p_value:.3g} at level {self.level:g})"


def two_sided_test(
    estimate: float,
    standard_error: float,
    degrees_of_freedom: float,
    null: float = 0.0,
    level: float = 0.05,
) -> HypothesisTest:
    """Whether the effect differs from ``null``."""
    t = _statistic(estimate - null, standard_error)
    p_value = min(1.0, 2 * _above(abs(t), degrees_of_freedom))
    return _decided(f"effect = {null:g}", f"effect differs from {null:g}", t, p_value, level)


def one_sided_test(
    estimate: float,
    standard_error: float,
    degrees_of_freedom: float,
    alternative: str = "greater",
    null: float = 0.0,
    level: float = 0.05,
) -> HypothesisTest:
    """Whether the effect is greater (or ``'less'``) than ``null``.

    Raises
    ------
    ConfigError
        If ``alternative`` is neither ``'greater'`` nor ``'less'``.
    """
    if alternative not in ("greater", "less"):
        raise ConfigError(f"alternative is {alternative!r}; expected 'greater' or 'less'.")
    t = _statistic(estimate - null, standard_error)
    greater = alternative == "greater"
    p_value = _above(t if greater else -t, degrees_of_freedom)
    sign, opposite = (">", "<=") if greater else ("<", ">=")
    return _decided(f"effect {opposite} {null:g}", f"effect {sign} {null:g}", t, p_value, level)


def non_inferiority_test(
    estimate: float,
    standard_error: float,
    degrees_of_freedom: float,
    margin: float,
    higher_is_better: bool = True,
    level: float = 0.025,
) -> HypothesisTest:
    """Whether the treatment is worse than the control by less than ``margin``.

    Parameters
    ----------
    estimate, standard_error, degrees_of_freedom : float
        Of treatment minus control.
    margin : float
        The largest loss that is acceptable, in the estimate's units; positive.
    higher_is_better : bool
        Whether a larger outcome is a gain.
    level : float
        Size of the one-sided test; 0.025 goes with a two-sided 95% interval.
    """
    if not margin > 0:
        raise ConfigError(f"margin is {margin}; expected the largest acceptable loss, above 0.")
    gain = estimate if higher_is_better else -estimate
    t = _statistic(gain + margin, standard_error)
    p_value = _above(t, degrees_of_freedom)
    null = f"treatment is worse by {margin:g} or more"
    return _decided(null, f"treatment is worse by less than {margin:g}", t, p_value, level)


def equivalence_test(
    estimate: float,
    standard_error: float,
    degrees_of_freedom: float,
    lower: float,
    upper: float,
    level: float = 0.05,
) -> HypothesisTest:
    """Two one-sided tests (Schuirmann 1987): whether the effect lies between two bounds.

    Rejects exactly when the interval at level ``1 - 2 * level`` lies between the bounds.

    Parameters
    ----------
    estimate, standard_error, degrees_of_freedom : float
    lower, upper : float
        Bounds of what counts as no difference, in the estimate's units.
    level : float
    """
    if not lower < upper:
        raise ConfigError(f"Bounds {lower} and {upper}; expected the lower one first.")
    from_below = _statistic(estimate - lower, standard_error)
    from_above = _statistic(upper - estimate, standard_error)
    t = min(from_below, from_above)
    null = f"effect <= {lower:g} or effect >= {upper:g}"
    alternative = f"effect between {lower:g} and {upper:g}"
    return _decided(null, alternative, t, _above(t, degrees_of_freedom), level)


def _statistic(difference: float, standard_error: float) -> float:
    if not (np.isfinite(difference) and np.isfinite(standard_error) and standard_error >= 0):
        raise DataError(
            f"Difference {difference} with standard error {standard_error}; expected finite "
            "numbers, the standard error not negative."
        )
    if standard_error == 0:
        return float(np.sign(difference)) * np.inf if difference else 0.0
    return float(difference / standard_error)


def _above(statistic: float, degrees_of_freedom: float) -> float:
    return float(special.stdtr(checked_degrees(degrees_of_freedom), -statistic))


def _decided(
    null: str, alternative: str, statistic: float, p_value: float, level: float
) -> HypothesisTest:
    checked_share(level, "level")
    return HypothesisTest(null, alternative, statistic, p_value, level, bool(p_value <= level))
