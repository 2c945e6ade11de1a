"""ISO 8601 text to instants: every form of it that names one.

Dates by month (``2024-03-05``, ``20240305``), by day of the year (``2024-065``, ``2024065``) and by
week (``2024-W10-2``, ``2024W102``), alone (their first instant) or with a time after ``T`` or a
blank: hours, minutes and seconds with colons or without, the last of them with a fraction after a
dot or a comma, ``24:00:00`` as the end of a day, ``60`` as a leap second. A zone is ``Z``, ``UTC``,
``GMT``, an offset (``+01``, ``+0100``, ``+01:00``) or ``Area/City``, also in brackets behind an
offset as Java writes it. Abbreviations such as ``BST`` are no zones: each means several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column

_CITY = r"[A-Za-z_]+(?:/[A-Za-z0-9_+\-]+)+"
_DATE = r"(\d{4})-(\d\d?)-(\d\d?)|(\d{4})(\d\d)(\d\d)|(\d{4})-?(\d{3})|(\d{4})-?[Ww](\d\d)-?(\d)"
_CLOCK = r"(\d\d|\d(?=:))(?::(\d\d)(?::(\d\d))?|(\d\d)(\d\d)?)?(?:[.,](\d+))?"
_ZONE = (
    r"([Zz]|(?i:utc|gmt))|(?i:utc|gmt)?([+\-\u2212])(\d\d|\d(?!\d))(?::?(\d\d)(?::?(\d\d))?)?"
    rf"|({_CITY})"
)
#: A regular expression of all these forms, as Java and Python read it.
ISO = rf"^(?:{_DATE})(?:[Tt ] *{_CLOCK} *(?:{_ZONE})?(?:\[(UTC|GMT|{_CITY})\])?)?$"
_BETWEEN = "\x1f"
_PARTS = {
    "year": "$1$4$7$9", "month": "$2$5", "day": "$3$6", "day_of_year": "$8", "week": "$10",
    "weekday": "$11", "hour": "$12", "minute": "$13$15", "second": "$14$16", "fraction": "$17",
    "utc": "$18", "sign": "$19", "zone_hour": "$20", "zone_minute": "$21", "zone_second": "$22",
    "city": "$23", "bracket": "$24",
}  # fmt: skip
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND


def iso_instant(text: Column, time_zone: str) -> Column:
    """The instant that a text names, else null; without a zone it is in ``time_zone``.

    An hour that daylight saving skips is read as the hour after it, an hour that comes twice as
    the first. Digits beyond microseconds are cut off.
    """
    from pyspark.sql import functions as F

    iso = F.when(text.rlike(ISO), _any_form(text, time_zone))
    return F.coalesce(_usual_form(text, time_zone), iso)


def _usual_form(text: Column, time_zone: str) -> Column:
    """``2024-03-05 10:00:07.25Z`` and the like by Spark's own cast, else null.

    Most logs are of this form. Its separators are looked for at their places, which costs less than
    a regular expression; between them the cast takes nothing but digits, and behind the time it
    sees no zone but ``Z`` and an offset, for it knows abbreviations, too.
    """
    from pyspark.sql import functions as F

    def at(place: int) -> Column:
        return F.substring(text, place, 1)

    def is_digit(place: int) -> Column:
        return at(place).between("0", "9")

    dated = (at(5) == "-") & (at(8) == "-") & (F.substring(text, 1, 4) != "0000")
    timed = dated & at(11).isin("T", " ") & (at(14) == ":") & (at(17) == ":") & is_digit(19)
    zoned = ((at(-1) == "Z") & is_digit(-2)) | (
        at(-6).isin("+", "-") & is_digit(-7) & (at(-3) == ":")
    )
    instant = F.when(zoned, text.try_cast("timestamp")).when(
        is_digit(-1), F.concat(text, F.lit(f" {time_zone}")).try_cast("timestamp")
    )
    day = F.concat(text, F.lit(f" 00:00:00 {time_zone}")).try_cast("timestamp")
    return F.when(timed, instant).when(dated & (F.length(text) == 10), day)


def _bound(value: Column, body: Callable[[Column], Column]) -> Column:
    """What a body makes of a value that is computed once, however often the body names it.

    Spark writes out an expression wherever it stands, and this one would be a program too long to
    compile. What is inside a lambda is interpreted; few rows come here.
    """
    from pyspark.sql import functions as F

    return F.get(F.transform(F.array(value), body), F.lit(0))


def _any_form(text: Column, time_zone: str) -> Column:
    from pyspark.sql import functions as F

    parts = F.split(F.regexp_replace(text, ISO, _BETWEEN.join(_PARTS.values())), _BETWEEN)
    return _bound(parts, lambda pieces: _instant(pieces, time_zone))


def _instant(pieces: Column, time_zone: str) -> Column:
    """The instant of the parts of a text, in the order of their names."""
    from pyspark.sql import functions as F

    part = {name: F.get(pieces, F.lit(place)) for place, name in enumerate(_PARTS)}
    number = {name: column.try_cast("int") for name, column in part.items()}
    local = _day(part, number) * F.lit(_DAY) + _clock(part, number)
    leap = F.coalesce(number["second"] == 60, F.lit(False))
    moved = _bound(local, lambda micros: _moved(micros, part, number, time_zone))
    return _bound(moved, lambda instant: F.when(~leap | _at_leap_second(instant), instant))


def _moved(
    local: Column, part: dict[str, Column], number: dict[str, Column], time_zone: str
) -> Column:
    """The instant at which a clock of the zone shows so many microseconds since 1970."""
    from pyspark.sql import functions as F

    has_offset = (part["utc"] != "") | (part["sign"] != "")
    city = F.when(part["city"] != "", part["city"]).when(part["bracket"] != "", part["bracket"])
    # A zone that does not exist would end the job; what a cast cannot read is null.
    known = F.concat(F.lit("2000-01-01 00:00:00 "), city).try_cast("timestamp").isNotNull()
    return (
        F.when(has_offset, F.timestamp_micros(local - _offset(part, number)))
        .when(city.isNull(), F.to_utc_timestamp(F.timestamp_micros(local), time_zone))
        .when(known, F.to_utc_timestamp(F.timestamp_micros(local), city))
    )


def _day(part: dict[str, Column], number: dict[str, Column]) -> Column:
    """Days since 1970; null for a day that the calendar does not have."""
    from pyspark.sql import functions as F

    def day_of(*parts: Column | str) -> Column:
        texts = [F.lit(p) if isinstance(p, str) else p for p in parts]
        return F.unix_date(F.concat_ws("-", *texts).try_cast("date"))

    def within(days: Column) -> Column:
        return F.year(F.date_from_unix_date(days)) == number["year"]

    year = part["year"]
    by_year = day_of(year, "01", "01") + number["day_of_year"] - 1
    fourth = day_of(year, "01", "04")
    # 4 January is in the first week, and 1970 began on a Thursday.
    monday = fourth - F.pmod(fourth + 3, F.lit(7)) + (number["week"] - 1) * 7
    by_week = monday + number["weekday"] - 1
    found = (
        F.when(part["month"] != "", day_of(year, part["month"], part["day"]))
        .when((number["day_of_year"] > 0) & within(by_year), by_year)
        .when((number["week"] > 0) & number["weekday"].between(1, 7) & within(monday + 3), by_week)
    )
    return F.when(number["year"] > 0, found.cast("bigint"))


def _clock(part: dict[str, Column], number: dict[str, Column]) -> Column:
    """Microseconds since midnight; null for a time that no clock shows."""
    from pyspark.sql import functions as F

    hour, minute, second = (
        F.coalesce(number[name], F.lit(0)).cast("bigint") for name in ("hour", "minute", "second")
    )
    unit = F.when(part["second"] != "", _SECOND).when(part["minute"] != "", 60 * _SECOND)
    unit = unit.otherwise(3600 * _SECOND).cast("decimal(10,0)")
    digits = F.concat(F.lit("0."), F.substring(part["fraction"], 1, 18))
    fraction = F.floor(digits.try_cast("decimal(18,18)") * unit).cast("bigint")
    fraction = F.when(part["fraction"] != "", fraction).otherwise(F.lit(0).cast("bigint"))
    micros = (hour * 3600 + minute * 60 + second) * F.lit(_SECOND) + fraction
    shown = (hour <= 23) & (minute <= 59) & (second <= 60)
    return F.when(shown | ((hour == 24) & (micros == _DAY)), micros)


def _offset(part: dict[str, Column], number: dict[str, Column]) -> Column:
    from pyspark.sql import functions as F

    hour, minute, second = (
        F.coalesce(number[name], F.lit(0)).cast("bigint")
        for name in ("zone_hour", "zone_minute", "zone_second")
    )
    seconds = hour * 3600 + minute * 60 + second
    shown = (hour <= 23) & (minute <= 59) & (second <= 59)
    east = F.when(part["sign"].isin("-", "\u2212"), -seconds).otherwise(seconds)
    return F.when(shown, east * F.lit(_SECOND))


def _at_leap_second(moved: Column) -> Column:
    """Whether an instant lies in the second after the end of June or December (UTC)."""
    from pyspark.sql import functions as F

    micros = F.unix_micros(moved)
    since_midnight = F.pmod(micros, F.lit(_DAY))
    day = F.date_from_unix_date(((micros - since_midnight) / F.lit(_DAY)).cast("int"))
    return F.month(day).isin(1, 7) & (F.dayofmonth(day) == 1) & (since_midnight < _SECOND)
