"""Interleaving: lists are drafted fairly, and effects are told from clicks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import truelift as tl
from truelift.errors import ConfigError, DataError
from truelift.experiments.interleaving import causal_interleaving, preference, team_draft


def rankings(lists, items, length, seed=0):
    random = np.random.default_rng(seed)
    first, second = (np.argsort(random.random((lists, items)), axis=1)[:, :length] for _ in "ab")
    return first, second, pa.array(np.arange(lists))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6), st.integers(0, 4))
def test_a_draft_is_what_two_captains_would_pick(seed, length, spare):
    first, second, keys = rankings(20, length + spare, length, seed)
    found = team_draft(first, second, keys, "s")
    for a, b, items, team in zip(first, second, found.items, found.team, strict=True):
        taken = []
        for item, captain in zip(items, team, strict=True):
            assert item == next(i for i in (a, b)[captain] if i not in taken)
            taken.append(item)
        for start in range(0, length - 1, 2):  # either picks once a round
            assert team[start] != team[start + 1]


def test_either_captain_begins_half_of_the_rounds():
    found = team_draft(*rankings(4000, 10, 4), "s")
    assert found.team[:, 0].mean() == pytest.approx(0.5, abs=0.04)
    assert np.corrcoef(found.team[:, 0], found.team[:, 2])[0, 1] == pytest.approx(0, abs=0.06)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6), st.integers(0, 6))
def test_a_causal_list_has_k_items_and_one_of_every_pair(seed, length, spare):
    first, second, keys = rankings(20, length + spare, length, seed)
    found = causal_interleaving(first, second, keys, "s")
    assert (found.shown.sum(axis=1) == length).all()
    for a, b, items, team, shown in zip(
        first, second, found.items, found.team, found.shown, strict=True
    ):
        assert set(items[team == -1]) - {-1} == set(a) & set(b) <= set(items[shown])
        assert list(items[team == 0]) == [i for i in a if i not in b]
        assert list(items[team == 1]) == [i for i in b if i not in a]
        assert (shown[team == 0] != shown[team == 1]).all()


def test_the_same_lists_come_again_and_another_salt_is_another_draw():
    arguments = rankings(50, 10, 4)
    one, again, other = (causal_interleaving(*arguments, salt) for salt in ("s", "s", "t"))
    assert np.array_equal(one.shown, again.shown) and not np.array_equal(one.shown, other.shown)


def test_clicks_prefer_what_sells_anyway_and_causal_lists_what_the_list_sells():
    # The first ranker offers what is bought in any case, the second what the list sells.
    random, lists = np.random.default_rng(1), 6000
    base = np.where(np.arange(40) < 20, 0.5, 0.1)
    effect = np.where(np.arange(40) < 20, 0.05, 0.25)
    first = np.argsort(random.random((lists, 20)), axis=1)[:, :4]
    second = 20 + np.argsort(random.random((lists, 20)), axis=1)[:, :4]
    keys, user = pa.array(np.arange(lists)), pa.array(np.arange(lists) // 3)

    def bought(found):
        return (
            random.random(found.items.shape) < base[found.items] + effect[found.items] * found.shown
        )

    draft = team_draft(first, second, keys, "s")
    assert preference(draft, bought(draft), user).ci_upper < 0
    causal = causal_interleaving(first, second, keys, "s")
    found = preference(causal, bought(causal), user)
    assert found.ci_lower > 0 and found.clusters == 2000
    assert found.ci_lower <= 4 * 0.25 - 4 * 0.05 <= found.ci_upper


def test_rankers_that_are_alike_are_found_to_differ_in_five_of_a_hundred():
    random, away = np.random.default_rng(2), 0
    for seed in range(300):
        first, second, keys = rankings(60, 12, 4, seed)
        lists = causal_interleaving(first, second, keys, str(seed))
        like = random.random((20, 1)).repeat(3, axis=0)  # users buy more or less
        outcome = random.random(lists.items.shape) < 0.1 + 0.6 * like
        away += preference(lists, outcome, pa.array(np.arange(60) // 3)).p_value < 0.05
    assert away / 300 == pytest.approx(0.05, abs=0.035)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_where_nothing_varies_there_is_no_finding(outcome):
    first, second, keys = rankings(30, 10, 4)
    lists = causal_interleaving(first, first, keys, "s")
    with pytest.raises(DataError, match="nothing tells its error"):
        preference(lists, np.full(lists.items.shape, outcome), pa.array(np.arange(30)))
    draft = team_draft(first, second, keys, "s")
    with pytest.raises(DataError, match=r"same difference between the rankers \(0 a list\)"):
        preference(draft, np.full(draft.items.shape, outcome), pa.array(np.arange(30)))


def test_it_is_two_calls():
    first, second, keys = rankings(30, 10, 4)
    lists = tl.interleave(first, second, keys.to_pylist(), "s", "causal")
    assert "causal" in repr(tl.preferred(lists, lists.shown, range(30)))
    with pytest.raises(ConfigError, match="expected one of team draft, causal"):
        tl.interleave(first, second, range(30), "s", "balanced")


@pytest.mark.parametrize("nothing", [None, ""])
def test_keys_that_name_nothing_and_missing_outcomes_are_refused(nothing):
    first, second, keys = rankings(5, 10, 4)
    users = [nothing, "a", "b", "c", nothing]
    with pytest.raises(DataError, match="lists: 2 of 5 keys are null"):
        tl.interleave(first, second, users, "s")
    with pytest.raises(DataError, match="lists: found 3 keys of 5 lists"):
        tl.interleave(first, second, users[1:4], "s")
    lists = tl.interleave(first, second, keys.to_pylist(), "s")
    with pytest.raises(DataError, match="cluster: 2 of 5 keys are null"):
        tl.preferred(lists, lists.shown, users)
    with pytest.raises(DataError, match=r"outcome: .* values are missing"):
        tl.preferred(lists, np.full(lists.items.shape, np.nan), range(5))


def test_rankings_that_do_not_fit_are_refused():
    first, second, keys = rankings(5, 10, 4)
    with pytest.raises(DataError, match="same number of items"):
        team_draft(first, second[:, :3], keys, "s")
    with pytest.raises(DataError, match="an item twice"):
        causal_interleaving(first, np.zeros_like(second), keys, "s")
    with pytest.raises(DataError, match="Outcomes of shape"):
        preference(team_draft(first, second, keys, "s"), np.zeros((5, 3)), keys)
