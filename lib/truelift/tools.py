"""A job outside of the pipeline: what commands that look at a lake, or take something out, run in."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.settings import Settings

_READS = ("bronze.events", "bronze.identities", "silver.events", "silver.quarantine")


@contextmanager
def tool_job(
    name: str,
    settings: Settings,
    *sections: str,
    summary: str = "",
    reads: tuple[str, ...] = _READS,
) -> Iterator[Job]:
    """A job outside of the pipeline, with an MLflow run of its own.

    Parameters
    ----------
    name : str
    settings : Settings
    sections : str
        Sections of the settings that it uses.
    summary : str
        What the command does, for the run's page.
    reads : tuple of str
        Tables that it reads, at the versions that they have now.
    """
    from truelift.fingerprints import fingerprint_of
    from truelift.job import Job
    from truelift.lake import Lake
    from truelift.progress import Progress
    from truelift.run_notes import step_note
    from truelift.steps import code_version
    from truelift.tracking import job_run

    lake = Lake.open(settings)
    versions = {table: lake.version(table) for table in reads}
    inputs = {table: version for table, version in versions.items() if version is not None}
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    fingerprint = fingerprint_of(tool=name, inputs=inputs, at=now)
    progress = Progress(name)
    tags = {"truelift.code_version": code_version()}
    with (
        tempfile.TemporaryDirectory(prefix=f"truelift-{name}-") as folder,
        job_run(
            settings, name, tags, sections=sections, about=step_note(summary or name, settings)
        ) as run,
    ):
        try:
            yield Job(name, settings, lake, inputs, fingerprint, run, Path(folder), progress)
        finally:
            progress.close()
