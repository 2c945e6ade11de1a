"""The runner of the steps, which skips what has not changed."""

from __future__ import annotations

import datetime
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from truelift import errors
from truelift.errors import TrueliftError
from truelift.faults import fault_of
from truelift.job import Job
from truelift.lake import Lake
from truelift.progress import Progress, spark_progress
from truelift.run_notes import pipeline_note, step_note
from truelift.settings import Settings
from truelift.step_graph import STEPS as STEPS
from truelift.step_graph import Step as Step
from truelift.step_graph import chosen_steps
from truelift.step_graph import step_named as step_named
from truelift.step_identity import StepIdentity, identity_of, lost
from truelift.step_identity import pin_inputs as pin_inputs
from truelift.steps import StepRecord, StepStore, code_version
from truelift.tracking import JobRun, job_run


@dataclass(frozen=True)
class StepOutcome:
    """How one step of a pipeline run went."""

    record: StepRecord
    skipped: bool


def run_pipeline(
    settings: Settings,
    lake: Lake | None = None,
    start: str | None = None,
    only: str | None = None,
    announce: Callable[[StepOutcome], None] = lambda outcome: None,
) -> list[StepOutcome]:
    """Run the steps in order, skipping those whose inputs and settings did not change.

    Parameters
    ----------
    settings : Settings
    lake : Lake, optional
        One that is open already (notebooks, tests).
    start : str, optional
        Run from this step on, whether it changed or not.
    only : str, optional
        Run this step alone, whether it changed or not.
    announce : callable
        Called with each outcome as it comes.

    Returns
    -------
    list of StepOutcome
    """
    chosen, forced = chosen_steps(start, only)
    lake = lake or Lake.open(settings)
    outcomes: list[StepOutcome] = []
    with ExitStack() as stack:
        parent = _PipelineRun(settings, stack)
        for step in chosen:
            outcome = _run_or_skip(step, settings, lake, step.name in forced, parent)
            outcomes.append(outcome)
            announce(outcome)
        parent.describe(outcomes)
    return outcomes


def run_step(name: str, settings: Settings, lake: Lake | None = None) -> StepOutcome:
    """Run one job by itself, in an MLflow run of its own."""
    lake = lake or Lake.open(settings)
    return _run_or_skip(step_named(name), settings, lake, True, None)


def run_steps_before(name: str, settings: Settings, lake: Lake) -> Iterator[StepOutcome]:
    """Run the steps that a step waits for, those that have changed, in order."""
    wanted, reads = [], set(step_named(name).reads)
    for step in reversed(STEPS[: STEPS.index(step_named(name))]):
        if reads & {*step.writes, *(f"{table}?" for table in step.writes)}:
            wanted.append(step)
            reads |= set(step.reads)
    for step in reversed(wanted):
        yield _run_or_skip(step, settings, lake, False, None)


class _PipelineRun:
    """The parent run, opened only when a step really runs; the stack closes it, failed or not."""

    def __init__(self, settings: Settings, stack: ExitStack):
        self._settings = settings
        self._stack = stack
        self._run: JobRun | None = None

    @property
    def run_id(self) -> str:
        if self._run is None:
            tags = {"truelift.code_version": code_version()}
            about = step_note("all steps in order", self._settings)
            opened = job_run(self._settings, "pipeline", tags, about=about)
            self._run = self._stack.enter_context(opened)
        return str(self._run.run_id)

    def describe(self, outcomes: list[StepOutcome]) -> None:
        if self._run is None:
            return
        steps = [(o.record.step, o.skipped, o.record.headline) for o in outcomes]
        self._run.describe(pipeline_note(self._settings, steps))
        # The steps' figures are in their own runs, once.
        self._run.log_metrics(
            {f"{o.record.step}.seconds": o.record.seconds for o in outcomes if not o.skipped}
        )


def _run_or_skip(
    step: Step, settings: Settings, lake: Lake, force: bool, parent: _PipelineRun | None
) -> StepOutcome:
    store = StepStore(lake.root)
    identity = identity_of(step, settings, lake, store)
    last = store.read(step.name, step.panel(settings))
    if not force and last and last.fingerprint == identity.fingerprint and not lost(last, lake):
        return StepOutcome(last, skipped=True)
    record = _execute(step, settings, lake, identity, store, parent)
    store.write(record)
    return StepOutcome(record, skipped=False)


def _execute(
    step: Step,
    settings: Settings,
    lake: Lake,
    identity: StepIdentity,
    store: StepStore,
    parent: _PipelineRun | None,
) -> StepRecord:
    began = time.monotonic()
    progress = Progress(step.name)
    workdir = Path(tempfile.mkdtemp(prefix=f"truelift-{step.name}-"))
    inputs, fingerprint = identity.inputs, identity.fingerprint
    tags = {"truelift.fingerprint": fingerprint, "truelift.code_version": code_version()}
    try:
        above = parent.run_id if parent else None
        about = step_note(step.summary, settings)
        with job_run(settings, step.name, tags, above, step.sections, about) as run:
            for name, version in inputs.items():
                run.log_table(name, lake.uri(name), version, "input")
            job = Job(
                step.name, settings, lake, inputs, fingerprint, run, workdir, progress, store,
                identity.foreign, {name: step_named(name).panel(settings) for name in step.after},
            )  # fmt: skip
            if step.needs_spark:
                with spark_progress(lake.spark, progress):
                    report = step.run(job)
            else:
                report = step.run(job)
            job.require_commits()
            for name, version in job.outputs.items():
                run.log_table(name, lake.uri(name), version, "output")
            seconds = time.monotonic() - began
            run.log_headline(report.headline)
            run.log_metrics(
                {"rows_in": report.rows_in, "rows_out": report.rows_out, "seconds": seconds}
            )
            run.describe(step_note(step.summary, settings, report.headline))
    except TrueliftError:
        raise
    except Exception as error:
        raise (worker_error(error) or fault_of(error) or error) from error
    finally:
        progress.close()
        shutil.rmtree(workdir, ignore_errors=True)
    return StepRecord(
        step=step.name,
        fingerprint=fingerprint,
        inputs=dict(inputs),
        outputs=job.outputs,
        files=tuple(job.files),
        rows_in=report.rows_in,
        rows_out=report.rows_out,
        seconds=round(seconds, 3),
        headline=dict(report.headline),
        notes=(*report.notes, *job.said),
        results=job.results,
        run_id=run.run_id,
        code_version=code_version(),
        finished=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        identity=identity.recorded(),
        panel=step.panel(settings),
    )


def worker_error(error: Exception) -> TrueliftError | None:
    """The truelift error that a Spark worker raised, dug out of Spark's own message."""
    found = re.findall(r"^truelift\.errors\.(\w+): (.*)$", str(error), flags=re.MULTILINE)
    if not found:
        return None
    cls = getattr(errors, found[-1][0], TrueliftError)
    return cls(found[-1][1])
