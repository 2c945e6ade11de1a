"""Interactions as the published benchmarks of sequence models have them, one a line.

``user item`` or ``user item time``, or any columns that the first line or ``source.columns``
names (:mod:`~truelift.logs.sources.interaction_layout`). The time is seconds since the epoch (or
milliseconds and so on, where the numbers can be nothing else); of equal instants of a user the
later line counts as a microsecond later, so the file's order survives. Without a time the line's
number stands for it, in seconds from the first instant of 2000. Files of SASRec (Kang & McAuley
2018), of MovieLens and the atomic files of RecBole are read as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.damage import readable
from truelift.files.raw import RawFile, find_files, open_raw
from truelift.logs.sources.columns import text_batch
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.interaction_layout import RATING, TIME, Layout, layout_of, names_itself
from truelift.logs.sources.interaction_times import spread
from truelift.logs.sources.lines import full_lines
from truelift.logs.sources.unit import Unit

COLUMNS = ("user", "item", "time", "line", "rating")
_PEEK = 10_000
_BATCH = 50_000
_BASE = 946_684_800  # 2000-01-01 UTC
_MICRO = 1_000_000
_Row = tuple[str | None, str | None, str | None, str | None, str | None, str | None]


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """``user``, ``item``, ``time`` in microseconds, ``line`` (file and number from 0), ``rating``.

    Raises
    ------
    SourceError
        If none of the first lines is an interaction, or it cannot be told which value is what.
    """
    layout = _layout(file.uri, options)
    with open_raw(file.uri) as stream:
        lines = list(itertools.islice(full_lines(stream, options["encoding"]), _PEEK))
    if not any(_values(layout, text, fault) for _, text, fault in lines[layout.headed :]):
        shown = f" Its first line: {(lines[0][2] or lines[0][1])[:200]!r}." if lines else ""
        if below := [text for _, text, fault in lines[layout.headed :] if fault is None]:
            line = f" Of {below[0][:200]!r}:" if layout.headed else ""
            shown += f"{line} {layout.fault(below[0])}"
        raise SourceError(
            f"{file.uri} holds no interaction in its first {len(lines)} lines; expected "
            f"'user item' or 'user item seconds' a line, or columns named in the first line or by "
            f"--columns.{shown}"
        )
    return list(COLUMNS)


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file: the line numbers of a file need all lines before."""
    return [Unit("interactions", file.uri, source_file, batch_id, COLUMNS, options=options)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """One row a line; a line that is no interaction is kept whole."""
    layout = _layout(unit.uri, unit.options)
    moments = _moments(unit, layout) if layout.timed else None
    done = 0
    with open_raw(unit.uri) as stream:
        rows = _rows(_lines(stream, unit, layout), layout, moments, unit.source_file)
        while held := list(itertools.islice(rows, _BATCH)):
            columns = [pa.array(column, pa.string()) for column in zip(*held, strict=True)]
            numbers = pa.array(range(done, done + len(held)), pa.int64())
            yield text_batch(unit.names, columns[:-1], unit.source_file, numbers, columns[-1])
            done += len(held)


def names_its_columns(path: str, key: str) -> bool:
    """Whether the files of a path say in their first lines what their columns are."""
    for file in find_files(path, key):
        with readable(file.uri), open_raw(file.uri) as stream:
            found = itertools.islice(full_lines(stream, "utf-8"), _PEEK)
            lines = [text for _, text, fault in found if fault is None]
        if not names_itself(lines, ","):
            return False
    return True


def _layout(uri: str, options: dict[str, str]) -> Layout:
    with open_raw(uri) as stream:
        found = itertools.islice(full_lines(stream, options["encoding"]), _PEEK)
        lines = [text for _, text, fault in found if fault is None]
    columns = [name.strip() for name in options.get("columns", "").split(",") if name.strip()]
    return layout_of(lines, uri, columns, options.get("delimiter", ","))


def _lines(
    stream: pa.NativeFile, unit: Unit, layout: Layout
) -> Iterator[tuple[int, str, str | None]]:
    lines = full_lines(stream, unit.options["encoding"])
    return itertools.islice(lines, 1, None) if layout.headed else lines


def _values(layout: Layout, text: str, fault: str | None) -> dict[str, str] | None:
    """A line's values, if it is an interaction with a readable time."""
    found = layout.values(text) if fault is None else None
    if found is None or (layout.timed and layout.moment(found[TIME]) is None):
        return None
    return found


def _moments(unit: Unit, layout: Layout) -> Iterator[int]:
    """The instants of the file's interactions, by line, a user's all different.

    They take a pass of their own: where lines are not in the order of time, what is equal lies
    anywhere in the file. It holds sixteen bytes a line.
    """
    codes: dict[str, int] = {}
    users, moments = [], []
    with open_raw(unit.uri) as stream:
        lines = _lines(stream, unit, layout)
        while held := list(itertools.islice(lines, _BATCH)):
            found = [v for _, text, fault in held if (v := _values(layout, text, fault))]
            users.append(np.array([codes.setdefault(v["user"], len(codes)) for v in found], int))
            moments.append(np.array([layout.moment(v[TIME]) for v in found], np.int64))
    empty = np.zeros(0, np.int64)
    return map(int, spread(np.concatenate([empty, *users]), np.concatenate([empty, *moments])))


def _rows(
    lines: Iterator[tuple[int, str, str | None]],
    layout: Layout,
    moments: Iterator[int] | None,
    file: str,
) -> Iterator[_Row]:
    """The values of :data:`COLUMNS`, and the text of a line that is no interaction."""
    for number, text, fault in lines:
        found = _values(layout, text, fault)
        if found is None:
            yield None, None, None, None, None, fault or text
            continue
        moment = (_BASE + number) * _MICRO if moments is None else next(moments)
        rating = found.get(RATING) or None
        yield found["user"], found["item"], str(moment), f"{file}#{number}", rating, None


#: The row of the registry.
INTERACTIONS = FileFormat("interactions", header, units, read, is_text=True)
