"""Tasks of a barrier stage of Spark that work together: all run at once and add their sums up.

XGBoost's communicator connects them. The first task runs its tracker, so a stage that Spark tries
again gets a new one.
"""

from __future__ import annotations

import json
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from truelift.distributed.collective import Collective
from truelift.distributed.rank import failure
from truelift.errors import ConfigError, DataError, JobFailure

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PART_BYTES = 16 * 2**20
_SCHEMA = "number int, error string, part binary"
# Seconds that a task may wait for another that reads more, or from slower storage.
_PATIENCE = 3600

#: What a task does: it gets the others and its partition, and gives what the first one answers.
Work = Callable[[Collective, Iterable[pa.RecordBatch]], Any]


class BarrierTasks:
    """Tasks of a barrier stage as a :class:`~.collective.Collective`; to be made inside its context."""

    def __init__(self) -> None:
        from xgboost import collective

        self.rank = int(collective.get_rank())
        self.size = int(collective.get_world_size())

    def sum(self, values: np.ndarray, name: str = "sum") -> np.ndarray:  # noqa: ARG002
        """All-reduce; XGBoost returns the flat array."""
        return self._reduced(values, "SUM")

    def max(self, values: np.ndarray, name: str = "max") -> np.ndarray:  # noqa: ARG002
        """All-reduce of the largest."""
        return self._reduced(values, "MAX")

    def join(self, values: np.ndarray, name: str = "join") -> np.ndarray:  # noqa: ARG002
        """The sum of arrays of the whole length that are zero but for the own part."""
        lengths = np.zeros(self.size, dtype=np.int64)
        lengths[self.rank] = len(values)
        ends = np.cumsum(self.sum(lengths))
        whole = np.zeros((ends[-1], *values.shape[1:]), dtype=values.dtype)
        whole[ends[self.rank] - len(values) : ends[self.rank]] = values
        return self.sum(whole)

    def _reduced(self, values: np.ndarray, operation: str) -> np.ndarray:
        from xgboost import collective

        if not values.size:
            return values
        found = collective.allreduce(values, collective.Op[operation])
        return np.asarray(found).reshape(values.shape)


def run_barrier(frame: DataFrame, work: Work, what: str) -> Any:
    """Let the partitions of a frame work together, one task each, all at once.

    Parameters
    ----------
    frame : DataFrame
        Every partition must find a free slot.
    work : callable
        Goes to the tasks; its value (of the first task) comes back by pickle.
    what : str
        What the tasks do, for messages.

    Raises
    ------
    ConfigError, DataError
        What ``work`` raises in all tasks alike.
    JobFailure
        If the tasks end without a result.
    """
    found: Sequence[Any] = frame.mapInArrow(_Task(work), _SCHEMA, barrier=True).collect()
    for row in found:
        if row.error is not None:
            from truelift.distributed.processes import error_from

            raise error_from([json.loads(row.error)], "the tasks failed", "")
    if not found:
        raise JobFailure(f"{what} ended without a result.")
    parts = [bytes(row.part) for row in sorted(found, key=lambda row: row.number)]
    return pickle.loads(b"".join(parts))


@dataclass(frozen=True)
class _Task:
    """What each task does around its own work."""

    work: Work

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import BarrierTaskContext

        with _communicator(BarrierTaskContext.get()):
            tasks = BarrierTasks()
            try:
                data = pickle.dumps(self.work(tasks, batches))
            except (ConfigError, DataError) as error:  # every task raises the same one
                answer = [_answer(0, json.dumps(failure(tasks.rank, error)), b"")]
            else:
                answer = [
                    _answer(first // _PART_BYTES, None, data[first : first + _PART_BYTES])
                    for first in range(0, len(data), _PART_BYTES)
                ]
        if tasks.rank == 0:
            yield from answer


def _answer(number: int, error: str | None, part: bytes) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "number": pa.array([number], pa.int32()),
            "error": pa.array([error], pa.string()),
            "part": pa.array([part], pa.binary()),
        }
    )


def _communicator(context: Any) -> Any:
    """XGBoost's communicator of all tasks; ranks are the partitions' numbers."""
    from xgboost.collective import CommunicatorContext

    tasks = context.getTaskInfos()
    message = ""
    if context.partitionId() == 0:
        message = json.dumps(_start_tracker(tasks[0].address, len(tasks)))
    address = json.loads(context.allGather(message)[0])
    return CommunicatorContext(
        **address, dmlc_task_id=f"{context.partitionId():06d}", dmlc_timeout=_PATIENCE
    )


def _start_tracker(address: str, workers: int) -> dict[str, Any]:
    from xgboost.tracker import RabitTracker

    host = socket.gethostbyname(address.rsplit(":", 1)[0] if ":" in address else address)
    tracker = RabitTracker(n_workers=workers, host_ip=host, sortby="task")
    tracker.start()
    # The tracker goes when its last worker has left.
    Thread(target=tracker.wait_for, daemon=True).start()
    return dict(tracker.worker_args())
