"""Bronze text to the typed columns of an event; what cannot be read becomes null."""

from __future__ import annotations

import calendar
import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.logs.iso_times import iso_instant
from truelift.logs.sources.columns import held_name
from truelift.settings import SourceOptions
from truelift.settings.source import MAIL, THOUSANDS, pattern_letters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import Column

EPOCHS = {
    "epoch_s": Decimal(1_000_000),
    "epoch_ms": Decimal(1_000),
    "epoch_us": Decimal(1),
    "epoch_ns": Decimal("0.001"),
}
# The times of mails and of HTTP (RFC 2822 and its like); the day of the week says nothing new.
_MAIL = (
    r"^(?:[A-Za-z]{3,9}, *)?(\d{1,2}) +([A-Za-z]{3}) +(\d{4}) +(\d\d):(\d\d)(?::(\d\d))? *"
    r"(?:((?i:gmt|utc?|z))|([+-]\d{4}))$"
)
_WORDS = (
    "Z", "T", "UTC", "GMT", "AM", "PM", "AD", "BC",
    *calendar.month_name[1:], *calendar.month_abbr[1:], *calendar.day_name, *calendar.day_abbr,
)  # fmt: skip
_LAST_MICROSECOND = 253_402_300_799_999_999  # the end of the year 9999


# What is blank at the ends of a text: Unicode's white space, and the marks that have no width.
BLANKS = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)


def text_of(column: str | None, available: Iterable[str] = ()) -> Column:
    """A mapped source column without surrounding blanks; null where empty or not mapped.

    Parameters
    ----------
    column : str, optional
        As the configuration names it.
    available : iterable of str
        The columns of the table; see :func:`~truelift.logs.sources.columns.held_name`.
    """
    from pyspark.sql import functions as F

    if column is None:
        return F.lit(None).cast("string")
    trimmed = trimmed_text(F.col(f"`{held_name(column, available)}`"))
    return F.when(trimmed != "", trimmed)


def trimmed_text(text: Column, last: Column | None = None) -> Column:
    """A text without blanks of any kind at its ends (tabs, no-break spaces, ...).

    Parameters
    ----------
    text : Column
    last : Column, optional
        Its :func:`last_byte`, where a step before has worked it out.
    """
    from pyspark.sql import functions as F

    # Spark's own looks at every character and makes texts of them: it was half of cleaning's time in
    # Java. The first and the last byte tell of most texts that there is nothing to take away, for
    # from "!" to DEL no byte is a blank, or a part of one.
    last = last_byte(text) if last is None else last
    least, greatest = F.lit(bytearray(b"!")), F.lit(bytearray(b"\x7f"))
    bare = text.between("!", "\x7f\x7f") & last.between(least, greatest)
    return F.when(bare, text).otherwise(F.btrim(text, F.lit(BLANKS)))


def last_byte(text: Column) -> Column:
    """The last byte of a text in UTF-8."""
    from pyspark.sql import functions as F

    return F.substring(text.cast("binary"), -1, 1)


def normal_form(form: str):  # type: ignore[no-untyped-def]
    """A function of a text column: its Unicode normal form (Unicode Annex 15)."""
    from pyspark.sql import functions as F

    def normalise(texts: pa.Array) -> pa.Array:
        return normalised(texts, form)

    normalise.__annotations__ = {"texts": pa.Array, "return": pa.Array}
    return F.arrow_udf(normalise, "string")  # type: ignore[call-overload]


def normalised(texts: pa.Array, form: str) -> pa.Array:
    """Texts in a normal form, each distinct text looked at once.

    Arrow's own ``utf8_normalize`` (25.0) leaves NFC and NFKC decomposed, as NFD and NFKD.
    """
    coded = texts.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    words = [unicodedata.normalize(form, word) for word in distinct]  # type: ignore[arg-type]
    return pa.array(words, pa.string()).take(coded.indices)


def only_text_of(text: Column) -> Column:
    """A text, or the one that a JSON list of one text holds, as loggers write headers."""
    from pyspark.sql import functions as F

    in_list = text.rlike(r'^\[\s*"') & (F.json_array_length(text) == 1)
    return F.when(in_list, F.get_json_object(text, "$[0]")).otherwise(text)


def number_of(text: Column, source: SourceOptions | None = None) -> Column:
    """Text to a finite double, else null, as ``source.decimal`` and ``thousands`` write it.

    A number is digits with at most one dot, a sign and an exponent; what Java takes for one
    besides (``3d``, ``0x1p3``, ``Infinity``, other alphabets' digits) is text.
    """
    from pyspark.sql import functions as F

    decimal, marks = (".", "") if source is None else (source.decimal, _marks(source))
    plain = F.when(text.rlike(number_pattern(decimal, marks)), text)
    if marks:
        plain = F.translate(plain, marks, "")
    number = F.translate(plain, decimal, ".").try_cast("double")
    return F.when(F.abs(number) <= F.lit(1.7976931348623157e308), number)


def _marks(source: SourceOptions) -> str:
    return THOUSANDS[source.thousands] if source.thousands else ""


def number_pattern(decimal: str = ".", marks: str = "") -> str:
    """A regular expression of numbers; thousands are parted everywhere or nowhere."""
    whole = "[0-9]+"
    if marks:
        whole = rf"(?:[0-9]+|[0-9]{{1,3}}(?:[{re.escape(marks)}][0-9]{{3}})+)"
    point = re.escape(decimal)
    return rf"^[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def instant_of(text: Column, source: SourceOptions) -> Column:
    """Text to a UTC instant by the source's ``time_format`` and ``time_zone``, else null.

    ``iso`` reads every form of ISO 8601 that names an instant (see
    :mod:`truelift.logs.iso_times`); text with an offset of its own keeps it, other text is in
    ``time_zone``. The result does not depend on the session's time zone.
    """
    from pyspark.sql import functions as F

    if source.time_format in EPOCHS:
        plain = F.when(text.rlike(number_pattern()), text)
        number, unit = plain.try_cast("decimal(38,6)"), EPOCHS[source.time_format]
        # Bounded before it is multiplied: thirty digits would overflow, and end the job.
        last = Decimal(f"{Decimal(_LAST_MICROSECOND) / unit:f}")  # Spark knows no 2.5E+20
        inside = F.when(F.abs(number) <= F.lit(last), number)
        return F.timestamp_micros(F.floor(inside * F.lit(unit)).cast("bigint"))
    if source.time_format == "iso":
        return iso_instant(text, source.time_zone)
    if source.time_format == MAIL:
        return _mail_instant(text)
    letters = pattern_letters(source.time_format)
    if letters & set("VzOXxZ"):
        if letters & set("Vz"):
            text = F.when(~text.rlike(_abbreviation(source.time_format)), text)
        return F.try_to_timestamp(text, F.lit(source.time_format))
    zone = f" {source.time_zone}"
    return F.try_to_timestamp(F.concat(text, F.lit(zone)), F.lit(f"{source.time_format} VV"))


def _mail_instant(text: Column) -> Column:
    """``Tue, 5 Mar 2024 10:00:00 +0100`` or ``GMT`` as an instant, else null."""
    from pyspark.sql import functions as F

    def part(group: int) -> Column:
        return F.regexp_extract(text, _MAIL, group)

    seconds = F.when(part(6) == "", "00").otherwise(part(6))
    clock = F.concat_ws(":", part(4), part(5), seconds)
    zone = F.when(part(8) == "", "+0000").otherwise(part(8))
    month = F.initcap(part(2))
    plain = F.concat_ws(" ", part(1), month, part(3), clock, zone)
    found = F.try_to_timestamp(plain, F.lit("d MMM yyyy HH:mm:ss xx"))
    return F.when(text.rlike(_MAIL), found)


def _abbreviation(pattern: str) -> str:
    """A regular expression of text with a word that is no zone, month, day or half of a day.

    Java reads ``BST``, ``IST`` or ``CST`` as one of the several zones that they mean.
    """
    quoted = {word for part in pattern.split("'")[1::2] for word in re.findall(r"[A-Za-z]+", part)}
    words = "|".join(sorted((*_WORDS, *quoted), key=len, reverse=True))
    whole = rf"(?:(?i:{words})|[A-Za-z_]+(?:/[A-Za-z0-9_+\-]+)+)(?![A-Za-z/_])"
    return rf"(?<![A-Za-z/_])(?!{whole})[A-Za-z]"
