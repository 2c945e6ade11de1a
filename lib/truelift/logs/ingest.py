"""Raw files to bronze: as text, with file, row and batch id, each file once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.errors import InvariantError, SourceError
from truelift.logs.results import IngestResult
from truelift.logs.sampling import in_sample
from truelift.logs.sources.columns import BATCH_ID, CORRUPT, SOURCE_FILE, SOURCE_ROW
from truelift.logs.sources.registry import plan_streams, read, user_column
from truelift.logs.sources.unit import Unit
from truelift.steps import StepReport

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Observation, SparkSession

    from truelift.job import Job
    from truelift.lake import Lake
    from truelift.settings import Settings

_READ = "_rows_read"
_OUT = "_rows_sampled_out"
_MOST_TASKS = 4096


@dataclass(frozen=True)
class StreamCounts:
    """Rows of one stream on their way into bronze."""

    files: int = 0
    read: int = 0
    written: int = 0
    sampled_out: int = 0
    known: int = 0


@dataclass(frozen=True)
class UnitReader:
    """What a task does with its units: read, keep the sampled users, lay out the columns.

    Attributes
    ----------
    units : tuple of tuple of Unit
        The work of each task, by its number.
    columns : tuple of str
        The columns of all files together; a file that lacks one gives nulls.
    user : str, optional
        Column of the user, None for streams without one (the items), which are not sampled.
    share : float
        Share of users kept.
    """

    units: tuple[tuple[Unit, ...], ...]
    columns: tuple[str, ...]
    user: str | None
    share: float
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        texts = [(name, pa.string()) for name in (*self.columns, CORRUPT, SOURCE_FILE)]
        counted = [(SOURCE_ROW, pa.int64()), (BATCH_ID, pa.string())]
        counts = [(_READ, pa.int64()), (_OUT, pa.int64())]
        object.__setattr__(self, "schema", pa.schema([*texts, *counted, *counts]))

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for unit in self.units[number]:
                    yield from self._rows_of(unit)

    def _rows_of(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        rows = out = 0
        for batch in read(unit):
            rows += batch.num_rows
            if self.user is not None and self.share < 1:
                kept = in_sample(self._users(batch), self.share)
                out += int((~kept).sum())
                batch = batch.filter(pa.array(kept))
            if batch.num_rows:
                yield self._laid_out(batch, unit)
        # The last row of a unit carries its counts and nothing else; it never reaches bronze.
        nothing = [pa.nulls(1, kind) for kind in self.schema.types[:-2]]
        counts = [pa.array([rows], pa.int64()), pa.array([out], pa.int64())]
        yield pa.RecordBatch.from_arrays([*nothing, *counts], schema=self.schema)

    def _users(self, batch: pa.RecordBatch) -> pa.Array:
        index = batch.schema.get_field_index(self.user)
        return batch.column(index) if index >= 0 else pa.nulls(batch.num_rows, pa.string())

    def _laid_out(self, batch: pa.RecordBatch, unit: Unit) -> pa.RecordBatch:
        given = {name.lower(): i for i, name in enumerate(batch.schema.names)}
        count = batch.num_rows
        arrays = []
        for name, kind in zip(self.schema.names, self.schema.types, strict=True):
            place = given.get(name.lower())
            if name == BATCH_ID:
                arrays.append(pa.repeat(pa.scalar(unit.batch_id, pa.string()), count))
            else:
                arrays.append(pa.nulls(count, kind) if place is None else batch.column(place))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def ingest(job: Job) -> StepReport:
    """Append every raw file that bronze does not know yet.

    A file is known by its content and its name below the source's folder, so a second run,
    or a run after a crash, adds nothing twice. A sample keeps whole users and counts what
    it left out.

    Raises
    ------
    SourceError
        For missing or empty files and unmapped columns, before anything is written; and for
        a lake that holds another sample.
    """
    settings = job.settings
    plans = plan_streams(settings.source)
    counts: dict[str, StreamCounts] = {}
    totals: dict[str, int] = {}
    # The events come last: a run that died on the way is taken up again by their absence.
    for stream in sorted(plans, key=lambda name: name == "events"):
        job.progress.update(f"{stream} to bronze")
        counts[stream] = _ingest_stream(job, stream, plans[stream])
        totals[stream] = counts[stream].known + counts[stream].written
    events = counts["events"]
    result = IngestResult(
        files=sum(c.files for c in counts.values()),
        rows_read=events.read,
        rows_written=events.written,
        rows_sampled_out=events.sampled_out,
        rows_already_known=events.known,
        streams=totals,
    )
    job.save_result(result)
    headline: dict[str, float | str | int] = {"files": result.files}
    if result.rows_sampled_out:
        headline["rows_sampled_out"] = result.rows_sampled_out
    if result.rows_already_known:
        headline["rows_already_known"] = result.rows_already_known
    return StepReport(result.rows_read, result.rows_written, headline)


def source_fingerprint(settings: Settings) -> str:
    """The raw files' content as one text: what makes a finished ingest still good."""
    return _digest(
        f"{stream}:{unit.batch_id}"
        for stream, units in plan_streams(settings.source).items()
        for unit in units
    )


def sampled_column(settings: Settings, stream: str, units: list[Unit]) -> str | None:
    """The column by which a stream is sampled; None for the items, which are kept whole.

    Raises
    ------
    SourceError
        If a sample is asked for and the stream has no known user column.
    """
    if stream == "items":
        return None
    column = user_column(settings.source, stream)
    if settings.sample < 1 and not any(column in unit.names for unit in units):
        raise SourceError(
            f"A sample of users is asked for (sample={settings.sample:g}), and the {stream} have "
            f"no column {column!r}. Add 'user: YOUR_COLUMN' under source.{stream}.columns."
        )
    return column


def _ingest_stream(job: Job, stream: str, units: list[Unit]) -> StreamCounts:
    name = f"bronze.{stream}"
    user = sampled_column(job.settings, stream, units)
    share = job.settings.sample if user else 1.0
    marked = [replace(u, batch_id=_with_share(u.batch_id, share)) for u in units]
    known = _known_batches(job.lake, name)
    _refuse_other_share(name, known, share, job.lake.root)
    fresh = [unit for unit in marked if unit.batch_id not in known]
    already = sum(known.get(batch, 0) for batch in {unit.batch_id for unit in marked})
    if not fresh:
        job.outputs[name] = job.lake.version(name) or 0
        return StreamCounts(known=already)
    rows, observed = _rows(job.lake.spark, UnitReader(_tasks(fresh), _columns(fresh), user, share))
    commit = job.append(name, rows, _digest(unit.batch_id for unit in fresh))
    if commit.skipped:  # another run took the same files in meanwhile
        return StreamCounts(known=already + commit.rows)
    seen = observed.get
    counts = StreamCounts(
        files=len({unit.uri for unit in fresh}),
        read=int(seen[_READ] or 0),
        written=commit.rows,
        sampled_out=int(seen[_OUT] or 0),
        known=already,
    )
    if counts.read != counts.written + counts.sampled_out:
        raise InvariantError(
            f"{name}: {counts.read} rows were read, {counts.written} written and "
            f"{counts.sampled_out} sampled out; these do not add up."
        )
    return counts


def _rows(spark: SparkSession, reader: UnitReader) -> tuple[DataFrame, Observation]:
    """Rows for bronze, and what will be known of their number once they are written."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    tasks = len(reader.units)
    observed = Observation()
    # One row, one partition, one task: the row's number is the task's number.
    frame = spark.range(0, tasks, 1, tasks).mapInArrow(reader, from_arrow_schema(reader.schema))
    frame = frame.observe(observed, F.sum(_READ).alias(_READ), F.sum(_OUT).alias(_OUT))
    return frame.filter(F.col(_READ).isNull()).drop(_READ, _OUT), observed


def _tasks(units: list[Unit]) -> tuple[tuple[Unit, ...], ...]:
    count = min(len(units), _MOST_TASKS)
    return tuple(tuple(units[start::count]) for start in range(count))


def _columns(units: list[Unit]) -> tuple[str, ...]:
    """Columns of all files, by first appearance; names that differ in case only are one."""
    names: dict[str, str] = {}
    for unit in units:
        for name in unit.names:
            names.setdefault(name.lower(), name)
    return tuple(names.values())


def _known_batches(lake: Lake, name: str) -> dict[str, int]:
    """Rows of every batch that the table holds."""
    if not lake.exists(name):
        return {}
    counted = lake.read(name).groupBy(BATCH_ID).count().collect()
    return {row[BATCH_ID]: row["count"] for row in counted}


def _with_share(batch_id: str, share: float) -> str:
    return batch_id if share >= 1 else f"{batch_id}@{share:g}"


def _refuse_other_share(name: str, known: Iterable[str], share: float, root: str) -> None:
    for batch in known:
        held = float(batch.partition("@")[2] or 1)
        if f"{held:g}" != f"{share:g}":
            raise SourceError(
                f"{name} in {root} holds a sample of {held:g} of the users; the settings ask for "
                f"{share:g}. Give another lake (--lake) or the same sample."
            )


def _digest(batches: Iterable[str]) -> str:
    text = "\n".join(sorted(set(batches)))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
