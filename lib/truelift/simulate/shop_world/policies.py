"""Logging policies by name, for worlds that are only to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from truelift.errors import ConfigError
from truelift.simulate.shop_world.lists import ListPolicy, by_rank, by_scores, random_lists
from truelift.simulate.shop_world.shop import Shop
from truelift.simulate.shop_world.truth import item_effects

_ASKED = 20_000


def _known(shop: Shop) -> np.ndarray:
    """How many know each item, the same in every context."""
    known = np.diff(shop.goods.known, prepend=0.0)
    return np.tile(known, (shop.contexts, 1))


def true_effects(shop: Shop, moment: int = 0, users: int = _ASKED) -> np.ndarray:
    """What showing each item first adds in each context, over some of the users as they come."""
    people = shop.people(np.arange(min(users, shop.world.users)))
    return item_effects(shop, people, shop.visits(people, moment), moment)[0]


_POLICIES: Mapping[str, Callable[[Shop, float], ListPolicy | None]] = {
    "nothing": lambda shop, explore: None,
    "random": lambda shop, explore: random_lists(shop.contexts, shop.world.items),
    "operator": lambda shop, explore: shop.operator(),
    "popularity": lambda shop, explore: by_rank(
        "popularity", _known(shop), explore, shop.world.list_length
    ),
    "soft_popularity": lambda shop, explore: by_scores(
        "soft_popularity", np.log(_known(shop)), explore, 1.0
    ),
    "oracle": lambda shop, explore: by_rank(
        "oracle", true_effects(shop), explore, shop.world.list_length
    ),
}
POLICIES = tuple(_POLICIES)


def named_policy(shop: Shop, name: str, explore: float) -> ListPolicy | None:
    """A policy by its name; None shows nothing.

    Raises
    ------
    ConfigError
        For a name that is not there.
    """
    if name not in _POLICIES:
        raise ConfigError(f"--policy: found {name!r}, expected one of {', '.join(POLICIES)}.")
    return _POLICIES[name](shop, explore)
