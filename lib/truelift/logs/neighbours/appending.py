"""Lists and maps of rows made longer, without a loop over rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def appended(lists: pa.ChunkedArray, marks: Mapping[str, np.ndarray]) -> pa.ChunkedArray | pa.Array:
    """Lists of names with further names at their ends.

    Parameters
    ----------
    lists : pyarrow.ChunkedArray of list of string, length n
    marks : mapping of str to ndarray of bool, shape (n,)
        Which rows get a name; a row's new names are in the order of the mapping.
    """
    marks = {name: rows for name, rows in marks.items() if rows.any()}
    if not marks:
        return lists
    column = lists.combine_chunks()
    table = np.stack(list(marks.values()), axis=1)
    _, name = np.nonzero(table)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0))
    offsets, source = _lengthened(lengths, table.sum(axis=1))
    names = pa.array(list(marks), column.type.value_type).take(pa.array(name))
    values = pa.concat_arrays([column.flatten(), names]).take(source)
    return pa.ListArray.from_arrays(offsets, values, type=column.type)


def appended_entry(
    maps: pa.ChunkedArray, rows: np.ndarray, key: str, items: pa.ChunkedArray
) -> pa.ChunkedArray | pa.Array:
    """Maps of texts with one further entry in some rows.

    Parameters
    ----------
    maps : pyarrow.ChunkedArray of map of string to string, length n
    rows : ndarray of int64, shape (k,)
        Ascending places of the rows that get the entry.
    key : str
    items : pyarrow.ChunkedArray of string, length k
    """
    if not len(rows):
        return maps
    column = maps.combine_chunks()
    lengths = np.diff(column.offsets.to_numpy())
    more = np.zeros(len(column), np.int64)
    more[rows] = 1
    offsets, source = _lengthened(lengths, more)
    start, end = column.offsets[0].as_py(), column.offsets[-1].as_py()
    keys, texts = (child.slice(start, end - start) for child in (column.keys, column.items))
    keys = pa.concat_arrays([keys, pa.repeat(key, len(rows)).cast(keys.type)]).take(source)
    texts = pa.concat_arrays([texts, items.combine_chunks().cast(texts.type)]).take(source)
    return pa.MapArray.from_arrays(offsets, keys, texts, type=column.type)


def _lengthened(lengths: np.ndarray, more: np.ndarray) -> tuple[pa.Array, pa.Array]:
    """Offsets of the longer lists, and where each value comes from: old ones first, then new."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths + more, out=offsets[1:])
    row = np.repeat(np.arange(len(more)), more)
    among_new = np.arange(len(row)) - np.repeat(np.cumsum(more) - more, more)
    is_new = np.zeros(int(offsets[-1]), bool)
    is_new[offsets[row] + lengths[row] + among_new] = True
    source = np.empty(len(is_new), np.int64)
    source[~is_new] = np.arange(len(is_new) - len(row))
    source[is_new] = np.arange(len(row)) + (len(is_new) - len(row))
    return pa.array(offsets), pa.array(source)
