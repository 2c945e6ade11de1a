"""Times of interactions: numbers in seconds or parts of them, days as ``20240305``, and ISO 8601."""

from __future__ import annotations

import datetime
import math
import re
import zoneinfo
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from truelift.logs.iso_times import ISO

_ISO = re.compile(ISO, re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?", re.ASCII)
_DAY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", re.ASCII)
# Seconds, and thousandth parts of them: a number of this size is of the next unit.
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
_SECONDS_BELOW = 88_000_000_000  # in the year 4758; as milliseconds, in 1972
#: Seconds since 1970 from which on a number can be a time of our age: 1973.
OUR_AGE = 100_000_000
#: In the place of a unit: the numbers are days, such as 20240305.
DAYS = 0
_EPOCH = datetime.datetime(1970, 1, 1)


def moment(text: str, unit: int) -> int | None:
    """A time as microseconds since 1970; None where it is none, or in another unit.

    Parameters
    ----------
    text : str
    unit : int
        Of numbers, in parts of a second, or :data:`DAYS`.
    """
    if unit == 1 and text.isdecimal() and len(text) < 11:
        return int(text) * 1_000_000
    if unit == DAYS and _DAY.fullmatch(text):
        return iso_micros(text)
    value = number_of(text)
    if value is None:
        return iso_micros(text)
    # Milliseconds among seconds are no times, nor seconds among milliseconds, nor the year 4758.
    least = OUR_AGE if unit > 1 else _SECONDS_BELOW
    if unit == DAYS or abs(value) >= _SECONDS_BELOW * unit:
        return None
    if least <= abs(value) < _SECONDS_BELOW * unit // 1_000:
        return None
    return math.floor(value * 1_000_000 / unit)


def number_or_date(text: str) -> Fraction | None:
    """A number exactly as it is written, or the seconds since 1970 of an ISO time (else UTC)."""
    number = number_of(text)
    if number is not None:
        return number
    micros = iso_micros(text)
    return None if micros is None else Fraction(micros, 1_000_000)


def are_days(texts: Sequence[str]) -> bool:
    """Whether all texts are days such as ``20240305``."""
    return bool(texts) and all(_DAY.fullmatch(text) for text in texts)


def unit_of(texts: Sequence[str]) -> int | None:
    """The unit in which most of the numbers lie in our age; None if there is none.

    Without a number it is 1.
    """
    if are_days(texts):
        return DAYS
    sizes = sorted(abs(n) for n in map(number_of, texts) if n is not None)
    if not sizes:
        return 1
    middle = sizes[len(sizes) // 2]
    return next((u for u in _UNITS if middle < _SECONDS_BELOW * u), None)


def iso_micros(text: str) -> int | None:
    """The microseconds since 1970 of an ISO 8601 time (:mod:`truelift.logs.iso_times`), else None.

    Without a zone it is UTC. The same is read under every version of Python.
    """
    found = _ISO.match(text)
    if found is None:
        return None
    part = (None, *found.groups())
    try:
        day = _date(part)
        since = _since_midnight(part)
        wall = datetime.datetime.combine(day, datetime.time()) - _EPOCH + since
        instant = wall - _offset(part, wall)
        if "60" in (part[14], part[16]) and not _at_leap_second(_EPOCH + instant):
            return None
    except (ValueError, OverflowError, KeyError, zoneinfo.ZoneInfoNotFoundError):
        return None
    return instant // datetime.timedelta(microseconds=1)


_Parts = tuple["str | None", ...]


def number_of(text: str) -> Fraction | None:
    """A number exactly as it is written; None for other text."""
    return Fraction(text) if _NUMBER.fullmatch(text) else None


def _date(part: _Parts) -> datetime.date:
    year = int(part[1] or part[4] or part[7] or part[9] or 0)
    if part[10]:
        return datetime.date.fromisocalendar(year, int(part[10]), int(part[11] or 0))
    if part[8]:
        found = datetime.date(year, 1, 1) + datetime.timedelta(days=int(part[8]) - 1)
        if found.year != year:
            raise ValueError
        return found
    return datetime.date(year, int(part[2] or part[5] or 0), int(part[3] or part[6] or 0))


def _since_midnight(part: _Parts) -> datetime.timedelta:
    minutes, seconds = part[13] or part[15], part[14] or part[16]
    hour, minute, second = (int(text or 0) for text in (part[12], minutes, seconds))
    unit = 1_000_000 * (1 if seconds else 60 if minutes else 3600)
    digits = part[17] or "0"
    fraction = int(digits) * unit // 10 ** len(digits)
    since = datetime.timedelta(hours=hour, minutes=minute, seconds=second, microseconds=fraction)
    whole_day = hour == 24 and since == datetime.timedelta(days=1)
    if not (whole_day or (hour <= 23 and minute <= 59 and second <= 60)):
        raise ValueError
    return since


def _at_leap_second(moved: datetime.datetime) -> bool:
    """Whether an instant lies in the second after the end of June or December (UTC)."""
    begins = moved.replace(microsecond=0)
    return begins in (datetime.datetime(moved.year, 1, 1), datetime.datetime(moved.year, 7, 1))


def _offset(part: _Parts, wall: datetime.timedelta) -> datetime.timedelta:
    """What a zone is ahead of UTC at a time on its clocks."""
    if part[18]:
        return datetime.timedelta()
    if part[19]:
        hour, minute, second = (int(text or 0) for text in part[20:23])
        if hour > 23 or minute > 59 or second > 59:
            raise ValueError
        east = datetime.timedelta(hours=hour, minutes=minute, seconds=second)
        return east if part[19] == "+" else -east
    name = part[23] or part[24]
    if name is None:
        return datetime.timedelta()
    return (_EPOCH + wall).replace(tzinfo=_zone(name)).utcoffset() or datetime.timedelta()


@lru_cache(maxsize=256)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)
