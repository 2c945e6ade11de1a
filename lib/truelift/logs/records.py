"""Raw records: the same whatever columns their file happens to have.

A reader of JSON lines knows the columns of a file by its first lines; keys that come later stand
together in ``_other``. Neither what a record is, nor what a mapped field holds, may depend on that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from truelift.logs.parsing import last_byte, trimmed_text
from truelift.logs.sources.columns import CORRUPT, OTHER, PROVENANCE, held_name

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from truelift.settings import Settings


# No source has such a name.
_LAST = "__truelift_last_"
# What may stand between the keys on a path; how it does depends on the other keys of the file.
_BETWEEN = r"[\s,;{}()=.`_]+"


@dataclass(frozen=True)
class Spelling:
    """How a source spells what is missing, and ids that are whole numbers.

    Attributes
    ----------
    missing : tuple of str
        Texts that stand for nothing (``source.missing``).
    integer_ids : frozenset of str
        Columns of bronze, in lower case, in which ``123.0`` is ``123`` (``clean.keys.integer_ids``).
    """

    missing: tuple[str, ...] = ()
    integer_ids: frozenset[str] = frozenset()

    @staticmethod
    def of(settings: Settings, columns: Sequence[str]) -> Spelling:
        """What the settings say of the events, whose bronze has these columns."""
        mapping = settings.source.mapping
        named = (getattr(mapping, field) for field in settings.clean.keys.integer_ids)
        names = frozenset(held_name(column, columns).lower() for column in named if column)
        return Spelling(settings.source.words_for_missing, names)

    def text(self, name: str, text: Column) -> Column:
        """A column's text; null where it stands for nothing."""
        return known_text(text, self.missing, self.is_integer(name))

    def is_integer(self, name: str) -> bool:
        """Whether a column holds ids that are whole numbers."""
        return name.lower() in self.integer_ids


def known_text(text: Column, missing: tuple[str, ...], is_integer: bool = False) -> Column:
    """A text; null where it is one of those that stand for nothing, ``123.0`` as ``123``."""
    from pyspark.sql import functions as F

    text = integer_text(text) if is_integer else text
    return F.when(~trimmed_text(text).isin(list(missing)), text) if missing else text


def integer_text(text: Column) -> Column:
    """``123`` for ``123.0``; any other text as it is."""
    from pyspark.sql import functions as F

    return F.regexp_replace(text, r"^\s*(-?[0-9]+)\.0+\s*$", "$1")


def content_id(
    columns: Sequence[str], spelling: Spelling | None = None, prefix: str = ""
) -> Column:
    """A 64-bit id of a raw record's content, as 16 hexadecimal digits.

    It is the exclusive or of a hash of each value that is there with its name (Zobrist 1970), so
    neither the order of columns counts, nor columns that are empty here, nor whether a key has a
    column of its own or stands in ``_other``; nor does where the row came from, nor the case of
    names. So the same record in two files has one id. It needs to be unique within a user only.

    Parameters
    ----------
    columns : sequence of str
        Of ``bronze.events``.
    spelling : Spelling
        What stands for nothing is no part of a record either.
    prefix : str
        What stands before their names in the table that is asked.
    """
    from pyspark.sql import functions as F

    spelling = spelling or Spelling()
    hashes = [
        _hash(F.lit(_one_name(name)), spelling.text(name, F.col(f"`{prefix}{name}`")))
        for name in columns
        if name not in (CORRUPT, OTHER, *PROVENANCE)
    ]
    if OTHER in columns:
        hashes.append(
            F.aggregate(
                F.map_entries(_late_keys(prefix)),
                F.lit(0).cast("long"),
                lambda total, pair: _both(total, _late_hash(pair["key"], pair["value"], spelling)),
            )
        )
    return F.lpad(F.lower(F.hex(reduce(_both, hashes, F.lit(0).cast("long")))), 16, "0")


def with_mapped(
    bronze: DataFrame, mapped: Iterable[str], spelling: Spelling | None = None
) -> DataFrame:
    """The rows with the text of every mapped column, from ``_other`` where a key came late.

    Texts have no blanks at their ends. A column that no file had is null in all rows, and so is what
    is empty or stands for nothing.
    """
    from pyspark.sql import functions as F

    spelling = spelling or Spelling()
    known = {name.lower() for name in bronze.columns}
    late = OTHER in bronze.columns
    texts = {}
    for column in dict.fromkeys(mapped):
        name = held_name(column, bronze.columns)
        there = F.col(f"`{name}`") if name.lower() in known else F.lit(None).cast("string")
        spellings = dict.fromkeys((column, name))
        found = [_late_keys()[spelled] for spelled in spellings] if late else []
        text = F.coalesce(there, *found)
        texts[name] = integer_text(text) if spelling.is_integer(name) else text
    nothing = ("", *spelling.missing)
    # A step each, for Spark writes an expression out wherever it is named.
    lasts = {f"{_LAST}{n}": last_byte(F.col(f"`{name}`")) for n, name in enumerate(texts)}
    trimmed = {
        name: trimmed_text(F.col(f"`{name}`"), F.col(f"{_LAST}{n}")) for n, name in enumerate(texts)
    }
    whole = {name: F.when(~(c := F.col(f"`{name}`")).isin(*nothing), c) for name in texts}
    filled = bronze.withColumns(texts).withColumns(lasts).withColumns(trimmed).withColumns(whole)
    return filled.drop(*lasts)


def mapped_text(column: str | None, available: Iterable[str]) -> Column:
    """The text of a mapped column of :func:`with_mapped`; null where none is mapped."""
    from pyspark.sql import functions as F

    if column is None:
        return F.lit(None).cast("string")
    return F.col(f"`{held_name(column, available)}`")


def _hash(name: Column, text: Column) -> Column:
    """Of a name and its value; null where the value is missing or blank."""
    from pyspark.sql import functions as F

    return F.when(trimmed_text(text) != "", F.xxhash64(F.concat(name, F.lit("="), text)))


def _late_hash(name: Column, text: Column, spelling: Spelling) -> Column:
    """The same of a key in ``_other``, which may be one of the columns of ids."""
    from pyspark.sql import functions as F

    plain = known_text(text, spelling.missing)
    if spelling.integer_ids:
        integers = known_text(text, spelling.missing, is_integer=True)
        plain = F.when(F.lower(name).isin(sorted(spelling.integer_ids)), integers).otherwise(plain)
    return _hash(F.regexp_replace(F.lower(name), _BETWEEN, "_"), plain)


def _one_name(name: str) -> str:
    """The name of a key whatever its path became: ``user_id`` for ``user__id`` and ``user.id``."""
    return re.sub(_BETWEEN, "_", name.lower())


def _both(total: Column, found: Column) -> Column:
    from pyspark.sql import functions as F

    return total.bitwiseXOR(F.coalesce(found, F.lit(0).cast("long")))


def _late_keys(prefix: str = "") -> Column:
    """Names and texts in ``_other``; null for the many rows that have none."""
    from pyspark.sql import functions as F

    other = F.col(f"{prefix}{OTHER}")
    return F.when(other.isNotNull(), F.from_json(other, "map<string,string>"))
