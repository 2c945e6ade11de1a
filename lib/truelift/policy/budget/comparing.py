"""Allocations of the same money beside each other: what limits take from the gain, along the path."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.errors import ConfigError
from truelift.policy.budget.limits import Limits, allocate, binds, part_of_limits, slope_within
from truelift.policy.budget.path import BudgetPath, Offers
from truelift.policy.means import Ratios

# How near a spend along the path comes to its budget, as a share of it, where prices are halved.
_NEAR = 1e-4


def compared(
    offers: Offers, arms: Sequence[np.ndarray], exploration: float, may: np.ndarray,
    slopes: Sequence[float], parts: Sequence[np.ndarray | float] | None = None,
) -> Ratios:  # fmt: skip
    """Gains of allocations with a share by lot, and their covariance; the budget's part included.

    Parameters
    ----------
    offers : Offers
    arms : sequence of ndarray of int, n
        -1 for the control.
    exploration : float
    may : ndarray of bool, n x (1 + K)
        Arms that lots may give, the control first.
    slopes : sequence of float
        By allocation, what one more unit of money gains there by the scores.
    parts : sequence of ndarray, n, optional
        By allocation, what a unit moves the gain by through limits (:func:`~.limits.part_of_limits`).
    """
    place, clusters = offers.clusters
    rows = np.arange(len(place))
    lot_gain = np.where(offers.may, offers.score, 0.0).sum(axis=1) / may.sum(axis=1)
    lot_cost = mean_cost(offers, may)
    lines, gains = [], []
    parts = [0.0] * len(arms) if parts is None else parts
    for arm, slope, part in zip(arms, slopes, parts, strict=True):
        some = np.maximum(arm, 0)
        got = np.where(arm >= 0, offers.score[rows, some], 0.0)
        paid = np.where(arm >= 0, offers.paid[rows, some], 0.0)
        got = (1 - exploration) * got + exploration * lot_gain
        paid = (1 - exploration) * paid + exploration * lot_cost
        gain, spent = float(offers.weights @ got), float(offers.weights @ paid)
        psi = offers.weights * (got - gain - slope * (paid - spent)) + (1 - exploration) * part
        lines.append(np.bincount(place, psi, clusters))
        gains.append(gain)
    psi = np.array(lines)
    return Ratios(np.array(gains), psi @ psi.T * clusters / max(clusters - 1, 1), clusters)


def mean_cost(offers: Offers, may: np.ndarray) -> np.ndarray:
    """What a lot over the allowed arms costs, unit by unit."""
    paid = np.where(offers.may, offers.paid, 0.0).sum(axis=1)
    return paid / may.sum(axis=1)


def price_of_limits(
    path: BudgetPath, limits: Limits, budgets: np.ndarray
) -> tuple[np.ndarray, Ratios | None]:
    """What floors and caps take from the gain at several budgets, on the same money.

    Parameters
    ----------
    path : BudgetPath
        Without limits.
    limits : Limits
    budgets : ndarray, J
        A unit.

    Returns
    -------
    ndarray of int
        Budgets that can pay for the floors.
    Ratios, optional
        Gain without less gain with limits at each of these; None where there is none.
    """
    offers = path.offers
    payable, arms, slopes = [], [], []
    parts: list[np.ndarray | float] = []
    for j, budget in enumerate(budgets):
        try:
            within = allocate(offers, float(budget), limits, _NEAR)
        except ConfigError:  # floors ask for more
            continue
        # The same money without limits: a cap may leave some of the budget unspent, and that is its price.
        without = path.arms_at(float(budget))
        slope = float(path.scored_slope(np.array([min(budget, path.whole * (1 - 1e-9))]))[0])
        payable.append(j)
        arms += [without, within.arm]
        own = slope_within(offers, limits, within) if binds(offers, within) else slope
        slopes += [slope, own]
        parts += [0.0, part_of_limits(offers, limits, within, own)]
    if not payable:
        return np.zeros(0, np.int64), None
    may = np.concatenate([np.ones((len(offers.cost), 1), bool), offers.may], axis=1)
    gains = compared(offers, arms, 0.0, may, slopes, parts)
    less = np.kron(np.eye(len(payable)), np.array([[1.0, -1.0]]))
    return np.array(payable), gains.combined(less)
