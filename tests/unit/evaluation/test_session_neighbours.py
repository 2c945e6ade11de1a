"""Session kNN beside two loops over all sessions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.sequence.test_histories import histories
from truelift.evaluation import session_neighbours
from truelift.evaluation.session_neighbours import SessionNeighbours, collect, joined

ITEMS = 6
ZEROS = np.zeros(ITEMS + 1)


@st.composite
def logs(draw):
    """Users' events as (item, time, session); times are distinct over all users."""
    users, time = [], 0
    for _ in range(draw(st.integers(1, 5))):
        items = draw(st.lists(st.integers(1, ITEMS), min_size=1, max_size=12))
        breaks = draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
        sessions = np.cumsum(breaks).tolist()
        users.append(
            [(i, time + t, s) for t, (i, s) in enumerate(zip(items, sessions, strict=True))]
        )
        time += len(items)
    return users


def sessions_of(users):
    """Session (user, number) to its items and last time."""
    found = {}
    for user, events in enumerate(users):
        for item, time, session in events:
            items, _ = found.get((user, session), ([], 0))
            found[user, session] = ([*items, item], time)
    return found


def by_loops(users, query, own, neighbours, sampled):
    """The scores of the paper's code, with sets and loops."""
    known = {k: v for k, v in sessions_of(users).items() if k != own}
    place = {item: n for n, item in enumerate(query, start=1)}
    sharing = [(set(i), t) for i, t in known.values() if set(i) & set(query)]
    sharing = sorted(sharing, key=lambda s: -s[1])[:sampled]
    weighed = [
        (sum(place[i] for i in items & set(query)) / len(query) / len(place), items)
        for items, _ in sharing
    ]
    scores = np.zeros(ITEMS + 1)
    for similarity, items in sorted(weighed, key=lambda s: -round(s[0], 9))[:neighbours]:
        back = next(n for n, item in enumerate(reversed(query), start=1) if item in items)
        for item in items:
            scores[item] += similarity / back
    return scores


@settings(deadline=None, max_examples=40)
@given(logs(), st.integers(1, 4), st.integers(1, 5))
def test_the_scores_are_those_of_the_papers_loops(users, neighbours, sampled):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_neighbours, "SAMPLED", sampled)
        h = histories(*users)
        found = SessionNeighbours.fit(collect([h]), ZEROS, neighbours).scores(h)
    known = sessions_of(users)
    for user, events in enumerate(users):
        session = events[-1][2]
        query = known[user, session][0]
        expected = by_loops(users, query, (user, session), neighbours, sampled)
        # Neighbours that are equally near may be told apart by rounding: sums agree where not.
        if neighbours >= sampled:
            np.testing.assert_allclose(found[user], expected, atol=1e-9)


def test_the_nearest_sessions_score_and_the_latest_shared_item_counts_most():
    users = [
        [(1, 0, 0), (3, 1, 0)],  # shares the older item
        [(2, 2, 0), (4, 3, 0)],  # shares the latest item
        [(5, 4, 0)],  # shares nothing
    ]
    fitted = SessionNeighbours.fit(collect([histories(*users)]), ZEROS, 2)
    scores = fitted.scores(histories([(1, 9, 7), (2, 10, 7)]))[0]
    # (1/2) / 2 items, two events back; (2/2) / 2 items, one event back.
    assert scores[1:].tolist() == [0.125, 0.5, 0.125, 0.5, 0.0, 0.0]
    nearest = SessionNeighbours.fit(collect([histories(*users)]), ZEROS, 1)
    assert nearest.scores(histories([(1, 9, 7), (2, 10, 7)]))[0][1:].tolist() == [
        0,
        0.5,
        0,
        0.5,
        0,
        0,
    ]


def test_what_came_again_in_other_sessions_is_foretold_again():
    h = histories([(1, 0, 0)], [(1, 1, 0)], [(1, 2, 0), (2, 3, 0)])
    assert np.argmax(SessionNeighbours.fit(collect([h]), ZEROS, 9).scores(h)[0]) == 1


def test_a_session_is_not_its_own_neighbour_and_an_earlier_one_of_the_user_is():
    h = histories([(1, 0, 0), (2, 1, 0), (1, 2, 1)])
    scores = SessionNeighbours.fit(collect([h]), ZEROS, 9).scores(h)[0]
    assert scores.tolist() == [0, 1, 1, 0, 0, 0, 0]
    alone = histories([(1, 0, 0), (2, 1, 0)])
    assert not SessionNeighbours.fit(collect([alone]), ZEROS, 9).scores(alone).any()


@settings(deadline=None, max_examples=40)
@given(logs())
def test_shards_batches_and_the_order_of_users_change_no_score(users):
    h = histories(*users)
    whole = SessionNeighbours.fit(collect([h]), ZEROS, 3).scores(h)
    shards = [h.slice(u, u + 1) for u in range(len(h))]
    apart = SessionNeighbours.fit(joined(collect([s]) for s in reversed(shards)), ZEROS, 3)
    for user, shard in enumerate(shards):
        np.testing.assert_array_equal(apart.scores(shard)[0], whole[user])


def test_only_the_latest_sessions_are_kept(monkeypatch):
    monkeypatch.setattr(session_neighbours, "MOST_SESSIONS", 2)
    shards = [histories([(n + 1, 10 * n, 0)]) for n in range(4)]
    kept = collect(shards)
    assert sorted(kept.items.tolist()) == [3, 4]


def test_a_user_without_history_gets_the_popular_order():
    popularity = np.array([0.0, 1.0, 5.0, 0.0, 0.0, 0.0, 0.0])
    fitted = SessionNeighbours.fit(collect([histories([(1, 0, 0)])]), popularity, 9)
    assert np.argmax(fitted.scores(histories([]))[0]) == 2
