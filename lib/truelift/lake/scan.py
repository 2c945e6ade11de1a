"""Scan plans: a table at one version, cut into units that Arrow can read on its own.

A plan is made on the driver from the Delta log alone. It travels as JSON, so the same plan
feeds Spark tasks and Horovod ranks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from truelift.errors import TableError
from truelift.files.places import filesystem_of
from truelift.lake.conditions import all_of
from truelift.lake.log import (
    DataFile,
    arrow_schema,
    current_version,
    live_files,
    open_table,
    reads_directly,
)

# Below this size a file is one unit; a larger one is cut into its row groups, which needs its
# footer. So planning a table of many ordinary files opens none of them.
SPLIT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class ScanUnit:
    """One piece of work: a file (``row_group`` None) or one of its row groups."""

    uri: str
    row_group: int | None
    rows: int
    size: int
    partition: dict[str, str | None]


@dataclass(frozen=True)
class RowFilter:
    """Conditions on a plan's rows (:mod:`~.conditions`), and the columns that they look at.

    ``stored`` are their names in the files, ``schema_hex`` their types.
    """

    texts: tuple[str, ...]
    columns: tuple[str, ...]
    stored: tuple[str, ...]
    schema_hex: str


@dataclass(frozen=True)
class ScanPlan:
    """A table pinned to a version, the columns asked for, and its units.

    ``direct`` is False where data files cannot be read as they are (``reason`` says why):
    kernels then run on Spark's own rows. ``only`` is the condition on partition columns that
    :meth:`within` has narrowed the plan to. ``stored`` are the names of ``columns`` in the files,
    where they are other ones: a copy holds a user's columns under names that are safe everywhere.
    ``rows_where`` leaves out rows as they are read; counts from the log know nothing of it.
    """

    table: str
    uri: str
    version: int
    columns: tuple[str, ...]
    units: tuple[ScanUnit, ...]
    partition_columns: tuple[str, ...] = ()
    schema_hex: str = ""
    direct: bool = True
    reason: str = ""
    only: str = ""
    stored: tuple[str, ...] = ()
    rows_where: RowFilter | None = None

    @property
    def rows(self) -> int:
        """Rows of the version; counted by the log, so it costs nothing."""
        return sum(unit.rows for unit in self.units)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of ``columns``, partition columns included."""
        return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.schema_hex)))

    def by_bucket(self) -> dict[int, list[ScanUnit]]:
        """Units of each bucket; the table has to be partitioned by ``bucket``."""
        if "bucket" not in self.partition_columns:
            raise TableError(
                f"{self.table} is not partitioned by bucket (partition columns: "
                f"{list(self.partition_columns)}), so it cannot be read bucket by bucket."
            )
        groups: dict[int, list[ScanUnit]] = {}
        for unit in self.units:
            groups.setdefault(int(unit.partition["bucket"] or 0), []).append(unit)
        return dict(sorted(groups.items()))

    def within(self, slices: Mapping[int, Collection[str]]) -> ScanPlan:
        """The plan for some slices: bucket to periods, for a table partitioned by both."""
        kept = tuple(
            unit
            for unit in self.units
            if unit.partition["period"] in slices.get(int(unit.partition["bucket"] or 0), ())
        )
        by_period: dict[str, list[int]] = {}
        for bucket, periods in slices.items():
            for period in periods:
                by_period.setdefault(period, []).append(bucket)
        return replace(self, units=kept, only=slice_predicate(by_period))

    def slices(self) -> dict[int, tuple[str, ...]]:
        """Bucket to periods that have rows."""
        found: dict[int, set[str]] = {}
        for unit in self.units:
            found.setdefault(int(unit.partition["bucket"] or 0), set()).add(
                unit.partition["period"] or ""
            )
        return {bucket: tuple(sorted(periods)) for bucket, periods in sorted(found.items())}

    def select(self, columns: Sequence[str]) -> ScanPlan:
        """The same plan for fewer columns."""
        schema = pa.schema([_field(self.schema, c, self.table) for c in columns])
        stored = tuple(self.stored_name(c) for c in columns) if self.stored else ()
        return replace(self, columns=tuple(columns), stored=stored, schema_hex=schema_hex(schema))

    def stored_name(self, column: str) -> str:
        """The name in the files of one of the columns."""
        return self.stored[self.columns.index(column)] if self.stored else column

    def named(self, columns: Mapping[str, str]) -> ScanPlan:
        """The plan under other names: those in the files by the new ones, and no other columns."""
        fields = [_field(self.schema, c, self.table) for c in columns.values()]
        schema = pa.schema([f.with_name(n) for n, f in zip(columns, fields, strict=True)])
        stored = tuple(self.stored_name(c) for c in columns.values())
        return replace(self, columns=tuple(columns), stored=stored, schema_hex=schema_hex(schema))

    def where(self, text: str) -> ScanPlan:
        """The plan for the rows that meet a condition on its columns, beside those it has."""
        held = () if self.rows_where is None else self.rows_where.texts
        if text in held:
            return self
        texts = (*held, text)
        kept = self.to_read().select(all_of(texts).columns)
        stored = kept.stored or kept.columns
        return replace(
            self, rows_where=RowFilter(texts, kept.columns, stored, schema_hex(kept.schema))
        )

    def to_read(self) -> ScanPlan:
        """The plan with the columns that ``rows_where`` looks at; :meth:`taken` drops them."""
        held = self.rows_where
        if held is None or set(held.columns) <= set(self.columns):
            return self
        own = {n: (f, self.stored_name(n)) for n, f in zip(self.columns, self.schema, strict=True)}
        read = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(held.schema_hex)))
        theirs = {n: (f, s) for n, f, s in zip(held.columns, read, held.stored, strict=True)}
        both = {**theirs, **own}
        return replace(
            self,
            columns=tuple(both),
            stored=tuple(stored for _, stored in both.values()),
            schema_hex=schema_hex(pa.schema([field for field, _ in both.values()])),
        )

    def taken(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The plan's columns and rows, of a batch with the columns of :meth:`to_read`."""
        if self.rows_where is None:
            return batch
        batch = all_of(self.rows_where.texts).rows(batch)
        arrays = [batch.column(batch.schema.get_field_index(n)) for n in self.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def coded(self, columns: Collection[str]) -> ScanPlan:
        """The same plan with these text columns as Arrow dictionaries, as Parquet holds them.

        Repeated texts are then never spelled out; a kernel that wants codes gets them for the
        cost of reading them.
        """
        code = pa.dictionary(pa.int32(), pa.string())
        fields = [f.with_type(code) if f.name in columns else f for f in self.schema]
        return replace(self, schema_hex=schema_hex(pa.schema(fields)))

    def to_json(self) -> str:
        """The plan as text; see :meth:`from_json`."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> ScanPlan:
        """A plan from :meth:`to_json`'s text."""
        data = json.loads(text)
        units = tuple(ScanUnit(**unit) for unit in data.pop("units"))
        data["columns"] = tuple(data["columns"])
        data["partition_columns"] = tuple(data["partition_columns"])
        data["stored"] = tuple(data.get("stored", ()))
        if held := data.get("rows_where"):
            lists = {key: tuple(held[key]) for key in ("texts", "columns", "stored")}
            data["rows_where"] = RowFilter(**{**held, **lists})
        return ScanPlan(units=units, **data)


def slice_predicate(slices: Mapping[str, Sequence[int]]) -> str:
    """Slices as a condition on the partition columns.

    Parameters
    ----------
    slices : mapping of period to buckets
        No buckets stand for all of them.
    """
    groups: dict[tuple[int, ...], list[str]] = {}
    for period, buckets in sorted(slices.items()):
        groups.setdefault(tuple(sorted(set(buckets))), []).append(period)
    terms = []
    for buckets, periods in groups.items():
        names = ", ".join(f"'{period}'" for period in periods)
        numbers = ", ".join(map(str, buckets))
        only = f" AND bucket IN ({numbers})" if buckets else ""
        terms.append(f"(period IN ({names}){only})")
    return " OR ".join(terms) if terms else "false"


def schema_hex(schema: pa.Schema) -> str:
    """An Arrow schema as text that survives JSON."""
    return schema.remove_metadata().serialize().to_pybytes().hex()


def _field(schema: pa.Schema, name: str, table: str) -> pa.Field:
    index = schema.get_field_index(name)
    if index < 0:
        raise TableError(f"{table} has no column {name!r}; its columns are {schema.names}.")
    return schema.field(index)


def make_plan(
    name: str, uri: str, columns: Sequence[str] | None = None, version: int | None = None
) -> ScanPlan:
    """Plan the scan of a Delta table.

    Parameters
    ----------
    name : str
        The table's name, for messages.
    uri : str
        Where it lies.
    columns : sequence of str, optional
        Columns to read; all of them by default.
    version : int, optional
        Delta version; the newest by default.

    Raises
    ------
    TableError
        If there is no such table, version or column.
    """
    table = _opened(name, uri, version)
    if table is None:
        raise TableError(f"There is no table {name} at {uri}. Run the job that writes it first.")
    full = arrow_schema(table)
    wanted = tuple(columns) if columns is not None else tuple(full.names)
    schema = pa.schema([_field(full, c, name) for c in wanted])
    direct, reason = reads_directly(table)
    try:
        units = tuple(units_of(live_files(table, uri))) if direct else ()
    except (OSError, pa.ArrowInvalid) as error:
        direct, reason, units = False, f"Arrow cannot open its files ({error})", ()
    return ScanPlan(
        table=name,
        uri=uri,
        version=int(table.version()),
        columns=wanted,
        units=units,
        partition_columns=tuple(table.metadata().partition_columns),
        schema_hex=schema_hex(schema),
        direct=direct,
        reason=reason,
    )


def _opened(name: str, uri: str, version: int | None) -> Any:
    from deltalake.exceptions import DeltaError

    try:
        return open_table(uri, version)
    except (DeltaError, OSError) as error:
        newest = current_version(uri) if version is not None else None
        if version is not None and newest is not None and version > newest:
            raise TableError(
                f"{name} has no version {version}; its newest is {newest}. Name one from 0 to "
                f"{newest} ({name}@{newest}), or none for the newest."
            ) from None
        asked = "" if version is None else f" at version {version}"
        raise TableError(
            f"{name}: the Delta log at {uri} cannot be read{asked} ({error}). Logs of old versions "
            "are cleaned up in time: name a newer version."
        ) from None


def units_of(files: Sequence[DataFile]) -> Iterator[ScanUnit]:
    """What tasks read alone: files, and the row groups of large ones."""
    open_footers = [f for f in files if f.rows is None or f.size > SPLIT_BYTES]
    with ThreadPoolExecutor(max_workers=16) as pool:
        read = pool.map(_footer, open_footers)
        footers = {file.uri: groups for file, groups in zip(open_footers, read, strict=True)}
    for file in files:
        groups = footers.get(file.uri)
        if groups is None:
            yield ScanUnit(file.uri, None, file.rows or 0, file.size, file.partition)
            continue
        for index, (rows, size) in enumerate(groups):
            yield ScanUnit(file.uri, index, rows, size, file.partition)


def _footer(file: DataFile) -> list[tuple[int, int]]:
    filesystem, path = filesystem_of(file.uri)
    metadata = pq.read_metadata(path, filesystem=filesystem)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    return [(g.num_rows, g.total_byte_size) for g in groups]


def read_batches(
    plan: ScanPlan, unit: ScanUnit, columns: Sequence[str] | None = None, batch_rows: int = 65536
) -> Iterator[pa.RecordBatch]:
    """Stream one unit's rows, at most ``batch_rows`` at a time.

    Columns that an older file lacks come as nulls; partition columns come from the plan.
    """
    wanted = plan if columns is None else plan.select(columns)
    reading = wanted.to_read()
    schema, stored = reading.schema, reading.stored or reading.columns
    filesystem, path = filesystem_of(unit.uri)
    with filesystem.open_input_file(path) as stream:
        coded = [s for f, s in zip(schema, stored, strict=True) if pa.types.is_dictionary(f.type)]
        file = pq.ParquetFile(stream, coerce_int96_timestamp_unit="us", read_dictionary=coded)
        held = set(file.schema_arrow.names)  # it is made anew whenever it is asked for
        options = {
            "columns": [n for n in dict.fromkeys(stored) if n in held],
            "row_groups": None if unit.row_group is None else [unit.row_group],
            "use_threads": False,  # a task has one core, and others have tasks of their own
        }
        for batch in file.iter_batches(batch_rows, **options):
            rows = wanted.taken(_conform(batch, schema, stored, unit))
            if rows.num_rows or wanted.rows_where is None:
                yield rows


def read_unit(plan: ScanPlan, unit: ScanUnit, columns: Sequence[str] | None = None) -> pa.Table:
    """One unit's rows as a table; see :func:`read_batches`."""
    schema = plan.schema if columns is None else plan.select(columns).schema
    return pa.Table.from_batches(list(read_batches(plan, unit, columns)), schema=schema)


def _conform(
    batch: pa.RecordBatch, schema: pa.Schema, stored: Sequence[str], unit: ScanUnit
) -> pa.RecordBatch:
    arrays = []
    for field, name in zip(schema, stored, strict=True):
        index = batch.schema.get_field_index(name)
        if index >= 0:
            arrays.append(_cast(batch.column(index), field.type))
        elif name in unit.partition:
            value = pa.scalar(unit.partition[name], pa.string()).cast(field.type)
            arrays.append(pa.repeat(value, batch.num_rows))
        else:
            arrays.append(pa.nulls(batch.num_rows, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if array.type == wanted:
        return array
    if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(wanted) and not array.type.tz:
        return array.cast(pa.timestamp("us")).cast(pa.int64()).cast(wanted)
    return array.cast(wanted)
