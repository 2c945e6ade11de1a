"""The shop by rounds: visits, lists, responses, state; a block of users at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from truelift.simulate.shop_world.catalogue import Catalogue, catalogue_of
from truelift.simulate.shop_world.lists import ListPolicy, draw_lists, random_lists
from truelift.simulate.shop_world.noise import other_moment
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.people import People, people_of
from truelift.simulate.shop_world.responses import Market, Responses, go_on, market_of, respond
from truelift.simulate.shop_world.visits import Visits, arrivals

BLOCK = 20_000


@dataclass(frozen=True, eq=False)
class Played:
    """A round of a block of users: what is logged, and what nobody logs.

    Parameters
    ----------
    moment : int
    visits : Visits
    items : ndarray of int32, v x L
    chances : ndarray, v x L
        Of every slot, given those before.
    responses : Responses
    group : ndarray of int8, v
    """

    moment: int
    visits: Visits
    items: np.ndarray
    chances: np.ndarray
    responses: Responses
    group: np.ndarray

    def part(self, rows: np.ndarray) -> Played:
        """Some of the visits."""
        return Played(
            self.moment, self.visits.part(rows), self.items[rows], self.chances[rows],
            self.responses.part(rows), self.group[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """A world with its seed: the items, and what happens to any block of users.

    Parameters
    ----------
    world : ShopWorld
    seed : int
    """

    world: ShopWorld
    seed: int

    @cached_property
    def goods(self) -> Catalogue:
        """The items."""
        return catalogue_of(self.world, self.seed)

    @property
    def contexts(self) -> int:
        """What a visit can be opened with: a category, bought from recently or not."""
        return 2 * self.world.categories

    def blocks(self, size: int = BLOCK) -> Iterator[People]:
        """All users, some thousand at a time, those of a branch together."""
        size = self.whole_branches(size)
        for first in range(0, self.world.users, size):
            yield self.people(np.arange(first, min(first + size, self.world.users)))

    def whole_branches(self, users: int) -> int:
        """So many users or a little more that no shelf's are parted."""
        return -(-users // self.world.branch) * self.world.branch if self.world.stock else users

    def people(self, user: np.ndarray) -> People:
        """Users before the first round, by their numbers."""
        return people_of(self.world, self.goods, self.seed, user)

    def market(self, moment: int) -> Market:
        """Prices and stock of a round."""
        return market_of(self.world, self.goods, self.seed, moment)

    def sold(self, moment: int) -> np.ndarray:
        """Whether each item can be put on a list in a round: whoever makes lists knows the stock."""
        return self.market(moment).in_stock

    def visits(self, people: People, moment: int) -> Visits:
        """Who comes."""
        return arrivals(self.world, people, self.seed, moment)

    def lists(
        self, policy: ListPolicy, people: People, visits: Visits, moment: int, holdout: bool = True,
        draw: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """What a policy shows to visitors, with the chances of the slots."""
        empty = visits.holdout if holdout else np.zeros(len(visits), np.bool_)
        rows = policy.rows(visits.user, visits.context, self.contexts)
        return draw_lists(
            policy, self.world.list_length, self.seed, other_moment(moment, draw), visits.user, rows,
            self.sold(moment), people.hidden[visits.row], self.goods.push[self.goods.category],
            empty,
        )  # fmt: skip

    def respond(
        self, people: People, visits: Visits, items: np.ndarray, moment: int, draw: int = 0
    ) -> Responses:
        """What visitors do with any lists."""
        market = self.market(moment)
        return respond(
            self.world, self.goods, market, people, visits, items, self.seed, moment, draw
        )

    def play(self, people: People, policy: ListPolicy | None, moment: int) -> Played:
        """A round under a policy, or without any lists; people are changed by it."""
        visits = self.visits(people, moment)
        if policy is None:
            nothing = np.full((len(visits), self.world.list_length), -1, np.int32)
            items, chances = nothing, np.ones(nothing.shape)
        else:
            items, chances = self.lists(policy, people, visits, moment)
        found = self.respond(people, visits, items, moment)
        group = people.group[visits.row]
        go_on(self.world, people, visits, items, found, self.seed, moment)
        return Played(moment, visits, items, chances, found, group)

    def operator(self) -> ListPolicy:
        """The shop's own lists before anyone learns: by lot, tilted by the hidden trait."""
        lists = random_lists(self.contexts, self.world.items, "operator")
        return ListPolicy(lists.name, lists.weights, 0.2, self.world.confounding)
