"""Factors that rank items by what showing them changes, from purchases with and without having been shown.

Sato, Takemori, Singh & Ohkuma (RecSys 2020): a purchase of a shown item counts ``1 / p`` for the item, one that was not
shown ``-1 / (1 - p)`` against it; the expectation of the sum is the effect. Pairs with items drawn evenly, logistic
losses of signed pairs, weights capped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import ConfigError
from truelift.models.factors.kernels import fit_pairs


@dataclass(frozen=True)
class PairOptions:
    """How factors are fitted.

    Parameters
    ----------
    rank, passes : int
        Factors, and steps for every purchase.
    rate, penalty : float
    cap : float
        Least chance that a weight divides by.
    seed : int
    """

    rank: int = 16
    passes: int = 400
    rate: float = 0.03
    penalty: float = 0.1
    cap: float = 0.05
    seed: int = 7

    def __post_init__(self) -> None:
        for name in ("rank", "passes"):
            if (found := getattr(self, name)) < 1:
                raise ConfigError(f"{name}: found {found}, expected at least 1.")
        if not 0 < self.cap <= 0.5:
            raise ConfigError(f"cap: found {self.cap}, expected more than 0, at most 0.5.")


@dataclass(frozen=True, eq=False)
class PairModel:
    """Scores ``b_i + p_u . q_i``: an order, not purchases."""

    left: np.ndarray
    right: np.ndarray
    bias: np.ndarray

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Of all items, a row a user."""
        return np.asarray(self.left[users] @ self.right.T + self.bias)


def signed_weights(shown: np.ndarray, chance: np.ndarray, cap: float) -> np.ndarray:
    """``Z / max(p, cap) - (1 - Z) / max(1 - p, cap)``: times a purchase, an effect's unbiased estimate but for the cap."""
    return np.where(shown, 1 / np.maximum(chance, cap), -1 / np.maximum(1 - chance, cap))


def fit_causal_pairs(
    users: np.ndarray,
    items: np.ndarray,
    shown: np.ndarray,
    chance: np.ndarray,
    shape: tuple[int, int],
    options: PairOptions,
) -> PairModel:
    """Fit on purchases.

    Parameters
    ----------
    users, items : ndarray of int, n
    shown : ndarray of bool, n
    chance : ndarray, n
        Of having been shown, within (0, 1).
    shape : (int, int)
        Users and items that there are.
    options : PairOptions
    """
    rng = np.random.default_rng(options.seed)
    left, right = (0.1 * rng.normal(size=(n, options.rank)) for n in shape)
    bias = np.zeros(shape[1])
    weights = signed_weights(shown, chance, options.cap)
    # Weights of about one, so that a step is as large whatever the chances.
    weights = weights / max(float(np.abs(weights).mean()), 1e-12) if len(weights) else weights
    if len(weights):
        fit_pairs(
            users, items, weights, left, right, bias, options.passes * len(users), options.rate,
            options.penalty, options.seed, np.broadcast_to(np.zeros((1, 1), bool), shape),
        )  # fmt: skip
    return PairModel(left, right, bias)
