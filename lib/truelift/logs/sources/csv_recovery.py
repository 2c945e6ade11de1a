"""Records out of delimited lines, recovering where a quote does not close."""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# A quoted value of more lines than this is taken for a quote that was never closed.
MOST_LINES = 1000

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


@dataclass(frozen=True)
class Record:
    """A record's values, or (``values`` None) the line that is none."""

    values: list[str | None] | None
    corrupt: str | None


class _Unclosed(Exception):
    """A quoted value went on for too long."""


class _Lines:
    """Lines with a memory of those that belong to the record at hand, to be read again."""

    def __init__(self, lines: Iterator[str]):
        self._lines = lines
        self._again: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES:
            raise _Unclosed
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        return line

    def give_back_all_but_first(self) -> str:
        first, *rest = self.taken
        self._again.extendleft(reversed(rest))
        self.taken = []
        return first.rstrip("\r\n")


def reader_of_lines(lines: Iterable[str], options: dict[str, str], strict: bool = False) -> Any:
    """Python's reader of delimited lines with a source's ``delimiter``, ``quote`` and ``escape``."""
    quote, escape = options.get("quote", '"'), options.get("escape") or None
    sign = options["delimiter"]
    if not quote:
        return csv.reader(lines, delimiter=sign, escapechar=escape, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=sign, escapechar=escape, quotechar=quote, strict=strict)


def records(
    lines: Iterator[str],
    options: dict[str, str],
    fitted: Callable[[list[str]], list[str | None] | None],
) -> Iterator[Record]:
    """Split lines into records.

    A record that is not well formed gives up its first line as corrupt; reading goes on at
    the line after it. Blank lines are no records.

    Parameters
    ----------
    options : dict of str to str
        ``delimiter``, ``quote`` and ``escape``.
    fitted : function
        A record's values by column, None if they do not fit.
    """
    source = _Lines(lines)
    while True:
        reader = reader_of_lines(source, options, strict=True)
        try:
            for values in reader:
                row = fitted(values) if values else None
                if not values:
                    source.taken = []
                elif row is not None:
                    source.taken = []
                    yield Record(row, None)
                else:
                    break
            else:
                return
        except (_Unclosed, csv.Error):
            pass
        if not source.taken:
            return
        yield Record(None, source.give_back_all_but_first())
