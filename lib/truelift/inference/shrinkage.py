"""Empirical Bayes for groups of regression coefficients: each towards its group's mean, that towards all.

In group c the coefficients are ``theta ~ N(mu_c, tau^2 I)``; with a Gram matrix G, ``b`` and the variance
``s^2`` of a residual,

    theta | data ~ N(A^-1 (b / s^2 + mu / tau^2), A^-1),   A = G / s^2 + I / tau^2,

and mu and tau^2 by EM (Efron & Morris 1975; Dempster, Laird & Rubin 1977). Few data make that tau^2 too
small, and with it the errors. ``careful`` therefore lets the groups' means be unknown (restricted
likelihood; Harville 1977), multiplies the likelihood by tau^2, which keeps it from 0 (Li & Lahiri 2010;
Morris & Tang 2011), and what is not known of mu_c goes into the errors (:meth:`Shrunken.with_groups`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_STEPS = 40
_CAREFUL_STEPS, _STILL = 500, 1e-6
_LEAST = 1e-8

Parts = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Shrunken:
    """Coefficients of each group, given the data.

    Parameters
    ----------
    mean, variance : list of ndarray
        By group, the group's own mean taken as known.
    pull : list of ndarray
        How much of a change of the group's mean each coefficient follows (1: there are no data on it).
    centre : ndarray, groups
        mu.
    precision : ndarray, groups
        Of ``centre``; 0 without data.
    spread : float
        tau^2.
    """

    mean: list[np.ndarray]
    variance: list[np.ndarray]
    pull: list[np.ndarray]
    centre: np.ndarray
    precision: np.ndarray
    spread: float

    def with_groups(self) -> Shrunken:
        """The groups' means shrunken towards that of all, and what is not known of them in the variances.

        ``mu_c ~ N(mu, omega^2)``, omega^2 by moments (DerSimonian & Laird 1986).
        """
        known = self.precision > 0
        if not known.any():
            return self
        weight, found = self.precision[known], self.centre[known]
        every = float((weight * found).sum() / weight.sum())
        excess = float((weight * (found - every) ** 2).sum()) - (known.sum() - 1)
        slack = float(weight.sum() - (weight**2).sum() / weight.sum())
        between = max(excess / slack, 0.0) if slack > 0 else 0.0
        total = 1.0 / (1.0 / weight + between)
        every, error = float((total * found).sum() / total.sum()), float(1.0 / total.sum())
        # Given mu, what a group's own data leave open of its mean.
        share = between * self.precision / (1.0 + between * self.precision)
        centre = share * self.centre + (1.0 - share) * every
        left = between * (1.0 - share) + (1.0 - share) ** 2 * error
        moved = zip(self.mean, self.pull, centre - self.centre, strict=True)
        wider = zip(self.variance, self.pull, left, strict=True)
        return Shrunken(
            [m + p * d for m, p, d in moved],
            [v + p**2 * e for v, p, e in wider],
            self.pull,
            centre,
            1.0 / np.maximum(left, _LEAST),
            self.spread,
        )


def shrunken(parts: Parts, careful: bool = False, spread: float | None = None) -> Shrunken:
    """Means and variances given ``(G / s^2, b / s^2)`` of every group.

    ``spread`` is tau^2 where it is not to be estimated: a wide one shrinks nothing that there are data on.

    ``A^-1 = U (lambda + 1 / tau^2)^-1 U'`` with ``G / s^2 = U lambda U'``, which no step of EM
    changes. Groups lie in one array; what a smaller one lacks has no data and does not count.
    """
    sizes = [len(rhs) for _, rhs in parts]
    widest = max(sizes)
    precision, data = np.zeros((len(parts), widest, widest)), np.zeros((len(parts), widest))
    for place, (own, rhs) in enumerate(parts):
        precision[place, : len(rhs), : len(rhs)], data[place, : len(rhs)] = own, rhs
    there = np.arange(widest) < np.array(sizes)[:, None]
    values, vectors = np.linalg.eigh(precision)
    values, squares = np.maximum(values, 0.0), vectors**2
    ones = np.einsum("cij,ci->cj", vectors, there.astype(float))
    centre, tau = np.zeros((len(parts), 1)), spread or 1e-3
    mean = variance = data
    for _ in range(_CAREFUL_STEPS if careful else _STEPS):
        inverse = 1.0 / (values + 1.0 / tau)
        turned = np.einsum("cij,ci->cj", vectors, data + there * centre / tau)
        mean = np.einsum("cij,cj->ci", vectors, inverse * turned)
        variance = np.einsum("cij,cj->ci", squares, inverse)
        centre = (there * mean).sum(axis=1, keepdims=True) / there.sum(axis=1, keepdims=True)
        apart, count = variance + (mean - centre) ** 2, float(there.sum())
        if careful:
            follows, known = _pull(values, vectors, ones, tau)
            open_ = np.where(known > 0, 1.0 / np.maximum(known, 1e-300), 0.0)
            apart += np.where(known > 0, (1.0 - follows.T) ** 2 * open_, 0.0).T
            count = max(count - 2.0, 1.0)
        if spread is not None:
            continue
        before, tau = tau, max(float(apart[there].sum()) / count, _LEAST)
        if careful and abs(tau - before) < _STILL * tau:
            break
    follows, known = _pull(values, vectors, ones, tau)
    return Shrunken(
        _cut(mean, sizes), _cut(variance, sizes), _cut(follows, sizes), centre[:, 0], known, tau
    )


def _pull(
    values: np.ndarray, vectors: np.ndarray, ones: np.ndarray, tau: float
) -> tuple[np.ndarray, np.ndarray]:
    """How much coefficients follow their group's mean, and the precision of that mean."""
    follows = np.einsum("cij,cj->ci", vectors, ones / (values + 1.0 / tau)) / tau
    return follows, (ones**2 * values / (1.0 + tau * values)).sum(axis=1)


def _cut(rows: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    return [row[:n] for row, n in zip(rows, sizes, strict=True)]
