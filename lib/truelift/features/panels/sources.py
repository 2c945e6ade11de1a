"""The tables of a panel: opened at one version, and brought into buckets of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from truelift.errors import ConfigError, DataError, TableError
from truelift.features.panels.kernel import JOINT
from truelift.features.panels.occasions import MOST_OCCASIONS, Clock, Occasion
from truelift.features.panels.reading import (
    ELEMENT,
    ELEMENT_KEY,
    StoredSource,
    stored_source,
    wanted_columns,
)
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


def open_sources(
    lake: Lake, spec: PanelSpec, versions: Mapping[str, int] | None = None
) -> dict[str, OpenedSource]:
    """Every source at its newest version, or the one that its address or ``versions`` name.

    Parameters
    ----------
    lake : Lake
    spec : PanelSpec
    versions : mapping of str to int, optional
        Of tables of the lake that are pinned.

    Raises
    ------
    TableError, SourceError
        If a table is not there.
    ConfigError
        If a text of the specification is no SQL on a row of its source.
    """
    opened = {}
    for name, source in spec.sources.items():
        found = _open(lake, source.table, versions or {})
        if source.rows_of is not None:
            found = replace(found, frame=_by_element(found.frame, source.rows_of, name))
        opened[name] = found
    for name in spec.sources:
        frame = _conditioned(opened[name].frame, spec, name)
        frame.select(*_columns(frame, spec, name))
    frame = opened[spec.treatment.source].frame
    for part in ("start", "end"):
        expression(frame, getattr(spec.treatment, part), f"treatment.{part}")
    return opened


def table_address(lake: Lake, table: str) -> TableAddress:
    """Where a table of a specification lies: in the lake, in a package, or at an address."""
    if table in TABLES:
        return TableAddress(lake.uri(table), None)
    if table.startswith(_PACKAGE):
        # A room of its own reads the package; here its files are files like others.
        from truelift.logs.sources.complete_journey import package_file

        return TableAddress.parse(package_file(table.removeprefix(_PACKAGE)).uri)
    return TableAddress.parse(table)


def _open(lake: Lake, table: str, versions: Mapping[str, int]) -> OpenedSource:
    if table in TABLES:
        version = versions.get(table, lake.version(table))
        if version is None:
            raise TableError(
                f"There is no table {table} at {lake.uri(table)}. Run the job that writes it first."
            )
        return OpenedSource(lake.read(table, version), lake.uri(table), str(version))
    address = table_address(lake, table)
    frame, version_text = open_address(lake.spark, address)
    return OpenedSource(frame, address.uri, version_text)


def _by_element(frame: DataFrame, column: str, name: str) -> DataFrame:
    """A row for each element of a list or a map.

    Raises
    ------
    ConfigError
        If the column is neither.
    """
    from pyspark.sql import functions as F

    kind = dict(frame.dtypes).get(column, "nothing")
    if not kind.startswith(("array", "map")):
        raise ConfigError(
            f"sources.{name}.rows_of: found {column!r} ({kind}), expected a column that is a list or "
            f"a map ({', '.join(n for n, t in frame.dtypes if t.startswith(('array', 'map')))})."
        )
    names = [ELEMENT_KEY, ELEMENT] if kind.startswith("map") else [ELEMENT]
    return frame.select("*", F.explode(F.col(f"`{column}`")).alias(*names))


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

    keys, columns = [], []
    for wanted in wanted_columns(spec, name):
        found = expression(frame, wanted.text, wanted.key)
        if wanted.kind == "key":
            keys.append(found.cast("string"))
            continue
        if wanted.kind == "time":
            column = _ticks(frame, wanted.text, wanted.key, spec)
        elif wanted.kind == "any":
            column = found.cast("string" if is_text(frame, found) else "double")
        else:
            column = found.cast("string" if wanted.kind == "text" else "double")
        columns.append(column.alias(wanted.target))
    if name == spec.treatment.source:
        columns.append(_flags(frame, spec).alias("flags"))
    return [F.concat_ws(JOINT, *keys).alias("key"), *columns]


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


def as_stored(
    lake: Lake, source: OpenedSource, spec: PanelSpec, name: str
) -> tuple[ScanPlan, StoredSource] | None:
    """A plan of the source's own table, where workers can read what they want of it as it lies.

    It has to lie in buckets of the cluster: a table of the lake whose people are the clusters.
    """
    table = spec.sources[name].table
    if table not in TABLES or TABLES[table].partition_by[:1] != ("bucket",):
        return None
    if (spec.keys_of(name)[spec.cluster].strip("`"),) != TABLES[table].people:
        return None
    if any(attribute.source == name for attribute in spec.attributes.values()):
        return None  # one row a key is seen to where it is copied
    plan = lake.plan(table, None, int(source.version))
    stored = stored_source(plan.schema, spec, name) if plan.direct else None
    return None if stored is None else (plan.select(stored.stored()), stored)


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
