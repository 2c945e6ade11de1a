"""Raw files to bronze: as text, with file, row and batch id, each file once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from truelift.errors import InvariantError, SourceError
from truelift.lake.arrow_table import (
    append_files,
    append_rows,
    takes_files,
    takes_rows,
)
from truelift.lake.batches import delete_batches
from truelift.lake.data_files import discard_files
from truelift.lake.kernels import parallelism
from truelift.lake.tables import table_spec
from truelift.logs.intake import Intake, KnownContent, entry, find_contents, plan_intake
from truelift.logs.manifest import (
    BronzeTable,
    IngestedFile,
    Manifest,
    files_added,
    record,
    rows_by_batch,
    with_share,
)
from truelift.logs.redelivered import Redelivered, sentences, taken_out
from truelift.logs.results import IngestResult
from truelift.logs.sources.mapping import user_column
from truelift.logs.sources.planning import no_events
from truelift.logs.sources.unit import WHOLE_STREAMS
from truelift.logs.unit_reader import (
    OUT,
    READ,
    RowsHere,
    all_columns,
    raw_rows,
    reader_of,
    write_units,
)
from truelift.steps import StepReport

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import Commit
    from truelift.settings import Settings, SourceOptions

# Raw bytes up to which a stream is read by the driver alone.
MOST_BYTES_HERE = 64 * 2**20
# Raw bytes of a task, and tasks that each core gets at least, so that an uneven one does not count.
_BYTES_A_TASK, _TASKS_A_CORE = 64 * 2**20, 2


@dataclass(frozen=True)
class StreamCounts:
    """Rows of one stream on their way into bronze."""

    files: int = 0
    read: int = 0
    written: int = 0
    sampled_out: int = 0
    known: int = 0
    replaced: int = 0


def ingest(job: Job) -> StepReport:
    """Append every raw file that bronze does not hold yet.

    A file is known by its content and its name below the source's folder, so a second run,
    or a run after a crash, adds nothing twice. Which files bronze holds is looked up in
    ``ops.ingested_files``; the cost does not grow with the rows that are there. A sample keeps
    whole users and counts what it left out.

    Raises
    ------
    SourceError
        For missing or empty files and unmapped columns, before anything is written; and for
        a lake that holds another sample.
    """
    intakes = plan_ingest(job)
    counts: dict[str, StreamCounts] = {}
    for stream, intake in intakes.items():
        job.progress.update(f"{stream} to bronze")
        counts[stream] = _take_in(job, intake)
        if intake.leaving:
            counts[stream] = replace(counts[stream], replaced=_take_out(job, intake))
    events, source = counts["events"], job.settings.source
    replaced = sum(count.replaced for count in counts.values())
    found = Redelivered(
        tuple(name for intake in intakes.values() for name in intake.redelivered.corrected),
        tuple(name for intake in intakes.values() for name in intake.redelivered.grown),
    )
    result = IngestResult(
        files=sum(c.files for c in counts.values()),
        rows_read=events.read,
        rows_written=events.written,
        rows_sampled_out=events.sampled_out,
        rows_already_known=events.known,
        streams={stream: c.known + c.written for stream, c in counts.items()},
        new_columns=_named(intakes, "new_columns"),
        missing_columns=_named(intakes, "missing_columns"),
        redelivered=found.corrected,
        rows_replaced=replaced,
        waiting=tuple(name for intake in intakes.values() for name in intake.waiting),
    )
    job.save_result(result)
    notes = (*sentences(found, source.redelivered, replaced), *_waiting(result, source))
    return StepReport(result.rows_read, result.rows_written, _headline(result), notes)


def plan_ingest(job: Job) -> dict[str, Intake]:
    """The work on every stream, the events last; nothing is written and no Spark is needed.

    A run that died on the way is taken up again by the absence of its events.
    """
    settings, manifest = job.settings, Manifest.read(job.lake)
    contents = find_contents(settings.source, manifest)
    intakes = {}
    for stream in sorted(contents, key=lambda name: name == "events"):
        bronze = BronzeTable.of(job.lake, stream)
        share = 1.0 if stream in WHOLE_STREAMS else settings.sample
        intake = plan_intake(settings, stream, contents[stream], manifest, bronze, share)
        held = intake.recorded
        _refuse_other_share(f"bronze.{stream}", held, share, job.lake.root)
        _refuse_other_interactions(settings, stream, held, contents[stream], job.lake.root)
        _check_sampled(settings, intake)
        if bronze.version >= 0 or intake.units:
            intakes[stream] = intake
    if "events" not in intakes:
        raise no_events(settings.source, found=bool(contents["events"]))
    return intakes


def raw_files(settings: Settings) -> dict[str, str]:
    """The raw files' content, by stream: what makes a finished ingest still good."""
    from truelift.lake import Lake

    contents = find_contents(settings.source, Manifest.read(Lake(settings)))
    return {
        f"the files of {stream}": _digest(c.checksum for c in found)
        for stream, found in sorted(contents.items())
    }


def _take_in(job: Job, intake: Intake) -> StreamCounts:
    """Bronze first, the manifest second; what is lost between is found by the next run."""
    name = f"bronze.{intake.stream}"
    if not intake.units:
        job.outputs[name] = intake.bronze.version
        empty = [
            entry(intake.stream, known, intake.share, intake.bronze, intake.bronze.version, 0)
            for known in intake.fresh
        ]
        _record(job, intake, [*intake.unlisted, *empty])
        return StreamCounts(known=intake.known_rows)
    commit, read, sampled_out = _append(job, intake)
    if commit.skipped:  # another run took the same files in meanwhile, and records them
        return StreamCounts(known=intake.known_rows + commit.rows)
    added = _added(job, intake, commit)
    _record(job, intake, [*intake.unlisted, *added])
    counts = StreamCounts(
        files=len({unit.uri for unit in intake.units}),
        read=read,
        written=sum(file.rows for file in added),
        sampled_out=sampled_out,
        known=intake.known_rows,
    )
    if counts.read != counts.written + counts.sampled_out:
        raise InvariantError(
            f"{name}: {counts.read} rows were read and {counts.sampled_out} sampled out, and the "
            f"files of version {commit.version} hold {counts.written}; these do not add up."
        )
    return counts


def _take_out(job: Job, intake: Intake) -> int:
    """Old contents leave bronze after the new ones are in it; how many rows went.

    A run that is killed between the two leaves both, and the next one sees that.
    """
    name = f"bronze.{intake.stream}"
    batches = {file.batch_id for file in intake.leaving}
    job.outputs[name] = delete_batches(intake.bronze.uri, batches, lambda: job.lake.spark)
    gone = taken_out(intake.leaving, intake.recorded, BronzeTable.of(job.lake, intake.stream))
    _record(job, intake, list(gone))
    return -sum(file.rows for file in gone)


def _append(job: Job, intake: Intake) -> tuple[Commit, int, int]:
    """The commit, and how many rows were read and sampled out.

    Little is read by this process, which has done so before Spark has planned a job; much is
    spread over Spark's tasks, which write data files where they run. A table that has features
    for Spark alone gets its rows through Spark's writer.
    """
    name = f"bronze.{intake.stream}"
    whole = intake.stream in WHOLE_STREAMS
    columns = {*intake.bronze.columns, *all_columns(intake.units)}
    user = None if whole else user_column(job.settings.source, intake.stream, columns)
    batch = _digest((*(unit.batch_id for unit in intake.units), *intake.again))
    uri = intake.bronze.uri
    spec, size = table_spec(name), sum(known.file.raw.size for known in intake.fresh)
    much = size > MOST_BYTES_HERE
    least = _TASKS_A_CORE * parallelism(job.lake.spark) if much else 1
    tasks = max(-(-size // _BYTES_A_TASK), least)
    reader = reader_of(intake.units, intake.bronze.columns, user, intake.share, tasks)
    if much and takes_files(uri):
        written = write_units(job.lake.spark, reader, uri)
        commit = append_files(uri, spec, reader.of_bronze, written.files, batch)
        if commit.skipped:
            discard_files(uri, written.files)
        job.outputs[name] = commit.version
        return commit, written.read, written.sampled_out
    if much or not takes_rows(uri):
        rows, observed = raw_rows(job.lake.spark, reader)
        commit = job.append(name, rows, batch)
        seen = {} if commit.skipped else observed.get
        return commit, int(seen.get(READ) or 0), int(seen.get(OUT) or 0)
    here = RowsHere(reader)
    try:
        commit = append_rows(uri, spec, here.stream(), batch)
    except Exception:
        if here.error is not None:
            raise here.error from None
        raise
    job.outputs[name] = commit.version
    return commit, here.read, here.sampled_out


def _added(job: Job, intake: Intake, commit: Commit) -> list[IngestedFile]:
    """The manifest's rows of an append, with the rows that the commit's own files hold."""
    bronze = BronzeTable.of(job.lake, intake.stream)
    found = files_added(intake.stream, bronze, commit.version, commit.version - 1)
    rows = rows_by_batch(found)
    return [_row(intake, known, bronze, commit.version, rows) for known in intake.fresh]


def _row(
    intake: Intake, known: KnownContent, bronze: BronzeTable, version: int, rows: dict[str, int]
) -> IngestedFile:
    count = rows.get(with_share(known.checksum, intake.share), 0)
    return entry(intake.stream, known, intake.share, bronze, version, count)


def _record(job: Job, intake: Intake, files: list[IngestedFile]) -> None:
    parts = [
        f"{f.table_id}:{f.batch_id}:{f.path}:{f.size}:{f.modified}:{f.table_version}:{f.rows < 0}"
        for f in files
    ]
    record(job.lake, files, _digest([intake.stream, *parts]))


def _check_sampled(settings: Settings, intake: Intake) -> None:
    """Refuse to sample a stream whose files name no user.

    Raises
    ------
    SourceError
    """
    columns = all_columns(intake.units)
    column = user_column(settings.source, intake.stream, columns)
    named = column in columns
    if intake.share < 1 and intake.units and not named:
        raise SourceError(
            f"A sample of users is asked for (sample={settings.sample:g}), and the "
            f"{intake.stream} have no column {column!r}. Add 'user: YOUR_COLUMN' under "
            f"source.{intake.stream}.columns."
        )


def _refuse_other_share(name: str, held: Iterable[IngestedFile], share: float, root: str) -> None:
    for file in held:
        if f"{file.sample_share:g}" != f"{share:g}":
            raise SourceError(
                f"{name} in {root} holds a sample of {file.sample_share:g} of the users; the "
                f"settings ask for {share:g}. Give another lake (--lake) or the same sample."
            )


def _refuse_other_interactions(
    settings: Settings,
    stream: str,
    held: Iterable[IngestedFile],
    contents: Iterable[KnownContent],
    root: str,
) -> None:
    """A file of interactions is a data set: another one, or its correction, is another lake's."""
    if settings.source.format != "interactions" or stream != "events":
        return
    present = {content.checksum for content in contents}
    other = next((file for file in held if file.rows and file.checksum not in present), None)
    if other is not None:
        raise SourceError(
            f"{root} holds the interactions of another file, or of another content: {other.path}. "
            f"They would be mixed with those of {settings.source.path}. Leave --lake out, and each "
            "file has a lake of its own, or give another one."
        )


def _named(intakes: dict[str, Intake], field: str) -> tuple[str, ...]:
    return tuple(f"{s}.{column}" for s, i in intakes.items() for column in getattr(i, field))


def _headline(result: IngestResult) -> dict[str, float | str | int]:
    counts = {"files": result.files}
    for name in ("rows_sampled_out", "rows_already_known", "rows_replaced"):
        if value := getattr(result, name):
            counts[name] = value
    columns = {
        name: ", ".join(found)
        for name in ("new_columns", "missing_columns", "redelivered", "waiting")
        if (found := getattr(result, name))
    }
    return {**counts, **columns}


def _waiting(result: IngestResult, source: SourceOptions) -> tuple[str, ...]:
    """What the user is told of last lines that wait."""
    if not result.waiting:
        return ()
    return (
        f"{result.waiting[0]} ends without a line end ({len(result.waiting)} files do), and was "
        f"written within {source.settle_seconds:g} seconds: its last line waits for the rest. It is "
        "taken once the file has been at rest for so long (source.settle_seconds).",
    )


def _digest(batches: Iterable[str]) -> str:
    text = "\n".join(sorted(set(batches)))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
