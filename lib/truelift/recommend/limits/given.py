"""Limits as a job is given them: files read, checked against the catalogue, in arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from truelift.errors import ConfigError, DataError
from truelift.recommend.limits.files import lines_of
from truelift.recommend.limits.limits import MICRO, Limits, Rules
from truelift.settings.checks import require_known
from truelift.settings.recommend import RecommendOptions

_KEY = "recommend.limits"
#: Costs of a list, in parts and together, are numbers that floats hold exactly; units fit 64 bits, and so does their sum.
_MOST_COST, _MOST_UNITS = 1e8, 1e12
#: From users as the source names them to their keys.
UserKeysOf = Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True, eq=False)
class Offered:
    """What there is to offer.

    Parameters
    ----------
    item_keys, categories : tuple of str, items
        A blank where an item has no category.
    usable : ndarray of bool, items + 1
        That the model knows, and that may be offered at all.
    """

    item_keys: tuple[str, ...]
    categories: tuple[str, ...]
    usable: np.ndarray

    def place(self, item: str) -> int:
        """The index of an item; 0 for what is none."""
        return self._places.get(item, 0)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {key: number for number, key in enumerate(self.item_keys, start=1)}


def limits_given(
    options: RecommendOptions, offered: Offered, user_keys: UserKeysOf
) -> tuple[Limits | None, tuple[str, ...]]:
    """The limits of a job, and sentences on what of their files the catalogue does not know.

    Raises
    ------
    SourceError, DataError, ConfigError
        For files that cannot be read, and limits that cannot be kept.
    """
    given = options.limits
    said: list[str] = []
    if not given.any:
        return None, ()
    size = len(offered.item_keys) + 1
    if options.cost > _MOST_COST or not _in_whole_parts(options.cost):
        raise ConfigError(
            f"recommend.cost: found {options.cost!r} beside recommend.limits, which adds costs up; expected at most "
            f"{_MOST_COST:g}, and at most six decimals."
        )
    cost = np.full(size, options.cost)
    cost[0] = 0.0
    stock = np.full(size, -1, np.int64)
    for address, name, column, into in (
        (given.costs, "costs", "cost", cost), (given.stock, "stock", "units", stock)
    ):  # fmt: skip
        if address is not None:
            said += _numbers(address, f"{_KEY}.{name}", column, offered, into)
    rules = None
    if given.rules is not None:
        rules, more = _rules(given.rules, given.groups, offered, user_keys)
        said += more
    names, floors = tuple(given.floors), np.array(list(given.floors.values()))
    provider = np.zeros(size, np.int64)
    if names:
        of_item, more = _providers(given.providers, offered)
        said += more
        require_known(names, [name for name in dict.fromkeys(of_item) if name], f"{_KEY}.floors")
        code = {name: number for number, name in enumerate(names, start=1)}
        provider[1:] = [code.get(name, 0) for name in of_item]
    found = Limits(cost, stock, provider, given.budget, given.budget_per_user, rules, floors, names)
    _check(found, offered.usable, options.per_user)
    return found, tuple(said)


def _check(limits: Limits, usable: np.ndarray, per_user: int) -> None:
    """Refuse limits under which there is no list, or no full one."""
    there = usable & (limits.stock != 0)
    there[0] = False
    if not there.any():
        raise DataError(
            f"{_KEY}.stock: found no unit of any item that may be offered, expected some."
        )
    if limits.rules is not None:
        there &= ~limits.rules.denied[0]
        if not there.any():
            raise DataError(
                f"{_KEY}.rules: found every item that may be offered and is in stock denied to all, expected some that "
                "is not."
            )
    cheapest = float(limits.cost[there].min())
    for name, value in (("budget", limits.budget), ("budget_per_user", limits.budget_per_user)):
        if value is not None and value < cheapest:
            raise DataError(
                f"{_KEY}.{name}: found {value:g}, less than the {cheapest:g} that the cheapest item costs, so every "
                f"list would be empty; expected at least {cheapest:g}."
            )
    needs = [int(np.ceil(s * per_user - 1e-9)) for s in limits.floors]
    told = ", ".join(f"{n} for {p}" for n, p in zip(needs, limits.names, strict=True))
    if sum(needs) > per_user:
        raise DataError(
            f"{_KEY}.floors: lists of {per_user} need {sum(needs)} places in whole items ({told}); expected shares "
            f"that {per_user} places can hold, or more places (recommend.per_user)."
        )
    for number, (name, need) in enumerate(zip(limits.names, needs, strict=True), start=1):
        own = there & (limits.provider == number)
        if own.sum() < need:
            raise DataError(
                f"{_KEY}.floors: {name!r} has {int(own.sum())} items that may be offered and are in stock, fewer than "
                f"the {need} that a list of {per_user} owes it; expected a lower share or more items."
            )
        dear = float(np.sort(limits.cost[own])[:need].sum())
        if limits.budget_per_user is not None and dear > limits.budget_per_user:
            raise DataError(
                f"{_KEY}.floors: the {need} cheapest items of {name!r} that a list of {per_user} owes it cost "
                f"{dear:g}, more than budget_per_user ({limits.budget_per_user:g}); expected a lower share or more "
                "budget."
            )


def _numbers(
    address: str, key: str, column: str, offered: Offered, into: np.ndarray
) -> tuple[str, ...]:
    whole, strangers, seen = into.dtype == np.int64, 0, set()
    for line in lines_of(address, key, ("item", column)):
        item, number = line.values[0], line.number(1, whole)
        if item in seen:
            raise DataError(f"{line.where}: found the item {item!r} again, expected each once.")
        seen.add(item)
        most = _MOST_UNITS if whole else _MOST_COST
        if number > most:
            raise DataError(f"{line.where}: found {number:g}, expected at most {most:g}.")
        if not whole and not _in_whole_parts(number):
            raise DataError(f"{line.where}: found {number!r}, expected at most six decimals.")
        place = offered.place(item)
        strangers += not place
        if place:
            into[place] = number
    return _unknown(key, strangers, len(seen), "items")


def _in_whole_parts(cost: float) -> bool:
    return abs(cost * MICRO - round(cost * MICRO)) <= 1e-3


def _unknown(key: str, strangers: int, lines: int, what: str) -> tuple[str, ...]:
    if not lines:
        raise DataError(f"{key}: found no line below the header, expected some.")
    if strangers == lines:
        raise DataError(
            f"{key}: none of its {lines:,} {what} is in the tables; expected ids as the source has them."
        )
    return (f"{key}: {strangers:,} of {lines:,} {what} are not in the tables.",) * bool(strangers)


def _rules(
    address: str, groups: str | None, offered: Offered, user_keys: UserKeysOf
) -> tuple[Rules, tuple[str, ...]]:
    key, size = f"{_KEY}.rules", len(offered.item_keys) + 1
    members: dict[str, list[str]] = {}
    if groups is not None:
        for line in lines_of(groups, f"{_KEY}.groups", ("user", "group")):
            if "" in line.values:
                raise DataError(f"{line.where}: found a blank, expected a user and a group.")
            members.setdefault(line.values[0], []).append(line.values[1])
    names = {
        n: i for i, n in enumerate(dict.fromkeys(g for own in members.values() for g in own), 1)
    }
    category = np.array(["", *offered.categories], dtype=object)
    denied = np.zeros((len(names) + 1, size), bool)
    allowed, bound = denied.copy(), np.zeros(len(names) + 1, bool)
    lines = strangers = 0
    for line in lines_of(address, key, ("rule", "group", "category", "item")):
        rule, group, kind, item = line.values
        if rule not in ("allow", "deny"):
            raise DataError(f"{line.where}: found the rule {rule!r}, expected 'allow' or 'deny'.")
        if group and group not in names:
            raise DataError(
                f"{line.where}: found the group {group!r}, which {_KEY}.groups gives to no user."
            )
        if kind and kind not in offered.categories:
            raise DataError(f"{line.where}: found the category {kind!r}, which no item has.")
        row, meant = names.get(group, 0), np.ones(size, bool)
        if kind:
            meant &= category == kind
        if item:
            meant &= np.arange(size) == offered.place(item)
        meant[0] = False
        lines, strangers = lines + 1, strangers + (bool(item) and not offered.place(item))
        if rule == "deny":
            denied[row] |= meant
        else:
            allowed[row] |= meant
            bound[row] = True
    if not lines:
        raise DataError(f"{key}: found no line below the header, expected some.")
    said: tuple[str, ...] = ()
    if strangers:
        said = (f"{key}: {strangers:,} of {lines:,} rules name an item that is not in the tables.",)
    own = user_keys(list(members)) if members else {}
    known: dict[str, set[int]] = {}
    # A person whom the source names twice is in the groups of both.
    for user, of in members.items():
        known.setdefault(own[user], set()).update(names[g] for g in of)
    by_key = {user: tuple(sorted(of)) for user, of in known.items()}
    return Rules(by_key, denied, allowed, bound), said


def _providers(address: str | None, offered: Offered) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if address is None:
        return offered.categories, ()
    found = [""] * len(offered.item_keys)
    seen, strangers = set(), 0
    for line in lines_of(address, f"{_KEY}.providers", ("item", "provider")):
        item, name = line.values
        if item in seen:
            raise DataError(f"{line.where}: found the item {item!r} again, expected each once.")
        seen.add(item)
        place = offered.place(item)
        strangers += not place
        if place:
            found[place - 1] = name
    return tuple(found), _unknown(f"{_KEY}.providers", strangers, len(seen), "items")
