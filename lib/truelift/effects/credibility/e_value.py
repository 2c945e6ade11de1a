"""E-values: how strongly a confounder would have to go with treatment and outcome.

The E-value of a risk ratio ``RR >= 1`` is ``RR + sqrt(RR (RR - 1))``: the least risk ratio that an
unobserved confounder must have with both treatment and outcome, beyond the covariates, to explain
the effect away (VanderWeele & Ding 2017, "Sensitivity analysis in observational research").
"""

from __future__ import annotations

import numpy as np

from truelift.effects.credibility.results import EValue
from truelift.errors import ConfigError

# log risk ratio for one standard deviation, and the same for a standard error at 95%
# (VanderWeele & Ding 2017, table 2); 1.78 / 1.96 rescales to other levels.
_LOG_RATIO = 0.91


def e_value_of_ratio(
    ratio: float, lower: float, upper: float, null: float = 1.0, outcome: str = ""
) -> EValue:
    """E-values of a risk ratio and of its interval.

    Parameters
    ----------
    ratio, lower, upper : float
        Risk ratio and interval, above zero.
    null : float
        The ratio that the confounder should explain it down (or up) to.
    outcome : str

    Raises
    ------
    ConfigError
        If a ratio is not above zero, or the interval does not hold the ratio.
    """
    if not (0 < lower <= ratio <= upper < np.inf) or not null > 0:
        raise ConfigError(
            f"E-value: found ratio {ratio:g}, interval [{lower:g}, {upper:g}], null {null:g}; "
            "expected positive numbers with lower <= ratio <= upper."
        )
    nearer = lower if ratio > null else upper
    excludes = (nearer > null) if ratio > null else (nearer < null)
    return EValue(
        outcome=outcome,
        ratio=float(ratio),
        point=_e_value(ratio / null),
        interval=_e_value(nearer / null) if excludes else 1.0,
        measure="risk ratio",
    )


def e_value_of_difference(
    difference: float, lower: float, upper: float, deviation: float, outcome: str = ""
) -> EValue:
    """E-values of a difference of means, through its standardised size.

    With ``d = difference / deviation`` the risk ratio is about ``exp(0.91 d)``. The interval is
    carried over in the same way: its ends at 95% are ``exp(0.91 d -+ 1.78 se)``, and
    ``1.78 = 0.91 x 1.96``.

    Parameters
    ----------
    difference, lower, upper : float
        Effect and interval in the outcome's units.
    deviation : float
        The outcome's standard deviation within the arms, in the same units.
    outcome : str

    Raises
    ------
    ConfigError
        If the deviation is not above zero, or the interval does not hold the difference.
    """
    if not deviation > 0 or not lower <= difference <= upper:
        raise ConfigError(
            f"E-value: found difference {difference:g}, interval [{lower:g}, {upper:g}], standard "
            f"deviation {deviation:g}; expected lower <= difference <= upper and a deviation "
            "above zero."
        )
    logs = _LOG_RATIO / deviation * np.array([difference, lower, upper])
    clipped = np.clip(logs, -300.0, 300.0)  # beyond this the squares overflow
    ratio, low, high = np.exp(clipped).tolist()
    found = e_value_of_ratio(ratio, low, high, outcome=outcome)
    return EValue(
        outcome=outcome, ratio=found.ratio, point=found.point, interval=found.interval,
        measure="standardised difference",
    )  # fmt: skip


def _e_value(ratio: float) -> float:
    ratio = max(ratio, 1.0 / ratio)
    return float(ratio + np.sqrt(ratio * (ratio - 1.0)))
