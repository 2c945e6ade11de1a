"""The one hash that decides where a user's rows lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import Column

_SEED = 42
_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


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


def buckets_of(keys: pa.Array, buckets: int) -> list[int] | None:
    """What :func:`bucket_column` gives for a few keys, without Spark.

    Returns
    -------
    list of int, or None
        None for types other than texts and whole numbers.
    """
    kind = keys.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        hashes = [_of_bytes(value.encode()) for value in _filled(keys, "")]
    elif pa.types.is_int64(kind):
        hashes = [_of_word(value & _MASK, 8) for value in _filled(keys, 0)]
    elif pa.types.is_signed_integer(kind):
        hashes = [_of_word(value & 0xFFFFFFFF, 4) for value in _filled(keys, 0)]
    else:
        return None
    # Spark's hash of a null is the seed; its numbers have signs.
    found = [
        _SEED if null else h for h, null in zip(hashes, keys.is_null().to_pylist(), strict=True)
    ]
    return [(h - (1 << 64) if h >> 63 else h) % buckets for h in found]


def _filled(keys: pa.Array, null: Any) -> list[Any]:
    found: list[Any] = keys.fill_null(null).to_pylist()
    return found


def _rotated(value: int, bits: int) -> int:
    value &= _MASK
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(sum_: int, word: int) -> int:
    return _rotated(sum_ + word * _P2, 31) * _P1 & _MASK


def _finished(value: int) -> int:
    value = (value ^ (value >> 33)) * _P2 & _MASK
    value = (value ^ (value >> 29)) * _P3 & _MASK
    return value ^ (value >> 32)


def _of_word(word: int, size: int) -> int:
    """xxHash64 of a whole number of 4 or 8 bytes."""
    value = _SEED + _P5 + size
    if size == 8:
        value = _rotated(value ^ _round(0, word), 27) * _P1 + _P4
    else:
        value = _rotated(value ^ (word * _P1 & _MASK), 23) * _P2 + _P3
    return _finished(value & _MASK)


def _of_bytes(data: bytes) -> int:
    """xxHash64 (Collet 2012), seed 42, as Spark's ``xxhash64`` has it of a text."""
    size, at = len(data), 0
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, size - 7, 8)]
    if size >= 32:
        sums = [_SEED + _P1 + _P2, _SEED + _P2, _SEED, _SEED - _P1]
        while at + 32 <= size:
            sums = [_round(s, words[at // 8 + i]) for i, s in enumerate(sums)]
            at += 32
        value = sum(_rotated(s, bits) for s, bits in zip(sums, (1, 7, 12, 18), strict=True))
        for s in sums:
            value = ((value & _MASK) ^ _round(0, s)) * _P1 + _P4
    else:
        value = _SEED + _P5
    value = (value + size) & _MASK
    while at + 8 <= size:
        value = (_rotated(value ^ _round(0, words[at // 8]), 27) * _P1 + _P4) & _MASK
        at += 8
    if at + 4 <= size:
        part = int.from_bytes(data[at : at + 4], "little")
        value = (_rotated(value ^ (part * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        at += 4
    for byte in data[at:]:
        value = _rotated(value ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    return _finished(value)
