"""The budget path: what each budget gains when money goes where it gains most, and how sure that is.

The multi-armed Qini curve of Sverdrup, Wu, Athey & Wager (2025): each unit's arms form a concave hull over
cost, the steps of all hulls are taken from the steepest on, and doubly robust scores say what they gain.
Forecasts decide the order and must not have seen the unit's own outcome.

A budget B fixes the price at which the path stops, and the price is estimated too. With the path's slope
dG/dB the influence function of G(B) is

    psi = Gamma_pi - G - (dG/dB) (c_pi - B).

The slope is that of the scored path. The price of the last step, a ratio of forecasts, is the same only
where forecasts are calibrated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from truelift.errors import ConfigError, DataError
from truelift.policy.budget.kernels import along_path, hulls
from truelift.policy.means import Ratios

#: Half the share of the whole spend over which the slope is taken.
SLOPE_WINDOW = 0.05
_BLOCK = 32_768


@dataclass(frozen=True, eq=False)
class Offers:
    """What could be done for every unit: gains and costs of arms against the control.

    Parameters
    ----------
    forecast : ndarray, n x K
        Of the gain; decides who comes first.
    score : ndarray, n x K
        Doubly robust score of the gain; says what it was worth.
    cost : ndarray, n x K
        Above zero: known, or the forecast of what an arm will have cost.
    cluster : ndarray, n, optional
        Units that share it may be dependent.
    weight : ndarray, n, optional
    allowed : ndarray of bool, n x K, optional
    scored_cost : ndarray, n x K, optional
        Doubly robust score of the cost, where costs are effects that are estimated: what is spent follows
        from these, as what is gained does from ``score``.

    Raises
    ------
    DataError
        For costs that are not above zero, and numbers that are not finite.
    """

    forecast: np.ndarray
    score: np.ndarray
    cost: np.ndarray
    cluster: np.ndarray | None = None
    weight: np.ndarray | None = None
    allowed: np.ndarray | None = None
    scored_cost: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.cost):
            raise DataError("There are no units to spend on.")
        open_cost = self.cost[self.may]
        if wrong := int(np.count_nonzero(~(open_cost > 0))):
            raise DataError(
                f"costs: {wrong:,} are zero, negative or missing, expected numbers above zero for every "
                "arm but the control: an arm without a cost is no question of budget."
            )
        for name, values in (
            ("forecast", self.forecast), ("score", self.score), ("score of the cost", self.paid),
        ):  # fmt: skip
            if wrong := int(np.count_nonzero(~np.isfinite(values))):
                raise DataError(f"{name}: {wrong:,} numbers are not finite.")

    @property
    def paid(self) -> np.ndarray:
        """What arms cost, where money is counted (n x K)."""
        return self.cost if self.scored_cost is None else self.scored_cost

    @cached_property
    def may(self) -> np.ndarray:
        """Which arms are allowed."""
        return np.ones(self.cost.shape, bool) if self.allowed is None else self.allowed

    @cached_property
    def weights(self) -> np.ndarray:
        """The weights, adding up to one."""
        n = len(self.cost)
        return np.full(n, 1.0 / n) if self.weight is None else self.weight / self.weight.sum()

    @cached_property
    def clusters(self) -> tuple[np.ndarray, int]:
        """Each unit's cluster by a number, and how many there are."""
        if self.cluster is None:
            return np.arange(len(self.cost)), len(self.cost)
        coded = pa.array(self.cluster).dictionary_encode()
        return coded.indices.to_numpy().astype(np.int64), len(coded.dictionary)

    @cached_property
    def by_cluster(self) -> np.ndarray:
        """Units in the order of their clusters."""
        place, count = self.clusters
        return np.arange(len(place)) if count == len(place) else np.argsort(place, kind="stable")


@dataclass(frozen=True, eq=False)
class BudgetPath:
    """Spend and gain a unit after every step.

    Parameters
    ----------
    offers : Offers
    arm, slope : ndarray, n x K
        Hulls; see :func:`~.kernels.hulls`.
    order : ndarray of int
        Steps, flat places in the hulls, from the steepest on; equal ones in the units' order.
    spend, gain : ndarray, 1 + steps
        Running sums, from nothing on; of scores where costs are estimated, and then the highest so far.
    """

    offers: Offers
    arm: np.ndarray
    slope: np.ndarray
    order: np.ndarray
    spend: np.ndarray
    gain: np.ndarray

    @property
    def whole(self) -> float:
        """What is spent when nothing is left that gains."""
        return float(self.spend[-1])

    def gain_at(self, budgets: np.ndarray) -> np.ndarray:
        """Gain a unit at budgets a unit: between two steps in proportion, beyond the last its own."""
        return np.interp(budgets, self.spend, self.gain)

    def price_at(self, budgets: np.ndarray) -> np.ndarray:
        """The forecast gain of the step that a budget stops in, by one unit of cost; 0 beyond the last."""
        at = np.searchsorted(self.spend[1:], budgets, side="left")
        slopes = np.append(self.slope.ravel()[self.order], 0.0)
        return slopes[np.minimum(at, len(self.order))]

    def scored_slope(self, budgets: np.ndarray) -> np.ndarray:
        """dG/dB of the scored path, over a window around each budget; 0 beyond the last step."""
        reach = SLOPE_WINDOW * self.whole
        low, high = np.maximum(budgets - reach, 0.0), np.minimum(budgets + reach, self.whole)
        width = np.where(high > low, high - low, 1.0)
        slope = (self.gain_at(high) - self.gain_at(low)) / width
        return np.where(budgets < self.whole, slope, 0.0)

    def arms_at(self, budget: float) -> np.ndarray:
        """Each unit's arm at a budget, -1 for the control; the step that it stops in is not taken."""
        taken = np.zeros(self.arm.size, bool)
        # What rounding left of a budget that pays exactly for a step is no reason to leave it out.
        slack = 1e-12 * max(budget, self.whole)
        taken[self.order[: np.searchsorted(self.spend[1:], budget + slack, side="right")]] = True
        steps = taken.reshape(self.arm.shape).sum(axis=1)
        rows = np.arange(len(steps))
        return np.where(steps > 0, self.arm[rows, np.maximum(steps - 1, 0)], -1)

    def influence(self, budgets: np.ndarray) -> Iterator[np.ndarray]:
        """Influence functions of the gains at J budgets, summed by cluster, a block of clusters a time."""
        offers = self.offers
        place, count = offers.clusters
        first = self._first_budget(budgets)
        slope, gain = self.scored_slope(budgets), self.gain_at(budgets)
        spent = np.minimum(budgets, self.whole)
        ordered = place[offers.by_cluster]
        for start in range(0, count, _BLOCK):
            stop = min(start + _BLOCK, count)
            low, high = np.searchsorted(ordered, [start, stop])
            sums = np.zeros((stop - start, 3, len(budgets)))
            along_path(
                offers.by_cluster[low:high], ordered[low:high] - start, self.arm, first,
                offers.score, offers.paid, offers.weights, sums,
            )  # fmt: skip
            yield sums[:, 0] - slope * sums[:, 1] - (gain - slope * spent) * sums[:, 2]

    def _first_budget(self, budgets: np.ndarray) -> np.ndarray:
        """The first of the ascending budgets that pays for each step of the hulls."""
        found = np.full(self.arm.size, len(budgets), np.int64)
        found[self.order] = np.searchsorted(budgets, self.spend[1:], side="left")
        return found.reshape(self.arm.shape)


def budget_path(offers: Offers) -> BudgetPath:
    """The path over all budgets."""
    shape = offers.cost.shape
    arm, slope = np.empty(shape, np.int64), np.empty(shape)
    gain = np.ascontiguousarray(offers.forecast)
    hulls(gain, np.ascontiguousarray(offers.cost), offers.may, arm, slope)
    steps = np.flatnonzero(arm.ravel() >= 0)
    order = steps[np.argsort(-slope.ravel()[steps], kind="stable")]
    unit, place = np.divmod(order, shape[1])
    to, back = arm.ravel()[order], arm.ravel()[order - (place > 0)]
    first = place == 0
    paid = offers.paid[unit, to] - np.where(first, 0.0, offers.paid[unit, back])
    gained = offers.score[unit, to] - np.where(first, 0.0, offers.score[unit, back])
    weight = offers.weights[unit]
    zero = np.zeros(1)
    spend = np.concatenate([zero, np.cumsum(weight * paid)])
    if offers.scored_cost is not None:
        # Scores of single units go up and down: a budget pays for what comes before their sum first exceeds it.
        spend = np.maximum.accumulate(spend)
    return BudgetPath(
        offers, arm, slope, order, spend, np.concatenate([zero, np.cumsum(weight * gained)])
    )


def checked_budgets(budgets: Sequence[float], offers: Offers) -> np.ndarray:
    """Budgets a unit, ascending.

    Raises
    ------
    ConfigError
        For none, and for one that pays for nobody.
    """
    found = np.unique(np.asarray(budgets, float))
    n = len(offers.cost) if offers.weight is None else float(offers.weight.sum())
    least = float((offers.cost * offers.weights[:, None])[offers.may].min())
    if not len(found) or found[0] < least:
        raise ConfigError(
            f"budget: found {f'{found[0] * n:.6g}' if len(found) else 'none'}, and the cheapest arm of the "
            f"cheapest unit costs {least * n:.6g}. Expected a budget that pays for at least one."
        )
    return found


def gains_at(paths: Sequence[BudgetPath], budgets: np.ndarray) -> Ratios:
    """Gains of several paths of the same units at the same budgets, with their joint covariance.

    Parameters
    ----------
    paths : sequence of BudgetPath
        Of offers in the same order of units.
    budgets : ndarray, J
        A unit, ascending.

    Returns
    -------
    Ratios
        Path after path: ``combined`` makes paired differences (:func:`difference`) and areas of them.
    """
    total = len(paths) * len(budgets)
    products = np.zeros((total, total))
    for blocks in zip(*(path.influence(budgets) for path in paths), strict=True):
        psi = np.concatenate(blocks, axis=1)
        products += psi.T @ psi
    clusters = paths[0].offers.clusters[1]
    if clusters < 2:
        raise DataError(f"Intervals need at least two clusters, found {clusters}.")
    estimates = np.concatenate([path.gain_at(budgets) for path in paths])
    return Ratios(estimates, products * clusters / (clusters - 1), clusters)


def difference(joint: Ratios) -> Ratios:
    """The first of two paths less the second, at every budget."""
    half = len(joint.estimates) // 2
    return joint.combined(np.concatenate([np.eye(half), -np.eye(half)], axis=1))


def area(difference: Ratios, budgets: np.ndarray) -> Ratios:
    """The mean of a curve over its budgets by the trapezoid rule: one number."""
    width = np.diff(budgets)
    weights = np.zeros(len(budgets))
    weights[:-1] += width / 2
    weights[1:] += width / 2
    return difference.combined(weights[None] / max(budgets[-1] - budgets[0], 1e-300))
