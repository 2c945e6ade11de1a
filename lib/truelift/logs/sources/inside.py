"""Values inside the structs, maps and lists of ``{key, value}`` of a typed column, as text.

The mapping names them with dots (``device.category``, ``event_params.page_title``); only those that it
names are taken out, and the column that holds them stays as JSON beside them.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from truelift.logs.sources.columns import apart_name, as_text, bronze_name
from truelift.logs.sources.json_lines import entries_of


def found_inside(wanted: Iterable[str], schema: pa.Schema) -> list[str]:
    """Those of the names wanted that a schema has inside of a column, each once."""
    own = {name.lower() for name in schema.names}
    names = dict.fromkeys(name for name in wanted if "." in name and name.lower() not in own)
    return [name for name in names if _is_inside(name, schema)]


def names_inside(inside: Iterable[str], taken: Sequence[str]) -> list[str]:
    """Their names in bronze, beside the columns that are there."""
    held = {name.lower() for name in taken}
    plain = [(name, bronze_name(name)) for name in inside]
    return [name if name.lower() not in held else str(apart_name(full)) for full, name in plain]


def text_inside(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The values under a name with dots, as text; null where there is none."""
    first, *steps = name.split(".")
    places = {own.lower(): place for place, own in enumerate(batch.schema.names)}
    if first.lower() not in places:
        return pa.nulls(batch.num_rows, pa.string())
    column = batch.column(places[first.lower()])
    while steps and pa.types.is_struct(column.type) and _bare_list(column.type) is column.type:
        child = _field(column.type, steps[0])
        if child is None:
            return pa.nulls(batch.num_rows, pa.string())
        column, steps = pa.compute.struct_field(column, child), steps[1:]
    if not steps:
        return as_text(column)
    return pa.array([_text(_walked(value, steps)) for value in column.to_pylist()], pa.string())


def _is_inside(name: str, schema: pa.Schema) -> bool:
    first, *steps = name.split(".")
    kinds = {field.name.lower(): field.type for field in schema}
    kind = kinds.get(first.lower())
    for step in steps:
        if kind is None or not pa.types.is_struct(kind) or _bare_list(kind) is not kind:
            break
        place = _field(kind, step)
        kind = None if place is None else kind.field(place).type
    else:
        return kind is not None
    # Which keys a map or a list has, only its values say.
    return kind is not None and (pa.types.is_map(kind) or _is_entries(_bare_list(kind)))


def _bare_list(kind: pa.DataType) -> pa.DataType:
    """The list in ``struct<list: list<struct<element>>>``, as BigQuery and others write lists."""
    if not pa.types.is_struct(kind) or [field.name for field in kind] != ["list"]:
        return kind
    inner = kind.field(0).type
    if not pa.types.is_list(inner) or not pa.types.is_struct(inner.value_type):
        return kind
    if [field.name for field in inner.value_type] != ["element"]:
        return kind
    return pa.list_(inner.value_type.field(0).type)


def _is_entries(kind: pa.DataType) -> bool:
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not listed or not pa.types.is_struct(kind.value_type):
        return False
    return {field.name for field in kind.value_type} == {"key", "value"}


def _field(kind: pa.DataType, name: str) -> int | None:
    """The place of a struct's field, in any case where one is meant."""
    found = [n for n in range(kind.num_fields) if kind.field(n).name.lower() == name.lower()]
    exact = [n for n in found if kind.field(n).name == name]
    return exact[0] if exact else (found[0] if len(found) == 1 else None)


def _walked(value: Any, steps: Sequence[str]) -> Any:
    if isinstance(value, dict) and list(value) == ["list"] and isinstance(value["list"], list):
        value = [entry["element"] for entry in value["list"]]
    for place, step in enumerate(steps):
        if isinstance(value, list):
            pairs = [{"key": p[0], "value": p[1]} if isinstance(p, tuple) else p for p in value]
            value = entries_of(pairs)
            # A key may hold dots itself.
            rest = ".".join(steps[place:])
            if value is not None and rest in value:
                return value[rest]
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # As in a column: what is no number is missing, and a whole one has its digits alone.
        return as_text(pa.array([value])).to_pylist()[0]
    if isinstance(value, bytes):
        return as_text(pa.array([value])).to_pylist()[0]
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value)
