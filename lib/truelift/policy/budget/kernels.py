"""Compiled loops of budget paths: concave hulls of units, and sums of clusters along the path."""

from __future__ import annotations

import numpy as np

from truelift.arrays.compiled import compiled


@compiled
def hulls(gain, cost, allowed, arm, slope):  # type: ignore[no-untyped-def]
    """The upper concave hull of every unit's arms over cost, from doing nothing on.

    Parameters
    ----------
    gain, cost : ndarray, n x K
        Forecast gain and cost of each arm against the control.
    allowed : ndarray of bool, n x K
    arm : ndarray of int, n x K
        Receives the arms on the hull, cheapest first, then -1.
    slope : ndarray, n x K
        Receives what the step to each of them gains for one unit of cost: falling, above zero.
    """
    n, arms = gain.shape
    order = np.empty(arms, np.int64)
    for i in range(n):
        count = 0
        for a in range(arms):
            if not allowed[i, a] or gain[i, a] <= 0:
                continue
            place = count
            while place > 0 and (
                cost[i, order[place - 1]] > cost[i, a]
                or (
                    cost[i, order[place - 1]] == cost[i, a]
                    and gain[i, order[place - 1]] < gain[i, a]
                )
            ):
                order[place] = order[place - 1]
                place -= 1
            order[place] = a
            count += 1
        top = 0
        for k in range(count):
            a = order[k]
            while True:
                from_gain = gain[i, arm[i, top - 1]] if top else 0.0
                from_cost = cost[i, arm[i, top - 1]] if top else 0.0
                if gain[i, a] <= from_gain:
                    break
                if cost[i, a] > from_cost:
                    step = (gain[i, a] - from_gain) / (cost[i, a] - from_cost)
                    if not top or step < slope[i, top - 1]:
                        arm[i, top] = a
                        slope[i, top] = step
                        top += 1
                        break
                # The arm before lies below the line to this one.
                top -= 1
        for k in range(top, arms):
            arm[i, k] = -1
            slope[i, k] = 0.0


@compiled
def along_path(units, cluster, arm, from_step, score, cost, weight, sums):  # type: ignore[no-untyped-def]
    """Sums by cluster of score and cost of the arms held at each of J budgets, and of weights.

    Parameters
    ----------
    units : ndarray of int
        Those of the clusters of this block.
    cluster : ndarray of int, n
        Their place in the block.
    arm : ndarray of int, n x K
        Arms on the hull.
    from_step : ndarray of int, n x K
        The first budget at which a unit has taken that step.
    score, cost : ndarray, n x K
    weight : ndarray, n
    sums : ndarray, clusters x 3 x J
        Zero; the last of the three is filled at every budget.
    """
    budgets = sums.shape[2]
    for u in range(len(units)):
        i = units[u]
        c = cluster[u]
        for j in range(budgets):
            sums[c, 2, j] += weight[i]
        for k in range(arm.shape[1]):
            if arm[i, k] < 0:
                break
            a = arm[i, k]
            gained, paid = score[i, a], cost[i, a]
            if k:
                gained -= score[i, arm[i, k - 1]]
                paid -= cost[i, arm[i, k - 1]]
            for j in range(from_step[i, k], budgets):
                sums[c, 0, j] += weight[i] * gained
                sums[c, 1, j] += weight[i] * paid


@compiled
def best_at(gain, cost, allowed, price, arm, margin):  # type: ignore[no-untyped-def]
    """Every unit's best arm beside the control, at a price of one unit of cost, and what it leaves."""
    n, arms = gain.shape
    for i in range(n):
        best, at = -np.inf, -1
        for a in range(arms):
            if allowed[i, a]:
                value = gain[i, a] - price * cost[i, a]
                if value > best:
                    best, at = value, a
        arm[i], margin[i] = at, best
