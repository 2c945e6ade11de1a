"""Names that are made of a unit and a time: ``c12_2024-03``, ``2024-03|c12``, ``shop 7 w12``.

Clustered by such a name, the rows of one unit count as units that know nothing of each other.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_TIME = r"\d{4}[-/._]?[QqWw]?\d{1,2}(?:[-/._]?\d{1,2})?|\d{4}|[A-Za-z]+\d{0,2}|\d{1,3}"
_DATE = r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?$"
_SEPARATOR = r"[\s_:;|/#@-]+"
_PATTERNS = (
    rf"^(?P<stem>.+?){_SEPARATOR}(?P<time>{_TIME})$",
    rf"^(?P<time>{_TIME}){_SEPARATOR}(?P<stem>.*?\d.*)$",
)
# Rows that a stem and a time have to share on average, for them to be a unit and a time.
_ROWS_A_STEM, _ROWS_A_TIME = 1.5, 5


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def parts_of(names: pa.Array, pattern: int) -> tuple[pa.Array, pa.Array]:
    """Stem and time of each name, by one of the two patterns; null where it does not fit."""
    found = pc.extract_regex(names.cast(pa.large_string()), _PATTERNS[pattern])
    return pc.struct_field(found, "stem"), pc.struct_field(found, "time")


def stems(names: pa.Array, pattern: int) -> pa.Array:
    """The stems, and names as they are where they have none."""
    return pc.coalesce(parts_of(names, pattern)[0], names.cast(pa.large_string()))


def pattern_of(names: pa.Array) -> int | None:
    """The pattern by which nearly all names have one of a few times, whatever their units.

    Parameters
    ----------
    names : pyarrow.Array of text
    """
    dates = pc.match_substring_regex(names.cast(pa.large_string()), _DATE)
    if len(names) and pc.mean(dates.cast(pa.float64())).as_py() > 0.1:
        return None
    for pattern in range(len(_PATTERNS)):
        times = parts_of(names, pattern)[1].drop_null()
        fits = len(times) >= 0.9 * len(names) > 0
        if fits and 1 < len(pc.unique(times)) <= len(times) / _ROWS_A_TIME:
            return pattern
    return None


def unit_and_time(names: pa.Array, pattern: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Codes of units and ranks of times of all names of some units; None where units come once.

    Parameters
    ----------
    names : pyarrow.Array of text
        Those that do not fit are units of their own at the first time.
    pattern : int
    """
    time = parts_of(names, pattern)[1]
    times = pc.unique(time.drop_null())
    codes = stems(names, pattern).dictionary_encode()
    units = len(codes.dictionary)
    if units * _ROWS_A_STEM > len(names) or units < 2 * len(times):
        return None
    # w2 before w10.
    order = sorted(times.to_pylist(), key=lambda t: (len(t), t))
    rank = pc.fill_null(pc.index_in(time, value_set=pa.array(order, time.type)), 0)
    code = codes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return code, rank.to_numpy(zero_copy_only=False).astype(float)
