"""Which of a source's columns the configuration names, and for what."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from truelift.errors import SourceError
from truelift.logs.sources import complete_journey
from truelift.logs.sources.columns import (
    CORRUPT,
    OTHER,
    PROVENANCE,
    apart_name,
    bronze_name,
    held_name,
)
from truelift.logs.sources.csv_heading import parting_sign
from truelift.logs.sources.json_names import planned_paths
from truelift.logs.sources.other_formats import other_format
from truelift.logs.sources.unit import Unit
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
    "time_of_day",
)
REQUIRED = ("user", "item", "time")
# Targets without which a row of a stream beside the events is of no use.
_KEYS = {
    "items": ("item_id",),
    "users": ("user",),
    "exposures": ("user", "campaign", "start", "end", "list", "time", "item", "slot"),
    "responses": ("user", "campaign", "time"),
    "identities": ("alias", "person"),
}


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
        return tuple(held_name(column, available) for column in mapping.context)
    taken = {held_name(column, available).lower() for column in mapped_columns(mapping).values()}
    taken |= {CORRUPT, OTHER, *PROVENANCE}
    return tuple(column for column in available if column.lower() not in taken)


def wanted_columns(source: SourceOptions, stream: str) -> dict[str, str]:
    """The source columns that the configuration names for a stream, by configuration key."""
    if stream == "events":
        return mapped_columns(source.mapping)
    reference: ReferenceOptions | None = getattr(source, stream)
    columns = reference.columns if reference is not None else {}
    return {f"source.{stream}.columns.{target}": name for target, name in columns.items()}


def required_columns(source: SourceOptions, stream: str) -> dict[str, str]:
    """Those of :func:`wanted_columns` without which a file says nothing."""
    wanted = wanted_columns(source, stream)
    if stream == "events":
        keys = [f"source.mapping.{field}" for field in REQUIRED]
    else:
        keys = [f"source.{stream}.columns.{target}" for target in _KEYS.get(stream, ())]
    return {key: wanted[key] for key in keys if key in wanted}


def refuse_misspelt(wanted: Mapping[str, str], there: Iterable[str]) -> None:
    """Refuse a column that nothing has, where a column has almost its name.

    A column that is mapped and not there is null; under a slip of the pen it would be, in silence.

    Parameters
    ----------
    wanted : mapping of str to str
        Source columns by configuration key.
    there : iterable of str
        The columns found, by their names in bronze.

    Raises
    ------
    SourceError
    """
    found = {name.lower(): name for name in there}
    meant = {key: held_name(column, found.values()).lower() for key, column in wanted.items()}
    free = [name for name in found if name not in meant.values()]
    for key, name in meant.items():
        near = [] if name in found else difflib.get_close_matches(name, free, n=1, cutoff=0.8)
        if near:
            raise SourceError(
                f"{key} names the column {wanted[key]!r}, which is not there. Did you mean "
                f"{found[near[0]]!r}? Without the key the field is empty. Columns found: "
                f"{', '.join(found.values())}."
            )


def user_column(source: SourceOptions, stream: str, available: Iterable[str] = ()) -> str:
    """The column of bronze that holds a stream's user, among the columns that it has."""
    reference: ReferenceOptions | None = getattr(source, stream, None)
    if stream == "events":
        return held_name(source.mapping.user, available)
    if reference is not None and "user" in reference.columns:
        return held_name(reference.columns["user"], available)
    return held_name(
        complete_journey.USER if source.format == "complete_journey" else "user", available
    )


def require_columns(
    wanted: dict[str, str],
    found: Sequence[str],
    file: str,
    form: str,
    options: dict[str, str],
    required: Collection[str],
) -> None:
    """Refuse a file that lacks a required column, or has several that a configured name may mean.

    Case does not count where one column only is meant. ``required`` holds the keys of ``wanted``
    that every file must have.

    Raises
    ------
    SourceError
        Naming the key, the column and the columns found.
    """
    hint = _hint(found, options, file) if form == "csv" else ""
    for key, column in wanted.items():
        meant = bronze_name(column).lower()
        alike = [name for name in found if bronze_name(name).lower() == meant]
        if not alike:
            _refuse_folder_name(key, column, file)
        if not alike and key not in required:
            continue
        if not alike:
            raise SourceError(
                f"{key} names the column {column!r}, which {file} does not have. "
                f"Columns found: {', '.join(found)}.{hint}"
            )
        _require_one(key, column, alike, found, file, form in _NESTED)


# What a row may hold, and a name does not: a number, a time, an address.
_VALUE = re.compile(
    r"[+-]?\d+([.,]\d+)*|\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*|https?://.*|\S+@\S+\.\S+"
)


def _refuse_folder_name(key: str, column: str, file: str) -> None:
    """Refuse a column that only the names of folders have, as writers of partitions leave it."""
    parts = [part for part in file.split("/")[:-1] if part.lower().startswith(f"{column.lower()}=")]
    if parts:
        raise SourceError(
            f"{key} names the column {column!r}, which {file} has in the name of its folder "
            f"({parts[-1]!r}) only. Names of folders are not read: write the column into the files."
        )


_DELIMITERS = {";": '";"', "\t": "tab", "|": '"|"', ",": '","'}
_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".dat", ".log", ".gz", ".zst", ".bz2", ".lz4")


def _hint(found: Sequence[str], options: dict[str, str], file: str) -> str:
    """What may be wrong with the header of a delimited file, and what to do."""
    if (other := other_format(options["delimiter"].join(found))) is not None:
        return f" {other}"
    if "columns" in options:
        return " These are the names of source.columns."
    if any("\ufffd" in name for name in found):
        return f" Is it {options['encoding']}? If not, set source.encoding, for example to latin-1."
    if len(found) > 1 and all(re.fullmatch("'.*'", name.strip()) for name in found):
        return """ Are the values in single quotes? source.quote: "'" reads them."""
    if (most := parting_sign(found)) is not None:
        shown = options["delimiter"]
        return (
            f" It has one column only: is {shown!r} the delimiter? Its first line is parted by "
            f"{most!r}: source.delimiter: {_DELIMITERS[most]}."
        )
    if "." in file.rpartition("/")[2] and not file.lower().endswith(_ENDINGS):
        return (
            " If it is no file of the source, give a pattern that leaves it out, such as "
            "'folder/*.csv'."
        )
    if any(_VALUE.fullmatch(name.strip()) for name in found):
        return (
            " The first line looks like a row and not like names. If the file has no header, name "
            "its columns in their order: source.columns: [user, item, ...]; if lines come before "
            "the header, say how many: source.skip_lines."
        )
    if len(found) == 1:
        shown = options["delimiter"]
        return (
            f" It has one column only: is {shown!r} the delimiter (source.delimiter; a tab is "
            '"\\t" in double quotes, or tab)? If lines come before the header, say how many: '
            "source.skip_lines."
        )
    return ""


# Formats whose keys have paths: "user.id" is the key id inside of user.
_NESTED = frozenset({"jsonl", "caddy", "nginx_json", "parquet", "delta"})


def _require_one(
    key: str, column: str, alike: Sequence[str], found: Sequence[str], file: str, nested: bool
) -> None:
    """Refuse a name that may mean several of a file's columns, or another one than it says."""
    apart = apart_name(column)
    exact = [name for name in alike if name.lower() == column.lower()]
    steps = column.count(".")
    if nested and steps and not exact:
        raise SourceError(
            f"{key} names the key {column!r}, and {file} has {_quoted(alike)} and no such key "
            f"inside of another. Expected {column!r}, or {key.rpartition('.')[2]}: {alike[0]} in the "
            "configuration."
        )
    rivals = alike
    if nested and steps:
        # A key spelled with its steps is found under a name of its own.
        rivals = exact
    elif nested:
        # Of keys that become one name, the one with fewer steps keeps it.
        fewest = min(name.count(".") for name in alike)
        rivals = [name for name in alike if name.count(".") == fewest]
        rivals = sorted(
            rivals, key=lambda name: (bronze_name(name) != name, name != name.lower(), name)
        )
    if rivals.count(column) == 1 and rivals[0] == column:
        rivals = [column]  # spelled as the one that keeps its name
    taken = [
        n for n in found if apart and bronze_name(n).lower() == apart.lower() and n not in exact
    ]
    if len(rivals) > 1 or taken:
        twice = nested and steps and len({*rivals, *taken}) == 1
        dotted = ", one a key with a dot in its name and one inside of another" if twice else ""
        raise SourceError(
            f"{key} names the column {column!r}, and {file} has {len([*rivals, *taken])} that may "
            f"be meant: {_quoted([*rivals, *taken])}{dotted}. Expected one; rename the others, or leave "
            "them out."
        )


def require_one_meaning(wanted: dict[str, str], units: Iterable[Unit]) -> None:
    """Refuse files between which a configured name changes from one JSON key to another.

    Raises
    ------
    SourceError
        Naming the key, the column, and a file of each kind.
    """
    first: dict[str, tuple[str, str]] = {}
    for unit in units:
        paths = planned_paths(unit)
        for key, column in wanted.items():
            path = paths.get(held_name(column, paths))
            if path is None:
                continue
            meant, file = first.setdefault(key, (".".join(path), unit.source_file))
            if meant.lower() != ".".join(path).lower():
                raise SourceError(
                    f"{key} names {column!r}, which is {meant!r} in {file} and {'.'.join(path)!r} "
                    f"in {unit.source_file}. Expected one key in all files: name it as the file "
                    "has it, with dots where it is inside of another, or give the files apart."
                )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
