"""What is read of a source: its columns as a specification writes them, and as they are stored.

Where a table of the lake lies in buckets of the cluster, and what the specification wants of it are
its columns as they are (or an instant beside one of them), the workers read its files: no row is
moved. :func:`stored_source` tells; other sources are brought into buckets by Spark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import whole
from truelift.settings.panel_spec import PanelSpec

#: What SQL calls an element of a list or a map (``rows_of``), and the key of a map.
ELEMENT, ELEMENT_KEY = "element", "element_key"
_PLAIN = re.compile(
    r"(?:(?P<micros>timestamp_micros)\s*\()?\s*`?(?P<name>[A-Za-z_]\w*)`?\s*(?(micros)\))\s*"
    r"(?:(?P<sign>[+-])\s*INTERVAL\s+(?P<length>\d+)\s+(?P<unit>MICROSECOND|SECOND)S?)?",
    re.IGNORECASE,
)
_LATEST = re.compile(r"greatest\s*\(([^()]*)\)", re.IGNORECASE)
_UNITS = {"MICROSECOND": 1, "SECOND": 1_000_000}


@dataclass(frozen=True)
class WantedColumn:
    """A column that kernels read of a source.

    Parameters
    ----------
    target : str
        What they call it.
    text : str
        SQL on a row of the source.
    kind : str
        ``key`` (a part of it), ``time``, ``text``, ``number`` or ``any``: text or number, as it is.
    key : str
        Of the specification, for messages.
    """

    target: str
    text: str
    kind: str
    key: str


def value_column(spec: PanelSpec, name: str) -> str | None:
    """Where a measure's or an attribute's values lie among the columns of its source."""
    if name in spec.attributes:
        return f"value_{name}"
    measure = spec.measures()[name]
    if measure.value is None:
        return None
    kind = "text" if measure.aggregate == "count_distinct" else "number"
    same = [
        n
        for n, m in spec.measures().items()
        if (m.source, m.value) == (measure.source, measure.value)
        and (m.aggregate == "count_distinct") == (kind == "text")
    ]
    return f"value_{same[0]}"


def wanted_columns(spec: PanelSpec, name: str) -> list[WantedColumn]:
    """Key, time, occasion and values that kernels read of a source; a target once."""
    source = spec.sources[name]
    found = [
        WantedColumn("key", text, "key", f"sources.{name}.keys.{key}")
        for key, text in spec.keys_of(name).items()
    ]
    if source.time is not None:
        found.append(WantedColumn("time", source.time, "time", f"sources.{name}.time"))
    if name == spec.treatment.source:
        text = spec.treatment.occasion
        found.append(WantedColumn("occasion", text, "text", "treatment.occasion"))
    values: dict[str, WantedColumn] = {}
    for measure, options in spec.measures().items():
        target = value_column(spec, measure)
        if options.source == name and options.value is not None and target is not None:
            kind = "text" if options.aggregate == "count_distinct" else "number"
            values[target] = WantedColumn(target, options.value, kind, f"{measure}.value")
    for attribute, one in spec.attributes.items():
        if one.source == name:
            target = f"value_{attribute}"
            values[target] = WantedColumn(target, one.value, "any", f"attributes.{attribute}.value")
    for prefix, share in spec.shares.items():
        if share.source == name:
            target = f"share_{prefix}"
            values[target] = WantedColumn(target, share.value, "text", f"shares.{prefix}.value")
    for prefix, each in spec.indicators.items():
        if each.source == name:
            key = f"indicators.{prefix}"
            target = f"level_{prefix}"
            values[target] = WantedColumn(target, each.value, "text", f"{key}.value")
            if each.name is not None:
                target = f"name_{prefix}"
                values[target] = WantedColumn(target, each.name, "text", f"{key}.name")
    return [*found, *values.values()]


@dataclass(frozen=True)
class PlainColumn:
    """A stored column; ``micros``: whole microseconds that are an instant; ``shift`` is added to it."""

    name: str
    micros: bool = False
    shift: int = 0


def plain_columns(text: str) -> tuple[PlainColumn, ...]:
    """What SQL says if it is one column, or the latest of several (``greatest``); else nothing."""
    latest = _LATEST.fullmatch(text.strip())
    found = [plain_column(part) for part in (latest[1].split(",") if latest else [text])]
    return () if None in found else tuple(column for column in found if column is not None)


def plain_column(text: str) -> PlainColumn | None:
    """What SQL says if it is a column's name, or an instant at a fixed distance; else None."""
    found = _PLAIN.fullmatch(text.strip())
    if found is None:
        return None
    shift = int(found["length"] or 0) * _UNITS[(found["unit"] or "SECOND").upper()]
    return PlainColumn(
        found["name"], found["micros"] is not None, -shift if found["sign"] == "-" else shift
    )


@dataclass(frozen=True)
class StoredSource:
    """A source that workers read as it lies.

    Parameters
    ----------
    columns : tuple of (WantedColumn, tuple of PlainColumn)
        Of several columns, the latest instant.
    rows_of : str, optional
        The list or map whose elements are the rows.
    flags : int, optional
        What every row says of the arm, where the source is that of the treatment.
    """

    columns: tuple[tuple[WantedColumn, tuple[PlainColumn, ...]], ...]
    rows_of: str | None = None
    flags: int | None = None

    def stored(self) -> tuple[str, ...]:
        """Columns of the table that are read."""
        elements = (ELEMENT, ELEMENT_KEY) if self.rows_of else ()
        read = (plain.name for _, columns in self.columns for plain in columns)
        names = [name for name in read if name not in elements]
        return tuple(dict.fromkeys([*names, *([self.rows_of] if self.rows_of else [])]))

    def rows(self, table: pa.Table) -> pa.Table:
        """The rows as kernels read them: those with a key."""
        if self.rows_of is not None:
            table = with_elements(table, self.rows_of)
        columns = {w.target: _latest(table, w, plain) for w, plain in self.columns}
        if self.flags is not None:
            columns["flags"] = pa.array(np.full(table.num_rows, self.flags, np.int32))
        found = pa.table(columns)
        return found.filter(pc.is_valid(found["key"]))


def stored_source(schema: pa.Schema, spec: PanelSpec, name: str) -> StoredSource | None:
    """How workers read a source by themselves; None where Spark has to compute something of it."""
    source = spec.sources[name]
    if source.where is not None or len(spec.keys_of(name)) > 1:
        return None
    types = {field.name: field.type for field in schema}
    if source.rows_of is not None:
        if source.rows_of not in types:
            return None
        types |= _element_types(types[source.rows_of])
    columns = []
    for wanted in wanted_columns(spec, name):
        plain = plain_columns(wanted.text)
        fine = [_fits(wanted, each, types.get(each.name), spec.clock) for each in plain]
        if not fine or not all(fine) or (len(fine) > 1 and wanted.kind != "time"):
            return None
        columns.append((wanted, plain))
    flags = None
    if name == spec.treatment.source:
        always = [text.strip().lower() == "true" for text in spec.treatment.arms.values()]
        if not all(always):
            return None
        flags = 2 ** len(always) - 1
    return StoredSource(tuple(columns), source.rows_of, flags)


def _element_types(kind: pa.DataType) -> dict[str, pa.DataType]:
    if pa.types.is_map(kind):
        return {ELEMENT: kind.item_type, ELEMENT_KEY: kind.key_type}
    return {ELEMENT: kind.value_type} if pa.types.is_list(kind) else {}


def _fits(wanted: WantedColumn, plain: PlainColumn, kind: pa.DataType | None, clock: str) -> bool:
    """Whether Arrow reads the column as Spark would."""
    if kind is None:
        return False
    if wanted.kind == "time":
        if clock != "days":
            return pa.types.is_integer(kind) and plain == PlainColumn(plain.name)
        instant = pa.types.is_timestamp(kind) and kind.tz is not None
        return pa.types.is_integer(kind) if plain.micros else instant
    if plain != PlainColumn(plain.name):
        return False
    text = pa.types.is_string(kind) or pa.types.is_integer(kind)
    number = pa.types.is_integer(kind) or pa.types.is_float64(kind)
    return number if wanted.kind == "number" else text and wanted.kind != "any"


def _latest(table: pa.Table, wanted: WantedColumn, plain: tuple[PlainColumn, ...]) -> pa.Array:
    columns = [_column(table, wanted, each) for each in plain]
    return columns[0] if len(columns) == 1 else pc.max_element_wise(*columns)


def _column(table: pa.Table, wanted: WantedColumn, plain: PlainColumn) -> pa.Array:
    column = whole(table[plain.name])
    if wanted.kind == "time":
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", tz=column.type.tz)).view(pa.int64())
        return pc.add(column.cast(pa.int64()), plain.shift)
    return column.cast(pa.float64() if wanted.kind == "number" else pa.string())


def with_elements(table: pa.Table, column: str) -> pa.Table:
    """A row for each element of a list or a map, with the other columns of its row."""
    held = whole(table[column])
    offsets = held.offsets.to_numpy(zero_copy_only=False)
    there = held.is_valid().to_numpy(zero_copy_only=False)
    sizes = np.where(there, np.diff(offsets), 0)
    owner = np.repeat(np.arange(len(held)), sizes)
    # The elements of a missing list may still lie between its offsets.
    place = np.arange(len(owner)) + np.repeat(offsets[:-1] - (np.cumsum(sizes) - sizes), sizes)
    rows = table.drop_columns([column]).take(pa.array(owner))
    if pa.types.is_map(held.type):
        rows = rows.append_column(ELEMENT_KEY, held.keys.take(pa.array(place)))
        return rows.append_column(ELEMENT, held.items.take(pa.array(place)))
    return rows.append_column(ELEMENT, held.values.take(pa.array(place)))
