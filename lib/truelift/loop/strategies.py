"""Ways to rank, each a function of what was logged; all of them explore alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from truelift.loop.evidence import Evidence
from truelift.loop.learning import by_context, shrunken_rates
from truelift.loop.options import LoopOptions
from truelift.loop.worth import ListModel, model_of
from truelift.settings.checks import require_known
from truelift.simulate.shop_world.lists import ListPolicy, by_order, by_rank, random_lists
from truelift.simulate.shop_world.people import People
from truelift.simulate.shop_world.shop import Shop
from truelift.simulate.shop_world.truth import item_effects

_DRAWS = 300
_ORACLE_VISITS = 20_000


@dataclass(frozen=True, eq=False)
class Known:
    """What a strategy may know when it decides about a round.

    Parameters
    ----------
    shop : Shop
    options : LoopOptions
    evidence : Evidence
    model : ListModel
        What lists add, by that evidence.
    moment : int
        The round that it decides about.
    people : People
        As they are; for the oracle alone.
    kept : dict of str to ndarray
        What a strategy by user has kept from the rounds before, and keeps for the next.
    """

    shop: Shop
    options: LoopOptions
    evidence: Evidence
    model: ListModel
    moment: int
    people: People
    kept: dict[str, np.ndarray] = field(default_factory=dict)

    def ranked(self, name: str, scores: np.ndarray) -> ListPolicy:
        """The best items of those that are sold, in every context, with the share of exploration."""
        there = np.where(self.shop.sold(self.moment), scores, -np.inf)
        return by_rank(name, there, self.options.explore, self.shop.world.list_length)

    def best(self, name: str, model: ListModel, value: np.ndarray, cost: np.ndarray) -> ListPolicy:
        """Lists that are put together slot by slot of what adds most, given the slots above."""
        world, there = self.shop.world, self.shop.sold(self.moment)
        order = model.best(there, world.list_length, value, cost)
        return by_order(name, order, world.items, self.options.explore)


Strategy = Callable[[Known], "ListPolicy | None"]


def _random(known: Known) -> ListPolicy:
    return random_lists(known.shop.contexts, known.shop.world.items)


def _popularity(known: Known) -> ListPolicy:
    """What was bought most, with or without a list; the same for all."""
    bought = known.evidence.bought.sum(axis=0)
    return known.ranked("popularity", np.tile(bought, (known.shop.contexts, 1)))


def _relevance(known: Known) -> ListPolicy:
    """What is bought most likely in such a visit: what comes next."""
    visits = np.broadcast_to(known.evidence.asked[:, None], known.evidence.bought.shape)
    shape, rate = shrunken_rates(known.shop, known.evidence.bought, visits)
    return known.ranked("relevance", by_context(known.shop, shape / rate))


def _click_greedy(known: Known) -> ListPolicy:
    """What is clicked most where it is looked at."""
    shape, rate = shrunken_rates(known.shop, known.evidence.clicks, known.evidence.looks)
    return known.ranked("click_greedy", by_context(known.shop, shape / rate))


def _bandit(known: Known) -> ListPolicy:
    """Thompson (1933): items as likely as they are among the best, by clicks that ended in purchases."""
    shop, length = known.shop, known.shop.world.list_length
    shape, rate = shrunken_rates(shop, known.evidence.attributed, known.evidence.looks)
    random = np.random.default_rng([shop.seed, 2, known.moment])
    weights = np.zeros((shop.contexts, shop.world.items))
    there = shop.sold(known.moment)
    for _ in range(_DRAWS):
        drawn = by_context(shop, random.gamma(shape) / rate)
        best = np.argsort(-np.where(there, drawn, -np.inf), axis=1, kind="stable")[:, :length]
        np.put_along_axis(weights, best, np.take_along_axis(weights, best, axis=1) + 1.0, axis=1)
    return ListPolicy("bandit", weights / _DRAWS, known.options.explore)


def _effect(known: Known) -> ListPolicy:
    """What being shown adds to purchases, beside what the list has already."""
    n = known.shop.world.items
    return known.best("effect", known.model, np.ones(n), np.zeros(n))


def _value(known: Known) -> ListPolicy:
    """Profit on what is added less a price of the budget times what a slot costs.

    The price is the least at which lists cost no more than the budget on average over the contexts
    that were seen, found by bisection.
    """
    options, price = known.options, known.shop.goods.price
    gain, cost = options.margin * price, options.placement * price
    share = known.evidence.asked / max(known.evidence.asked.sum(), 1.0)

    def at(rate: float) -> ListPolicy:
        return known.best("value", known.model, gain, rate * cost)

    def spent(rate: float) -> float:
        return float(share @ ((at(rate).weights > 0) @ cost))

    low, high = 1.0, 2.0
    if spent(low) <= options.budget:
        return at(low)
    while spent(high) > options.budget and high < 1e6:
        high *= 2
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > options.budget else (low, middle)
    return at(high)


def _oracle(known: Known) -> ListPolicy:
    """What really adds most in the round to come: no strategy can know it."""
    shop, moment, n = known.shop, known.moment, known.shop.world.items
    some = known.people.part(slice(0, 2 * _ORACLE_VISITS))
    visits = shop.visits(some, moment)
    effect, count = item_effects(shop, some, visits, moment)
    nothing = np.full((len(visits), shop.world.list_length), -1, np.int32)
    chance = shop.respond(some, visits, nothing, moment).chance_without
    without = np.zeros((shop.contexts, shop.world.categories))
    np.add.at(without, visits.context, chance)
    without /= np.maximum(count, 1.0)[:, None]
    truth = model_of(without, effect, shop.goods.category, known.model.eyes)
    return known.best("oracle", truth, np.ones(n), np.zeros(n))


def _by_sequence(kind: str) -> Strategy:
    """What comes next for this user, by a sequence model."""

    def ranked(known: Known) -> ListPolicy:
        from truelift.loop.sequence import by_sequence  # TensorFlow, where it is asked for

        return by_sequence(kind, known)

    return ranked


def _nothing(known: Known) -> None:
    """No lists at all."""


STRATEGIES: Mapping[str, Strategy] = {
    "nothing": _nothing,
    "random": _random,
    "popularity": _popularity,
    "relevance": _relevance,
    "click_greedy": _click_greedy,
    "bandit": _bandit,
    "effect": _effect,
    "value": _value,
    "oracle": _oracle,
    "sasrec": _by_sequence("sasrec"),
    "gru": _by_sequence("gru"),
}
#: Whose lists differ by user; they keep histories, and are not forecast: an item's attention by
#: context says little of them.
BY_USER = frozenset({"sasrec", "gru"})


def asked_for(names: str) -> tuple[str, ...]:
    """Names of strategies from a list with commas.

    Raises
    ------
    ConfigError
        For one that is not there.
    """
    found = tuple(dict.fromkeys(n.strip() for n in names.split(",") if n.strip()))
    require_known(found, STRATEGIES, "--strategies")
    return found
