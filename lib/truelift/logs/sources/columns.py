"""Names and texts of raw columns, as bronze keeps them."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

CORRUPT = "_corrupt"
OTHER = "_other"
SOURCE_FILE = "source_file"
SOURCE_ROW = "source_row"
FILE_TIME = "file_time"
BATCH_ID = "batch_id"
PROVENANCE = (SOURCE_FILE, SOURCE_ROW, FILE_TIME, BATCH_ID)
# Up to here every whole number is one of floating point, too.
_WHOLE_BELOW = 2**53
_RESERVED = frozenset({CORRUPT, OTHER, *PROVENANCE})


def bronze_name(name: str) -> str:
    """A source's column name as a table can hold it.

    Characters that Delta refuses in names (and dots, which Spark reads as nesting) become
    ``_``; a name that bronze uses itself gets a ``_`` behind it. However an accent is written (as one
    character, or as a letter and a mark, as some systems do), it is one name.
    """
    plain = name if name.isascii() else unicodedata.normalize("NFC", name.replace("\ufeff", ""))
    clean = re.sub(r"[\s,;{}()=.`]+", "_", plain.strip()) or "column"
    return f"{clean}_" if clean.lower() in _RESERVED else clean


def apart_name(name: str) -> str | None:
    """``user__id`` for ``user.id``: its column where ``user_id`` is another one; else None."""
    parts = [bronze_name(part) for part in name.split(".")]
    return "__".join(parts) if len(parts) > 1 else None


def held_name(column: str, available: Iterable[str]) -> str:
    """The column of bronze that a name of the configuration means.

    Parameters
    ----------
    column : str
        A source's column, as the configuration writes it; case does not count.
    available : iterable of str
        The columns that bronze has.

    Returns
    -------
    str
        As bronze spells it; where bronze has no such column, the name that it would have.
    """
    held = {name.lower(): name for name in available}
    plain = bronze_name(column)
    for name in (apart_name(column), plain):
        if name is not None and name.lower() in held:
            return held[name.lower()]
    return plain


def bronze_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of a file's columns in bronze; repeated ones (in any case) are numbered from 2."""
    seen: set[str] = set()
    result = []
    for name in names:
        base = candidate = bronze_name(name)
        number = 2
        while candidate.lower() in seen:
            candidate, number = f"{base}_{number}", number + 1
        seen.add(candidate.lower())
        result.append(candidate)
    return tuple(result)


def as_text(array: pa.Array) -> pa.Array:
    """Any Arrow array as text: numbers at full precision, instants as ISO 8601, nested as JSON."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return as_text(array.dictionary_decode())
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_timestamp(kind):
        return _instants(array)
    if pa.types.is_nested(kind):
        return pa.array([_json(value) for value in array.to_pylist()], pa.string())
    if (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        return _bytes(array)
    if pa.types.is_floating(kind):
        return _numbers(array)
    return array.cast(pa.string())


def _numbers(array: pa.Array) -> pa.Array:
    """Floating point numbers: one that is none is missing, and a whole one has its digits alone."""
    numbers = np.asarray(array.cast(pa.float64()).fill_null(np.nan))
    whole = (np.abs(numbers) < _WHOLE_BELOW) & (numbers == np.trunc(numbers))
    digits = pa.array(np.where(whole, numbers, 0.0).astype(np.int64)).cast(pa.string())
    texts = pa.compute.if_else(pa.array(whole), digits, array.cast(pa.string()))
    return pa.compute.if_else(pa.array(np.isnan(numbers)), pa.scalar(None, pa.string()), texts)


def _instants(array: pa.Array) -> pa.Array:
    """Microseconds are kept; a time zone is written as UTC with a Z."""
    micros = array.cast(pa.timestamp("us", tz=array.type.tz), safe=False)
    text = micros.cast(pa.timestamp("us")).cast(pa.string())
    return pa.compute.binary_join_element_wise(text, "Z", "") if array.type.tz else text


def _bytes(array: pa.Array) -> pa.Array:
    try:
        return array.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        # Each value by itself: what it becomes may not depend on those that are read with it.
        return pa.array([_text_or_base64(value) for value in array.to_pylist()], pa.string())


def _text_or_base64(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _json(value: object) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def text_batch(
    names: Sequence[str],
    texts: Sequence[pa.Array],
    source_file: str,
    rows: pa.Array,
    corrupt: pa.Array | None = None,
) -> pa.RecordBatch:
    """Text columns with the three that say where a row came from and what was wrong with it."""
    count = len(rows)
    return pa.record_batch(
        [
            *texts,
            pa.nulls(count, pa.string()) if corrupt is None else corrupt,
            pa.repeat(pa.scalar(source_file, pa.string()), count),
            rows.cast(pa.int64()),
        ],
        names=[*names, CORRUPT, SOURCE_FILE, SOURCE_ROW],
    )
