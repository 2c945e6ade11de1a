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

from tests.unit.logs.session_rows import MICROSECONDS, at, events, sessions, spans
from truelift.lake.tables import table_spec
from truelift.logs.sessions.boundaries import sort_by_group_and_time
from truelift.logs.sessions.kernel import SESSION_SCHEMA


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
    made = sessions(table, end_of_data=2000 * MICROSECONDS)
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
    ids = sessions(events(*rows), timeout_seconds=1)["session_id"].to_pylist()
    assert len(set(ids)) == 600


def test_respected_source_session_holds_across_a_long_gap():
    table = events(("u", 0), ("u", 9000), source_session=["s", "s"])
    assert spans(table, given="check") == [("u", 0, 0, 1), ("u", 9000, 9000, 1)]
    assert spans(table, given="ignore") == [("u", 0, 0, 1), ("u", 9000, 9000, 1)]
    assert spans(table, given="respect") == [("u", 0, 9000, 2)]


def test_respected_source_sessions_at_one_moment_stay_apart_with_ids_of_their_own():
    table = events(("u", 0), ("u", 0), ("u", 30), source_session=["s", "t", "t"])
    made = sessions(table, given="respect")
    assert sorted(made["events"].to_pylist()) == [1, 2]
    assert len(set(made["session_id"].to_pylist())) == 2


def test_events_without_a_source_session_are_cut_by_time_beside_respected_ones():
    table = events(
        ("u", 0), ("u", 10), ("u", 20), ("u", 5000), source_session=[None, "s", None, None]
    )
    assert spans(table, given="respect") == [
        ("u", 0, 20, 2), ("u", 10, 10, 1), ("u", 5000, 5000, 1),
    ]  # fmt: skip


def test_one_source_id_used_by_two_users_is_two_sessions():
    table = events(("a", 0), ("b", 0), source_session=["s", "s"])
    assert len(spans(table, given="respect")) == 2


def test_a_null_time_is_refused():
    table = events(("u", 0)).set_column(
        1, "event_time", pa.array([None], pa.timestamp("us", tz="UTC"))
    )
    with pytest.raises(ValueError, match="event_time holds nulls; clean rejects them"):
        sessions(table)


def test_a_null_user_is_refused():
    with pytest.raises(ValueError, match="user_key holds nulls"):
        sessions(events(("u", 0), (None, 0)))


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


def test_a_session_has_its_length_its_first_and_its_last_item():
    made = sessions(
        events(("u", 0), ("u", 90.5), ("u", 9000), item_id=["in", "out", "alone"])
    ).to_pylist()
    assert [row["duration_seconds"] for row in made] == [90.5, 0.0]
    assert [(row["entry_item"], row["exit_item"]) for row in made] == [
        ("in", "out"),
        ("alone", "alone"),
    ]


def test_of_items_at_one_moment_the_first_by_name_is_the_entry_and_the_last_the_exit():
    made = sessions(events(("u", 0), ("u", 0), ("u", 0), item_id=["c", "a", "b"])).to_pylist()
    assert (made[0]["entry_item"], made[0]["exit_item"]) == ("a", "c")


def test_an_event_without_an_item_gives_no_entry_item():
    made = sessions(events(("u", 0), ("u", 5), item_id=[None, "b"])).to_pylist()
    assert (made[0]["entry_item"], made[0]["exit_item"], made[0]["items"]) == (None, "b", 1)


def test_conversions_are_the_events_of_conversion_types():
    table = events(
        *(("u", second) for second in (0, 1, 2, 9000)),
        event_type=["purchase", "view", "order", "view"],
    )
    made = sessions(table)
    assert made["conversions"].to_pylist() == [2, 0]
    assert made["converted"].to_pylist() == [True, False]
    assert sessions(table, conversion_types=("view",))["conversions"].to_pylist() == [1, 1]
    assert sessions(table, conversion_types=())["converted"].to_pylist() == [False, False]


def test_a_session_with_an_event_of_a_bot_is_a_bots():
    table = events(
        *((user, 0) for user in "abcd"),
        labels=[["bot_rate"], ["robot"], ["zero_value", "bot"], []],
    )
    assert sessions(table)["is_bot"].to_pylist() == [True, False, True, False]


def test_labels_of_a_session_are_the_distinct_ones_of_its_events():
    table = events(("u", 0), ("u", 1), ("u", 2), labels=[["b"], ["a", "b"], []])
    assert sessions(table)["labels"].to_pylist() == [["a", "b"]]


def test_a_session_across_midnight_belongs_to_the_day_it_starts_in():
    table = events(("u", at("2017-03-05T23:59")), ("u", at("2017-03-06T00:01")))
    assert sessions(table, unit="day")["period"].to_pylist() == ["2017-03-05"]
    assert sessions(table, unit="quarter")["period"].to_pylist() == ["2017-Q1"]


def test_one_user_with_a_third_of_the_events_is_one_user_among_others():
    rows = [("heavy", 60 * n) for n in range(3000)] + [(f"u{n:04}", 0) for n in range(6000)]
    found = spans(events(*rows))
    assert found[0] == ("heavy", 0, 60 * 2999, 3000)
    assert len(found) == 6001


def test_a_late_event_that_bridges_two_sessions_makes_one_with_the_first_ones_id():
    apart = events(("u", 0), ("u", 3000))
    bridged = events(("u", 0), ("u", 3000), ("u", 1500))
    assert spans(apart) == [("u", 0, 0, 1), ("u", 3000, 3000, 1)]
    assert spans(bridged) == [("u", 0, 3000, 3)]
    assert sessions(bridged)["session_id"][0] == sessions(apart)["session_id"][0]


def test_a_late_event_before_the_start_gives_the_session_another_id():
    before = sessions(events(("u", 1000)))["session_id"][0]
    assert sessions(events(("u", 1000), ("u", 10)))["session_id"][0] != before


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
    assert spans(events(*rows), timeout_seconds=timeout) == expected
    assert sessions(events(*rows), timeout_seconds=timeout) == sessions(
        events(*shuffled), timeout_seconds=timeout
    )


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
    given_ids = "respect" if respect else "check"
    made = sessions(table, timeout_seconds=10, given=given_ids)
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
