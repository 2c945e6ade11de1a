"""The session kernel, against literal tables and a plain oracle."""

from __future__ import annotations

import datetime
import hashlib
import math
from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truelift.lake.tables import table_spec
from truelift.logs.sessions.boundaries import sort_by_group_and_time
from truelift.logs.sessions.kernel import EVENT_COLUMNS, SESSION_SCHEMA, SessionKernel

TIMEOUT = 1800
MICROSECONDS = 1_000_000


def events(*rows, **columns):
    """A bucket's events from (user, seconds) pairs; other columns by name."""
    count = len(rows)
    given_columns = {
        "event_type": ["view"] * count,
        "item_id": ["a"] * count,
        "quantity": [1.0] * count,
        "value": [1.0] * count,
        "source_session": [None] * count,
        "labels": [[]] * count,
        **columns,
    }
    micros = pa.array([round(seconds * MICROSECONDS) for _, seconds in rows], pa.int64())
    arrays = {
        "user_key": pa.array([user for user, _ in rows], pa.string()),
        "event_time": micros.cast(pa.timestamp("us", tz="UTC")),
        "event_type": pa.array(given_columns["event_type"], pa.string()),
        "item_id": pa.array(given_columns["item_id"], pa.string()),
        "quantity": pa.array(given_columns["quantity"], pa.float64()),
        "value": pa.array(given_columns["value"], pa.float64()),
        "source_session": pa.array(given_columns["source_session"], pa.string()),
        "labels": pa.array(given_columns["labels"], pa.list_(pa.string())),
    }
    return pa.table(arrays).select(EVENT_COLUMNS)


def sessions(table, timeout=TIMEOUT, end_of_data=10**15, respect=False):
    return SessionKernel(timeout, end_of_data, respect)(3, {"events": table})


def spans(table, **options):
    """(user, first second, last second, events) of every session."""
    made = sessions(table, **options)
    start = made["start"].cast(pa.int64()).to_numpy() / MICROSECONDS
    end = made["end"].cast(pa.int64()).to_numpy() / MICROSECONDS
    return list(
        zip(made["user_key"].to_pylist(), start.tolist(), end.tolist(),
            made["events"].to_pylist(), strict=True)
    )  # fmt: skip


def test_gap_equal_to_timeout_stays_in_the_session():
    assert spans(events(("u", 0), ("u", 1800))) == [("u", 0, 1800, 2)]


def test_gap_one_microsecond_over_the_timeout_starts_a_session():
    assert spans(events(("u", 0), ("u", 1800.000001))) == [
        ("u", 0, 0, 1),
        ("u", 1800.000001, 1800.000001, 1),
    ]


def test_single_event_is_a_session_of_no_length():
    assert spans(events(("u", 7))) == [("u", 7, 7, 1)]


def test_bucket_without_events_has_no_sessions():
    made = sessions(events())
    assert made.num_rows == 0
    assert made.schema == SESSION_SCHEMA


def test_gap_between_two_users_does_not_join_them():
    assert spans(events(("a", 0), ("b", 1))) == [("a", 0, 0, 1), ("b", 1, 1, 1)]


def test_order_of_the_input_does_not_matter():
    rows = [("u", 0), ("u", 4000), ("v", 10), ("u", 100), ("v", 5)]
    assert spans(events(*rows)) == spans(events(*reversed(rows)))


def test_session_goes_on_across_midnight():
    before, after = 86_400 - 60, 86_400 + 60
    assert spans(events(("u", before), ("u", after))) == [("u", before, after, 2)]


def test_events_at_one_moment_are_one_session():
    assert spans(events(("u", 5), ("u", 5), ("u", 5))) == [("u", 5, 5, 3)]


def test_times_before_1970_are_ordered_as_others():
    assert spans(events(("u", 10), ("u", -10), ("u", -5000))) == [
        ("u", -5000, -5000, 1),
        ("u", -10, 10, 2),
    ]


def test_a_thousand_years_between_two_events_do_not_overflow():
    far = 1000 * 365 * 86_400
    users = [(f"u{i:04}", 0) for i in range(400)]
    found = spans(events(*users, ("u0000", far)))
    assert found[:2] == [("u0000", 0, 0, 1), ("u0000", far, far, 1)]
    assert len(found) == 401


def test_sessions_come_out_by_user_and_start():
    rows = [("ü", 0), ("b", 9000), ("b", 0), ("B", 0), ("a", 0)]
    assert [(u, s) for u, s, _, _ in spans(events(*rows))] == [
        ("B", 0), ("a", 0), ("b", 0), ("b", 9000), ("ü", 0),
    ]  # fmt: skip


def test_totals_of_a_session():
    made = sessions(
        events(
            ("u", 0),
            ("u", 60),
            ("u", 90),
            ("u", 9000),
            event_type=["view", "buy", "view", "view"],
            item_id=["x", "x", "y", "x"],
            quantity=[1.0, 2.5, None, None],
            value=[10.0, -4.0, 0.5, None],
            source_session=["s1", "s2", None, None],
            labels=[["zero_value"], [], ["bot", "zero_value"], []],
        )
    )
    first, second = made.to_pylist()
    assert (first["events"], first["items"], first["source_sessions"]) == (3, 2, 2)
    assert (first["quantity"], first["value"]) == (3.5, 6.5)
    assert dict(first["event_types"]) == {"buy": 1, "view": 2}
    assert first["labels"] == ["bot", "zero_value"]
    assert (second["quantity"], second["value"], second["labels"]) == (0.0, 0.0, [])
    assert made["bucket"].to_pylist() == [3, 3]


def test_session_is_open_while_the_timeout_has_not_passed_at_the_end_of_the_data():
    table = events(("a", 0), ("b", 200), ("c", 199.999999))
    made = sessions(table, timeout=1800, end_of_data=2000 * MICROSECONDS)
    assert made["is_open"].to_pylist() == [False, True, False]


def test_id_depends_on_user_and_start_alone():
    one = sessions(events(("u", 0), ("u", 60)))
    other = sessions(events(("v", 3), ("u", 900), ("u", 0), item_id=["p", "q", "r"]))
    assert one["session_id"][0] == other["session_id"][0]


def mixed(word):
    """SplitMix64's finaliser on a Python integer."""
    word = (word + 0x9E3779B97F4A7C15) % 2**64
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return word ^ (word >> 31)


def test_id_is_the_published_mix_of_user_hash_and_start():
    seconds = 1_500_000_000.25
    made = sessions(events(("Zoë", seconds), ("Zoë", -3)))["session_id"].to_pylist()
    digest = hashlib.blake2b("Zoë".encode(), digest_size=16).digest()
    high, low = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
    expected = []
    for micros in (-3_000_000, round(seconds * MICROSECONDS)):
        moment = mixed(micros % 2**64)
        first = mixed(high ^ moment)
        second = mixed((low + mixed(moment)) % 2**64)
        expected.append(f"{first:016x}{second:016x}")
    assert made == expected


def test_ids_differ_between_users_and_between_microseconds():
    rows = [(f"u{i}", 5000 * i) for i in range(300)] + [("u0", 1_000_000.000001 + 5000 * i)
                                                        for i in range(300)]  # fmt: skip
    ids = sessions(events(*rows), timeout=1)["session_id"].to_pylist()
    assert len(set(ids)) == 600


def test_respected_source_session_holds_across_a_long_gap():
    table = events(("u", 0), ("u", 9000), source_session=["s", "s"])
    assert spans(table) == [("u", 0, 0, 1), ("u", 9000, 9000, 1)]
    assert spans(table, respect=True) == [("u", 0, 9000, 2)]


def test_respected_source_sessions_at_one_moment_stay_apart_with_ids_of_their_own():
    table = events(("u", 0), ("u", 0), ("u", 30), source_session=["s", "t", "t"])
    made = sessions(table, respect=True)
    assert sorted(made["events"].to_pylist()) == [1, 2]
    assert len(set(made["session_id"].to_pylist())) == 2


def test_events_without_a_source_session_are_cut_by_time_beside_respected_ones():
    table = events(
        ("u", 0), ("u", 10), ("u", 20), ("u", 5000), source_session=[None, "s", None, None]
    )
    assert spans(table, respect=True) == [
        ("u", 0, 20, 2), ("u", 10, 10, 1), ("u", 5000, 5000, 1),
    ]  # fmt: skip


def test_one_source_id_used_by_two_users_is_two_sessions():
    table = events(("a", 0), ("b", 0), source_session=["s", "s"])
    assert len(spans(table, respect=True)) == 2


def test_a_null_time_is_refused():
    table = events(("u", 0)).set_column(
        1, "event_time", pa.array([None], pa.timestamp("us", tz="UTC"))
    )
    with pytest.raises(ValueError, match="event_time holds nulls"):
        sessions(table)


def test_kernel_columns_are_those_of_the_sessions_table():
    written = [part.split()[0] for part in table_spec("silver.sessions").columns.split(", ")]
    assert SESSION_SCHEMA.names == written


def test_sums_do_not_depend_on_the_order_of_events_at_one_moment():
    values = [0.1, 0.2, 0.3, 1e16, -1e16, 0.7]
    rows = [("u", 0)] * len(values)
    totals = set()
    for shift in range(len(values)):
        turned = values[shift:] + values[:shift]
        totals.add(sessions(events(*rows, value=turned, quantity=turned))["value"][0].as_py())
    assert len(totals) == 1


def test_packed_and_unpacked_sorting_agree():
    random = np.random.default_rng(1)
    group, time = random.integers(0, 50, 500), random.integers(-(10**6), 10**6, 500)
    tie = random.normal(size=500)
    packed = sort_by_group_and_time(group, time, (tie,))
    # The same order relation, too wide for 63 bits.
    wide = sort_by_group_and_time(group * 10**6, time * 10**10, (tie,))
    assert packed.tolist() == wide.tolist() == np.lexsort((tie, time, group)).tolist()


def oracle(rows, timeout):
    """Sessions as (user, times) by the definition, one event after the other."""
    found = []
    for user, own in groupby(sorted(rows), key=lambda row: row[0]):
        last = -math.inf
        for _, time in own:
            if time - last > timeout:
                found.append((user, []))
            found[-1][1].append(time)
            last = time
    return found


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["a", "b", "é"]), st.integers(-50, 200)), max_size=40),
    timeout=st.integers(1, 40),
    seed=st.randoms(use_true_random=False),
)
def test_sessions_are_the_oracles_in_any_order(rows, timeout, seed):
    expected = [(user, t[0], t[-1], len(t)) for user, t in oracle(rows, timeout)]
    shuffled = list(rows)
    seed.shuffle(shuffled)
    assert spans(events(*rows), timeout=timeout) == expected
    assert sessions(events(*rows), timeout=timeout) == sessions(events(*shuffled), timeout=timeout)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.integers(0, 100),
            st.sampled_from([None, "s", "t"]),
            st.sampled_from(["x", "y"]),
        ),
        max_size=30,
    ),
    respect=st.booleans(),
)
def test_every_event_lies_in_one_session_and_every_item_is_counted(rows, respect):
    table = events(
        *((u, t) for u, t, _, _ in rows),
        source_session=[s for _, _, s, _ in rows],
        item_id=[i for _, _, _, i in rows],
    )
    made = sessions(table, timeout=10, respect=respect)
    assert sum(made["events"].to_pylist()) == len(rows)
    assert len(set(made["session_id"].to_pylist())) == made.num_rows
    assert all(1 <= n <= 2 for n in made["items"].to_pylist())
    if respect:
        named = {(u, s) for u, _, s, _ in rows if s}
        assert sum(n == 1 for n in made["source_sessions"].to_pylist()) == len(named)


def test_end_of_a_session_is_never_before_its_start():
    rows = [("u", second) for second in (50, 3, 2000, 7, 2500)]
    for row in sessions(events(*rows)).to_pylist():
        assert row["end"] >= row["start"]
        assert row["start"].tzinfo is not None
        assert row["end"] - row["start"] < datetime.timedelta(days=1)
