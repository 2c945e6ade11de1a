"""Records of commands beside the pipeline's steps, so that the report finds what they left."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, TypeVar

from truelift.steps import StepRecord, StepStore, code_version

if TYPE_CHECKING:
    from truelift.job import Job

T = TypeVar("T")


def keep_record(job: Job, panel: str, rows_in: int, rows_out: int) -> None:
    """Keep a command's results in the lake, by the command and the panel that it was for."""
    StepStore(job.lake.root).write(
        StepRecord(
            step=job.name,
            fingerprint=job.fingerprint,
            inputs=job.inputs,
            outputs=dict(job.outputs),
            rows_in=rows_in,
            rows_out=rows_out,
            seconds=0.0,
            headline={},
            results=job.results,
            run_id=job.run.run_id,
            code_version=code_version(),
            finished=datetime.datetime.now(datetime.timezone.utc).isoformat(),
            panel=panel,
        )
    )


def newest_of_tools(root: str, panel: str, cls: type[T]) -> T | None:
    """The newest result of a class that a command left for a panel; None where none did."""
    kept = [record for record in StepStore(root).records() if record.panel == panel]
    for record in sorted(kept, key=lambda r: r.finished, reverse=True):
        if (found := record.result(cls)) is not None:
            return found
    return None
