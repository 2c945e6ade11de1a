"""Keys of any type as 64-bit hashes that every machine and layout computes alike.

Clusters are told apart, and start rows are drawn, by these hashes: a string column becomes one
integer a row without any Python object, and a draw does not depend on where a row lies.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# How nulls are spelt by those who turn them into texts, and fewer bytes than more than these have.
_SAID, _SHORT = ("nan", "none", "null", "<na>", "n/a", "na", "nat", "\\n"), 8
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64: every bit of the input moves every bit of the output."""
    with np.errstate(over="ignore"):
        z = values + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def hash_keys(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A 64-bit hash of each key.

    Parameters
    ----------
    column : pyarrow.Array
        Strings or integers; any other type is hashed as its text. Equal keys of one type have
        equal hashes; two different keys share one with probability about 2**-64. A null
        hashes like any other single key.

    Returns
    -------
    ndarray of uint64
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # more text than one array can hold
            return np.concatenate([hash_keys(c) for c in column.chunks])
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type):
        filled = pc.fill_null(column, 0).cast(pa.int64(), safe=False)
        hashes = mix(filled.to_numpy(zero_copy_only=False).view(np.uint64))
    else:
        hashes = _hash_text(pc.fill_null(column.cast(pa.large_string()), ""))
    if column.null_count:
        hashes[column.is_null().to_numpy(zero_copy_only=False)] = mix(np.zeros(1, np.uint64))[0]
    return hashes


def is_nameless(column: pa.Array) -> pa.Array:
    """Which keys name nothing: nulls, NaN, blank texts (n truth values)."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        return pc.is_null(column, nan_is_null=True)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column.is_null()
    return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), True)


def count_nameless(column: pa.Array) -> tuple[int, int]:
    """Keys that name nothing (nulls, NaN, blank texts), and texts that say so ("nan", "None")."""
    if pa.types.is_dictionary(column.type):
        if count_nameless(column.dictionary) == (0, 0):
            return column.null_count, 0
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        return int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0), 0
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return int(column.null_count), 0
    # Few are as short as these are; only they are looked at closely.
    short = column.filter(pc.less(pc.binary_length(column), _SHORT))
    short = pc.utf8_lower(pc.utf8_trim_whitespace(short))
    blank = int(pc.sum(pc.equal(short, "")).as_py() or 0)
    said = int(pc.sum(pc.is_in(short, pa.array(_SAID, short.type))).as_py() or 0)
    return column.null_count + blank, said


def hash_repeated(column: pa.Array) -> np.ndarray:
    """As :func:`hash_keys`, faster where most keys come more than once: each is hashed once."""
    if pa.types.is_dictionary(column.type) or pa.types.is_integer(column.type):
        return hash_keys(column)
    coded = column.dictionary_encode(null_encoding="encode")
    return hash_keys(coded.dictionary)[coded.indices.to_numpy()]


def _hash_text(column: pa.Array) -> np.ndarray:
    """Sum over positions of (byte + 1) x a fixed odd constant of the position, then mixed."""
    if len(column) == 0:
        return np.zeros(0, np.uint64)
    _, offsets_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[
        column.offset : column.offset + len(column) + 1
    ]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer else np.zeros(0, np.uint8)
    starts, lengths = offsets[:-1], np.diff(offsets)
    sums = mix(lengths.astype(np.uint64))
    longest = int(lengths.max())
    constants = mix(np.arange(longest, dtype=np.uint64)) | np.uint64(1)
    shortest = int(lengths.min())
    with np.errstate(over="ignore"):
        for position in range(longest):
            if position < shortest:
                sums += (data[starts + position] + np.uint64(1)) * constants[position]
                continue
            here = np.flatnonzero(lengths > position)
            sums[here] += (data[starts[here] + position] + np.uint64(1)) * constants[position]
    return mix(sums)
