"""Multiply robust scores of outcomes whose mediators are as under another arm, and of the front door."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.designs.through.nested import NestedUnits


@dataclass(frozen=True)
class CrossedScores:
    """The mean of Y(a, M(b)) for all arms a and b: (A A J) x n, a before b before the outcome.

    ``1[D = a] p_b(M, X) / (p_a(M, X) p_b(X)) (Y - mu_a(M, X)) + 1[D = b] / p_b(X) (mu_a(M, X) - w_ab(X)) + w_ab(X)``
    (Tchetgen Tchetgen & Shpitser 2012; in propensities: Farbmacher, Huber, Laffers, Langen & Spindler 2022). It is
    right where any two of its three kinds of models are.
    """

    def __call__(self, units: NestedUnits) -> np.ndarray:
        """The scores."""
        arms, n = len(units.propensity), len(units.arm)
        found = units.nested.copy()
        for b in range(arms):
            among = np.flatnonzero(units.arm == b)
            gap = units.regression[..., among] - units.nested[:, b][..., among]
            found[:, b][..., among] += gap / units.propensity[b, among]
        for a in range(arms):
            own = np.flatnonzero(units.arm == a)
            left = units.outcome[:, own] - units.regression[a][:, own]
            for b in range(arms):
                ratio = units.with_mediators[b, own] / units.with_mediators[a, own]
                found[a, b][:, own] += ratio / units.propensity[b, own] * left
        return found.reshape(-1, n)


@dataclass(frozen=True)
class FrontDoorScores:
    """The mean of Y(a) where M carries all of the effect, for all arms: (A J) x n.

    ``f(M | a, X) / f(M | D, X) (Y - mu_D(M, X)) + 1[D = a] / p_a(X) sum_b p_b(X) (mu_b(M, X) - w_ba(X)) + w_Da(X)``
    (Fulcher, Shpitser, Marealle & Tchetgen Tchetgen 2020).
    """

    def __call__(self, units: NestedUnits) -> np.ndarray:
        """The scores."""
        arms, n = len(units.propensity), len(units.arm)
        left = units.outcome - units.of_own_arm(units.regression)
        own = units.of_own_arm(units.propensity) / units.of_own_arm(units.with_mediators)
        weighted = np.einsum("bn,bjn->jn", units.propensity, units.regression)
        found = []
        for a in range(arms):
            ratio = units.with_mediators[a] / units.propensity[a] * own
            mean = np.einsum("bn,bjn->jn", units.propensity, units.nested[:, a])
            score = ratio * left + units.of_own_arm(units.nested[:, a])
            score += np.where(units.arm == a, (weighted - mean) / units.propensity[a], 0.0)
            found.append(score)
        return np.stack(found).reshape(-1, n)
