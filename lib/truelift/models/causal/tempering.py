"""How far a network's chances of treatment may lie from the arms' shares.

A network that goes on to learn outcomes grows too sure of the treatment, and a doubly robust score
divides by its chances. So log odds are drawn towards those of the arms' shares by one factor a
model, which the validation rows outside its fold choose by their cross-entropy (a temperature, Guo
et al. 2017, arXiv 1706.04599, about the shares instead of about equal chances). The factor becomes
part of the last layer's weights. Shapes: K folds, n units, p features, A arms, F factors.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import logsumexp

from truelift.models.causal.forward import CausalNetworks
from truelift.models.causal.rows import Rows

#: From the network's own odds to the arms' shares; the first of the best is taken.
FACTORS = np.linspace(1.0, 0.0, 21)


def log_shares(arm_weight: np.ndarray, uses: np.ndarray) -> np.ndarray:
    """Log of the arms' shares (K, A) in the folds that each model uses.

    Parameters
    ----------
    arm_weight : ndarray, (K, A)
        Weight of the training rows by fold and arm.
    uses : ndarray of bool, (K, K)
        Whether the model of fold k (row) may see fold j (column).
    """
    # One more row an arm: an arm that a model has not met is not impossible.
    seen = uses @ arm_weight + 1.0
    return np.asarray(np.log(seen / seen.sum(axis=1, keepdims=True)))


def entropies(
    networks: CausalNetworks, rows: Rows, shares: np.ndarray, uses: np.ndarray
) -> np.ndarray:
    """Weighted sums (K, F) of each model's cross-entropy over the rows of the folds it uses.

    Parameters
    ----------
    networks : CausalNetworks
    rows : Rows
    shares : ndarray, (K, A)
        See :func:`log_shares`.
    uses : ndarray of bool, (K, K)
    """
    sums = np.zeros((len(uses), len(FACTORS)))
    for k, used in enumerate(uses):
        own = used[rows.fold]
        arm, weight = rows.arm[own], rows.weight[own].astype(np.float64)
        distance = networks.log_odds(rows.x[own].T, k) - shares[k]
        for place, factor in enumerate(FACTORS):
            odds = shares[k] + factor * distance
            each = logsumexp(odds, axis=1) - odds[np.arange(len(arm)), arm]
            sums[k, place] = each @ weight
    return sums


def tempered(
    weights: Mapping[str, np.ndarray], factor: np.ndarray, shares: np.ndarray
) -> dict[str, np.ndarray]:
    """Weights whose log odds are ``shares + factor * (odds - shares)``; factor (K), shares (K, A)."""
    by_fold = factor[:, None, None].astype(np.float32)
    found = dict(weights)
    for name in ("propensity.kernel", "propensity.linear", "propensity.bias"):
        found[name] = by_fold * weights[name]
    found["propensity.bias"] += (1 - by_fold) * shares[:, None].astype(np.float32)
    return found
