"""Planning: power, the effect that can be found, and the clusters that it takes."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from truelift.errors import ConfigError, DataError
from truelift.inference.arguments import checked_degrees, checked_share

_MOST_CLUSTERS = 10**12
# The noncentral t's distribution function loses digits far from here; the normal's does not.
_NORMAL_ABOVE = 1e4


def power(
    effect: float,
    standard_error: float,
    degrees_of_freedom: float,
    level: float = 0.05,
    two_sided: bool = True,
) -> float:
    """Chance that Student's t test rejects no effect where ``effect`` is true.

    Parameters
    ----------
    effect, standard_error : float
        In the same units.
    degrees_of_freedom : float
    level : float
    two_sided : bool
        Otherwise against the alternative that the effect has the sign of ``effect``.
    """
    checked_share(level, "level")
    degrees = checked_degrees(degrees_of_freedom)
    if not standard_error > 0:
        raise DataError(f"standard_error is {standard_error}; expected a number above zero.")
    shift = abs(effect) / standard_error
    tail = level / 2 if two_sided else level
    critical = float(-special.stdtrit(degrees, tail))
    if degrees > _NORMAL_ABOVE:
        above, below = special.ndtr(shift - critical), special.ndtr(-critical - shift)
    else:
        above = 1 - _noncentral_below(degrees, shift, critical)
        below = _noncentral_below(degrees, shift, -critical)
    return float(above + below) if two_sided else float(above)


def _noncentral_below(degrees: float, shift: float, value: float) -> float:
    """Chance that the noncentral t lies below a value.

    SciPy's is no number for some chances that are close to zero: 7e-10 and less, by numerical
    integration of 60,000 cases with 1 to 9,999 degrees of freedom.
    """
    found = float(special.nctdtr(degrees, shift, value))
    return 0.0 if np.isnan(found) else found


def minimum_detectable_effect(
    standard_error: float,
    degrees_of_freedom: float,
    target: float = 0.8,
    level: float = 0.05,
    two_sided: bool = True,
) -> float:
    """Smallest effect that the test finds with the chance ``target``.

    Close to ``(t_{1 - level/2} + t_{target}) * standard_error`` (Bloom 1995), and exact here with
    the noncentral t.

    Parameters
    ----------
    standard_error : float
        Clustered; of a pilot, or of the planned design.
    degrees_of_freedom : float
    target : float
        Wanted power; above ``level``.
    level : float
    two_sided : bool
    """
    checked_share(target, "target")
    if target <= level:
        raise ConfigError(f"Power {target} at level {level}; expected a power above the level.")
    degrees = checked_degrees(degrees_of_freedom)
    tail = level / 2 if two_sided else level
    rough = float(special.stdtrit(degrees, 1 - tail) + max(special.stdtrit(degrees, target), 0.0))

    def missing(shift: float) -> float:
        return power(shift, 1.0, degrees, level, two_sided) - target

    upper = 2 * rough
    while missing(upper) < 0:
        upper *= 2
    return standard_error * float(optimize.brentq(missing, 0.0, upper, xtol=1e-10))


def required_clusters(
    effect: float,
    variance_per_cluster: float,
    target: float = 0.8,
    level: float = 0.05,
    two_sided: bool = True,
    used: int = 2,
) -> int:
    """Smallest number of clusters, over all arms, at which ``effect`` is found.

    Parameters
    ----------
    effect : float
    variance_per_cluster : float
        G times the clustered variance of the estimate: of a pilot with G clusters and the same
        shares of the arms, or from :func:`planned_variance_per_cluster`.
    target : float
        Wanted power.
    level : float
    two_sided : bool
    used : int
        The test has G - ``used`` degrees of freedom.
    """
    checked_share(target, "target")
    if effect == 0 or not np.isfinite(effect) or not variance_per_cluster > 0:
        raise DataError(
            f"Effect {effect} with variance {variance_per_cluster} per cluster; expected an effect "
            "other than zero and a variance above zero."
        )

    def enough(clusters: int) -> bool:
        error = float(np.sqrt(variance_per_cluster / clusters))
        return power(effect, error, clusters - used, level, two_sided) >= target

    high = used + 1
    while not enough(high):
        if high > _MOST_CLUSTERS:
            raise DataError(
                f"An effect of {effect:g} takes more than {_MOST_CLUSTERS:.0e} clusters."
            )
        high *= 2
    low = used
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def planned_variance_per_cluster(
    unit_variance: float,
    mean_size: float,
    size_variation: float = 0.0,
    correlation: float = 0.0,
    treated_share: float = 0.5,
) -> float:
    """G times the variance of a difference in means, for clusters that are assigned whole.

    ``unit_variance / (mean_size * share * (1 - share))`` times the design effect
    ``1 + ((1 + cv^2) * mean_size - 1) * rho`` (Eldridge, Ashby & Kerry 2006).

    Parameters
    ----------
    unit_variance : float
        Variance of the outcome over units; with CUPED what is left of it.
    mean_size : float
        Units a cluster.
    size_variation : float
        cv, standard deviation of the sizes by their mean.
    correlation : float
        rho, of two units of one cluster.
    treated_share : float
        Share of the clusters in the treated one of two arms.
    """
    checked_share(treated_share, "treated_share")
    if not (unit_variance > 0 and mean_size >= 1 and size_variation >= 0 and 0 <= correlation <= 1):
        raise ConfigError(
            f"unit_variance {unit_variance}, mean_size {mean_size}, size_variation "
            f"{size_variation}, correlation {correlation}; expected a variance above zero, sizes of "
            "at least one and a correlation from 0 to 1."
        )
    design_effect = 1 + ((1 + size_variation**2) * mean_size - 1) * correlation
    shares = treated_share * (1 - treated_share)
    return unit_variance * design_effect / (mean_size * shares)
