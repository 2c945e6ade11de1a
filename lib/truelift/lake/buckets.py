"""The one hash that decides where a user's rows lie: as Spark computes it, and as NumPy does."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import Column

_SEED = np.uint64(42)
_P1, _P2, _P3 = (np.uint64(p) for p in (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_P4, _P5 = np.uint64(0x85EBCA77C2B2AE63), np.uint64(0x27D4EB2F165667C5)
_STRIPE = 32
# As many digits as Spark holds in a whole number of 8 bytes.
_LONG_DIGITS = 18


def bucket_column(user_key: Column | str, buckets: int) -> Column:
    """``pmod(xxhash64(user_key), buckets)`` as an integer column.

    Parameters
    ----------
    user_key : Column or str
        The pseudonymous user key; a null key hashes like any other value.
    buckets : int
        Number of buckets of the lake (``settings.buckets``).

    Returns
    -------
    Column
        Integers in ``[0, buckets)``. Cross-fitting folds are ``bucket % folds``.
    """
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64(user_key), F.lit(buckets)).cast("int")


def buckets_of(keys: pa.Array | pa.ChunkedArray, buckets: int) -> np.ndarray | None:
    """What :func:`bucket_column` gives, without Spark.

    Parameters
    ----------
    keys : pyarrow.Array
        Texts, numbers, truth values, days or instants in microseconds.
    buckets : int

    Returns
    -------
    ndarray of int64, or None
        None for other types.
    """
    if isinstance(keys, pa.ChunkedArray):
        parts = [buckets_of(chunk, buckets) for chunk in keys.chunks]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return np.concatenate([np.zeros(0, np.int64), *known])
    if pa.types.is_dictionary(keys.type):
        levels = buckets_of(keys.dictionary, buckets)
        if levels is None:
            return None
        null = int(_SEED) % buckets
        indices = keys.indices.fill_null(len(levels)).to_numpy(zero_copy_only=False)
        return np.append(levels, null)[indices]
    with np.errstate(over="ignore"):
        hashes = _hashes(keys)
    if hashes is None:
        return None
    if keys.null_count:  # Spark's hash of a null is the seed
        hashes[keys.is_null().to_numpy(zero_copy_only=False)] = _SEED
    found: np.ndarray = hashes.view(np.int64) % np.int64(buckets)
    return found


def _hashes(keys: pa.Array) -> np.ndarray | None:
    """xxHash64 of each key, null or not; the branches are those of Spark's ``XxHash64``."""
    types, kind = pa.types, keys.type
    if types.is_string(kind) or types.is_large_string(kind):
        return _of_texts(keys.cast(pa.large_string()).fill_null(""))
    if types.is_int64(kind) or types.is_timestamp(kind):
        if types.is_timestamp(kind) and kind.unit != "us":
            return None
        return _of_words(_numbers(keys.cast(pa.int64())), 8)
    if types.is_boolean(kind):
        return _of_words(_numbers(keys.cast(pa.int8())), 4)
    if types.is_date32(kind):
        return _of_words(_numbers(keys.cast(pa.int32())), 4)
    if types.is_signed_integer(kind):
        return _of_words(_numbers(keys), 4)
    if types.is_float32(kind) or types.is_float64(kind):
        return _of_floats(_numbers(keys))
    if types.is_decimal128(kind):
        return _of_decimals(keys)
    return None


def _of_decimals(keys: pa.Array) -> np.ndarray:
    """By their whole number without the point: one of 8 bytes, or else as few bytes as hold it."""
    if keys.type.precision <= _LONG_DIGITS:
        low = np.frombuffer(keys.buffers()[1], np.int64)[::2]
        return _of_words(low[keys.offset : keys.offset + len(keys)], 8)
    context = decimal.Context(prec=keys.type.precision)
    whole = [int(v.scaleb(keys.type.scale, context)) if v else 0 for v in keys.to_pylist()]
    # One bit is the sign's; that of the most negative number of a length is its first digit.
    sizes = [(n if n >= 0 else ~n).bit_length() // 8 + 1 for n in whole]
    data = [n.to_bytes(size, "big", signed=True) for n, size in zip(whole, sizes, strict=True)]
    return _of_texts(pa.array(data, pa.large_binary()))


def _numbers(keys: pa.Array) -> np.ndarray:
    filled: Any = keys.fill_null(0) if keys.null_count else keys
    numbers: np.ndarray = filled.to_numpy(zero_copy_only=False)
    return numbers


def _of_floats(numbers: np.ndarray) -> np.ndarray:
    """By their bits; Spark has one zero and one NaN."""
    numbers = np.where(np.isnan(numbers), np.array(np.nan, numbers.dtype), numbers + 0.0)
    size = numbers.dtype.itemsize
    return _of_words(numbers.view(np.int64 if size == 8 else np.int32), size)


def _rotated(values: np.ndarray, bits: int) -> np.ndarray:
    return (values << np.uint64(bits)) | (values >> np.uint64(64 - bits))


def _round(sums: Any, words: np.ndarray) -> np.ndarray:
    return _rotated(sums + words * _P2, 31) * _P1


def _finished(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(33))) * _P2
    values = (values ^ (values >> np.uint64(29))) * _P3
    return values ^ (values >> np.uint64(32))


def _of_words(words: np.ndarray, size: int) -> np.ndarray:
    """xxHash64 of whole numbers of 4 or 8 bytes."""
    start = _SEED + _P5 + np.uint64(size)
    if size == 8:
        word = words.astype(np.int64).view(np.uint64)
        return _finished(_with_word(start, word))
    word = words.astype(np.int32).view(np.uint32).astype(np.uint64)
    return _finished(_rotated(start ^ (word * _P1), 23) * _P2 + _P3)


def _with_word(values: Any, words: np.ndarray) -> np.ndarray:
    return _rotated(values ^ _round(np.uint64(0), words), 27) * _P1 + _P4


def _of_texts(texts: pa.Array) -> np.ndarray:
    """xxHash64 (Collet 2012), seed 42, as Spark's ``xxhash64`` has it of texts.

    All texts take each step together: stripes of 32 bytes, words of 8, one of 4, then bytes.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int64)
    offsets = offsets[texts.offset : texts.offset + len(texts) + 1]
    held = texts.buffers()[2]
    data = np.frombuffer(held, np.uint8) if held is not None else np.zeros(0, np.uint8)
    data = np.concatenate([data[: offsets[-1] if len(texts) else 0], np.zeros(8, np.uint8)])
    # The 8 bytes from any place on, as one number.
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    at, sizes = offsets[:-1].copy(), np.diff(offsets)
    values = np.full(len(texts), _SEED + _P5, np.uint64)
    long = np.flatnonzero(sizes >= _STRIPE)
    if len(long):
        values[long] = _stripes(words, at[long], sizes[long])
        at[long] += sizes[long] // _STRIPE * _STRIPE
    values += sizes.astype(np.uint64)
    left = sizes % _STRIPE
    for step in range(3):
        rows = np.flatnonzero(left >= 8 * (step + 1))
        values[rows] = _with_word(values[rows], words[at[rows]])
        at[rows] += 8
    rows = np.flatnonzero(left % 8 >= 4)
    half = words[at[rows]] & np.uint64(0xFFFFFFFF)
    values[rows] = _rotated(values[rows] ^ (half * _P1), 23) * _P2 + _P3
    at[rows] += 4
    for step in range(3):
        rows = np.flatnonzero(left % 4 > step)
        byte = data[at[rows] + step].astype(np.uint64)
        values[rows] = _rotated(values[rows] ^ (byte * _P5), 11) * _P1
    return _finished(values)


def _stripes(words: np.ndarray, at: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """What texts of at least 32 bytes begin with: four sums over their stripes, merged."""
    starts = (_SEED + _P1 + _P2, _SEED + _P2, _SEED, _SEED - _P1)
    sums = [np.full(len(at), start, np.uint64) for start in starts]
    for stripe in range(int(sizes.max()) // _STRIPE):
        rows = np.flatnonzero(sizes >= _STRIPE * (stripe + 1))
        for lane, lane_sums in enumerate(sums):
            word = words[at[rows] + _STRIPE * stripe + 8 * lane]
            lane_sums[rows] = _round(lane_sums[rows], word)
    bits = (1, 7, 12, 18)
    values = sum(
        (_rotated(s, b) for s, b in zip(sums, bits, strict=True)), np.zeros(len(at), np.uint64)
    )
    for lane_sums in sums:
        values = (values ^ _round(np.uint64(0), lane_sums)) * _P1 + _P4
    return values
