"""What splits a session besides the gap: days, campaigns, a longest duration."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.logs.session_rows import at, events, sessions, spans, starts
from truelift.errors import ConfigError
from truelift.logs.sessions.kernel import EVENT_COLUMNS, event_columns
from truelift.logs.sessions.splits import campaign_codes
from truelift.settings import SessionOptions

DAY = {"split_on": ("gap", "day")}
CAMPAIGN = {"split_on": ("gap", "campaign")}


def longest(seconds):
    return {"split_on": ("gap", "max_duration"), "max_duration_seconds": seconds}


def of_user(*seconds, **columns):
    return events(*(("u", second) for second in seconds), **columns)


def test_midnight_splits_only_where_days_split():
    before, after = at("2017-03-05T23:59:59.999999"), at("2017-03-06T00:00")
    assert starts(of_user(before, after)) == [before]
    assert starts(of_user(before, after), **DAY) == [before, after]


def test_the_day_is_that_of_the_time_zone():
    table = of_user(at("2017-07-05T21:50"), at("2017-07-05T22:10"))  # midnight in Berlin between
    assert len(starts(table, **DAY)) == 1
    assert len(starts(table, **DAY, time_zone="Europe/Berlin")) == 2


def test_days_before_and_after_the_clock_changes_begin_at_local_midnight():
    berlin = {**DAY, "time_zone": "Europe/Berlin"}
    # 26 March 2017: the day begins at 23:00 UTC the day before and has 23 hours.
    assert len(starts(of_user(at("2017-03-25T22:50"), at("2017-03-25T23:00")), **berlin)) == 2
    assert len(starts(of_user(at("2017-03-26T21:50"), at("2017-03-26T22:00")), **berlin)) == 2
    assert len(starts(of_user(at("2017-03-26T22:50"), at("2017-03-26T23:10")), **berlin)) == 1
    # 29 October 2017 has 25 hours.
    assert len(starts(of_user(at("2017-10-28T21:50"), at("2017-10-28T22:00")), **berlin)) == 2
    assert len(starts(of_user(at("2017-10-29T21:50"), at("2017-10-29T22:10")), **berlin)) == 1
    assert len(starts(of_user(at("2017-10-29T22:50"), at("2017-10-29T23:00")), **berlin)) == 2


def test_the_hour_that_the_clock_skips_or_repeats_splits_nothing():
    berlin = {**DAY, "time_zone": "Europe/Berlin"}
    assert len(starts(of_user(at("2017-03-26T00:55"), at("2017-03-26T01:05")), **berlin)) == 1
    assert len(starts(of_user(at("2017-10-29T00:30"), at("2017-10-29T01:00")), **berlin)) == 1


def test_a_change_to_another_campaign_splits_and_the_change_back_too():
    table = of_user(0, 10, 20, 30, campaign=["A", "B", "B", "A"])
    assert starts(table) == [0]
    assert starts(table, **CAMPAIGN) == [0, 10, 30]


def test_events_without_a_campaign_stay_with_the_one_before():
    assert starts(of_user(0, 10, 20, campaign=["A", None, "A"]), **CAMPAIGN) == [0]
    assert starts(of_user(0, 10, 20, campaign=["A", None, "B"]), **CAMPAIGN) == [0, 20]
    assert starts(of_user(0, 10, campaign=["A", None]), **CAMPAIGN) == [0]


def test_the_first_campaign_of_a_visit_splits_nothing():
    assert starts(of_user(0, 10, campaign=[None, "A"]), **CAMPAIGN) == [0]


def test_a_campaign_is_forgotten_after_a_gap():
    table = of_user(0, 9000, 9010, campaign=["A", None, "B"])
    assert starts(table, **CAMPAIGN) == [0, 9000]


def test_a_campaign_of_another_user_changes_nothing():
    table = events(("a", 0), ("b", 1), campaign=["A", "B"])
    assert len(starts(table, **CAMPAIGN)) == 2


def test_a_blank_campaign_is_none():
    assert starts(of_user(0, 10, 20, campaign=["A", "", "A"]), **CAMPAIGN) == [0]


def test_of_campaigns_at_one_moment_the_first_by_name_counts():
    table = of_user(0, 10, 10, 20, campaign=["A", "C", "B", "B"])
    assert spans(table, **CAMPAIGN) == [("u", 0, 0, 1), ("u", 10, 20, 3)]


def test_the_key_of_the_campaign_is_a_setting():
    table = of_user(0, 10, context=[[("utm", "A")], [("utm", "B")]])
    assert starts(table, **CAMPAIGN) == [0]
    assert starts(table, **CAMPAIGN, campaign_key="utm") == [0, 10]


def test_an_event_at_the_longest_duration_stays_and_one_microsecond_later_splits():
    assert starts(of_user(0, 1000, 2000), **longest(2000)) == [0]
    assert starts(of_user(0, 1000, 2000.000001), **longest(2000)) == [0, 2000.000001]


def test_the_longest_duration_is_counted_from_the_start_of_each_session_it_makes():
    table = of_user(*range(0, 10_001, 1000))
    assert starts(table, **longest(2500)) == [0, 3000, 6000, 9000]


def test_the_longest_duration_counts_anew_for_each_user_and_after_each_gap():
    rows = [(user, base + n) for user in "ab" for base in (0, 50_000) for n in (0, 900, 1800)]
    found = spans(events(*rows), **longest(1000))
    assert [(user, start) for user, start, _, _ in found] == [
        (user, base + n) for user in "ab" for base in (0, 50_000) for n in (0, 1800)
    ]


def test_all_splits_work_together():
    table = of_user(
        at("2017-03-05T23:40"), at("2017-03-05T23:50"), at("2017-03-06T00:00"),
        at("2017-03-06T00:20"), at("2017-03-06T00:30"),
        campaign=["A", "B", None, None, None],
    )  # fmt: skip
    chosen = {
        "split_on": ("gap", "day", "campaign", "max_duration"),
        "max_duration_seconds": 1200,
    }
    assert starts(table, **chosen) == [
        at(f"2017-03-{t}") for t in ("05T23:40", "05T23:50", "06T00:00", "06T00:30")
    ]


def test_a_bucket_without_events_has_no_sessions_however_they_are_split():
    chosen = {**longest(10), "split_on": ("gap", "day", "campaign", "max_duration")}
    assert sessions(events(), **chosen).num_rows == 0


def test_respected_ids_are_not_split_and_other_events_are():
    table = of_user(
        at("2017-03-05T23:59"), at("2017-03-05T23:59:30"), at("2017-03-06T00:00"),
        at("2017-03-06T00:01"), source_session=["s", None, "s", None],
    )  # fmt: skip
    found = spans(table, **DAY, given="respect")
    assert [(start, events) for _, start, _, events in found] == [
        (at("2017-03-05T23:59"), 2), (at("2017-03-05T23:59:30"), 1), (at("2017-03-06T00:01"), 1),
    ]  # fmt: skip


def test_a_campaign_is_found_in_any_layout_of_the_context():
    maps = [
        [("x", "1"), ("campaign", "B")], None, [], [("campaign", None)], [("campaign", "A")],
        [("x", "A"), ("campaign", "")], [("y", "campaign")], [("campaign", "B"), ("z", "0")],
    ]  # fmt: skip
    expected = [2, -1, -1, -1, 1, -1, -1, 2]
    whole = pa.array(maps, pa.map_(pa.string(), pa.string()))
    for layout in ([whole], [whole[:3], whole[3:]], [whole[:0], whole]):
        found = campaign_codes(pa.chunked_array(layout), "campaign")
        assert found.tolist() == expected
    assert campaign_codes(pa.chunked_array([whole[4:7]]), "campaign").tolist() == [1, -1, -1]
    assert campaign_codes(pa.chunked_array([], whole.type), "campaign").tolist() == []


def test_the_context_is_read_only_where_campaigns_split():
    assert event_columns(SessionOptions()) == EVENT_COLUMNS
    assert event_columns(SessionOptions(**CAMPAIGN)) == (*EVENT_COLUMNS, "context")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"split_on": ("hour",)}, r"sessions\.split_on: found \('hour',\)"),
        ({"split_on": ("max_duration",)}, r"sessions\.max_duration_seconds: found None"),
        ({"max_duration_seconds": 60}, r"unless sessions\.split_on names max_duration"),
        ({"given": "believe"}, r"sessions\.given: found 'believe', expected one of"),
        ({"time_zone": "Europe/Atlantis"}, r"sessions\.time_zone: found 'Europe/Atlantis'"),
    ],
)
def test_impossible_options_are_refused(chosen, message):
    with pytest.raises(ConfigError, match=message):
        SessionOptions(**chosen)


def oracle(rows, o):
    """(user, start, end, events) of sessions by the definition, moment after moment."""
    made, zone = [], ZoneInfo(o.time_zone)
    moments = {}
    for user, time, campaign in rows:
        moments.setdefault((user, time), []).append(campaign or None)
    last_user = last = last_day = campaign = None
    for (user, time), here in sorted(moments.items()):
        named = min(filter(None, here), default=None)
        day = datetime.fromtimestamp(time, zone).date()
        new = user != last_user or time - last > o.timeout_seconds
        if new:
            campaign = None
        else:
            new |= "day" in o.split_on and day != last_day
            new |= "campaign" in o.split_on and None not in (named, campaign) and named != campaign
            new |= "max_duration" in o.split_on and time - made[-1][1] > o.max_duration_seconds
        if new:
            made.append([user, time, time, 0])
        made[-1][2:] = [time, made[-1][3] + len(here)]
        last_user, last, last_day, campaign = user, time, day, named or campaign
    return [tuple(session) for session in made]


MIDNIGHTS = [at("2017-03-25T23:00"), at("2017-10-29T23:00"), at("2017-06-01T00:00")]


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from(MIDNIGHTS),
            st.integers(-20, 20),
            st.sampled_from([None, "A", "B", ""]),
        ),
        max_size=40,
    ),
    timeout=st.integers(1, 8),
    split=st.sets(st.sampled_from(["day", "campaign", "max_duration"])),
    most=st.integers(1, 12),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata"]),
    random=st.randoms(use_true_random=False),
)
def test_sessions_are_the_oracles_whatever_splits(rows, timeout, split, most, zone, random):
    rows = [(user, base + 60 * step, campaign) for user, base, step, campaign in rows]
    chosen = {
        "timeout_seconds": timeout * 60,
        "split_on": ("gap", *sorted(split)),
        "time_zone": zone,
        "max_duration_seconds": most * 60 if "max_duration" in split else None,
    }
    expected = oracle(rows, SessionOptions(**chosen))
    random.shuffle(rows)
    table = events(*((u, t) for u, t, _ in rows), campaign=[c for _, _, c in rows])
    assert spans(table, **chosen) == expected
    ids = sessions(table, **chosen)["session_id"].to_pylist()
    assert len(set(ids)) == len(ids)


def test_long_and_short_sessions_together_are_cut_alike_on_a_large_scale():
    rows = [(f"u{n % 7}", 600.0 * n) for n in range(7000) if n % 100]
    found = spans(events(*rows), timeout_seconds=7200, **longest(86_400))
    assert max(end - start for _, start, end, _ in found) <= 86_400
    assert found == oracle(
        [(u, t, None) for u, t in rows], SessionOptions(timeout_seconds=7200, **longest(86_400))
    )
