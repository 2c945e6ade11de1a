"""Names, bounds and order of periods."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.errors import ConfigError, DataError
from truelift.lake.periods import (
    UNITS,
    next_period,
    period_bounds,
    period_of,
    periods_between,
    previous_period,
)

EPOCH = datetime.datetime(1970, 1, 1)
MOMENTS = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59))


def micros(moment):
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def name(moment, unit):
    return period_of(np.array([micros(moment)]), unit)[0].as_py()


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("day", "2017-03-05"),
        ("week", "2017-W09"),
        ("month", "2017-03"),
        ("quarter", "2017-Q1"),
        ("year", "2017"),
        ("all", "all"),
    ],
)
def test_a_moment_has_a_name_in_every_unit(unit, expected):
    assert name(datetime.datetime(2017, 3, 5, 23, 59, 59, 999_999), unit) == expected


def test_a_period_begins_at_midnight_and_ends_before_the_next():
    start, end = period_bounds("2016-02", "month")
    assert (start, end) == (micros(datetime.datetime(2016, 2, 1)), micros(EPOCH.replace(2016, 3)))
    assert period_of(np.array([start - 1, start, end - 1, end]), "month").to_pylist() == [
        "2016-01", "2016-02", "2016-02", "2016-03",
    ]  # fmt: skip


def test_new_years_day_can_lie_in_the_last_week_of_the_year_before():
    assert name(datetime.datetime(2021, 1, 1), "week") == "2020-W53"
    assert name(datetime.datetime(2018, 12, 31), "week") == "2019-W01"
    assert next_period("2020-W53", "week") == "2021-W01"
    assert previous_period("2020-W01", "week") == "2019-W52"


def test_moments_before_1970_have_periods_too():
    assert period_of(np.array([-1]), "day").to_pylist() == ["1969-12-31"]
    assert period_of(np.array([-1]), "quarter").to_pylist() == ["1969-Q4"]


def test_timestamps_and_microseconds_give_the_same_names():
    times = pa.array([0, 86_400_000_000], pa.int64())
    stamps = times.cast(pa.timestamp("us", tz="UTC"))
    assert period_of(times, "day") == period_of(stamps, "day")
    assert period_of(pa.chunked_array([stamps]), "day").to_pylist() == ["1970-01-01", "1970-01-02"]


def test_no_moments_have_no_periods():
    for unit in UNITS:
        found = period_of(np.empty(0, dtype=np.int64), unit)
        assert (len(found), found.type) == (0, pa.string())


def test_periods_between_two_moments_include_both_ends():
    start, end = micros(datetime.datetime(2016, 12, 31)), micros(datetime.datetime(2017, 2, 1))
    assert periods_between(start, end, "month") == ("2016-12", "2017-01", "2017-02")
    assert periods_between(start, start, "month") == ("2016-12",)
    assert periods_between(end, start, "month") == ()
    assert periods_between(-(2**62), 2**62, "all") == ("all",)
    assert periods_between(micros(datetime.datetime(9999, 12, 1)), 2**62, "month") == ("9999-12",)


def test_all_time_has_no_neighbours():
    assert next_period("all", "all") is previous_period("all", "all") is None
    start, end = period_bounds("all", "all")
    assert start < micros(datetime.datetime(1, 1, 2)) < micros(datetime.datetime.max) < end


@pytest.mark.parametrize(
    ("period", "unit"),
    [("2017-13", "month"), ("2017-W54", "week"), ("2019-W53", "week"), ("2017-Q5", "quarter"),
     ("2017-02-30", "day"), ("17", "year"), ("2017", "month"), ("0000", "year"), ("x", "all"),
     ("2017-W00", "week"), ("2017-00", "month")],
)  # fmt: skip
def test_a_name_that_is_no_period_of_the_unit_is_refused(period, unit):
    with pytest.raises(ConfigError, match=f"'{period}' is not a {unit}"):
        period_bounds(period, unit)


def test_an_unknown_unit_is_refused():
    with pytest.raises(ConfigError, match="'hour', expected one of day, week"):
        period_of(np.array([0]), "hour")


def test_years_of_five_digits_have_no_period():
    with pytest.raises(DataError, match="years 1 to 9999"):
        period_of(np.array([period_bounds("9999", "year")[1]]), "day")


@given(moment=MOMENTS)
def test_names_are_those_of_the_calendar(moment):
    year, week, _ = moment.isocalendar()
    assert name(moment, "day") == moment.date().isoformat()
    assert name(moment, "week") == f"{year:04}-W{week:02}"
    assert name(moment, "month") == moment.date().isoformat()[:7]
    assert name(moment, "quarter") == f"{moment.year:04}-Q{(moment.month + 2) // 3}"
    assert name(moment, "year") == f"{moment.year:04}"


@given(moment=MOMENTS, unit=st.sampled_from(UNITS))
def test_a_moment_lies_within_the_bounds_of_its_period_and_neighbours_touch(moment, unit):
    period = name(moment, unit)
    start, end = period_bounds(period, unit)
    assert start <= micros(moment) < end
    if (after := next_period(period, unit)) is not None:
        assert (period_bounds(after, unit)[0], previous_period(after, unit)) == (end, period)
        assert after > period


@given(moments=st.lists(MOMENTS, min_size=2, max_size=20), unit=st.sampled_from(UNITS))
def test_names_sort_as_time_goes(moments, unit):
    names = period_of(np.array([micros(m) for m in sorted(moments)]), unit).to_pylist()
    assert names == sorted(names)
