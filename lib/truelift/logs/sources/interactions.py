"""Interactions as the published benchmarks of sequence models have them: ``user item [time]``.

One interaction a line, values parted by white space, no header, each user's lines in the order of
time. The third value is seconds since the epoch; of equal seconds the later line counts as some
microseconds later, so the file's order survives. Without a third value the line's number stands
for the time, in seconds from the first instant of 2000. The format is that of the files of SASRec
(Kang & McAuley 2018); others that begin with the same three values can be read too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pyarrow as pa

from truelift.errors import SourceError
from truelift.logs.sources.columns import text_batch
from truelift.logs.sources.files import RawFile, open_raw
from truelift.logs.sources.lines import full_lines
from truelift.logs.sources.unit import Unit

COLUMNS = ("user", "item", "time", "line")
_PEEK = 100
_BATCH = 50_000
_BASE = 946_684_800  # 2000-01-01 UTC
_MICRO = 1_000_000
_Row = tuple[str | None, str | None, str | None, str | None, str | None]


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """``user``, ``item``, ``time`` in microseconds, and ``line``: file and number from 0.

    Raises
    ------
    SourceError
        If none of the first hundred lines is an interaction.
    """
    with open_raw(file.uri) as stream:
        lines = list(itertools.islice(full_lines(stream, options["encoding"]), _PEEK))
    if lines and all(row[4] is not None for row in _rows(iter(lines))):
        raise SourceError(
            f"{file.uri} holds no interaction in its first {len(lines)} lines; expected "
            f"'user item' or 'user item seconds' a line. Its first line: "
            f"{(lines[0][2] or lines[0][1])[:200]!r}."
        )
    return list(COLUMNS)


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file: the line numbers of a file need all lines before."""
    return [Unit("interactions", file.uri, source_file, batch_id, COLUMNS, options=options)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """One row a line; a line that is no interaction is kept whole."""
    done = 0
    with open_raw(unit.uri) as stream:
        rows = _rows(full_lines(stream, unit.options["encoding"]), unit.source_file)
        while held := list(itertools.islice(rows, _BATCH)):
            columns = [pa.array(column, pa.string()) for column in zip(*held, strict=True)]
            numbers = pa.array(range(done, done + len(held)), pa.int64())
            yield text_batch(unit.names, columns[:-1], unit.source_file, numbers, columns[-1])
            done += len(held)


def _rows(lines: Iterator[tuple[int, str, str | None]], file: str = "") -> Iterator[_Row]:
    """The values of :data:`COLUMNS`, and the text of a line that is no interaction."""
    # By user: the last second, and the microseconds given out within it.
    latest: dict[str, tuple[int, int]] = {}
    for number, text, fault in lines:
        parts = text.split()
        seconds = _seconds(parts) if fault is None else None
        if fault is not None or len(parts) < 2 or (len(parts) > 2 and seconds is None):
            yield None, None, None, None, fault or text
            continue
        user, item = parts[:2]
        if seconds is None:
            moment = (_BASE + number) * _MICRO
        else:
            before, given = latest.get(user, (-1, 0))
            given = given + 1 if seconds == before else 0
            latest[user] = (seconds, given)
            moment = seconds * _MICRO + given
        yield user, item, str(moment), f"{file}#{number}", None


def _seconds(parts: list[str]) -> int | None:
    """The third value as whole seconds; some files write 978300760.0."""
    if len(parts) < 3:
        return None
    try:
        return int(parts[2])
    except ValueError:
        pass
    try:
        return int(float(parts[2]))
    except (ValueError, OverflowError):
        return None
