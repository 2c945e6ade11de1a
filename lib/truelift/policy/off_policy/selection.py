"""Which of many estimates of one policy to go by, from the data, with the whole sweep beside it.

No estimator wins everywhere. Three rules:

* *estimated mean squared error*: the variance of an estimate, plus what its bias must be at least:
  the square of its distance from DR (IPS where there is no reward model), less the variance of that
  distance, which is known because all estimates are made on the same rows;
* *SLOPE++* (Tucker & Lee 2021, after Su, Srinath & Krishnamurthy 2020): along the tuning values of one
  estimator, from the least shrunk one on, the last whose interval still meets those before it:
  ``|theta_i - theta_j| <= c_i + (sqrt(6) - 1) c_j`` for all j before i;
* *PAS-IF* (Udagawa et al. 2023): the least error on splits of the log of which one part looks as if the
  policy had written it (:mod:`~.pseudo`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.policy.off_policy.inference import Values

_SLOPE = np.sqrt(6.0) - 1.0


def mean_squared_errors(values: Values, places: Sequence[int], reference: int) -> np.ndarray:
    """Estimated mean squared errors of some estimates, from their distance to one without bias.

    Parameters
    ----------
    values : Values
    places : sequence of int
    reference : int
        The place of an estimate that has no bias.
    """
    gaps = values.differences(places, reference)
    bias = np.maximum(gaps.estimates**2 - gaps.errors**2, 0.0)
    return values.errors[list(places)] ** 2 + bias


def slope(estimates: np.ndarray, widths: np.ndarray) -> int:
    """SLOPE++: the place of the last of some estimates that agrees with all before it.

    Parameters
    ----------
    estimates : ndarray, m
        The least biased first.
    widths : ndarray, m
        Half-widths of their intervals, such that they hold for all at once.
    """
    chosen = 0
    for i in range(1, len(estimates)):
        before = np.arange(i)
        apart = np.abs(estimates[i] - estimates[before])
        if np.any(apart > widths[i] + _SLOPE * widths[before]):
            break
        chosen = i
    return chosen


def chosen_place(
    values: Values, policy: int, rule: str, factor: float, pseudo: np.ndarray | None = None
) -> int:
    """The estimate of a policy that a rule goes by.

    Parameters
    ----------
    values : Values
    policy : int
    rule : str
        ``'mse'``, ``'slope'`` (of the first estimator that has tuning values), or the name of an
        estimator; where that has tuning values, the one of least estimated mean squared error.
    factor : float
        Standard errors of a half-width, for ``'slope'``.
    pseudo : ndarray, M, optional
        Errors on splits of the log (:mod:`~.pseudo`), for ``'pas-if'``.
    """
    candidates = values.candidates
    own = [i for i, c in enumerate(candidates) if c.policy == policy]
    own = [i for i in own if np.isfinite(values.estimates[i])]
    if not own:
        return next(i for i, c in enumerate(candidates) if c.policy == policy)
    if pseudo is not None:
        judged = [i for i in own if np.isfinite(pseudo[i])]
        if judged:
            return judged[int(np.argmin(pseudo[judged]))]
    reference = reference_place(values, own)
    if rule == "slope":
        tuned = [i for i in own if candidates[i].tuning == candidates[i].tuning]
        if tuned:
            # Those with a model of rewards shrink towards it, not towards nothing.
            name = candidates[tuned[-1]].estimator
            tuned = [i for i in tuned if candidates[i].estimator == name]
            at = slope(values.estimates[tuned], factor * values.errors[tuned])
            return tuned[at]
    named = [i for i in own if candidates[i].estimator == rule] or own
    errors = mean_squared_errors(values, named, reference)
    return named[int(np.argmin(errors))]


def reference_place(values: Values, own: Sequence[int]) -> int:
    """The estimate without bias that others are measured by: DR, else SNIPS or IPS."""
    for name in ("DR", "MRDR", "IPS", "SNIPS"):
        found = [i for i in own if values.candidates[i].estimator == name]
        if found:
            return found[0]
    return own[0]
