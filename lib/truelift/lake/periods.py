"""Periods of time (UTC) that tables are partitioned by: their names, bounds and order.

===========  ============  =========================================
unit         name          from, to (half-open)
===========  ============  =========================================
``day``      2017-03-05    midnight to midnight
``week``     2017-W09      Monday to Monday, ISO 8601 year and week
``month``    2017-03       the first to the first
``quarter``  2017-Q1       1 January, April, July, October
``year``     2017          1 January to 1 January
``all``      all           everything
===========  ============  =========================================

Within a unit the names sort as the periods follow each other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pyspark.sql import Column

UNITS = ("day", "week", "month", "quarter", "year", "all")
DAY = 86_400_000_000
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_PATTERNS = {
    "day": r"\d{4}-\d\d-\d\d",
    "week": r"\d{4}-W\d\d",
    "month": r"\d{4}-\d\d",
    "quarter": r"\d{4}-Q[1-4]",
    "year": r"\d{4}",
    "all": "all",
}
# Names have four digits of year, so that they sort; ISO weeks of these days have them too.
_FIRST_DAY = int(np.datetime64("0001-01-01", "D").astype(np.int64))
_END_DAY = int(np.datetime64("9999-12-31", "D").astype(np.int64)) + 1


def check_unit(unit: str) -> str:
    """The unit itself.

    Raises
    ------
    ConfigError
        If there is no such unit.
    """
    if unit not in UNITS:
        raise ConfigError(f"Unit of periods: found {unit!r}, expected one of {', '.join(UNITS)}.")
    return unit


def period_of(times_us: np.ndarray | pa.Array | pa.ChunkedArray, unit: str) -> pa.Array:
    """Name of the period that each moment lies in.

    Parameters
    ----------
    times_us : ndarray of int64, or Arrow array of int64 or timestamp, length n
        Microseconds since 1970-01-01 UTC, or timestamps; without nulls.
    unit : str
        One of ``UNITS``.

    Returns
    -------
    pyarrow.Array of string, length n

    Raises
    ------
    DataError
        For a moment outside of the years 1 to 9999.
    """
    check_unit(unit)
    micros = times_us if isinstance(times_us, np.ndarray) else _micros(times_us)
    if unit == "all":
        return pa.repeat("all", len(micros))
    # Few days, many moments: texts are made once a day.
    coded = pa.array(micros // DAY, pa.int64()).dictionary_encode()
    names = _names(coded.dictionary.to_numpy(), unit)
    return pa.array(names.tolist(), pa.string()).take(coded.indices)


def period_bounds(period: str, unit: str) -> tuple[int, int]:
    """First microsecond of a period, and the first after it.

    Raises
    ------
    ConfigError
        If the text is not the name of a period of the unit.
    """
    check_unit(unit)
    start, end = _FIRST_DAY, _END_DAY
    if unit != "all" or period != "all":
        try:
            start, end = _days(period, unit)
        except ValueError:
            raise ConfigError(
                f"Period {period!r} is not a {unit}; expected a name such as {_example(unit)!r}."
            ) from None
    return start * DAY, end * DAY


def next_period(period: str, unit: str) -> str | None:
    """The period after this one; None after the last there is."""
    end = period_bounds(period, unit)[1]
    return period_of(np.array([end]), unit)[0].as_py() if end < _END_DAY * DAY else None


def previous_period(period: str, unit: str) -> str | None:
    """The period before this one; None before the first there is."""
    start = period_bounds(period, unit)[0]
    return period_of(np.array([start - 1]), unit)[0].as_py() if start > _FIRST_DAY * DAY else None


def periods_between(first_us: int, last_us: int, unit: str) -> tuple[str, ...]:
    """Names of all periods from the one of a moment to that of another, in order of time.

    Moments outside of the years 1 to 9999 are taken as the nearest inside.
    """
    bounds = _FIRST_DAY * DAY, _END_DAY * DAY - 1
    first, last = period_of(np.clip([first_us, last_us], *bounds), unit).to_pylist()
    found = []
    name: str | None = first
    while name is not None and name <= last:
        found.append(name)
        name = next_period(name, unit)
    return tuple(found)


def period_column(time: Column, unit: str) -> Column:
    """The same name as a Spark column, whatever the session's time zone.

    Parameters
    ----------
    time : Column of timestamp
    unit : str
        One of ``UNITS``.
    """
    from pyspark.sql import functions as F

    check_unit(unit)
    if unit == "all":
        return F.lit("all")
    day = _day_column(time)
    if unit == "week":
        # The year of an ISO week is that of its Thursday; weekday() is 0 on Mondays.
        year = F.year(F.date_add(day, F.lit(3) - F.weekday(day)))
        return F.concat(_padded(year, 4), F.lit("-W"), _padded(F.weekofyear(day), 2))
    parts = [_padded(F.year(day), 4)]
    if unit in ("month", "day"):
        parts += [F.lit("-"), _padded(F.month(day), 2)]
    if unit == "day":
        parts += [F.lit("-"), _padded(F.dayofmonth(day), 2)]
    if unit == "quarter":
        parts += [F.lit("-Q"), F.quarter(day).cast("string")]
    return F.concat(*parts)


def _day_column(time: Column) -> Column:
    from pyspark.sql import functions as F

    micros = F.unix_micros(time)
    # A whole number of days is divided without rounding, before 1970 too.
    number = ((micros - F.pmod(micros, F.lit(DAY))) / F.lit(DAY)).cast("int")
    return F.date_from_unix_date(number)


def _padded(number: Column, width: int) -> Column:
    # String.format costs more than all rules of cleaning together.
    from pyspark.sql import functions as F

    return F.lpad(number.cast("string"), width, "0")


def _micros(times: pa.Array | pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_timestamp(times.type):
        times = times.cast(pa.timestamp("us", tz=times.type.tz))
    return times.cast(pa.int64()).to_numpy()


def _names(days: np.ndarray, unit: str) -> np.ndarray:
    """Names of the periods of days since 1970-01-01."""
    if len(days) and not (days.min() >= _FIRST_DAY and days.max() < _END_DAY):
        raise DataError(
            "A time lies outside of the years 1 to 9999, so it has no period; "
            "clean.times.min_time and clean.times.max_time reject such rows."
        )
    if unit == "week":
        return _week_names(days)
    text = np.datetime_as_string(days.astype("datetime64[D]"))
    if unit == "quarter":
        month = np.array([int(name[5:7]) for name in text], dtype=np.int64)
        return np.char.add(text.astype("U4"), np.array([f"-Q{(m + 2) // 3}" for m in month], "U3"))
    return text.astype({"day": "U10", "month": "U7", "year": "U4"}[unit])


def _week_names(days: np.ndarray) -> np.ndarray:
    thursday = days - (days + 3) % 7 + 3  # 1970-01-01 was a Thursday
    year = thursday.astype("datetime64[D]").astype("datetime64[Y]")
    week = (thursday - year.astype("datetime64[D]").astype(np.int64)) // 7 + 1
    names = [f"{y}-W{w:02}" for y, w in zip(np.datetime_as_string(year), week, strict=True)]
    return np.array(names, dtype="U8")


def _days(period: str, unit: str) -> tuple[int, int]:
    """First day of a period and first day after it, since 1970-01-01."""
    if not re.fullmatch(_PATTERNS[unit], period):
        raise ValueError(period)
    if unit == "day":
        start = int(np.datetime64(period, "D").astype(np.int64))
        return start, start + 1
    year, rest = int(period[:4]), period[5:].lstrip("WQ")
    if not 1 <= year <= 9999:
        raise ValueError(period)
    if unit == "week":
        start = _first_monday(year) + 7 * (int(rest) - 1)
        if not _first_monday(year) <= start < _first_monday(year + 1):
            raise ValueError(period)
        return start, min(start + 7, _END_DAY)
    length = _MONTHS[unit]
    number = (int(rest) - 1) * length if rest else 0
    if not 0 <= number < 12:
        raise ValueError(period)
    first = np.datetime64(f"{year:04}", "M").astype(np.int64) + number
    starts = np.array([first, first + length]).astype("datetime64[M]").astype("datetime64[D]")
    start, end = starts.astype(np.int64).tolist()
    return start, end


def _first_monday(year: int) -> int:
    """Monday of the week of 4 January, which is week 1."""
    fourth = (year - 1970) * 365 + _leap_days(year) + 3
    return fourth - (fourth + 3) % 7


def _leap_days(year: int) -> int:
    """Leap days from 1970 to the start of the year."""

    def before(y: int) -> int:
        return (y - 1) // 4 - (y - 1) // 100 + (y - 1) // 400

    return before(year) - before(1970)


def _example(unit: str) -> str:
    return "all" if unit == "all" else str(_names(np.array([17_230]), unit)[0])
