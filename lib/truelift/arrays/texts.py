"""Texts as numbers that are in the order of the texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Codes:
    """A text column as integers that are in the order of the texts; null is -1."""

    codes: np.ndarray
    values: pa.Array

    @property
    def size(self) -> int:
        """How many distinct texts there are."""
        return len(self.values)


def encode(column: pa.ChunkedArray | pa.Array) -> Codes:
    """Replace texts by ranks, so that numbers sort as the texts (by their UTF-8 bytes) do.

    The texts of a dictionary column are those of its dictionary, whether or not a row has them.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # more than 2 GiB of text stays in chunks
            column = pa.concat_arrays([c.cast(pa.large_string()) for c in column.chunks])
    if column.null_count == len(column):
        return Codes(np.full(len(column), -1, dtype=np.int64), pa.array([], pa.string()))
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = coded.dictionary
    by_text = pc.sort_indices(values).to_numpy()
    rank = np.empty(len(values) + 1, dtype=np.int64)
    rank[by_text] = np.arange(len(values), dtype=np.int64)
    rank[-1] = -1
    indices = coded.indices
    codes = (indices.fill_null(-1) if indices.null_count else indices).to_numpy()
    return Codes(rank[codes], values.take(pa.array(by_text)))


def sorted_codes(column: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Distinct values of the rows in ascending order, and each row's position among them.

    Parameters
    ----------
    column : pa.Array or pa.ChunkedArray
        Values of any type that has a text; nulls get code -1.

    Returns
    -------
    values : pa.Array
        Distinct non-null values as texts, ascending.
    codes : np.ndarray of int64, shape (rows,)
        Index into ``values``, or -1.
    """
    found = encode(whole(column).cast(pa.string()))
    return found.values, found.codes


def codes_among(column: pa.Array | pa.ChunkedArray, values: pa.Array) -> np.ndarray:
    """Each row's position in ``values`` (distinct), -1 where it is not there or null."""
    found = pc.index_in(whole(column).cast(pa.string()), value_set=values, skip_nulls=True)
    return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array that starts at its own offset 0, without dictionary encoding."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    column = pa.concat_arrays(chunks) if chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column
