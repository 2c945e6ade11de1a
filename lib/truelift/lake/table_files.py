"""Tables that are Parquet or CSV files alone: which files, and a plan of the Parquet ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from truelift.errors import TableError
from truelift.files.places import filesystem_of
from truelift.lake.csv_tables import is_csv
from truelift.lake.log import DataFile
from truelift.lake.scan import ScanPlan, schema_hex, units_of

_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def files_of(uri: str) -> list[pafs.FileInfo]:
    """The Parquet files of a table, else its CSV files, in the order of their names.

    Raises
    ------
    TableError
        If there are none.
    """
    filesystem, root = filesystem_of(uri)
    info = filesystem.get_file_info(root)
    if info.type == pafs.FileType.File:
        if is_csv(info.path) or _is_parquet(filesystem, info):
            return [info]
        found: list[pafs.FileInfo] = []
        there = f"a file, {info.base_name!r}, that is neither Parquet nor CSV"
    elif info.type == pafs.FileType.Directory:
        selector = pafs.FileSelector(root, recursive=True)
        inside = [f for f in filesystem.get_file_info(selector) if f.is_file and f.size]
        seen = [f for f in inside if not _is_hidden(f.path[len(root) :])]
        found = [f for f in seen if f.path.lower().endswith((".parquet", ".parq", ".pq"))]
        found = found or [f for f in seen if is_csv(f.path)]
        found = found or [f for f in seen if _is_parquet(filesystem, f)]
        there = "a folder without Parquet or CSV files"
    else:
        found, there = [], "nothing"
    if not found:
        raise TableError(
            f"There is no table at {uri}: found {there}. Expected a Delta table, Parquet or CSV: "
            "a file or a folder of files. Write other formats as Parquet first, or read them into "
            "a DataFrame and hand that to a call of Python (import truelift as tl)."
        )
    return sorted(found, key=lambda f: f.path)


def _is_hidden(path: str) -> bool:
    """What Spark and Hive keep for themselves, by the name of a file or a folder."""
    return any(part.startswith(("_", ".")) and "=" not in part for part in path.split("/"))


def _is_parquet(filesystem: pafs.FileSystem, info: pafs.FileInfo) -> bool:
    with filesystem.open_input_file(info.path) as stream:
        return bool(stream.read(4) == b"PAR1")


def parquet_plan(uri: str, files: Sequence[pafs.FileInfo]) -> tuple[ScanPlan, dict[str, str]]:
    """A plan of Parquet files, folders named ``column=value`` included, and unusable columns."""
    filesystem, root = filesystem_of(uri)

    def footer(file: pafs.FileInfo) -> tuple[pa.Schema, int]:
        try:
            found = pq.read_metadata(file.path, filesystem=filesystem)
            return found.schema.to_arrow_schema(), found.num_rows
        except (pa.ArrowException, OSError) as error:
            raise TableError(
                f"{uri}: the file {file.path} cannot be read as Parquet ({error}). Remove it, or "
                "write it anew."
            ) from None

    with ThreadPoolExecutor(max_workers=16) as pool:
        footers = list(pool.map(footer, files))
    partitions = [_partition(file.path[len(root) :]) for file in files]
    own, unclear = _common([schema for schema, _ in footers])
    fields = [*own, *(f for f in _partition_fields(partitions) if f.name not in own.names)]
    scheme = uri.partition("://")[0] + "://" if "://" in uri else ""
    held = [
        DataFile(f"{scheme}{file.path}", file.size, rows, partition)
        for file, (_, rows), partition in zip(files, footers, partitions, strict=True)
    ]
    schema = pa.schema(fields)
    plan = ScanPlan(uri, uri, 0, tuple(schema.names), tuple(units_of(held)), (), schema_hex(schema))
    return plan, unclear


def _partition(path: str) -> dict[str, str | None]:
    """Values in the names of folders, as Hive writes them."""
    found: dict[str, str | None] = {}
    for part in path.split("/")[:-1]:
        name, sign, value = part.partition("=")
        if sign and name:
            found[unquote(name)] = None if value == _NO_PARTITION else unquote(value)
    return found


def _partition_fields(partitions: Sequence[Mapping[str, str | None]]) -> Iterator[pa.Field]:
    for name in dict.fromkeys(name for partition in partitions for name in partition):
        values = {partition.get(name) for partition in partitions} - {None}
        whole = all(str(v).lstrip("-").isdecimal() for v in values) and bool(values)
        yield pa.field(name, pa.int64() if whole else pa.string())


def _common(schemas: Sequence[pa.Schema]) -> tuple[pa.Schema, dict[str, str]]:
    """All columns of some files, with types that hold the values of all of them."""
    fields: list[pa.Field] = []
    places: dict[str, int] = {}
    unclear: dict[str, str] = {}
    for number, schema in enumerate(schemas):
        for found in schema.remove_metadata():
            found = found.remove_metadata().with_nullable(True)
            if number and found.name in places:
                place = places[found.name]
                if fields[place].type == found.type:
                    continue
                try:
                    both = [pa.schema([fields[place]]), pa.schema([found])]
                    fields[place] = pa.unify_schemas(both, promote_options="permissive").field(0)
                except (pa.ArrowException, TypeError):
                    unclear[found.name] = (
                        f"its files disagree on the type: found {fields[place].type} and "
                        f"{found.type}, expected one. Write them anew with one type"
                    )
                continue
            places[found.name] = len(fields)
            fields.append(found)
    return pa.schema(fields), unclear
