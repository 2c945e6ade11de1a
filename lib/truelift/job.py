"""What a job gets: settings, pinned inputs, the lake, progress and its MLflow run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from truelift.errors import TableError
from truelift.lake import Commit, Lake, ScanPlan
from truelift.lake.commit_ids import require_commit
from truelift.lake.writes import TableState
from truelift.progress import Progress
from truelift.settings import Settings
from truelift.steps import StepRecord, StepReport, StepStore
from truelift.tracking import JobRun
from truelift.typed import to_plain

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from truelift.lake.data_files import DataFileRecord
    from truelift.lake.kernels import RowKernel

__all__ = ["Job", "StepReport"]

T = TypeVar("T")


class Job:
    """One execution of one step.

    Inputs are pinned before the job starts: whatever others write meanwhile, it reads one
    version of each table. Writes carry the step's fingerprint, so a second execution with the
    same inputs and settings writes nothing.

    Attributes
    ----------
    settings : Settings
    lake : Lake
    inputs : dict of str to int
        Delta version of every table read; optional tables that do not exist are absent.
    foreign : dict of str to str
        What pins the inputs outside of these tables; see :class:`~.step_graph.Step`.
    after : dict of str to str
        Steps whose results go in, in their order, each with its panel (:meth:`~.Step.panel`).
    outputs : dict of str to int
        Delta version of every table written so far.
    files : list of str
        Files outside the lake without which the step is not done, such as the report's page.
    said : list of str
        Sentences for the step's line, besides those of its report.
    fingerprint : str
        Hash of step, code, settings and inputs.
    run : JobRun
        The MLflow run.
    workdir : Path
        Scratch directory, removed at the end.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        lake: Lake,
        inputs: Mapping[str, int],
        fingerprint: str,
        run: JobRun,
        workdir: Path,
        progress: Progress | None = None,
        store: StepStore | None = None,
        foreign: Mapping[str, str] | None = None,
        after: Mapping[str, str] | None = None,
    ):
        self.name = name
        self.settings = settings
        self.lake = lake
        self.inputs = dict(inputs)
        self.foreign = dict(foreign or {})
        self.after = dict(after or {})
        self.outputs: dict[str, int] = {}
        self.files: list[str] = []
        self.said: list[str] = []
        self.fingerprint = fingerprint
        self.run = run
        self.workdir = workdir
        self.progress = progress or Progress(name, enabled=False)
        self.results: dict[str, Any] = {}
        self._commits: list[tuple[str, Commit]] = []
        self._store = store or StepStore(lake.root)

    def has(self, name: str) -> bool:
        """Whether an optional input exists."""
        return name in self.inputs

    def read(self, name: str) -> DataFrame:
        """A pinned input as a DataFrame."""
        return self.lake.read(name, self._pinned(name))

    def plan(self, name: str, columns: Sequence[str] | None = None) -> ScanPlan:
        """A pinned input as a scan plan."""
        return self.lake.plan(name, columns, self._pinned(name))

    def replace(self, name: str, df: DataFrame) -> Commit:
        """Make a table hold exactly these rows, under the step's fingerprint."""
        commit = self.lake.replace(name, df, self.fingerprint)
        return self._made(name, commit)

    def replace_rows(self, name: str, rows: pa.Table) -> Commit:
        """Make a small table hold exactly these rows; see :meth:`~truelift.lake.Lake.replace_rows`."""
        return self._made(name, self.lake.replace_rows(name, rows, self.fingerprint))

    def replace_part(self, name: str, df: DataFrame, column: str, value: str) -> Commit:
        """Replace the rows with one value of a column; see :func:`~.lake.writes.replace_part`."""
        commit = self.lake.replace_part(name, df, self.fingerprint, column, value)
        self._made(name, commit)
        # Other parts may have been written since this one was.
        self.outputs[name] = max(commit.version, self.lake.version(name) or 0)
        return commit

    def replace_slices(
        self,
        name: str,
        df: DataFrame,
        state: TableState,
        notes: Mapping[str, Any],
        slices: Mapping[str, Sequence[int]] | None,
    ) -> Commit:
        """Replace some slices of a table, or all; see :func:`~truelift.lake.writes.replace_slices`."""
        commit = self.lake.replace_slices(name, df, self.fingerprint, state, notes, slices)
        return self._made(name, commit)

    def replace_by_kernel(
        self,
        name: str,
        kernel: RowKernel,
        plans: Mapping[str, ScanPlan],
        state: TableState,
        notes: Mapping[str, Any],
        slices: Mapping[str, Sequence[int]] | None,
    ) -> Commit:
        """Replace slices by a kernel's rows; see :meth:`~truelift.lake.Lake.replace_by_kernel`."""
        commit = self.lake.replace_by_kernel(
            name, kernel, plans, self.fingerprint, state, notes, slices
        )
        return self._made(name, commit)

    def replace_buckets(
        self, name: str, kernel: RowKernel, plans: Mapping[str, ScanPlan]
    ) -> Commit:
        """Make a table hold a kernel's rows; see :meth:`~truelift.lake.Lake.replace_buckets`."""
        return self._made(name, self.lake.replace_buckets(name, kernel, plans, self.fingerprint))

    def publish_files(
        self,
        name: str,
        files: Sequence[DataFileRecord],
        state: TableState,
        notes: Mapping[str, Any],
        slices: Mapping[str, Sequence[int]] | None,
    ) -> Commit:
        """Commit files that tasks have written; see :func:`~.bucket_writes.commit_files`."""
        commit = self.lake.publish_files(name, files, self.fingerprint, state, notes, slices)
        return self._made(name, commit)

    def append(self, name: str, df: DataFrame, batch_id: str) -> Commit:
        """Add a batch once."""
        commit = self.lake.append(name, df, batch_id)
        self._made(name, commit)
        self.outputs[name] = max(commit.version, self.lake.version(name) or 0)
        return commit

    def require_commits(self) -> None:
        """See that what this job has committed is still there; see :mod:`~.lake.commit_ids`.

        Raises
        ------
        JobFailure
            If another writer has taken a version.
        """
        for name, commit in self._commits:
            require_commit(self.lake.uri(name), name, commit.version, commit.id)

    def _made(self, name: str, commit: Commit) -> Commit:
        self.outputs[name] = commit.version
        if commit.id:
            self._commits.append((name, commit))
        return commit

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Numbers for the job's MLflow run."""
        self.run.log_metrics(metrics, step)

    def log_figure(self, name: str, figure: Any) -> None:
        """A figure for the job's MLflow run."""
        self.run.log_figure(name, figure)

    def log_artifact(self, path: str | Path, folder: str | None = None) -> None:
        """A file for the job's MLflow run."""
        self.run.log_artifact(path, folder)

    def save_result(self, result: Any) -> None:
        """Keep a result dataclass in the step's record and in the run, for the report."""
        name = type(result).__name__
        self.results[name] = to_plain(result)
        self.run.log_dict(f"results/{name}.json", self.results[name])

    def record(self, step: str) -> StepRecord | None:
        """What a step left behind when it last finished."""
        return self._store.read(step)

    def load_result(self, cls: type[T]) -> T | None:
        """The newest result of a class, of the steps that this one comes after, or of any.

        What cannot be read, as another version of truelift wrote it, is said.
        """
        records = self.records_before() if self.after else self._store.records()
        for record in sorted(records, key=lambda r: r.finished, reverse=True):
            found, said = record.read(cls)
            for sentence in said:
                self.say(sentence)
            if found is not None:
                return found
        return None

    def say(self, sentence: str) -> None:
        """A note for those who read what the step printed; said once."""
        if sentence not in self.said:
            self.said.append(sentence)

    def records_before(self) -> tuple[StepRecord, ...]:
        """What the steps that this one comes after left behind, in their order."""
        found = (self._store.read(step, panel) for step, panel in self.after.items())
        return tuple(record for record in found if record is not None)

    def _pinned(self, name: str) -> int:
        if name in self.inputs:
            return self.inputs[name]
        if name in self.outputs:
            return self.outputs[name]
        raise TableError(
            f"The job {self.name} does not read {name}; it reads "
            f"{', '.join(sorted(self.inputs)) or 'no tables'}."
        )
