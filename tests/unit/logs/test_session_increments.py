"""Sessions after some periods changed: only what is touched is made anew, and it is enough."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.logs.session_rows import MICROSECONDS, at, events, options, seconds_of
from truelift.errors import InvariantError
from truelift.lake.periods import period_of
from truelift.logs.sessions.incremental import (
    EDGE_DDL,
    EDGE_SCHEMA,
    EdgeProbeKernel,
    IncrementalSessionKernel,
    grown,
    with_margin,
)
from truelift.logs.sessions.kernel import SESSION_SCHEMA, SessionKernel

BUCKET = 0
EMPTY = SESSION_SCHEMA.empty_table()
DAYS = [f"2017-03-0{n}" for n in range(1, 8)]
TODAY = at("2017-03-04T00:00")


class Silver:
    """Events and sessions of one bucket by period, kept by increments as a lake would."""

    def __init__(self, unit="day", margin=False, **chosen):
        self.unit, self.margin, self.options = unit, margin, options(**chosen)
        self.events = events()
        self.sessions = {}
        self.read = ()

    def of_periods(self, periods):
        names = period_of(self.events["event_time"], self.unit)
        return self.events.filter(pa.compute.is_in(names, pa.array(periods, pa.string())))

    def window(self, changed):
        """The changed periods, grown as the probe says."""
        if self.options.given == "respect":
            return tuple(sorted({*period_of(self.events["event_time"], self.unit).to_pylist(),
                                 *self.sessions, *changed}))  # fmt: skip
        start = with_margin(changed, self.unit, self.options) if self.margin else changed
        windows = {BUCKET: tuple(sorted(start))}
        while True:
            probe = EdgeProbeKernel(self.options, self.unit, {BUCKET: changed}, windows)
            found = probe(BUCKET, {"events": self.of_periods(windows[BUCKET])}).to_pylist()
            if not found:
                return windows[BUCKET]
            assert not {row["period"] for row in found} & set(windows[BUCKET])
            windows = grown(windows, [(row["bucket"], row["period"]) for row in found])

    def change(self, added, removed=()):
        """Some events arrive and others (places in the table) go."""
        kept = [n for n in range(self.events.num_rows) if n not in set(removed)]
        gone = self.events.take(pa.array(sorted(removed), pa.int64()))
        self.events = pa.concat_tables([self.events.take(pa.array(kept, pa.int64())), added])
        times = [*added["event_time"].chunks, *gone["event_time"].chunks]
        changed = {name for time in times for name in period_of(time, self.unit).to_pylist()}
        self.read = self.window(tuple(sorted(changed)))
        self.publish(self.read, tuple(sorted(changed)))
        for period in [name for name in self.sessions if self.is_outdated(name)]:
            self.publish((period,), ())

    def is_outdated(self, period):
        """Whether the end of the data moved so that a session is open no more, or again."""
        rows = self.sessions[period]
        still = [self.end - round(end * MICROSECONDS) <= self.options.timeout_seconds * MICROSECONDS
                 for end in seconds_of(rows["end"])]  # fmt: skip
        return rows["is_open"].to_pylist() != still

    def publish(self, window, changed):
        present = [self.sessions.get(period, EMPTY) for period in window]
        kernel = IncrementalSessionKernel(
            self.options, self.end, self.unit, {BUCKET: changed}, {BUCKET: window}
        )
        tables = {
            "events": self.of_periods(window),
            "sessions": pa.concat_tables([EMPTY, *present]),
        }
        made = kernel(BUCKET, tables)
        for period in window:
            self.sessions[period] = made.filter(pa.compute.equal(made["period"], period))

    @property
    def end(self):
        return max(
            (round(s * MICROSECONDS) for s in seconds_of(self.events["event_time"])), default=0
        )

    def rows(self):
        return by_id(pa.concat_tables([EMPTY, *self.sessions.values()]))

    def expected(self):
        return by_id(
            SessionKernel(self.options, self.end, self.unit)(BUCKET, {"events": self.events})
        )


def by_id(table):
    return sorted(
        table.to_pylist(), key=lambda row: (row["user_key"], row["start"], row["session_id"])
    )


def spans_of(silver):
    return [
        (row["user_key"], row["start"].strftime("%d %H:%M"), row["events"]) for row in silver.rows()
    ]


def day(number, clock):
    return at(f"2017-03-{number:02}T{clock}")


def test_a_session_that_nothing_touches_is_kept_as_it_is():
    silver = Silver()
    silver.change(events(("u", day(1, "12:00")), ("v", day(2, "12:00"))))
    marked = silver.sessions["2017-03-01"]
    marked = marked.set_column(12, SESSION_SCHEMA.field(12), pa.array([7], pa.int32()))
    silver.sessions["2017-03-01"] = marked
    silver.change(events(("u", day(1, "13:00")), event_id=["later"]))
    assert silver.read == ("2017-03-01",)
    # Not within the timeout of the day's edges, yet in the changed day: it is made anew.
    assert [row["conversions"] for row in silver.rows()] == [0, 0, 0]
    silver.sessions["2017-03-01"] = marked
    silver.change(events(("w", day(2, "23:00")), event_id=["other"]))
    assert [row["conversions"] for row in silver.rows() if row["conversions"]] == [7]


def test_a_window_far_from_its_edges_does_not_grow():
    silver = Silver()
    silver.change(events(*(("u", day(n, "12:00")) for n in range(1, 8))))
    silver.change(events(("u", day(4, "12:10")), event_id=["late"]))
    assert silver.read == ("2017-03-04",)
    assert silver.rows() == silver.expected()


def test_an_event_that_the_day_before_may_join_grows_the_window_downwards():
    silver = Silver()
    silver.change(events(("u", day(3, "23:50")), ("u", day(3, "12:00"))))
    silver.change(events(("u", day(4, "00:10")), event_id=["late"]))
    assert silver.read == ("2017-03-03", "2017-03-04")
    assert spans_of(silver) == [("u", "03 12:00", 1), ("u", "03 23:50", 2)]


def test_an_event_that_the_day_after_may_join_grows_the_window_upwards():
    silver = Silver()
    silver.change(events(("u", day(5, "00:10"))))
    silver.change(events(("u", day(4, "23:45")), event_id=["late"]))
    assert silver.read == ("2017-03-04", "2017-03-05")
    assert spans_of(silver) == [("u", "04 23:45", 2)]


def test_the_edge_is_reached_from_the_timeout_on_and_not_from_further():
    probe = EdgeProbeKernel(options(), "day", {0: ("2017-03-04",)}, {0: ("2017-03-04",)})

    def asked(*seconds):
        table = events(*(("u", TODAY + second) for second in seconds))
        return probe(0, {"events": table})["period"].to_pylist()

    assert asked(1799.999999) == ["2017-03-03"]
    assert asked(1800) == []
    assert asked(86_400 - 1800) == ["2017-03-05"]
    assert asked(86_400 - 1800.000001) == []


def test_events_near_the_edge_that_no_change_touches_do_not_grow_the_window():
    window = ("2017-03-03", "2017-03-04")
    probe = EdgeProbeKernel(options(), "day", {0: ("2017-03-04",)}, {0: window})
    table = events(("u", day(3, "00:05")), ("u", day(4, "12:00")), ("v", day(3, "00:01")))
    assert probe(0, {"events": table}).num_rows == 0


def test_a_chain_over_several_days_is_followed_to_its_end():
    silver = Silver()
    night = [day(1, "12:00") + 1500 * n for n in range(200)]  # three and a half days
    silver.change(events(*(("u", second) for second in night)))
    silver.change(events(("u", night[-1] + 100), event_id=["late"]))
    assert silver.read == ("2017-03-01", "2017-03-02", "2017-03-03", "2017-03-04")
    assert [row["events"] for row in silver.rows()] == [201]


def test_all_sessions_of_a_touched_chain_are_replaced_once_however_far_from_the_change():
    silver = Silver(split_on=("max_duration",), max_duration_seconds=7200)
    silver.change(events(*(("u", day(1, "12:00") + 1500 * n) for n in range(200))))
    silver.change(events(("u", day(1, "12:00") + 1500 * 200), event_id=["late"]))
    assert len(silver.rows()) > 40
    assert silver.rows() == silver.expected()


def test_a_timeout_longer_than_a_period_asks_for_all_periods_that_it_reaches():
    probe = EdgeProbeKernel(
        options(timeout_seconds=2 * 86_400), "day", {0: ("2017-03-04",)}, {0: ("2017-03-04",)}
    )
    found = probe(0, {"events": events(("u", day(4, "12:00")))})
    assert found["period"].to_pylist() == ["2017-03-02", "2017-03-03", "2017-03-05", "2017-03-06"]


def test_a_window_with_a_hole_reads_only_around_the_changes():
    silver = Silver()
    silver.change(events(*(("u", day(n, "12:00")) for n in range(1, 8))))
    silver.change(events(("u", day(2, "12:10")), ("u", day(6, "12:10")), event_id=["p", "q"]))
    assert silver.read == ("2017-03-02", "2017-03-06")
    assert silver.rows() == silver.expected()


def test_a_chain_over_a_hole_of_the_window_asks_for_the_hole():
    window = ("2017-03-02", "2017-03-04")
    probe = EdgeProbeKernel(options(timeout_seconds=36 * 3600), "day", {0: window}, {0: window})
    table = events(("u", day(2, "23:00")), ("u", day(4, "01:00")))
    found = probe(0, {"events": table})["period"].to_pylist()
    assert found == ["2017-03-01", "2017-03-03", "2017-03-05"]


def test_a_late_event_bridges_two_sessions_of_two_days():
    silver = Silver()
    silver.change(events(("u", day(3, "23:40")), ("u", day(4, "00:20"))))
    first = silver.rows()[0]["session_id"]
    silver.change(events(("u", day(4, "00:00")), event_id=["bridge"]))
    assert spans_of(silver) == [("u", "03 23:40", 3)]
    assert silver.rows()[0]["session_id"] == first


def test_a_late_event_before_the_start_moves_the_session_to_the_day_before():
    silver = Silver()
    silver.change(events(("u", day(4, "00:10"))))
    before = silver.rows()[0]["session_id"]
    silver.change(events(("u", day(3, "23:50")), event_id=["late"]))
    assert silver.sessions["2017-03-04"].num_rows == 0
    assert spans_of(silver) == [("u", "03 23:50", 2)]
    assert silver.rows()[0]["session_id"] != before


def test_an_event_that_leaves_the_next_day_shortens_the_session_of_the_day_before():
    silver = Silver(margin=True)
    silver.change(events(("u", day(3, "23:50")), ("u", day(4, "00:10")), ("u", day(4, "00:30"))))
    silver.change(events(), removed=(1, 2))
    assert spans_of(silver) == [("u", "03 23:50", 1)]


def test_an_event_that_leaves_can_part_a_session_in_two():
    silver = Silver(margin=True)
    times = (day(2, "23:50"), day(3, "00:05"), day(3, "00:25"))
    silver.change(events(*(("u", time) for time in times)))
    silver.change(events(), removed=(1,))
    assert spans_of(silver) == [("u", "02 23:50", 1), ("u", "03 00:25", 1)]


def test_a_bucket_without_changes_keeps_its_rows_and_closes_the_open_ones():
    table = events(("u", day(3, "12:00")), ("v", day(3, "12:20")))
    end = round(day(3, "12:20") * MICROSECONDS)
    present = SessionKernel(options(), end, "day")(BUCKET, {"events": table})
    assert present["is_open"].to_pylist() == [True, True]
    kernel = IncrementalSessionKernel(options(), end + 1000 * MICROSECONDS, "day")
    made = kernel(BUCKET, {"events": table, "sessions": present})
    assert made["is_open"].to_pylist() == [False, True]
    assert made.drop(["is_open"]) == present.drop(["is_open"])


def test_present_rows_come_as_they_were_stored(tmp_path):
    table = events(("u", day(3, "12:00")), labels=[["bot"]], event_type=["order"])
    present = SessionKernel(options(), 10**18, "day")(BUCKET, {"events": table})
    pq.write_table(present, tmp_path / "part.parquet")
    kernel = IncrementalSessionKernel(options(), 10**18, "day")
    stored = pq.read_table(tmp_path / "part.parquet")
    assert kernel(BUCKET, {"events": table, "sessions": stored}) == present


def test_a_window_that_is_too_small_is_refused_in_place_of_wrong_rows():
    periods = {0: ("2017-03-04",)}
    probe = EdgeProbeKernel(options(), "day", periods, periods)
    kernel = IncrementalSessionKernel(options(), 10**18, "day", periods, periods)
    table = events(("u", day(3, "23:50")), ("u", day(4, "00:05")))
    with pytest.raises(InvariantError, match="outside of the window"):
        probe(0, {"events": table})
    with pytest.raises(InvariantError, match="2017-03-03, outside of the window"):
        kernel(0, {"events": table, "sessions": EMPTY})


def test_the_margin_of_a_period_is_what_the_timeout_reaches():
    assert with_margin(["2017-03"], "month", options()) == ("2017-02", "2017-03", "2017-04")
    assert with_margin(["all"], "all", options()) == ("all",)


def test_windows_grow_only_in_buckets_that_ask():
    assert grown({0: ("b",), 1: ("b",)}, [(0, "a"), (0, "c")]) == {0: ("a", "b", "c")}


def test_all_time_as_one_period_never_grows():
    silver = Silver(unit="all")
    silver.change(events(("u", day(4, "00:00"))))
    silver.change(events(("u", day(3, "23:59")), event_id=["late"]))
    assert silver.read == ("all",)
    assert silver.rows() == silver.expected()


def test_the_columns_of_the_probe_are_those_that_spark_is_told():
    assert [part.split()[0] for part in EDGE_DDL.split(", ")] == EDGE_SCHEMA.names


ARRIVALS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.integers(0, 6),
            st.integers(-6, 6) | st.integers(0, 143),  # tens of minutes, often about midnight
            st.sampled_from([None, "A", "B"]),
            st.sampled_from([None, None, "s", "t"]),
        ),
        max_size=14,
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(
    arrivals=ARRIVALS,
    timeout=st.sampled_from([10, 30, 40, 90, 60 * 30]),
    unit=st.sampled_from(["day", "day", "week", "all"]),
    chosen=st.sampled_from(
        [
            {},
            {"split_on": ("day",), "time_zone": "Europe/Berlin"},
            {"split_on": ("campaign",)},
            {"split_on": ("max_duration",), "max_duration_seconds": 3000},
            {"split_on": ("day", "campaign", "max_duration"), "max_duration_seconds": 6000},
            {"given": "respect"},
        ]
    ),
    removals=st.booleans(),
    walks=st.booleans(),
    random=st.randoms(use_true_random=False),
)
def test_increments_end_where_a_full_run_does(
    arrivals, timeout, unit, chosen, removals, walks, random
):
    silver = Silver(unit, margin=removals, timeout_seconds=timeout * 60, **chosen)
    number = 0
    if walks:  # one chain over days
        chain = [
            ("a", n * timeout // 10 // 144, n * timeout // 10 % 144) for n in range(9000 // timeout)
        ]
        arrivals = [[(*place, None, None) for place in chain], *arrivals]
    for batch in arrivals:
        table = events(
            *((user, day(1, "00:00") + 86_400 * d + 600 * step) for user, d, step, _, _ in batch),
            campaign=[row[3] for row in batch],
            source_session=[row[4] for row in batch],
            item_id=[f"i{number + n}" for n in range(len(batch))],
            event_id=[f"e{number + n}" for n in range(len(batch))],
        )
        number += len(batch)
        known = silver.events.num_rows
        gone = random.sample(range(known), min(known, random.randrange(4))) if removals else ()
        silver.change(table, gone)
        assert silver.rows() == silver.expected()
