"""Judged rows as Spark hands them over, without lists and maps, and as the tables have them.

Spark builds and converts a list or a map row by row; Arrow makes them of whole columns. So
reasons and labels come as one text each (``rules.BETWEEN`` between the names), and each entry of
the context as a column of its own, ``_context_0`` and so on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from truelift.logs.rules import BETWEEN

CONTEXT = "_context_"
_NAMES = pa.list_(pa.string())


def full_rows(rows: pa.Table, context: Sequence[str]) -> pa.Table:
    """Rows with lists and maps, from flat ones.

    Parameters
    ----------
    rows : pyarrow.Table
        One chunk a column.
    context : sequence of str
        Names of the context's entries.
    """
    for name in ("reasons", "labels"):
        lists = names_of(rows[name].combine_chunks())
        rows = rows.set_column(rows.schema.get_field_index(name), name, lists)
    raw = _known_entries(rows["raw"].combine_chunks())
    rows = rows.set_column(rows.schema.get_field_index("raw"), "raw", raw)
    columns = [f"{CONTEXT}{number}" for number in range(len(context))]
    maps = _maps(context, [rows[c].combine_chunks() for c in columns], rows.num_rows)
    return rows.drop_columns(columns).append_column("context", maps)


def names_of(texts: pa.Array) -> pa.Array:
    """Texts cut into their names; an empty text has none."""
    coded = texts.dictionary_encode()
    lists = [text.split(BETWEEN) if text else [] for text in coded.dictionary.to_pylist()]
    return pa.array(lists, _NAMES).take(coded.indices)


def _maps(names: Sequence[str], columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """One map a row, with an entry a column, be it null."""
    width = len(names)
    keys = pa.array(list(names), pa.string()).take(pa.array(np.tile(np.arange(width), rows)))
    texts = pa.array([], pa.string())
    if width:
        stacked = pa.concat_arrays(columns)
        texts = stacked.take(pa.array(np.arange(width * rows).reshape(width, rows).T.ravel()))
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * np.int32(width))
    return pa.MapArray.from_arrays(offsets, keys, texts)


def _known_entries(maps: pa.Array) -> pa.Array:
    """Maps without the entries that are null; a map that is null stays so."""
    offsets = maps.offsets.to_numpy()
    start, end = int(offsets[0]), int(offsets[-1])
    keys, texts = maps.keys.slice(start, end - start), maps.items.slice(start, end - start)
    known = texts.is_valid()
    before = np.zeros(end - start + 1, np.int32)
    np.cumsum(known.to_numpy(zero_copy_only=False), out=before[1:])
    return pa.MapArray.from_arrays(
        pa.array(before[offsets - start]),
        keys.filter(known),
        texts.filter(known),
        mask=maps.is_null(),
    )
