"""Where the rows of a delimited file begin, what their columns are called, how wide they are.

The first record with a value in it is the header, over as many lines as its quoted names take; blank
lines before it, and Excel's ``sep=;``, are passed over. The header's width decides: values beyond it
are surplus, which may be there where they are empty. Names at the header's end that are empty (the
line ends in a delimiter) are columns that a row may lack.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from truelift.errors import SourceError
from truelift.files.raw import RawFile, open_raw
from truelift.logs.sources.csv_recovery import reader_of_lines
from truelift.logs.sources.lines import UTF8, not_encoded, text_lines

# Rows that tell how many values most rows have.
_PEEK = 1000
_MOST_HEADER_LINES = 100
_SIGNS = (";", "\t", "|", ",")
_SEPARATOR = re.compile(r'"?sep=.?"?', re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """What a delimited file's beginning says of its rows.

    Attributes
    ----------
    names : tuple of str
        Of the columns, as they are written; unnamed ones at the end are among them.
    lines : int
        Lines before the first row.
    least : int
        The fewest values of a row: up to the last column with a name.
    usual : int
        How many values most rows have, with their surplus.
    has_rows : bool
        Whether a line that is not blank follows.
    """

    names: tuple[str, ...]
    lines: int
    least: int
    usual: int
    has_rows: bool

    def fitted(self, values: list[str]) -> list[str | None] | None:
        """A row's values by column, or None if there are too few or too many of them."""
        width = len(self.names)
        if len(values) < self.least or any(value.strip() for value in values[width:]):
            return None
        unnamed = [value or None for value in values[self.least : width]]
        return [*values[: self.least], *unnamed, *(None,) * (width - len(values))]

    def to_json(self) -> str:
        """The heading as text that travels with a unit."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Heading:
        """The heading that :meth:`to_json` wrote."""
        data = json.loads(text)
        return Heading(**{**data, "names": tuple(data["names"])})


def heading_of(file: RawFile, options: dict[str, str]) -> Heading:
    """Read a file's beginning.

    Parameters
    ----------
    options : dict of str to str
        ``delimiter``, ``encoding``, and where the source gives them ``quote``, ``escape`` (empty for none),
        ``skip_lines`` and ``columns`` (names as JSON, for a file without a header).

    Raises
    ------
    SourceError
        If it is not in its encoding, or has backslashes before quotes and nobody said what for.
    """
    # Bytes that are not UTF-8 are a matter of their row, not of the file.
    errors = "replace" if options["encoding"].lower() in UTF8 else "strict"
    with open_raw(file.uri) as stream:
        try:
            lines = text_lines(stream, options["encoding"], errors)
            return _heading(_checked(lines, file.uri, options), options)
        except UnicodeDecodeError as error:
            raise not_encoded(file.uri, options["encoding"], error) from error


def parting_sign(names: Sequence[str]) -> str | None:
    """What seems to part a header that another delimiter did not part; None where it is parted.

    Parameters
    ----------
    names : sequence of str
        The header's columns.
    """
    if len(names) != 1:
        return None
    widths = {sign: len(names[0].split(sign)) for sign in _SIGNS}
    most = max(widths, key=lambda sign: widths[sign])
    return most if widths[most] > 1 else None


def _checked(lines: Iterator[str], uri: str, options: dict[str, str]) -> Iterator[str]:
    """The lines, if none of those that are looked at has a quote after a backslash in a quoted value.

    By RFC 4180 the quote ends the value there, and parsers make different values of the rest.
    """
    quote, sign = options.get("quote", '"'), re.escape(options["delimiter"])
    if "escape" in options or not quote:
        yield from lines
        return
    mark = re.escape(quote)
    escaped = re.compile(
        rf"(?:^|{sign}){mark}[^{mark}]*(?<!\\)(?:\\\\)*\\{mark}(?!{mark})[^\r\n{sign}]"
    )
    for line in lines:
        if "\\" in line and escaped.search(line):
            raise SourceError(
                f"{uri} has a quote after a backslash inside of a value in quotes: "
                f"{line.strip()[:200]!r}. If the backslash escapes it: source.escape: '\\'; if it is "
                "text: source.escape: ''."
            )
        yield line


def _heading(lines: Iterator[str], options: dict[str, str]) -> Heading:
    skipped = len(list(itertools.islice(lines, int(options.get("skip_lines", "0")))))
    names = json.loads(options.get("columns", "null"))
    if names is None:
        names, taken, lines = _header(lines, options)
        skipped += taken
        first: list[str] = []
    else:
        first = list(itertools.islice(lines, 1))
        if first and _is_header(first[0], names, options):
            skipped, first = skipped + 1, []
    peeked = [*first, *itertools.islice(lines, _PEEK)]
    least = max((n for n, name in enumerate(names, 1) if name.strip()), default=len(names))
    fits = Heading(tuple(names), skipped, least, len(names), any(line.strip() for line in peeked))
    widths: Counter[int] = Counter()
    try:
        for values in reader_of_lines(iter(peeked), options):
            widths[len(values)] += bool(values) and fits.fitted(values) is not None
    except csv.Error:
        pass
    usual = max(widths, key=lambda width: (widths[width], -width), default=0)
    if not widths[usual]:
        return fits
    return Heading(fits.names, fits.lines, least, usual, fits.has_rows)


def _header(lines: Iterator[str], options: dict[str, str]) -> tuple[list[str], int, Iterator[str]]:
    """The header's values, how many lines it and what precedes it take, and the lines after it."""
    taken = 0
    for line in lines:
        if not _is_blank(line, options) and not (taken == 0 and _SEPARATOR.fullmatch(line.strip())):
            break
        taken += 1
    else:
        return [], taken, iter(())
    held = [line, *itertools.islice(lines, _MOST_HEADER_LINES - 1)]
    reader = reader_of_lines(iter(held), options)
    try:
        names, used = next(reader), reader.line_num
    except csv.Error:
        names, used = [], len(held)
    if used > 1 and used == len(held):
        # A quote that does not close is a character of the header's one line.
        names, used = line.rstrip("\r\n").split(options["delimiter"]), 1
    return names, taken + used, itertools.chain(held[used:], lines)


def _is_header(line: str, names: list[str], options: dict[str, str]) -> bool:
    """Whether a line holds the names that the source gives its columns."""
    values = [value.strip() for value in next(reader_of_lines(iter([line]), options), [])]
    return [value.lower() for value in values] == [name.strip().lower() for name in names]


def _is_blank(line: str, options: dict[str, str]) -> bool:
    """Whether a line has no value: nothing, or delimiters and blanks."""
    return not line.replace(options["delimiter"], "").replace('"', "").strip()
