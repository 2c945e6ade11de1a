"""Spends a budget: the path with its bands, the allocation under limits, and what limits cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.effects.panel.source import PanelSource
from truelift.errors import ConfigError
from truelift.policy.allocation_options import AllocateOptions
from truelift.policy.budget.comparing import compared, mean_cost, price_of_limits
from truelift.policy.budget.estimated_costs import forecast_costs, ratios_of_effects
from truelift.policy.budget.limits import Limits, allocate, binds, part_of_limits, slope_within
from truelift.policy.budget.path import (
    Offers,
    area,
    budget_path,
    checked_budgets,
    difference,
    gains_at,
)
from truelift.policy.budget.results import AllocationResult, LevelShare, PathPoint
from truelift.policy.means import Ratios
from truelift.policy.package import explored
from truelift.policy.results import Figure
from truelift.policy.rows import BlockReader
from truelift.policy.values import figures
from truelift.progress import Tell

BATCH = 65_536


@dataclass(frozen=True, eq=False)
class Held:
    """All units in memory, ties between them broken by a hash of their names.

    Parameters
    ----------
    offers : Offers
    total : float
        The sum of the weights: what turns a mean into a sum.
    unit, user : pyarrow.Array
    bucket : ndarray of int, n
    group : ndarray of str, n, optional
        Levels of the limits' column.
    """

    offers: Offers
    total: float
    unit: pa.Array
    user: pa.Array
    bucket: np.ndarray
    group: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Spent:
    """The result, and who gets what: arms by number (0 is the control), taken and best, and chances."""

    result: AllocationResult
    held: Held
    taken: np.ndarray
    best: np.ndarray
    propensity: np.ndarray


def held_units(source: PanelSource, reader: BlockReader, options: AllocateOptions) -> Held:
    """Reads all units: 24 bytes an arm and unit, and their names.

    Raises
    ------
    DataError
        For costs that are not above zero.
    """
    columns = reader.columns
    names = columns.schema.names
    parts: dict[str, list[np.ndarray]] = {}
    texts: dict[str, list[pa.Array]] = {"unit": [], "user": []}
    for batch in source.blocks(lambda b, fold: b, tuple(names), 1):
        block = reader(batch)
        scores, forecasts = block.rewards + block.paid, block.forecasts + block.costs
        cost = block.costs[:, 1:] - block.costs[:, :1]
        paid = block.paid[:, 1:] - block.paid[:, :1]
        if options.capacity is not None:
            # A place has no price: what an arm costs comes off its gain.
            scores, forecasts, cost = block.rewards, block.forecasts, np.ones_like(cost)
            paid = cost
        may = np.ones(cost.shape, bool)
        for a, arm in enumerate(columns.arms[1:]):
            if arm in options.exclude:
                may[:, a] = np.nan_to_num(reader.number(batch, options.exclude[arm]), nan=1.0) == 0
        found = {
            "forecast": forecasts[:, 1:] - forecasts[:, :1], "score": scores[:, 1:] - scores[:, :1],
            "cost": cost, "paid": paid, "may": may, "weight": block.weight, "cluster": block.cluster,
            "bucket": batch.column(names.index("bucket")).to_numpy(),
        }  # fmt: skip
        if options.limit_by is not None:
            held = reader.texts(batch, options.limit_by).fill_null("")
            found["group"] = held.to_numpy(zero_copy_only=False).astype(str)
        for key, value in found.items():
            parts.setdefault(key, []).append(value)
        texts["unit"].append(batch.column(names.index("unit_id")))
        texts["user"].append(batch.column(names.index("user_key")))
    unit, user = (pa.concat_arrays(texts[key]) for key in ("unit", "user"))
    order = np.argsort(hash_keys(unit), kind="stable")
    whole = {key: np.concatenate(values)[order] for key, values in parts.items()}
    place = pa.array(order)
    cost, paid = whole["cost"], None
    if columns.paid is not None and options.capacity is None:
        cost, paid = (
            forecast_costs(
                cost, whole["paid"], whole["weight"], columns.arms, columns.paid, whole["cluster"]
            ),
            whole["paid"],
        )
    offers = Offers(
        whole["forecast"], whole["score"], cost, whole["cluster"], whole["weight"], whole["may"], paid
    )  # fmt: skip
    total = float(whole["weight"].sum())
    return Held(offers, total, unit.take(place), user.take(place), whole["bucket"], whole.get("group"))  # fmt: skip


def spend(
    held: Held, arms: tuple[str, ...], options: AllocateOptions, table: str, salt: str,
    notes: tuple[str, ...] = (), progress: Tell = lambda text: None,
) -> Spent:  # fmt: skip
    """The path, and the allocation of the budget.

    Raises
    ------
    ConfigError
        For a budget that pays for nobody, floors that it cannot pay, and levels that are not there.
    """
    offers, total = held.offers, held.total
    amount = options.budget if options.capacity is None else float(options.capacity)
    assert amount is not None
    budget = checked_budgets([amount / total], offers)[0]
    progress("ordering the units' steps")
    path = budget_path(offers)
    if not len(path.order):
        raise ConfigError(
            "No arm is forecast to gain anything for any unit, so there is nothing to spend on."
        )
    lot = budget_path(_without_looking(offers))
    budgets = np.linspace(0, path.whole, options.points + 1)[1:]
    progress("the path's intervals")
    joint = gains_at([path, lot], budgets)
    half = len(budgets)
    own = _sums(joint.combined(np.eye(2 * half)[:half]), total)
    gap = difference(joint)
    names = [f"{b * total:.6g}" for b in budgets]
    gains = figures(own, names, options.confidence)
    gaps = figures(_sums(gap, total), names, options.confidence)
    mean_gap = figures(_sums(area(gap, budgets), total), ["area"], options.confidence)[0]
    slopes = path.scored_slope(np.minimum(budgets, path.whole * (1 - 1e-9)))
    limits, levels = _limits(held, options)
    prices: dict[int, Figure] = {}
    if limits is not None:
        progress("what limits take along the path")
        payable, taken_there = price_of_limits(path, limits, budgets)
        if taken_there is not None:
            told = [names[j] for j in payable]
            found = figures(_sums(taken_there, total), told, options.confidence)
            prices = dict(zip(payable.tolist(), found, strict=True))
    points = tuple(
        PathPoint(float(b * total), gains[j], gaps[j], float(slopes[j]), float(path.price_at(b)),
                  _shares(path.arms_at(b) + 1, offers, arms), prices.get(j))
        for j, b in enumerate(budgets)
    )  # fmt: skip
    progress("allocating the budget")
    may = np.concatenate([np.ones((len(offers.cost), 1), bool), offers.may], axis=1)
    by_lot = float((offers.weights * mean_cost(offers, may)).sum())
    for_rule = (budget - options.exploration * by_lot) / (1 - options.exploration)
    if for_rule <= 0:
        raise ConfigError(
            f"exploration: treating {options.exploration:.0%} of the units by lot costs "
            f"{options.exploration * by_lot * total:.6g}, and the {_money(options)} is {amount:.6g}. Explore "
            "less, or raise it."
        )
    free, bound = allocate(offers, for_rule), allocate(offers, for_rule, limits)
    made = explored(bound.arm + 1, may, held.unit, options.exploration, salt)
    slope = float(path.scored_slope(np.array([for_rule]))[0])
    within, part = slope, np.zeros(len(offers.cost))
    if limits is not None and binds(offers, bound):
        within = slope_within(offers, limits, bound)
        part = part_of_limits(offers, limits, bound, within)
    beside = compared(
        offers, [bound.arm, free.arm], options.exploration, may, [within, slope], [part, 0.0]
    )
    gain = figures(_sums(beside.combined(np.eye(2)[:1]), total), ["gain"], options.confidence)[0]
    taken = None
    if levels:
        less = beside.combined(np.array([[-1.0, 1.0]]))
        taken = figures(_sums(less, total), ["limits"], options.confidence)[0]
    if offers.scored_cost is not None:
        by_money = figures(ratios_of_effects(offers), arms[1:], options.confidence)
        notes = (*notes, _in_words(by_money, arms[1:], options.reward.cost_outcome))
    good = [p.budget for p in points if p.slope >= 1.0]
    spent = (1 - options.exploration) * bound.spend + options.exploration * by_lot
    result = AllocationResult(
        outcome=options.reward.outcome, arms=arms, table=table, table_version=0,
        n=len(offers.cost), clusters=offers.clusters[1], money=_money(options), path=points,
        area=mean_gap, whole=path.whole * total,
        stop=max(good) if good and options.capacity is None else None,
        budget=float(amount), spend=spent * total, price=bound.price,
        shares=_shares(bound.arm + 1, offers, arms), gain=gain, limits_cost=taken,
        levels=_level_shares(limits, levels, free.arm, bound.arm),
        exploration=options.exploration, notes=notes, confidence=options.confidence,
    )  # fmt: skip
    return Spent(result, held, made.taken, made.best, made.propensity)


def _in_words(by_money: tuple[Figure, ...], arms: tuple[str, ...], outcome: str | None) -> str:
    """What arms gain for one unit of estimated money."""
    told = "; ".join(
        f"{arm} {f.estimate:.4g} [{f.ci_lower:.4g}, {f.ci_upper:.4g}]"
        for arm, f in zip(arms, by_money, strict=True)
    )
    return f"Costs are the effects on {outcome}. Given to all, an arm gains for one unit of it: {told}."


def _money(options: AllocateOptions) -> str:
    return "budget" if options.capacity is None else "capacity"


def _without_looking(offers: Offers) -> Offers:
    """The same offers with each arm's mean forecast for everyone, at each unit's own cost."""
    mean = (offers.weights[:, None] * offers.forecast).sum(axis=0)
    cost = (offers.weights[:, None] * offers.cost).sum(axis=0)
    # By mean cost too: a unit's own cost is something to look at.
    slope_as_of_mean = offers.cost / cost
    return replace(offers, forecast=mean * slope_as_of_mean)


def _level_shares(
    limits: Limits | None, levels: tuple[str, ...], free: np.ndarray, bound: np.ndarray
) -> tuple[LevelShare, ...]:
    if limits is None:
        return ()
    held = [(level, limits.group == g) for g, level in enumerate(levels)]
    return tuple(
        LevelShare(level, float((free[own] >= 0).mean()), float((bound[own] >= 0).mean()))
        for level, own in held
    )


def _sums(means: Ratios, total: float) -> Ratios:
    return means.combined(total * np.eye(len(means.estimates)))


def _shares(arm: np.ndarray, offers: Offers, arms: tuple[str, ...]) -> dict[str, float]:
    found = np.bincount(arm, offers.weights, len(arms))
    return dict(zip(arms, found.tolist(), strict=True))


def _limits(held: Held, options: AllocateOptions) -> tuple[Limits | None, tuple[str, ...]]:
    if held.group is None or not (options.floors or options.caps):
        return None, ()
    levels, group = np.unique(held.group, return_inverse=True)
    for key in ("floors", "caps"):
        for level in getattr(options, key):
            if level not in levels:
                raise ConfigError(
                    f"{key}: {options.limit_by} has no level {level!r}; it has {', '.join(levels)}."
                )
    for level, share in options.floors.items():
        may = float(held.offers.may[held.group == level].any(axis=1).mean())
        if may < share - 1e-9:
            raise ConfigError(
                f"floors.{level}: found {share:g}, and {may:.1%} of its units may have another arm than the control "
                "(exclude). Lower it, or exclude fewer."
            )
    floor = np.array([options.floors.get(str(v), 0.0) for v in levels])
    cap = np.array([options.caps.get(str(v), 1.0) for v in levels])
    return Limits(group.astype(np.int64), floor, cap), tuple(str(v) for v in levels)
