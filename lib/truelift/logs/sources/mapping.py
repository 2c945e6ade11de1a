"""Which of a source's columns the configuration names, and for what."""

from __future__ import annotations

from collections.abc import Sequence

from truelift.errors import SourceError
from truelift.logs.sources import complete_journey
from truelift.logs.sources.columns import CORRUPT, OTHER, PROVENANCE, bronze_name
from truelift.settings import ALL_COLUMNS, MappingOptions, ReferenceOptions, SourceOptions

FIELDS = (
    "user",
    "item",
    "time",
    "event_type",
    "quantity",
    "value",
    "session",
    "event_id",
    "ingest_time",
    "user_agent",
    "campaign",
)


def mapped_columns(mapping: MappingOptions) -> dict[str, str]:
    """Configuration key to source column, for every mapped field of an event.

    The columns of ``context: "*"`` are not named; see :func:`context_columns`.
    """
    named = {f"source.mapping.{f}": getattr(mapping, f) for f in FIELDS if getattr(mapping, f)}
    listed = (c for c in mapping.context if c != ALL_COLUMNS)
    return {**named, **{f"source.mapping.context[{c}]": c for c in listed}}


def context_columns(mapping: MappingOptions, available: Sequence[str]) -> tuple[str, ...]:
    """Columns of bronze that go into an event's context.

    Parameters
    ----------
    mapping : MappingOptions
        With a list of columns, or ``"*"`` for all that no other field takes.
    available : sequence of str
        The columns of the bronze table.

    Returns
    -------
    tuple of str
        Names as bronze has them: a list in its own order, ``"*"`` in the table's and without
        ``_other``, which is not a column of the source.
    """
    if ALL_COLUMNS not in mapping.context:
        return tuple(bronze_name(column) for column in mapping.context)
    taken = {bronze_name(column).lower() for column in mapped_columns(mapping).values()}
    taken |= {CORRUPT, OTHER, *PROVENANCE}
    return tuple(column for column in available if column.lower() not in taken)


def wanted_columns(source: SourceOptions, stream: str) -> dict[str, str]:
    """The source columns that the configuration names for a stream, by configuration key."""
    if stream == "events":
        return mapped_columns(source.mapping)
    reference: ReferenceOptions | None = getattr(source, stream)
    columns = reference.columns if reference is not None else {}
    return {f"source.{stream}.columns.{target}": name for target, name in columns.items()}


def user_column(source: SourceOptions, stream: str) -> str:
    """The column of bronze that holds a stream's user."""
    reference: ReferenceOptions | None = getattr(source, stream, None)
    if stream == "events":
        return bronze_name(source.mapping.user)
    if reference is not None and "user" in reference.columns:
        return bronze_name(reference.columns["user"])
    return complete_journey.USER if source.format == "complete_journey" else "user"


def require_columns(
    wanted: dict[str, str], found: Sequence[str], file: str, form: str, delimiter: str
) -> None:
    """Refuse a file that lacks a column which the configuration names.

    Raises
    ------
    SourceError
        Naming the key, the column and the columns found.
    """
    names = {bronze_name(column) for column in found}
    hint = ""
    if form == "csv" and len(found) == 1:
        hint = f" It has one column only: is {delimiter!r} the delimiter (source.delimiter)?"
    for key, column in wanted.items():
        if bronze_name(column) not in names:
            raise SourceError(
                f"{key} names the column {column!r}, which {file} does not have. "
                f"Columns found: {', '.join(found)}.{hint}"
            )
