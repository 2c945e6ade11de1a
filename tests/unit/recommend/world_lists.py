"""A simulated shop's lists and purchases as the lake's tables have them, without a lake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.lake.states import State, add_states, unpack_state
from truelift.recommend.shown.effects import ShownEffects, effects_of_being_shown
from truelift.recommend.shown.rows import Outcome, Shelf
from truelift.recommend.shown.sums import CountKernel, EvidenceKernel, how_made
from truelift.simulate.shop_world.lists import ListPolicy
from truelift.simulate.shop_world.people import People
from truelift.simulate.shop_world.shop import Shop
from truelift.simulate.shop_world.truth import item_effects
from truelift.simulate.shop_world.written import (
    category_name,
    event_table,
    exposure_table,
    item_name,
)


@dataclass(frozen=True, eq=False)
class Logged:
    """Rounds of a shop: its tables, the shelf, the people after them, and the truth of the rounds."""

    shelf: Shelf
    exposures: pa.Table
    events: pa.Table
    people: People
    truth: np.ndarray
    visits: np.ndarray

    def groups(self, count: int) -> list[dict[str, pa.Table]]:
        """The tables by groups of users, as buckets have them."""
        tables = {"exposures": self.exposures, "events": self.events}
        own = {k: hash_keys(t["user_key"]) % np.uint64(count) for k, t in tables.items()}
        return [{k: t.filter(own[k] == g) for k, t in tables.items()} for g in range(count)]


def shelf_of(shop: Shop) -> Shelf:
    """The shop's items and situations."""
    goods, n = shop.goods, shop.world.items
    cells = [
        (str(category_name(np.array([c]))[0]), segment)
        for c in range(shop.world.categories)
        for segment in ("false", "true")
    ]
    return Shelf(
        tuple(item_name(np.arange(n)).tolist()), np.r_[0, goods.category + 1], tuple(cells),
        np.repeat(np.arange(shop.world.categories) + 1, 2), shop.world.list_length,
    )  # fmt: skip


def logged(shop: Shop, policy: ListPolicy, rounds: int, first_user: int = 0) -> Logged:
    """Play rounds under one policy."""
    people = shop.people(np.arange(first_user, first_user + shop.world.users))
    shown, events = [], []
    truth = np.zeros((shop.contexts, shop.world.items))
    visits = np.zeros(shop.contexts)
    for moment in range(rounds):
        came = shop.visits(people, moment)
        effect, count = item_effects(shop, people, came, moment)
        truth, visits = truth + effect * count[:, None], visits + count
        played = shop.play(people, policy, moment)
        shown.append(exposure_table(shop, played, policy.name))
        events.append(event_table(shop, played))
    rows, acts = pa.concat_tables(shown), pa.concat_tables(events)
    exposures = pa.table({
        "user_key": rows["visitor"], "list_id": rows["visit"], "start": rows["at"],
        "slot": rows["slot"], "item_key": rows["item"], "propensity": rows["propensity"],
        "context": rows["context"], "segment": rows["bought_lately"].cast(pa.string()),
    })  # fmt: skip
    happened = pa.table({
        "user_key": acts["visitor"], "event_time": acts["at"], "event_type": acts["action"],
        "item_id": acts["item"],
    })  # fmt: skip
    return Logged(shelf_of(shop), exposures, happened, people, truth, visits)


def by_stratum(shop: Shop, found: Logged) -> np.ndarray:
    """True effects by stratum and item index, over the visits that there were (2 x items + 1)."""
    own = np.arange(shop.contexts)[:, None] // 2 == shop.goods.category[None]
    whole = [np.where(own, found.truth, 0.0), np.where(own, 0.0, found.truth)]
    count = [np.where(o, found.visits[:, None], 0.0).sum(axis=0) for o in (own, ~own)]
    means = [w.sum(axis=0) / np.maximum(n, 1.0) for w, n in zip(whole, count, strict=True)]
    return np.column_stack([np.zeros(2), np.stack(means)])


def states_of(
    kernel: CountKernel | EvidenceKernel, groups: list[dict[str, pa.Table]]
) -> list[State]:
    """A kernel's states, a group each."""
    rows = [kernel(number, tables) for number, tables in enumerate(groups)]
    return [unpack_state(row["state"][0].as_py()) for row in rows]


def estimated(found: Logged, groups: int = 20) -> ShownEffects:
    """Both passes over groups of users, and the effects."""
    tables, outcome = found.groups(groups), Outcome()
    made = how_made(add_states(states_of(CountKernel(found.shelf, outcome), tables)))
    states = states_of(EvidenceKernel(found.shelf, outcome, made), tables)
    return effects_of_being_shown(found.shelf, made, states)
