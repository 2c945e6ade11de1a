"""``truelift forget_user``: a person leaves every table, and a scan of the files proves it.

Rows are deleted table by table, each in one commit; then files that only older versions need
are deleted, so that no version holds the person; then every data file that is left is read
and searched. Raw files outside of the lake and MLflow's artifacts are not touched: what was
trained on versions that held the person is listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from truelift.errors import DataError, InvariantError
from truelift.lake.log import filesystem_of
from truelift.lake.maintenance import vacuum
from truelift.lake.tables import TABLES
from truelift.logs.accounts import Tally, tally_of
from truelift.logs.pseudonyms import UserKeys
from truelift.logs.results import CleanResult
from truelift.logs.sources.columns import CORRUPT
from truelift.logs.sources.mapping import user_column
from truelift.logs.sources.unit import STREAMS
from truelift.typed import from_plain, to_plain

if TYPE_CHECKING:
    from truelift.job import Job

_ITEMS = ("item_id", "item_key", "entry_item", "exit_item")
_NO_ROWS = {"none": [-1]}


@dataclass(frozen=True)
class Forgotten:
    """What was done to forget a person.

    Parameters
    ----------
    user_key : str
        The key under which the tables knew the person.
    aliases : int
        Keys of the source that were the person's.
    rows : dict of str to int
        Rows deleted, by table.
    files_deleted : int
        Data files deleted, of all tables.
    files_scanned : int
        Data files that are left, each of them searched.
    models : tuple of str
        Registered models trained on versions that held the person.
    """

    user_key: str
    aliases: int
    rows: dict[str, int]
    files_deleted: int
    files_scanned: int
    models: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [f"forgotten: {sum(self.rows.values()):,} rows of user_key {self.user_key}"]
        lines += [f"  {name:<22}{rows:>10,} rows" for name, rows in self.rows.items() if rows]
        lines.append(
            f"{self.files_deleted:,} files deleted; {self.files_scanned:,} data files are left, "
            "and none of them holds the person"
        )
        if self.models:
            lines.append("trained on versions that held the person (train again, then delete):")
            lines += [f"  {model}" for model in self.models]
        return "\n".join(lines)


def forget_user(job: Job, user: str) -> Forgotten:
    """Remove a person from every table of the lake; no other job may be running.

    Parameters
    ----------
    job : Job
    user : str
        The person as the source names them (any of their aliases).

    Raises
    ------
    DataError
        If no table knows the person.
    InvariantError
        If a file that is left still holds the person.
    """
    key, names = _person(job, user)
    before = {name: job.lake.version(name) for name in TABLES}
    rows: dict[str, int] = {}
    tallies = {
        name: _tally(job, name, _condition(name, key, names))
        for name in ("silver.events", "silver.quarantine")
    }
    for name, condition in _conditions(job, key, names):
        job.progress.update(f"deleting from {name}")
        rows[name] = _delete(job, name, condition)
    if not sum(rows.values()):
        raise DataError(f"No table of {job.lake.root} knows the user {user!r}.")
    _settle(job, tallies)
    deleted = 0
    for name in TABLES:
        if job.lake.version(name) is not None:
            job.progress.update(f"purging {name}")
            deleted += vacuum(job.lake, name, 0.0)
    scanned = _prove(job, {key, *names})
    models = models_trained_on(job, before, rows)
    return Forgotten(key, len(names), rows, deleted, scanned, models)


def _person(job: Job, user: str) -> tuple[str, set[str]]:
    """The person's ``user_key``, and all that the source calls them."""
    keys = UserKeys.of_job(job)
    spark = job.lake.spark
    names = {user}
    if keys.identities is not None:
        own = keys.identities.filter(keys.identities["alias"] == user).first()
        person = own["person"] if own else user
        found = keys.identities.filter(keys.identities["person"] == person).collect()
        names |= {person, *(row["alias"] for row in found)}
    frame = spark.createDataFrame([(user,)], "name string")
    row = keys.joined(frame, "name").select("user_key").first()
    assert row is not None
    return str(row["user_key"]), names


def _conditions(job: Job, key: str, names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Table by table, which rows are the person's."""
    listed = ", ".join(_literal(name) for name in sorted(names))
    source = job.settings.source
    for stream in STREAMS:
        name = f"bronze.{stream}"
        if job.lake.version(name) is None:
            continue
        columns = job.lake.read(name).columns
        wanted = [user_column(source, stream)]
        if stream == "identities":
            mapped = source.identities.columns if source.identities else {}
            wanted = [mapped.get("alias", "alias"), mapped.get("person", "person")]
        terms = [f"trim(`{column}`) IN ({listed})" for column in wanted if column in columns]
        if CORRUPT in columns:
            terms.append(_mentioned(f"`{CORRUPT}`", names))
        if terms:
            yield name, " OR ".join(terms)
    for name, spec in TABLES.items():
        if "user_key" in spec.columns and job.lake.version(name) is not None:
            yield name, _condition(name, key, names)


def _condition(name: str, key: str, names: Iterable[str]) -> str:
    """The person's rows of a table with user keys; torn records only mention them."""
    own = f"user_key = {_literal(key)}"
    if name != "silver.quarantine":
        return own
    return f"{own} OR {_mentioned(f'raw[{_literal(CORRUPT)}]', names)}"


def _mentioned(text: str, names: Iterable[str]) -> str:
    """Whether one of the names stands in a text, as a word of its own."""
    words = "|".join(re.escape(name) for name in sorted(names))
    pattern = f"(^|[^A-Za-z0-9_])({words})([^A-Za-z0-9_]|$)"
    return f"coalesce(regexp_like({text}, {_literal(pattern)}), false)"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _delete(job: Job, name: str, condition: str) -> int:
    uri = job.lake.uri(name)
    found = job.lake.read(name).filter(condition).count()
    if found:
        job.lake.spark.sql(f"DELETE FROM delta.`{uri}` WHERE {condition}").collect()
    return found


def _tally(job: Job, name: str, condition: str) -> Tally:
    """The person's rows in silver or quarantine, by what became of them."""
    if job.lake.version(name) is None:
        return Tally(0, 0, 0, {}, {})
    kept = name == "silver.events"
    table = job.lake.read(name).filter(condition)
    groups = table.groupBy("labels" if kept else "reasons").count().collect()
    return tally_of(([], r[0], r[1]) if kept else (r[0], [], r[1]) for r in groups)


def _settle(job: Job, tallies: dict[str, Tally]) -> None:
    """Bring the state that cleaning goes on from into line with the rows that are left."""
    state = job.lake.state("silver.events")
    if state.version < 0:
        return
    result = from_plain(CleanResult, state.notes["result"])
    left = Tally.of_result(result)
    for tally in tallies.values():
        left = left.plus(tally, -1)
    bronze = job.lake.plan("bronze.events").rows
    settled = {
        **to_plain(result),
        "bronze": bronze,
        **{k: to_plain(v) for k, v in vars(left).items()},
    }
    notes = {
        **state.notes,
        "result": settled,
        "bronze": job.lake.version("bronze.events"),
        "quarantine": job.lake.version("silver.quarantine"),
    }
    nothing = job.lake.read("silver.events").limit(0)
    job.replace_slices("silver.events", nothing, state, notes, _NO_ROWS)


def _prove(job: Job, names: set[str]) -> int:
    """Search every data file below the lake, live or not; how many there are."""
    filesystem, root = filesystem_of(job.lake.root)
    everything = filesystem.get_file_info(pafs.FileSelector(root, recursive=True))
    files = [
        f.path for f in everything if f.type == pafs.FileType.File and f.path.endswith(".parquet")
    ]
    data = [path for path in files if "/_delta_log/" not in path]
    for path in data:
        for batch in pq.ParquetFile(path, filesystem=filesystem).iter_batches(65536):
            if found := _column_with(batch, names):
                raise InvariantError(f"{path}: the column {found!r} still holds the person.")
    return len(data)


def _column_with(batch: pa.RecordBatch, names: set[str]) -> str | None:
    wanted = pa.array(sorted(names), pa.string())
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in _ITEMS:  # an item may happen to have the same name
            continue
        for texts in _texts(column):
            if pc.any(pc.is_in(texts.cast(pa.string()), value_set=wanted)).as_py():
                return name
    return None


def _texts(column: pa.Array) -> Iterable[pa.Array]:
    """The texts in a column, in lists and maps too."""
    kind = column.type
    if pa.types.is_map(kind):
        yield from _texts(column.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _texts(column.flatten())
    elif pa.types.is_dictionary(kind):
        yield from _texts(column.dictionary_decode())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield column


def models_trained_on(
    job: Job, before: dict[str, int | None], rows: dict[str, int]
) -> tuple[str, ...]:
    """Registered models whose run read a version of a table that held the person."""
    import mlflow
    from mlflow.tracking import MlflowClient

    held = {name: before[name] for name, count in rows.items() if count}
    mlflow.set_tracking_uri(job.settings.tracking.uri)
    client = MlflowClient()
    found = []
    for model in client.search_registered_models():
        for version in client.search_model_versions(f"name='{model.name}'"):
            if version.run_id and _read_any(client.get_run(version.run_id), held):
                found.append(f"{model.name}, version {version.version}")
    return tuple(sorted(found))


def _read_any(run: Any, held: dict[str, int | None]) -> bool:
    """Whether a run's inputs are among the versions; the digest of an input is its version."""
    for item in run.inputs.dataset_inputs:
        newest = held.get(item.dataset.name)
        version = item.dataset.digest.removeprefix("v")
        if newest is not None and version.isdigit() and int(version) <= newest:
            return True
    return False
