"""Negative-control outcomes: outcomes that the treatment cannot have changed.

An outcome measured before the treatment, or one it has no way to reach, has a true effect of
zero. An estimate away from zero is bias, as a rule from what the covariates leave out, and the
real outcome's estimate shares in it (Lipsitch, Tchetgen Tchetgen & Cohen 2010). Two tests are
needed: one that finds an effect, and one of equivalence (two one-sided tests, Schuirmann 1987)
that shows its absence; a wide interval does neither.
"""

from __future__ import annotations

from truelift.arrays.distributions import stats
from truelift.effects.credibility.results import NegativeControl
from truelift.errors import ConfigError


def negative_control(
    outcome: str,
    estimate: float,
    standard_error: float,
    clusters: int,
    margin: float,
    level: float = 0.05,
    contrast: str = "",
) -> NegativeControl:
    """Difference and equivalence test of one outcome that must show no effect.

    Parameters
    ----------
    outcome : str
    estimate, standard_error : float
        In the outcome's units; the standard error is clustered.
    clusters : int
        G; tests use Student's t with G - 1 degrees of freedom.
    margin : float
        Effects smaller than this count as none, in the outcome's units. A tenth of the outcome's
        standard deviation is a usual choice.
    level : float
        Of both tests.
    contrast : str

    Raises
    ------
    ConfigError
        If the margin is not above zero.
    """
    if not margin > 0:
        raise ConfigError(
            f"Negative control {outcome!r}, margin: found {margin:g}, expected a size above zero "
            "(in the outcome's units) below which an effect counts as none."
        )
    degrees = max(clusters - 1, 1)
    difference = _upper_tail(abs(estimate), standard_error, degrees) * 2
    equivalence = _upper_tail(margin - abs(estimate), standard_error, degrees)
    return NegativeControl(
        outcome=outcome,
        contrast=contrast,
        estimate=estimate,
        standard_error=standard_error,
        margin=margin,
        difference_p_value=min(1.0, difference),
        equivalence_p_value=equivalence,
        level=level,
    )


def _upper_tail(distance: float, error: float, degrees: int) -> float:
    if error > 0:
        return float(stats.t.sf(distance / error, degrees))
    return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
