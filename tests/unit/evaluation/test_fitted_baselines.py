"""Co-occurrence and folded-in factors beside what their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.sequence.test_histories import histories
from truelift.evaluation import items_together
from truelift.evaluation.factors import FactorOptions, Factors
from truelift.evaluation.items_together import UNIT, Neighbours, PairCounts, count_pairs, similarity


def as_dict(pairs: PairCounts) -> dict[tuple[int, int], int]:
    width = pairs.items + 1
    return {
        (int(p) // width, int(p) % width): int(c)
        for p, c in zip(pairs.pairs, pairs.counts, strict=True)
    }


def in_sessions(users):
    """Every ordered pair of different items of a session, by two loops."""
    found: dict[tuple[int, int], int] = {}
    for user in users:
        for a in range(len(user)):
            for b in range(len(user)):
                one, other = user[a], user[b]
                if a != b and one[2] == other[2] and one[0] != other[0]:
                    key = (one[0], other[0])
                    found[key] = found.get(key, 0) + UNIT
    return found


def following(users):
    """Every pair of events at most ten apart, weighted by distance; an item may follow itself."""
    found: dict[tuple[int, int], int] = {}
    for user in users:
        for a in range(len(user)):
            for b in range(a + 1, min(a + 11, len(user))):
                key = (user[a][0], user[b][0])
                found[key] = found.get(key, 0) + UNIT // (b - a)
    return found


@st.composite
def logs(draw):
    users = []
    for _ in range(draw(st.integers(1, 4))):
        items = draw(st.lists(st.integers(1, 6), max_size=14))
        breaks = draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
        sessions = np.cumsum(breaks).tolist()
        users.append([(i, t, s) for t, (i, s) in enumerate(zip(items, sessions, strict=True))])
    return users


@settings(deadline=None)
@given(logs())
def test_pairs_are_counted_as_two_loops_would(users):
    h = histories(*users)
    assert as_dict(count_pairs([h], 6, "session", 9)) == in_sessions(users)
    assert as_dict(count_pairs([h], 6, "event", 9)) == following(users)


@settings(deadline=None)
@given(logs(), st.sampled_from(["session", "event"]))
def test_the_counts_of_shards_add_up(users, step):
    parts = [histories(user) for user in users]
    whole = count_pairs([histories(*users)], 6, step, 9)
    assert as_dict(count_pairs(parts, 6, step, 9)) == as_dict(whole)


def test_memory_is_bounded_by_keeping_each_items_most_frequent_pairs(monkeypatch):
    monkeypatch.setattr(items_together, "MOST_PAIRS", 40)
    generator = np.random.default_rng(0)
    parts = [
        histories([(int(i), t, 0) for t, i in enumerate(generator.integers(1, 50, 30))])
        for _ in range(20)
    ]
    found = count_pairs(parts, 50, "session", 1)
    per_item = np.bincount(found.pairs // 51)
    assert len(found.pairs) <= 4 * 50
    assert per_item.max() <= 40


def test_what_follows_itself_is_foretold_again():
    h = histories(*([(i, t, 0) for t, i in enumerate([1, 1, 1, 2])] for _ in range(3)))
    popularity = np.array([0.0, 1.0, 9.0])
    fitted = Neighbours.fit(count_pairs([h], 2, "event", 9), popularity, "event", 9)
    scores = fitted.scores(histories([(1, 0, 0)]))[0]
    assert scores[1] > scores[2] > 0


def test_the_similarity_of_sessions_is_the_cosine_and_of_events_the_share_that_follows():
    pairs = PairCounts.of(3, np.array([1 * 4 + 2]), np.array([3 * UNIT]))
    popularity = np.array([0.0, 9.0, 4.0, 1.0])
    assert similarity(pairs, popularity, "session").tolist() == [3 / 6]
    assert similarity(pairs, popularity, "event").tolist() == [3 / 9]


def test_only_the_nearest_neighbours_stay_and_of_equals_the_smaller_index():
    pairs = PairCounts.of(4, np.array([1 * 5 + 2, 1 * 5 + 3, 1 * 5 + 4]), np.array([1, 5, 1]))
    assert as_dict(pairs.strongest(2)) == {(1, 2): 1, (1, 3): 5}


def test_the_latest_step_counts_most_and_popularity_breaks_ties():
    pairs = PairCounts.of(5, np.array([1 * 6 + 3, 2 * 6 + 4]), np.array([UNIT, UNIT]))
    popularity = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 9.0])
    fitted = Neighbours.fit(pairs, popularity, "event", 10)
    scores = fitted.scores(histories([(1, 0, 0), (2, 1, 0)]))[0]
    assert scores[4] == pytest.approx(1.0)
    assert scores[3] == pytest.approx(0.5)
    assert 0 < scores[1] < scores[5] < 1e-8


@settings(deadline=None)
@given(logs(), st.sampled_from(["session", "event"]))
def test_a_users_scores_do_not_depend_on_the_batch(users, step):
    h = histories(*users)
    popularity = np.bincount(h.items, minlength=7).astype(float)
    fitted = Neighbours.fit(count_pairs([h], 6, step, 3), popularity, step, 3)
    together = fitted.scores(h)
    for user in range(len(users)):
        np.testing.assert_array_equal(fitted.scores(h.slice(user, user + 1))[0], together[user])


def test_a_users_factor_solves_the_weighted_least_squares_of_all_items():
    generator = np.random.default_rng(1)
    items = generator.standard_normal((9, 3)).astype(np.float32)
    items[0] = 0
    options = FactorOptions(rank=3, penalty=0.3, confidence=2.0)
    h = histories([(2, 0, 0), (5, 1, 1), (2, 2, 2)])
    # Over all items: preference 1 where taken, weight 1 + alpha times.
    times = np.bincount(h.items, minlength=9)[1:]
    weight, preference = 1 + 2.0 * times, (times > 0).astype(float)
    y = items[1:].astype(float)
    left = y.T @ np.diag(weight) @ y + 0.3 * 2 * np.eye(3)
    expected = np.linalg.solve(left, y.T @ (weight * preference))
    factors = Factors(items, options)
    np.testing.assert_allclose(factors.users(h)[0], expected, rtol=1e-5)
    np.testing.assert_allclose(factors.scores(h)[0], items @ expected, rtol=1e-4)


def test_a_user_without_history_has_scores_of_nothing():
    factors = Factors(np.ones((4, 2), dtype=np.float32), FactorOptions(rank=2))
    assert factors.scores(histories([])).tolist() == [[0, 0, 0, 0]]
