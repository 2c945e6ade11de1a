"""The tables of a panel: opened at one version, and brought into buckets of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import ConfigError, DataError, TableError
from truelift.features.panels.kernel import JOINT, value_column
from truelift.features.panels.occasions import MOST_OCCASIONS, Clock, Occasion
from truelift.fingerprints import fingerprint_of
from truelift.lake import ScanPlan, bucket_column
from truelift.lake.address import TableAddress
from truelift.lake.copies import WORK, bucketed_copy, copy_place, discard_copy
from truelift.lake.foreign import open_address
from truelift.lake.tables import TABLES
from truelift.settings.panel_spec import PanelSpec

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from truelift.lake import Lake

_PACKAGE = "complete_journey:"


@dataclass(frozen=True, eq=False)
class OpenedSource:
    """A source's rows, and where and of which version they are."""

    frame: DataFrame
    uri: str
    version: str


def open_sources(lake: Lake, spec: PanelSpec) -> dict[str, OpenedSource]:
    """Every source at its newest version, or the one that its address names.

    Raises
    ------
    TableError, SourceError
        If a table is not there.
    ConfigError
        If a text of the specification is no SQL on a row of its source.
    """
    opened = {name: _open(lake, source.table) for name, source in spec.sources.items()}
    for name in spec.sources:
        frame = _conditioned(opened[name].frame, spec, name)
        frame.select(*_columns(frame, spec, name))
    frame = opened[spec.treatment.source].frame
    for part in ("start", "end"):
        expression(frame, getattr(spec.treatment, part), f"treatment.{part}")
    return opened


def _open(lake: Lake, table: str) -> OpenedSource:
    if table in TABLES:
        version = lake.version(table)
        if version is None:
            raise TableError(
                f"There is no table {table} at {lake.uri(table)}. Run the job that writes it first."
            )
        return OpenedSource(lake.read(table, version), lake.uri(table), str(version))
    if table.startswith(_PACKAGE):
        # A room of its own reads the package; here its files are files like others.
        from truelift.logs.sources.complete_journey import package_file

        uri = package_file(table.removeprefix(_PACKAGE)).uri
    else:
        uri = table
    address = TableAddress.parse(uri)
    frame, version_text = open_address(lake.spark, address)
    return OpenedSource(frame, address.uri, version_text)


def expression(frame: DataFrame, text: str, key: str) -> Column:
    """SQL on one row of a frame as a column.

    Raises
    ------
    ConfigError
        Naming the key, if Spark does not understand it.
    """
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as F

    try:
        column = F.expr(text)
        # Beside all columns, so that an aggregate over rows is refused too.
        frame.select("*", column.alias("_found")).schema  # noqa: B018
    except AnalysisException as error:
        why = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"{key}: {text!r} is no SQL on one row of its columns "
            f"({', '.join(frame.columns)}). Spark says: {why}"
        ) from None
    return column


def _conditioned(frame: DataFrame, spec: PanelSpec, name: str) -> DataFrame:
    """Rows of a source that are asked for and name a key."""
    source = spec.sources[name]
    if source.where is not None:
        frame = frame.where(expression(frame, source.where, f"sources.{name}.where"))
    for key, text in spec.keys_of(name).items():
        frame = frame.where(expression(frame, text, f"sources.{name}.keys.{key}").isNotNull())
    return frame


def _columns(frame: DataFrame, spec: PanelSpec, name: str) -> list[Column]:
    """What the kernels read of a source: key, time, treatment, values, bucket."""
    from pyspark.sql import functions as F

    source = spec.sources[name]
    keys = {
        key: expression(frame, text, f"sources.{name}.keys.{key}").cast("string")
        for key, text in spec.keys_of(name).items()
    }
    columns = [F.concat_ws(JOINT, *keys.values()).alias("key")]
    if source.time is not None:
        columns.append(_ticks(frame, source.time, f"sources.{name}.time", spec).alias("time"))
    if name == spec.treatment.source:
        occasion = expression(frame, spec.treatment.occasion, "treatment.occasion")
        columns += [occasion.cast("string").alias("occasion"), _flags(frame, spec).alias("flags")]
    columns += _values(frame, spec, name)
    return columns


def _values(frame: DataFrame, spec: PanelSpec, name: str) -> list[Column]:
    columns: dict[str, Column] = {}
    for measure, options in spec.measures().items():
        target = value_column(spec, measure)
        if options.source == name and options.value is not None and target is not None:
            found = expression(frame, options.value, f"{measure}.value")
            kind = "string" if options.aggregate == "count_distinct" else "double"
            columns[target] = found.cast(kind).alias(target)
    for attribute, chosen in spec.attributes.items():
        if chosen.source == name:
            found = expression(frame, chosen.value, f"attributes.{attribute}.value")
            target = f"value_{attribute}"
            kind = "string" if is_text(frame, found) else "double"
            columns[target] = found.cast(kind).alias(target)
    return list(columns.values())


def is_text(frame: DataFrame, column: Column) -> bool:
    """Whether a column holds texts."""
    return frame.select(column.alias("_found")).dtypes[0][1] == "string"


def text_attributes(sources: Mapping[str, OpenedSource], spec: PanelSpec) -> tuple[str, ...]:
    """Attributes that are texts."""
    return tuple(
        name
        for name, a in spec.attributes.items()
        if is_text(
            sources[a.source].frame,
            expression(sources[a.source].frame, a.value, f"attributes.{name}.value"),
        )
    )


def _ticks(frame: DataFrame, text: str, key: str, spec: PanelSpec) -> Column:
    from pyspark.sql import functions as F

    column = expression(frame, text, key)
    if spec.clock == "periods":
        return column.cast("bigint")
    return F.unix_micros(column.cast("timestamp"))


def _flags(frame: DataFrame, spec: PanelSpec) -> Column:
    from pyspark.sql import functions as F

    total = F.lit(0)
    for bit, (name, text) in enumerate(spec.treatment.arms.items()):
        holds = expression(frame, text, f"treatment.arms.{name}")
        total = total + F.when(holds, F.lit(1 << bit)).otherwise(F.lit(0))
    return total.cast("int")


def occasions_of(source: OpenedSource, spec: PanelSpec) -> tuple[Occasion, ...]:
    """Every occasion, from its earliest start to its latest end over all rows.

    Raises
    ------
    DataError
        Beyond ``MOST_OCCASIONS``, or if an occasion has no start or end.
    """
    from pyspark.sql import functions as F

    treatment = spec.treatment
    frame = _conditioned(source.frame, spec, treatment.source)
    rows = (
        frame.select(
            expression(frame, treatment.occasion, "treatment.occasion").cast("string").alias("n"),
            _ticks(frame, treatment.start, "treatment.start", spec).alias("start"),
            _ticks(frame, treatment.end, "treatment.end", spec).alias("end"),
        )
        .where("n IS NOT NULL")
        .groupBy("n")
        .agg(F.min("start").alias("start"), F.max("end").alias("end"))
        .limit(MOST_OCCASIONS + 1)
        .collect()
    )
    if len(rows) > MOST_OCCASIONS:
        raise DataError(
            f"treatment.occasion: found more than {MOST_OCCASIONS:,} occasions in "
            f"{source.uri}, expected at most that many. Take a coarser one, such as a week."
        )
    for row in rows:
        if row["start"] is None or row["end"] is None:
            raise DataError(f"treatment: occasion {row['n']!r} has no readable start and end.")
    return tuple(sorted(Occasion(row["start"], row["n"], row["end"]) for row in rows))


def covered_by(source: OpenedSource, spec: PanelSpec, clock: Clock) -> tuple[int, int]:
    """What the source ``occasions.observed`` covers, half-open, in ticks.

    Raises
    ------
    DataError
        If it has no row with a time.
    """
    from pyspark.sql import functions as F

    name = spec.occasions.observed
    text = spec.sources[name].time
    assert text is not None
    frame = _conditioned(source.frame, spec, name)
    time = _ticks(frame, text, f"sources.{name}.time", spec)
    first, last = frame.agg(F.min(time), F.max(time)).collect()[0]
    if first is None:
        raise DataError(f"sources.{name}: {source.uri} has no row with a time, so nothing to see.")
    return clock.covered(first, last)


def in_buckets(lake: Lake, source: OpenedSource, spec: PanelSpec, name: str) -> ScanPlan:
    """The columns that the kernels read, partitioned by bucket of the cluster, under ``work/``.

    The copy is made once for a source's version and what is read of it; :func:`discard` removes
    it. It is the only shuffle of a panel.

    Raises
    ------
    DataError
        If a source of attributes has several rows for one key.
    """
    key = spec.keys_of(name)[spec.cluster]
    asked = fingerprint_of(
        source=(source.uri, source.version), name=name, spec=spec, buckets=lake.buckets
    )
    place = copy_place(lake.root, f"panel-source-{asked}")

    def with_bucket() -> DataFrame:
        frame = _conditioned(source.frame, spec, name)
        cluster = expression(frame, key, f"sources.{name}.keys.{spec.cluster}").cast("string")
        bucket = bucket_column(cluster, lake.buckets).alias("bucket")
        return frame.select(*_columns(frame, spec, name), bucket)

    plan = bucketed_copy(place, with_bucket, lake.buckets, f"sources.{name}")
    if any(a.source == name for a in spec.attributes.values()):
        stored = lake.spark.read.format("delta").load(place)
        twice = stored.groupBy("key").count().where("count > 1").limit(1).collect()
        if twice:
            raise DataError(
                f"sources.{name}: {source.uri} has {twice[0]['count']} rows for "
                f"{twice[0]['key'].replace(JOINT, ':')!r}, expected one. Attributes have one value "
                "a key; what changes in time is a covariate with aggregate 'last'."
            )
    return plan


def discard(plans: Mapping[str, ScanPlan]) -> None:
    """Remove the copies: they hold the keys of people, and no later run needs them."""
    for plan in plans.values():
        root, _, name = plan.uri.rpartition(f"/{WORK}/")
        discard_copy(root, name)
