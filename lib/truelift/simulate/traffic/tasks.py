"""What a task does: draw its blocks and write its files, without Spark."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

import pyarrow as pa

from truelift.files.places import filesystem_of
from truelift.simulate.traffic.block import traffic_block
from truelift.simulate.traffic.parts import PartWriter, by_day
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.world import BLOCK_ROWS

_BLOCKS_AT_ONCE = 5


def blocks_a_task(rows_per_task: int) -> int:
    """How many blocks a task of so many rows draws."""
    return max(1, rows_per_task // BLOCK_ROWS)


def blocks_of_tasks(
    plan: TrafficPlan, rows_per_task: int, batches: Iterable[pa.RecordBatch]
) -> Iterator[range]:
    """The blocks of each task whose number is in the batches."""
    size = blocks_a_task(rows_per_task)
    for batch in batches:
        for task in batch.column(0).to_pylist():
            yield range(task * size, min((task + 1) * size, plan.blocks))


def write_parts(
    plan: TrafficPlan, blocks: range, root: str, form: str, files_by: str, rows_per_task: int
) -> list[dict[str, object]]:
    """Write the files of some blocks, 100,000 rows at a time; the record of each file."""
    system, path = filesystem_of(root)
    name = f"part-{blocks.start // blocks_a_task(rows_per_task):05d}"
    attempt = uuid.uuid4().hex
    writers: dict[str, PartWriter] = {}
    try:
        for first in range(blocks.start, blocks.stop, _BLOCKS_AT_ONCE):
            some = range(first, min(first + _BLOCKS_AT_ONCE, blocks.stop))
            table = pa.concat_tables([traffic_block(plan, block) for block in some])
            for day, rows in by_day(table) if files_by == "day" else [("", table)]:
                part = f"{day}/{name}" if day else name
                if part not in writers:
                    writers[part] = PartWriter(system, path, part, form, attempt)
                writers[part].append(rows)
        return [writer.close() for writer in writers.values()]
    except BaseException:
        for writer in writers.values():
            writer.abandon()
        raise
