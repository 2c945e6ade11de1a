"""Effects of being shown: held against a shop's truth, by item, and in what lists of them bring."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.unit.recommend.world_lists import (
    Logged,
    by_stratum,
    estimated,
    logged,
    shelf_of,
    states_of,
)
from truelift.errors import NotSupportedError
from truelift.lake.states import add_states
from truelift.models.sequence.histories import Histories
from truelift.recommend.by_effect import EffectKernel, EffectLists
from truelift.recommend.shown.effects import OTHER, OWN, ShownEffects, effects_of_being_shown
from truelift.recommend.shown.lake import learnt_from
from truelift.recommend.shown.ranking import RankBy
from truelift.recommend.shown.rows import Outcome, list_rows_of
from truelift.recommend.shown.sums import CountKernel, EvidenceKernel, how_made, weights_of
from truelift.recommend.what_if import what_if
from truelift.serving.scorer import Scorer
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.policies import named_policy
from truelift.simulate.shop_world.shop import Shop

WORLD = ShopWorld(users=6_000, confounding=1.0, hidden=1.2)
ROUNDS = 3


@dataclass(frozen=True)
class Popular:
    """Relevance as shops have it: what is bought most, and what the user had before."""

    bought: np.ndarray

    def scores(self, histories: Histories) -> np.ndarray:
        own = np.zeros((len(histories), len(self.bought)))
        np.add.at(own, (histories.owner, histories.items), 1.0)
        return np.log(self.bought + 1.0) + own


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(WORLD, 5)


@pytest.fixture(scope="module")
def found(shop) -> Logged:
    """Logs of an operator whose lists follow what nobody records, with their chances."""
    return logged(shop, shop.operator(), ROUNDS)


@pytest.fixture(scope="module")
def effects(found) -> ShownEffects:
    return estimated(found)


def histories_of(shop: Shop, found: Logged) -> Histories:
    """Everyone's purchases, by the index of items."""
    bought = found.events.filter(pc.equal(found.events["event_type"], "purchase"))
    user = np.array([int(key[1:]) for key in bought["user_key"].to_pylist()])
    item = np.array([int(key[1:]) + 1 for key in bought["item_id"].to_pylist()], np.int32)
    order = np.argsort(user, kind="stable")
    count = np.bincount(user, minlength=shop.world.users)
    keys = np.array([f"u{n:07d}" for n in range(shop.world.users)], dtype=object)
    zeros = np.zeros(len(item), np.int64)
    return Histories(keys, np.r_[0, np.cumsum(count)], item[order], zeros, zeros.astype(np.int32))


def additional(shop: Shop, found: Logged, lists: np.ndarray) -> float:
    """What lists of users (items from 1) really add in the round after the log, a visit."""
    people, moment = found.people, ROUNDS
    visits = shop.visits(people, moment)
    shown = lists[visits.user].astype(np.int32) - 1
    sold = np.append(shop.sold(moment), False)
    came = shop.respond(people, visits, np.where(sold[shown], shown, -1).astype(np.int32), moment)
    return float((came.chance.sum(axis=1) - came.chance_without.sum(axis=1)).mean())


def test_intervals_hold_the_effects_of_items_where_the_operator_follows_what_nobody_records(
    shop, found, effects
):
    truth = by_stratum(shop, found)
    lower, upper = effects.interval(0.95)
    held = (lower <= truth) & (truth <= upper)
    shares = [held[s, 1:][effects.times[s, 1:] > 0].mean() for s in (OWN, OTHER)]
    assert min(shares) >= 0.87
    assert np.corrcoef(effects.estimate[OWN, 1:], truth[OWN, 1:])[0, 1] > 0.5


def test_lists_by_effect_bring_more_additional_purchases_than_lists_by_relevance(
    shop, found, effects
):
    bought = found.events.filter(pc.equal(found.events["event_type"], "purchase"))
    index = np.array([int(key[1:]) + 1 for key in bought["item_id"].to_pylist()])
    ranker = Popular(np.bincount(index, minlength=shop.world.items + 1).astype(float))
    scorer = Scorer(ranker, found.shelf.item_keys)
    people = histories_of(shop, found)
    gained = {}
    for by, known in (("relevance", None), ("effect", effects), ("mixture", effects)):
        made = EffectLists(
            RankBy(by, explore=0.0), shop.world.list_length, "keep", found.shelf.category, known
        )
        lists = np.concatenate([made.of(*chunk).items for chunk in made.chunks(scorer, people)])
        gained[by] = additional(shop, found, lists)
    assert gained["effect"] > 2.0 * gained["relevance"]
    assert gained["effect"] > gained["mixture"] > gained["relevance"]


def test_groups_of_users_do_not_change_estimates_but_their_errors_only(found, effects):
    other = estimated(found, groups=7)
    assert other.chance == pytest.approx(effects.chance, abs=0.02)
    # What clustering widens is shrunken more, and nothing else changes.
    assert np.corrcoef(other.estimate.ravel(), effects.estimate.ravel())[0, 1] > 0.99
    assert other.eyes == pytest.approx(effects.eyes)


def test_a_purchase_counts_within_the_window_after_a_list_and_once_a_category():
    shop = Shop(ShopWorld(users=10, items=12, categories=3), 1)
    shelf = shelf_of(shop)
    day = np.datetime64("2024-01-01T10:00:00", "s")
    minutes = np.timedelta64(60, "s")
    exposures = pa.table({
        "user_key": ["a", "a", "b"], "list_id": ["1", "1", "1"], "start": pa.array([day] * 3),
        "slot": pa.array([1, 0, 0], pa.int32()), "item_key": ["i0000", "i0011", "i0000"],
        "propensity": [0.5, None, 0.25], "context": ["section 00", "section 00", None],
        "segment": ["false", "false", None],
    })  # fmt: skip
    shelf = replace(
        shelf, cells=(*shelf.cells, (None, None)), cell_category=np.r_[shelf.cell_category, -1]
    )
    at = [day + m * minutes for m in (5, 6, 59, 61, -1, 5)]
    events = pa.table({
        "user_key": ["a", "a", "a", "b", "b", "c"], "event_time": pa.array(at),
        "event_type": ["purchase", "purchase", "click", "purchase", "purchase", "purchase"],
        "item_id": ["i0000", "i0001", "i0011", "i0000", "i0000", "i0000"],
    })  # fmt: skip
    rows = list_rows_of(shelf, Outcome(), exposures, events)
    assert len(rows) == 2
    assert rows.slot.tolist() == [0, 1, 0]
    assert rows.clicked.tolist() == [True, False, False]
    assert list(zip(rows.bought_list.tolist(), rows.bought_category.tolist(), strict=True)) == [
        (0, 1)
    ]
    assert rows.cell.tolist()[1] == len(shelf.cells) - 1
    assert np.isnan(rows.chance[0]) and rows.chance[1:].tolist() == [0.5, 0.25]


def test_lists_whose_chances_follow_their_context_alone_all_count_alike(shop):
    plain = Shop(replace(WORLD, users=2_000, confounding=0.0), 5)
    soft = logged(plain, named_policy(plain, "random", 1.0), 1)
    rows = list_rows_of(soft.shelf, Outcome(), soft.exposures, soft.events)
    counts = states_of(CountKernel(soft.shelf, Outcome()), soft.groups(1))[0]
    assert weights_of(how_made(counts), rows) == pytest.approx(np.ones(len(rows)))


def test_lists_that_were_always_the_same_are_said_to_tell_nothing(found):
    one = found.exposures.filter(pc.equal(found.exposures["slot"], 0))
    fixed = one.set_column(
        one.schema.get_field_index("item_key"), "item_key", pa.array(["i0000"] * len(one))
    )
    same = replace(found, exposures=fixed)
    with pytest.raises(NotSupportedError, match="always the same"):
        estimated(same)


def test_hardly_any_purchases_after_lists_are_said_to_tell_nothing(found):
    few = replace(found, events=found.events.slice(0, 40))
    with pytest.raises(NotSupportedError, match="purchases after"):
        estimated(few)


def test_sums_add_up_over_groups_of_users(found):
    outcome = Outcome()
    whole, parts = found.groups(1), found.groups(5)
    counts = [add_states(states_of(CountKernel(found.shelf, outcome), g)) for g in (whole, parts)]
    for key, value in counts[0].items():
        assert counts[1][key] == pytest.approx(value), key
    made = how_made(counts[0])
    kernel = EvidenceKernel(found.shelf, outcome, made)
    one, many = (add_states(states_of(kernel, g)) for g in (whole, parts))
    for key, value in one.items():
        assert many[key] == pytest.approx(value), key
    assert effects_of_being_shown(found.shelf, made, [one]).clustering == 1.0


@dataclass(frozen=True)
class Ranked:
    """What of a kernel the comparison needs: a scorer, and names of items."""

    ranker: Popular
    item_keys: tuple[str, ...]

    def scorer(self) -> Scorer:
        return Scorer(self.ranker, self.item_keys)


def test_what_switching_brings_is_judged_by_the_other_half_and_agrees_with_the_truth(shop, found):
    """Of lists by what is bought most; the truth is that of the round after the log."""
    tables, outcome = found.groups(20), Outcome()
    made = how_made(add_states(states_of(CountKernel(found.shelf, outcome), tables)))
    states = states_of(EvidenceKernel(found.shelf, outcome, made), tables)
    known = learnt_from(found.shelf, made, states)
    bought = found.events.filter(pc.equal(found.events["event_type"], "purchase"))
    index = np.array([int(key[1:]) + 1 for key in bought["item_id"].to_pylist()])
    ranker = Popular(np.bincount(index, minlength=shop.world.items + 1).astype(float))
    category, length = found.shelf.category, shop.world.list_length
    lists = EffectLists(RankBy("effect"), length, "keep", category, known.effects)
    kernel = EffectKernel(Ranked(ranker, found.shelf.item_keys), lists, 0.95)
    people = histories_of(shop, found)
    told = what_if(kernel, known, people, ("", *found.shelf.item_keys))
    assert told.users == shop.world.users
    assert len(told.examples) == 3
    assert 0 < told.lower < told.gain < told.upper
    # It brought 0.27 more in the round after (see the test of lists above).
    assert told.lower < 0.30 and told.upper > 0.20
    first = told.examples[0].effect[0]
    assert first.lower < first.effect < first.upper
