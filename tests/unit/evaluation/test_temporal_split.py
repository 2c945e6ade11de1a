"""One pair of dates for all users: nothing after them is learned from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.models.sequence.test_histories import as_lists, histories
from truelift.errors import DataError
from truelift.evaluation.baselines import (
    ALL_TIME,
    PersonalFrequency,
    Popularity,
    popularity_counts,
    rankers,
    recent_name,
)
from truelift.evaluation.splits import DAY, TemporalSplit
from truelift.evaluation.top_items import top_items

SPLIT = TemporalSplit(validation_start=100, test_start=200, end=300)


def test_windows_are_the_last_whole_days():
    split = TemporalSplit.at_end(0, 100 * DAY + 5, validation_days=7, test_days=3)
    assert split.end == 101 * DAY
    assert split.test_start == 98 * DAY
    assert split.validation_start == 91 * DAY
    assert split.describe()["test_start"] == "1970-04-09T00:00:00Z"


def test_a_span_too_short_for_the_windows_is_refused():
    with pytest.raises(
        DataError, match=r"validation_days \+ sequence.evaluation.test_days = 7 \+ 7"
    ):
        TemporalSplit.at_end(0, 10 * DAY, validation_days=7, test_days=7)


def test_validation_targets_end_where_the_test_window_begins():
    h = histories([(1, 50, 0), (2, 250, 1)])
    past, _ = SPLIT.validation(h)
    assert len(past) == 0
    past, relevant = SPLIT.test(h)
    assert past.items.tolist() == [1]
    assert as_lists(relevant) == [[2]]


def test_a_user_without_a_past_is_not_ranked_for():
    past, relevant = SPLIT.test(histories([(1, 250, 0)], [(2, 10, 0), (3, 210, 1)]))
    assert past.users.tolist() == ["u1"]
    assert as_lists(relevant) == [[3]]


def test_a_user_who_comes_first_in_the_test_window_is_a_newcomer():
    h = histories([(1, 250, 0), (4, 251, 1)], [(2, 10, 0), (3, 210, 1)], [(5, 300, 0)])
    past, relevant = SPLIT.newcomers(h)
    assert past.users.tolist() == ["u0"]
    assert past.items.tolist() == [] and as_lists(relevant) == [[1]]


def test_the_test_history_includes_the_validation_window():
    past, _ = SPLIT.test(histories([(1, 50, 0), (2, 150, 1), (3, 250, 2)]))
    assert past.items.tolist() == [1, 2]


@st.composite
def events(draw):
    users = draw(st.lists(st.lists(st.integers(0, 299), min_size=1, max_size=8), max_size=5))
    return histories(*([(i + 1, t, i) for i, t in enumerate(sorted(u))] for u in users))


@given(events())
def test_nothing_at_or_after_a_start_leaks_into_its_past(h):
    assert (SPLIT.training(h).times < SPLIT.validation_start).all()
    for window, start, end in ((SPLIT.validation, 100, 200), (SPLIT.test, 200, 300)):
        past, relevant = window(h)
        assert (past.times < start).all()
        assert len(past) == len(relevant)
        assert (relevant.sizes > 0).all()
        # Items number a user's events, so a target's time can be looked up.
        for user, wanted in zip(past.users, as_lists(relevant), strict=True):
            place = list(h.users).index(user)
            times = h.times[h.offsets[place] : h.offsets[place + 1]]
            assert all(start <= times[item - 1] < end for item in wanted)


@given(events())
def test_whoever_opens_a_session_in_the_test_window_is_tested_or_a_newcomer(h):
    tested, newcomers = SPLIT.test(h)[0], SPLIT.newcomers(h)[0]
    inside = np.flatnonzero(h.first_session(200, 300).sizes)
    assert sorted([*tested.users, *newcomers.users]) == sorted(h.users[inside])
    assert len(newcomers.items) == 0


@given(events())
def test_popularity_before_the_split_ignores_what_comes_after(h):
    counts = popularity_counts(h, 8, 100)
    assert counts[ALL_TIME].sum() == (h.times < 100).sum()
    later = popularity_counts(h.before(100), 8, 100)
    for name, value in counts.items():
        np.testing.assert_array_equal(value, later[name])


def test_recent_popularity_counts_its_window_only():
    h = histories([(1, 0, 0), (1, DAY, 1), (2, 9 * DAY, 2)])
    counts = popularity_counts(h, 2, 10 * DAY)
    assert counts[recent_name(7)].tolist() == [0, 0, 1]
    assert counts[ALL_TIME].tolist() == [0, 2, 1]


def test_popularity_is_the_same_for_everyone():
    h = histories([(1, 0, 0)], [(2, 0, 0)])
    scores = Popularity(np.array([0.0, 3.0, 5.0])).scores(h)
    assert top_items(scores, 2).tolist() == [[2, 1], [2, 1]]


def test_personal_frequency_ranks_own_items_first_then_popular_ones():
    h = histories([(3, 0, 0), (3, 1, 1), (1, 2, 2)], [])
    model = PersonalFrequency(np.array([0.0, 1.0, 9.0, 2.0, 5.0]))
    assert top_items(model.scores(h), 4).tolist() == [[3, 1, 2, 4], [2, 4, 3, 1]]


def test_popularity_only_breaks_ties_of_personal_frequency():
    h = histories([(1, 0, 0)])
    model = PersonalFrequency(np.array([0.0, 0.0, 1e9]))
    assert top_items(model.scores(h), 1).tolist() == [[1]]


def test_the_closing_table_has_recent_popularity_all_time_and_personal():
    counts = popularity_counts(histories([(1, 0, 0)]), 1, 10)
    assert list(rankers(counts, 28)) == [recent_name(28), ALL_TIME, "personal frequency"]
