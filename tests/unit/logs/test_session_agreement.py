"""Sessions by time against the sessions that the source knows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from truelift.logs.sessions.agreement import AgreementKernel, ProfileKernel, summarise
from truelift.settings import SessionOptions


def batches(*rows):
    """(user, seconds, source session) rows as two record batches."""
    half = len(rows) // 2
    for part in (rows[:half], rows[half:]):
        micros = pa.array([seconds * 1_000_000 for _, seconds, _ in part], pa.int64())
        yield pa.record_batch(
            {
                "user_key": pa.array([user for user, _, _ in part], pa.string()),
                "event_time": micros.cast(pa.timestamp("us", tz="UTC")),
                "source_session": pa.array([given for _, _, given in part], pa.string()),
            }
        )


def agreement(*rows, timeout=1800):
    return summarise(AgreementKernel(SessionOptions(timeout_seconds=timeout))(0, batches(*rows)))


def test_sessions_equal_to_the_source_are_exact():
    found = agreement(("u", 0, "s"), ("u", 60, "s"), ("u", 9000, "t"), ("v", 0, "r"))
    assert (found.true_sessions, found.exact_matches, found.merged, found.split) == (3, 3, 0, 0)
    assert (found.precision, found.recall, found.f1) == (1.0, 1.0, 1.0)


def test_two_source_sessions_in_one_session_are_merged():
    found = agreement(("u", 0, "s"), ("u", 60, "t"), ("u", 9000, "r"))
    assert (found.true_sessions, found.exact_matches, found.merged, found.split) == (3, 1, 1, 0)
    assert (found.precision, found.recall) == (1 / 2, 1 / 3)
    assert found.f1 == pytest.approx(0.4)


def test_a_source_session_over_two_sessions_is_split():
    found = agreement(("u", 0, "s"), ("u", 9000, "s"))
    assert (found.true_sessions, found.exact_matches, found.merged, found.split) == (1, 0, 0, 1)
    assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)


def test_a_source_session_cut_and_joined_with_another_counts_as_both():
    found = agreement(("u", 0, "s"), ("u", 9000, "s"), ("u", 9010, "t"))
    assert (found.true_sessions, found.exact_matches, found.merged, found.split) == (2, 0, 1, 1)


def test_an_event_without_a_source_session_spoils_an_exact_match():
    found = agreement(("u", 0, "s"), ("u", 10, None))
    assert (found.true_sessions, found.exact_matches, found.merged, found.split) == (1, 0, 0, 0)


def test_one_source_id_of_two_users_is_two_true_sessions():
    found = agreement(("u", 0, "s"), ("v", 0, "s"))
    assert (found.true_sessions, found.exact_matches) == (2, 2)


def test_no_source_session_at_all_gives_no_true_sessions():
    found = agreement(("u", 0, None), ("u", 10, None))
    assert (found.true_sessions, found.exact_matches, found.recall) == (0, 0, 0.0)


def test_profile_counts_events_users_given_sessions_and_finds_the_last_moment():
    rows = (("u", 0, "s"), ("v", 60, None), ("u", 9000, "t"), ("w", 10, None))
    state = ProfileKernel()(0, batches(*rows))
    assert {key: int(value) for key, value in state.items()} == {
        "events": 4, "users": 3, "given": 2, "max_time": 9_000_000_000,
    }  # fmt: skip


def test_profile_of_an_empty_bucket_is_nothing():
    assert ProfileKernel()(0, iter(())) is None
