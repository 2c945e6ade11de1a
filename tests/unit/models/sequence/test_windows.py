"""Windows: every interaction is learned exactly once, from what came before it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.models.sequence.test_histories import histories
from truelift.models.sequence.batches import LengthBuckets, batched, filler, pack
from truelift.models.sequence.windows import (
    query_window,
    step_counts,
    training_windows,
    window_bounds,
)

SESSIONS = st.lists(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True), max_size=12),
    max_size=6,
)


def from_sessions(users):
    return histories(*([(i, 10 * s, s) for s, items in enumerate(u) for i in items] for u in users))


def test_the_first_position_sees_nothing_and_predicts_the_first_session():
    (window,) = training_windows(from_sessions([[[7], [8, 9]]]), 5, "session")
    assert window.length == 2
    assert window.slots.tolist() == [1, 2, 2]
    assert window.items.tolist() == [7, 8, 9]


def test_a_long_history_is_cut_into_windows_of_nearly_equal_length():
    assert np.diff(window_bounds(11, 5)).tolist() == [3, 4, 4]
    assert np.diff(window_bounds(5, 5)).tolist() == [5]
    assert len(window_bounds(0, 5)) == 1


def test_a_later_window_begins_with_the_session_before_it_as_input():
    windows = list(training_windows(from_sessions([[[1], [2], [3], [4]]]), 2, "session"))
    assert [(w.items.tolist(), w.slots.tolist()) for w in windows] == [
        ([1, 2], [1, 2]),
        ([2, 3, 4], [0, 1, 2]),
    ]


def test_with_events_as_steps_each_interaction_is_a_step():
    h = from_sessions([[[1, 2], [3]]])
    assert step_counts(h, "session").tolist() == [2]
    assert step_counts(h, "event").tolist() == [3]
    (window,) = training_windows(h, 5, "event")
    assert window.slots.tolist() == [1, 2, 3]


def test_an_empty_history_gives_no_window_but_a_query():
    h = from_sessions([[]])
    assert list(training_windows(h, 5, "session")) == []
    (query,) = query_window(h, 5, "session")
    assert query.length == 1
    assert len(query.items) == 0


def test_a_query_ends_with_the_latest_session_and_looks_back_max_length():
    (query,) = query_window(from_sessions([[[1], [2], [3]]]), 2, "session")
    assert query.length == 2
    assert list(zip(query.items.tolist(), query.slots.tolist(), strict=True)) == [(2, 0), (3, 1)]


@given(SESSIONS, st.integers(1, 5), st.sampled_from(["session", "event"]))
def test_each_interaction_is_a_target_exactly_once(users, max_length, step):
    h = from_sessions(users)
    targets = [
        int(item)
        for w in training_windows(h, max_length, step)
        for item, slot in zip(w.items, w.slots, strict=True)
        if slot >= 1
    ]
    assert targets == h.items.tolist()


@given(SESSIONS, st.integers(1, 5))
def test_no_window_is_longer_than_max_length(users, max_length):
    for w in training_windows(from_sessions(users), max_length, "session"):
        assert 1 <= w.length <= max_length
        assert w.slots.max() == w.length


def test_shorter_windows_come_in_greater_number():
    buckets = LengthBuckets(max_length=32, batch_size=2)
    assert buckets.edges == (8, 16, 32)
    assert [buckets.rows(b) for b in range(3)] == [8, 4, 2]
    assert [buckets.bucket(n) for n in (1, 8, 9, 32)] == [0, 0, 1, 2]


@given(SESSIONS, st.integers(1, 9), st.integers(1, 3))
def test_the_number_of_batches_follows_from_the_lengths_alone(users, max_length, batch_size):
    buckets = LengthBuckets(max_length, batch_size)
    windows = list(training_windows(from_sessions(users), max_length, "session"))
    counts = np.zeros(len(buckets.edges), dtype=int)
    for w in windows:
        counts[buckets.bucket(w.length)] += 1
    batches = list(batched(iter(reversed(windows)), buckets))
    assert len(batches) == buckets.batches(counts)
    assert sum(b.sequences for b in batches) == len(windows)


def test_a_batch_lays_windows_side_by_side():
    batch = pack(list(training_windows(from_sessions([[[1], [2]], [[3]]]), 5, "session")))
    assert (batch.windows, batch.width) == (2, 2)
    assert batch.rows.tolist() == [0, 0, 1]
    assert batch.items.tolist() == [1, 2, 3]


def test_a_filler_has_no_targets():
    assert len(filler().items) == 0
    assert filler().sequences == 0
