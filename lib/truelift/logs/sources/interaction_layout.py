"""How a file of interactions is laid out: what parts its values, which column is what, in which unit.

Nothing is guessed where a guess could be wrong: the third of four values is a rating in some
files and a time in others, so four values need names, from the file's first line or from
``source.columns`` (``--columns``).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from truelift.errors import SourceError
from truelift.logs.sources.interaction_moments import (
    OUR_AGE,
    are_days,
    iso_micros,
    moment,
    number_or_date,
    unit_of,
)

USER, ITEM, RATING, TIME = "user", "item", "rating", "time"
KNOWN = (USER, ITEM, RATING, TIME)
_PARTED = ("\t", "::", ",", ";", "|")  # None, any white space, is the last choice
# Names by which headers call the four, in lower case without punctuation.
_NAMES = {
    USER: ("user", "userid", "uid", "userkey", "customer", "customerid", "visitor", "visitorid",
           "reviewer", "reviewerid", "session", "sessionid"),
    ITEM: ("item", "itemid", "iid", "itemkey", "product", "productid", "movie", "movieid", "asin",
           "parentasin", "sku", "article", "articleid", "business", "businessid", "book", "bookid",
           "artist", "artistid", "track", "trackid", "song", "songid", "venue", "venueid"),
    RATING: ("rating", "ratings", "score", "stars", "overall"),
    TIME: ("time", "timestamp", "ts", "unixtime", "unixtimestamp", "unixreviewtime", "eventtime",
           "eventtimestamp", "datetime", "createdat", "createtime", "timestampms", "timems", "date", "t"),
}  # fmt: skip
# What a column's name has that may be the time under a name of its own.
_LIKE_TIME = re.compile(r"time|date|stamp|_at$|At$|when", re.ASCII)
# 1990 to 2100, in which the seconds of a recorded interaction lie.
_FIRST_SECOND, _LAST_SECOND = 631_152_000, 4_102_444_800
_UNITS = (1, 10**3, 10**6, 10**9)
_LIST_OF_ITEMS = re.compile(r"item.*list")
_TYPED = re.compile(r"^([^:]+):(token|float|token_seq|float_seq)$")


@dataclass(frozen=True)
class Layout:
    """Where the values of a line stand.

    Parameters
    ----------
    delimiter : str or None
        None is any white space.
    places : dict of str to int
        Of ``user``, ``item`` and what there is of ``rating`` and ``time``.
    width : int
        Values of a line.
    headed : bool
        Whether the first line names the columns.
    unit : int
        Of the times, in parts of a second; 0 where they are days such as 20240305.
    """

    delimiter: str | None
    places: dict[str, int]
    width: int
    headed: bool = False
    unit: int = 1

    @property
    def timed(self) -> bool:
        """Whether lines have a time."""
        return TIME in self.places

    def values(self, text: str) -> dict[str, str] | None:
        """The named values of a line; None where it is no interaction."""
        parts = split(text, self.delimiter)
        if len(parts) != self.width:
            return None
        found = {name: parts[place] for name, place in self.places.items()}
        return found if found[USER] and found[ITEM] else None

    def moment(self, text: str) -> int | None:
        """A time as microseconds since 1970; None where it is none, or in another unit."""
        return moment(text, self.unit)

    def fault(self, text: str) -> str:
        """A sentence on a line that is no interaction; nothing where it is one."""
        parts = split(text, self.delimiter)
        if len(parts) != self.width:
            return f"It has {len(parts)} values, expected {self.width}."
        found = self.values(text)
        if found is None:
            return "Its user or its item is empty."
        if self.timed and self.moment(found[TIME]) is None:
            return (
                f"Its time {found[TIME]!r} cannot be read; expected seconds, milliseconds, "
                "microseconds or nanoseconds since 1970, a day such as 20240305, or ISO 8601."
            )
        return ""


def split(text: str, delimiter: str | None) -> list[str]:
    """A line's values, without blanks around them."""
    if delimiter is None:
        return text.split()
    if delimiter in (",", ";", "|"):
        parts = next(csv.reader([text], delimiter=delimiter), [])
    else:
        parts = text.split(delimiter)
    return [part.strip() for part in parts]


def layout_of(lines: Sequence[str], uri: str, columns: Sequence[str], delimiter: str) -> Layout:
    """The layout of a file.

    Parameters
    ----------
    lines : sequence of str
        The first lines, without blank ones.
    uri : str
        For messages.
    columns : sequence of str
        ``source.columns``; empty where the file or the number of values says what is what.
    delimiter : str
        ``source.delimiter``; its default, a comma, means: see what parts the values.

    Raises
    ------
    SourceError
        Where it cannot be told which value is what, with what to do.
    """
    parting = _delimiter(lines, delimiter)
    rows = [split(line, parting) for line in lines]
    first = rows[0] if rows else []
    names = _header(first)
    if columns:
        names_or_given = _checked(tuple(columns), rows, uri)
        headed = names is not None or _names_above_numbers(names_or_given, rows)
    elif names is not None:
        names_or_given, headed = names, True
        _need_both(names_or_given, first, uri)
        _refuse_what_names_hide(names_or_given, rows, uri)
    else:
        names_or_given, headed = _unnamed(rows, lines, uri), False
    places = {name: names_or_given.index(name) for name in KNOWN if name in names_or_given}
    found = Layout(parting, places, len(names_or_given), headed)
    return _with_unit(found, lines[headed:], uri)


def names_itself(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the first of a file's first lines says what the columns are."""
    parting = _delimiter(lines, delimiter)
    names = _header(split(lines[0], parting)) if lines else None
    return names is not None and {USER, ITEM} <= set(names)


def _delimiter(lines: Sequence[str], given: str) -> str | None:
    if given != ",":
        return None if given == " " else given
    for sign in (*_PARTED, None):
        # A first line that names user and item says by itself what parts them.
        names = _header(split(lines[0], sign)) if lines else None
        if names is not None and {USER, ITEM} <= set(names):
            return sign
    values, best = _usual(lines, None), None
    for candidate in _PARTED:
        found = _usual(lines, candidate, everywhere=True)
        # A tab or '::' parts values that hold blanks; another sign has to part at least as well.
        if found > 1 and (candidate in ("\t", "::") or found >= values):
            values, best = found, candidate
    return best


def _usual(lines: Sequence[str], delimiter: str | None, everywhere: bool = False) -> int:
    """How many values most lines have; 0 where nine of ten ought to agree and do not."""
    counts = Counter(len(split(line, delimiter)) for line in lines)
    width, times = counts.most_common(1)[0] if counts else (0, 0)
    return 0 if everywhere and times < 0.9 * len(lines) else width


def _known_names(names: Sequence[str]) -> list[str]:
    """Each of the four where a name stands for it (of several the likeliest), else the name."""
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    found = [f"-{name}" for name in names]
    for column, known in _NAMES.items():
        places = sorted((known.index(p), n) for n, p in enumerate(plain) if p in known)
        if places:
            found[places[0][1]] = column
    return found


def _header(first: Sequence[str]) -> tuple[str, ...] | None:
    """The columns that a first line names, or None where it is an interaction."""
    typed = [m for part in first if (m := _TYPED.match(part))]
    if first and len(typed) == len(first):
        found = _known_names([m.group(1) for m in typed])
        tokens = [n for n, m in enumerate(typed) if m.group(2) == "token"]
        # RecBole: two token columns are the user and the item, by whatever name.
        if {USER, ITEM} - set(found) and len(tokens) == 2:
            found[tokens[0]], found[tokens[1]] = USER, ITEM
        return tuple(found)
    found = _known_names(first)
    return tuple(found) if USER in found and ITEM in found else None


def _need_both(names: Sequence[str], first: Sequence[str], uri: str) -> None:
    lacks = [name for name in (USER, ITEM) if name not in names]
    if lacks:
        raise SourceError(
            f"{uri}: its first line names the columns {', '.join(first)}; found no column of the "
            f"{' and the '.join(lacks)}. Say which is which, in their order: --columns "
            f"{','.join([USER, ITEM, RATING, TIME][: max(len(first), 2)])} ('-' for one to leave out)."
        )


def _refuse_what_names_hide(names: Sequence[str], rows: Sequence[Sequence[str]], uri: str) -> None:
    """Refuse a first line whose other columns hold what interactions need: a time, more items."""
    others = {place: name[1:].partition(":") for place, name in enumerate(names) if name[:1] == "-"}
    lists = [name for name, _, _ in others.values() if _LIST_OF_ITEMS.search(name.lower())]
    if lists:
        raise SourceError(
            f"{uri}: its column {lists[0]!r} holds several items in a line; expected an item a line, "
            "each user's (or session's) in the order of time."
        )
    if TIME in names:
        return
    for place, (name, _, _) in others.items():
        texts = [row[place] for row in rows[1:] if len(row) == len(names)]
        if _LIKE_TIME.search(name) or (texts and all(_is_clock(text) for text in texts)):
            shown = ["-" if n[:1] == "-" else n for n in names]
            order = ",".join(shown)
            shown[place] = TIME
            raise SourceError(
                f"{uri}: its first line names no column of the time, and {name!r} may be it. If it "
                f"is: --columns {','.join(shown)}; if the lines are in the order of time: "
                f"--columns {order} ('-' leaves a column out)."
            )


def _is_clock(text: str) -> bool:
    """Whether a text is an instant with a time of day, or a whole number of our age's seconds (or
    milli-, micro- or nanoseconds).
    """
    if text.isascii() and text.isdigit():
        return any(_FIRST_SECOND <= int(text) // unit < _LAST_SECOND for unit in _UNITS)
    return ":" in text and iso_micros(text) is not None


def _checked(columns: tuple[str, ...], rows: Sequence[Sequence[str]], uri: str) -> tuple[str, ...]:
    widths = Counter(len(row) for row in rows)
    usual = widths.most_common(1)[0][0] if widths else len(columns)
    if usual != len(columns):
        raise SourceError(
            f"source.columns (--columns) names {len(columns)} columns, {', '.join(columns)}, and "
            f"the lines of {uri} have {usual} values, such as {' '.join(rows[0])[:200]!r}. Name "
            "all of them in order, with '-' for those to leave out."
        )
    return columns


def _names_above_numbers(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line has words where the second has a time or a rating."""
    numeric = [names.index(name) for name in (TIME, RATING) if name in names]
    if len(rows) < 2 or not numeric:
        return False
    above, below = rows[0], rows[1]
    return all(
        place < min(len(above), len(below))
        and number_or_date(above[place]) is None
        and number_or_date(below[place]) is not None
        for place in numeric
    )


def _unnamed(rows: Sequence[Sequence[str]], lines: Sequence[str], uri: str) -> tuple[str, ...]:
    """Two values are user and item; a third is the time, where it can be one."""
    widths = Counter(len(row) for row in rows if len(row) >= 2)
    many = sum(times for width, times in widths.items() if width > 3)
    if many and 2 * many >= widths.total():
        usual = max((w for w in widths if w > 3), key=lambda w: widths[w])
        raise SourceError(
            f"{uri} has {usual} values a line, such as {lines[0][:200]!r}; expected 'user item' or "
            "'user item seconds'. The third of more values may be a rating or a time: name them "
            f"in their order, for example --columns {','.join([*KNOWN, *'-' * (usual - 4)])} "
            "('-' for one to leave out)."
        )
    triples = [row for row in rows if len(row) == 3]
    times = [number_or_date(row[2]) for row in triples]
    if not any(time is not None for time in times):
        return (USER, ITEM)
    if _look_like_ratings(triples, times):
        numbers = [float(time) for time in times if time is not None]
        raise SourceError(
            f"{uri}: the third values lie between {min(numbers):g} and {max(numbers):g} and go "
            "down within a user, so they look like ratings or counts; expected seconds, each user's "
            f"lines in the order of time. Say what they are: --columns {USER},{ITEM},{RATING} (the lines "
            f"are then in the order of time) or --columns {USER},{ITEM},{TIME}."
        )
    return (USER, ITEM, TIME)


def _look_like_ratings(rows: Sequence[Sequence[str]], values: Sequence[Fraction | None]) -> bool:
    if any(value is not None and abs(value) >= OUR_AGE for value in values):
        return False
    if are_days([row[2] for row in rows]):
        return False
    latest: dict[str, Fraction] = {}
    for row, value in zip(rows, values, strict=True):
        if value is None:
            continue
        if value < latest.get(row[0], value):
            return True
        latest[row[0]] = value
    return False


def _with_unit(layout: Layout, lines: Sequence[str], uri: str) -> Layout:
    """The unit in which most of the first times lie in our age."""
    if not layout.timed:
        return layout
    values = [v for v in (layout.values(line) for line in lines) if v is not None]
    unit = unit_of([v[TIME] for v in values])
    if unit is None:
        raise SourceError(
            f"{uri}: found the time {values[0][TIME]}, expected seconds, milliseconds, "
            "microseconds or nanoseconds since 1970, or an ISO date and time."
        )
    return replace(layout, unit=unit)
