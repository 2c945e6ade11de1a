"""One budget under limits: exclusions, floors and caps by group, a share by lot.

At a price of one unit of cost every unit's best arm leaves a margin; a group takes its units from the
largest margin on, at least as many as its floor asks for and at most its cap. That is the optimum of the
Lagrangian in which a floor is a bonus and a cap a fee on treating the group. The price is the lowest at
which the spend is within the budget.

Where a floor or cap binds, the margin at which its group stops is estimated as the price is: with s the share that
is treated, a unit moves the gain by ``-(kappa - slope pi) (1[treated] - s)`` beside its own part, kappa and pi what the
units about that margin gain and cost by the scores, and slope that of the path *within* the limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import ConfigError
from truelift.policy.budget.kernels import best_at
from truelift.policy.budget.path import Offers

_STEPS = 80
# How far the price moves for the slope, and half the share of a group about its margin.
_ABOUT = 0.1
_MARGIN = 0.05
_FEWEST = 10


@dataclass(frozen=True, eq=False)
class Limits:
    """Floors and caps on the share of each group that gets another arm than the control.

    Parameters
    ----------
    group : ndarray of int, n
    floor, cap : ndarray, groups
        Shares of the group's units; 0 and 1 for no limit.
    """

    group: np.ndarray
    floor: np.ndarray
    cap: np.ndarray


@dataclass(frozen=True, eq=False)
class Allocation:
    """Who gets what.

    Parameters
    ----------
    arm : ndarray of int, n
        -1 for the control.
    price : float
        Gain for one unit of cost below which nothing is bought.
    spend : float
        A unit.
    """

    arm: np.ndarray
    price: float
    spend: float


def allocate(
    offers: Offers, budget: float, limits: Limits | None = None, near: float = 0.0
) -> Allocation:
    """The best allocation within a budget a unit.

    Parameters
    ----------
    offers : Offers
    budget : float
    limits : Limits, optional
    near : float
        Share of the budget that may be left where the price is no more looked for; 0 goes on to the last digit.

    Raises
    ------
    ConfigError
        If floors need more than the budget, naming what they need.
    """
    limits = limits or Limits(np.zeros(len(offers.cost), np.int64), np.zeros(1), np.ones(1))
    chosen, spent = _at(offers, limits, 0.0)
    if spent <= budget:
        return Allocation(chosen, 0.0, spent)
    low, high = 0.0, 1.0
    best, spent = _at(offers, limits, high)
    while spent > budget and high < 1e12:
        low, high = high, 8.0 * high
        best, spent = _at(offers, limits, high)
    if spent > budget:
        n = len(offers.cost)
        raise ConfigError(
            f"floors: they need a spend of at least {spent * n:.6g}, and the budget is "
            f"{budget * n:.6g}. Lower a floor or raise the budget."
        )
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high) or (near and budget - spent <= near * budget):
            break
        chosen, found = _at(offers, limits, middle)
        if found <= budget:
            high, best, spent = middle, chosen, found
        else:
            low = middle
    return Allocation(best, high, spent)


def _at(offers: Offers, limits: Limits, price: float) -> tuple[np.ndarray, float]:
    n = len(offers.cost)
    arm, margin = np.empty(n, np.int64), np.empty(n)
    best_at(offers.forecast, offers.cost, offers.may, price, arm, margin)
    treated = margin > 0
    for g in range(len(limits.floor)):
        if limits.floor[g] <= 0 and limits.cap[g] >= 1:
            continue
        own = np.flatnonzero((limits.group == g) & (arm >= 0))
        size = int(np.count_nonzero(limits.group == g))
        least = min(int(np.ceil(limits.floor[g] * size - 1e-9)), len(own))
        most = int(np.floor(limits.cap[g] * size + 1e-9))
        count = min(max(int(treated[own].sum()), least), most)
        treated[own] = False
        treated[own[np.argsort(-margin[own], kind="stable")[:count]]] = True
    arm = np.where(treated, arm, -1)
    rows = np.flatnonzero(arm >= 0)
    return arm, float((offers.weights[rows] * offers.paid[rows, arm[rows]]).sum())


def binds(offers: Offers, found: Allocation) -> bool:
    """Whether a floor or cap changes who is treated at the price of an allocation."""
    free, _ = _at(
        offers, Limits(np.zeros(len(offers.cost), np.int64), np.zeros(1), np.ones(1)), found.price
    )
    return not np.array_equal(free >= 0, found.arm >= 0)


def slope_within(offers: Offers, limits: Limits, found: Allocation) -> float:
    """What one more unit of money gains within the limits, by the scores; 0 where none is lacking.

    Parameters
    ----------
    offers : Offers
    limits : Limits
    found : Allocation
    """
    if found.price <= 0:
        return 0.0
    gains, spends = [], []
    for price in (found.price * (1 - _ABOUT), found.price * (1 + _ABOUT)):
        arm, spent = _at(offers, limits, price)
        rows = np.flatnonzero(arm >= 0)
        gains.append(float(offers.weights[rows] @ offers.score[rows, arm[rows]]))
        spends.append(spent)
    moved = spends[0] - spends[1]
    return (gains[0] - gains[1]) / moved if moved > 1e-12 * abs(spends[0]) else 0.0


def part_of_limits(offers: Offers, limits: Limits, found: Allocation, slope: float) -> np.ndarray:
    """What a unit moves the gain by because margins of groups are estimated (n); zero where no limit binds.

    Parameters
    ----------
    offers : Offers
    limits : Limits
    found : Allocation
    slope : float
        Of :func:`slope_within`.
    """
    n = len(offers.cost)
    arm, margin = np.empty(n, np.int64), np.empty(n)
    best_at(offers.forecast, offers.cost, offers.may, found.price, arm, margin)
    part = np.zeros(n)
    for g in range(len(limits.floor)):
        group = limits.group == g
        own = np.flatnonzero(group & (arm >= 0))
        count = int(np.count_nonzero(found.arm[own] >= 0))
        if not len(own) or count == int(np.count_nonzero(margin[own] > 0)):
            continue
        ranked = own[np.argsort(-margin[own], kind="stable")]
        half = max(int(_MARGIN * len(own)), _FEWEST)
        about = ranked[max(count - half, 0) : count + half]
        worth = offers.score[about, arm[about]] - slope * offers.paid[about, arm[about]]
        treated = np.where(found.arm[group] >= 0, 1.0, 0.0)
        part[group] = -float((offers.weights[about] * worth).mean()) * (treated - treated.mean())
    return part
