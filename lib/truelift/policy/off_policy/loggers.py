"""A log that several policies wrote, with an estimate of each logger's rows, put together.

Agarwal, Basu, Schnabel & Joachims (2017) weight the rows of several loggers in three ways: *naive*, by
the chance of the row's own logger; *balanced*, by that of the mixture of all; *weighted*, naive within
each logger, whose estimates are then averaged by ``lambda_k ~ 1 / V_k``. Sums are kept by logger, so
that V_k is the clustered variance of the very estimate; with a model of rewards, its mean prediction is
that of all rows, and only the corrections are averaged.

A logger whose rewards happen to be low has a low V_k too where rewards are rare: ``weighted`` is then
too low (by 15% at 40 events, ``benchmarks/policy/loggers.py``), so no policy ships by it. *effective*
takes ``lambda_k ~ (sum w)^2 / sum w^2`` in its place, in which no reward is. Shares are taken as known:
every logger's estimate has the same mean, so what they err by counts in the second order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from truelift.policy.off_policy.estimators import PREDICTIONS, WEIGHT, Layout
from truelift.policy.off_policy.inference import Values, ratios_of, values_of
from truelift.policy.off_policy.support import UNSUPPORTED, Support, SupportLimits, supports

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Together:
    """Loggers put together.

    Parameters
    ----------
    values : Values
        Of the policies.
    support : tuple of Support
        By policy, from the rows of the loggers that count.
    apart : Values
        Of each policy by each logger, policy by policy.
    shares : ndarray, M x K
        What each logger counts for each estimate.
    """

    values: Values
    support: tuple[Support, ...]
    apart: Values
    shares: np.ndarray


def by_logger(values: np.ndarray, logger: np.ndarray, loggers: int) -> np.ndarray:
    """Each logger's rows of a table in columns of their own, zero elsewhere (n x P K)."""
    n, policies = values.shape
    found = np.zeros((n, policies, loggers))
    found[np.arange(n), :, logger] = values
    return found.reshape(n, policies * loggers)


def together(
    names: tuple[str, ...],
    layout: Layout,
    state: Mapping[str, np.ndarray],
    limits: SupportLimits,
    by_precision: bool = False,
) -> Together:
    """Values of policies from sums of each logger's rows.

    A logger counts for a policy whose support it has alone.

    Parameters
    ----------
    names : tuple of str
        Of the policies.
    layout : Layout
        That keeps loggers apart.
    state : mapping
        Of the value pass.
    limits : SupportLimits
    by_precision : bool
        In place of effective rows.
    """
    count, apart = layout.loggers, values_of(layout, state)
    alone = [
        supports(names, layout, state, apart, limits, [(p * count + k,) for p in range(len(names))])
        for k in range(count)
    ]
    serves = np.array([[s.verdict != UNSUPPORTED for s in of_logger] for of_logger in alone]).T
    pooled = [tuple(p * count + k for k in range(count) if serves[p, k] or not serves[p].any())
              for p in range(len(names))]  # fmt: skip
    support = tuple(
        one if serves[p].any() else _none_serves(one)
        for p, one in enumerate(supports(names, layout, state, apart, limits, pooled))
    )
    whole = replace(layout, policies=len(names), loggers=1)
    candidates = whole.candidates()
    per_policy = len(candidates) // len(names)
    shares = np.zeros((len(candidates), count))
    known, counted = [], []
    for m in range(len(candidates)):
        p, own = divmod(m, per_policy)
        places = [(p * count + k) * per_policy + own for k in range(count)]
        of_policy = slice(p * count, (p + 1) * count)
        if by_precision:
            rows = np.array([state["total"][layout.rows_line(p * count + k)] for k in range(count)])
            worth = _precision(apart, places, serves[p], rows)
        else:
            weights = state["total"][
                [c * layout.width + WEIGHT for c in range(p * count, (p + 1) * count)]
            ]
            worth = weights**2 / np.maximum(state["weight_squares"][of_policy], 1e-300)
        shares[m] = np.where(serves[p], worth, 0.0)
        shares[m] /= max(shares[m].sum(), 1e-300)
        terms: list[tuple[int, int]] = []
        parts: list[float] = []
        for k, place in enumerate(places):
            start = (p * count + k) * layout.width
            for numerator, denominator in layout.terms(apart.candidates[place]):
                predicts = numerator - start in PREDICTIONS
                terms.append((numerator, layout.lines - 1 if predicts else denominator))
                parts.append(1.0 if predicts else float(shares[m, k]))
        kept = [t for t, part in enumerate(parts) if part]
        known.append([terms[t] for t in kept])
        counted.append([parts[t] for t in kept])
    known.append(list(layout.present()))
    counted.append([1.0])
    estimates, covariance = ratios_of(known, state, counted)
    estimates[:-1][~shares.any(axis=1)] = np.nan
    values = Values(
        whole, candidates, estimates, covariance, _degrees(apart, apart.degrees, shares, per_policy),
        _degrees(apart, apart.effective - 1, shares, per_policy) + 1, apart.clusters, apart.rows,
    )  # fmt: skip
    return Together(values, support, apart, shares)


def _none_serves(support: Support) -> Support:
    return replace(
        support, verdict=UNSUPPORTED,
        reason="no logger alone has what the policy does; weights of their mixture may tell its value "
        "(loggers.weights: balanced)",
    )  # fmt: skip


def _precision(
    apart: Values, places: list[int], serves: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Of each logger's estimate; the rows of all where one of them is not known."""
    variance = np.diag(apart.covariance)[places]
    scale = np.maximum(apart.estimates[places] ** 2, variance.max(initial=0.0))
    if np.all(variance[serves] > _ROUNDING * scale[serves]):
        return np.asarray(1 / np.where(serves, variance, 1.0))
    return rows


def _degrees(apart: Values, degrees: np.ndarray, shares: np.ndarray, per_policy: int) -> np.ndarray:
    """Of averages with variances of their own (Welch 1947), and of the present policy, last."""
    found = np.ones(len(shares) + 1)
    found[-1] = degrees[-1]
    count = shares.shape[1]
    for m, share in enumerate(shares):
        p, own = divmod(m, per_policy)
        places = [(p * count + k) * per_policy + own for k in range(count)]
        part = share**2 * np.diag(apart.covariance)[places]
        spread = float((part**2 / degrees[places]).sum())
        whole = float(part.sum()) ** 2
        found[m] = max(whole / spread, 1.0) if spread > 0 else max(degrees[places])
    return found
