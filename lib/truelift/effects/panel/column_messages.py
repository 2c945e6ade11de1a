"""What is said of a column that is not there or holds no numbers: the key, the nearest name, a way on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import pyarrow as pa

_SHORT = 40


def missing_columns(missing: Mapping[str, str], there: Sequence[str], table: str) -> str:
    """The message for columns that a table does not have.

    Parameters
    ----------
    missing : mapping of str to str
        By column, the key of the specification that names it.
    there : sequence of str
        The table's columns.
    table : str
    """
    named = ", ".join(repr(name) for name in missing)
    keys = ", ".join(dict.fromkeys(missing.values()))
    hints = [hint for name, key in missing.items() if (hint := _hint(name, key, there))]
    said = f" {' '.join(dict.fromkeys(hints))}" if hints else ""
    return (
        f"{table} has no column {named}; its columns are {', '.join(there[:_SHORT])}"
        f"{', ...' if len(there) > _SHORT else ''}.{said} Set {keys}."
    )


def _hint(name: str, key: str, there: Sequence[str]) -> str:
    if "*" in name:
        return "Names are taken as they are written, without wildcards; list every column."
    if (
        "propensity" in key
        and any(c.isdigit() for c in name)
        and set(name) <= set("0123456789./% ")
    ):
        return "A chance is written as a number above 0 and below 1, such as 0.5."
    if "," in name:
        return f"Write a list for several columns: [{name}]."
    by_case = {column.casefold().strip(): column for column in there}
    near = difflib.get_close_matches(name.casefold().strip(), by_case, n=1, cutoff=0.7)
    return f"Did you mean {by_case[near[0]]!r}?" if near else ""


def no_number(name: str, key: str, kind: pa.DataType, table: str) -> str:
    """The message for a column of another type where numbers are needed."""
    found = f"{table}, column {name!r}: found type {kind}, expected a number ({key})."
    if pa.types.is_null(kind):
        return f"{found} It has no values at all: leave it out."
    moment = any(is_kind(kind) for is_kind in (pa.types.is_temporal, pa.types.is_duration))
    if moment:
        way = "Make a number of it, such as the days since a date"
    elif pa.types.is_dictionary(kind):
        way = "Turn its categories into numbers (in pandas: astype('float64'))"
    else:
        way = "Turn its texts into numbers (in pandas: pd.to_numeric)"
    if "covariates" not in key:
        return f"{found} {way}."
    return (
        f"{found} Name it under effects.features.categorical if its values are names; otherwise "
        f"{way[0].lower()}{way[1:]}, or leave it out."
    )
