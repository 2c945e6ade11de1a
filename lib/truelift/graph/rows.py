"""Rows of a table as they flow by, some at a time, and what their users are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from truelift.arrays.keys import count_nameless
from truelift.errors import DataError
from truelift.lake.foreign import ForeignTable, stored_table
from truelift.lake.scan import read_batches

#: Rows that are looked at together: memory goes with them, and not with the table.
ROWS = 1 << 16


def batches_of(
    table: ForeignTable, columns: Sequence[str], rows: int = ROWS
) -> Iterator[pa.RecordBatch]:
    """Some columns of all rows, in the order of the files, a batch of at most ``rows`` at a time.

    Raises
    ------
    TableError
        For a table that only Spark can read, or a column that cannot be used.
    """
    if table.held is not None or table.plan is None or not table.plan.direct:
        for batch in table.here(columns).to_batches(max_chunksize=rows):
            if batch.num_rows:
                yield batch
        return
    schema = table.stored(columns)
    plan = table.plan.select(columns)
    for unit in plan.units:
        for batch in read_batches(plan, unit, batch_rows=rows):
            if batch.num_rows:
                whole = stored_table(pa.Table.from_batches([batch]), schema)
                yield from whole.combine_chunks().to_batches(max_chunksize=rows)


def with_names(
    batches: Iterable[pa.RecordBatch], cluster: str | None, table: str
) -> Iterator[pa.RecordBatch]:
    """Batches as they come; at the end an error if rows had no cluster.

    Raises
    ------
    DataError
        With the number of rows whose cluster is null, NaN or blank.
    """
    nameless = 0
    for batch in batches:
        if cluster is not None:
            nameless += count_nameless(batch.column(batch.schema.get_field_index(cluster)))[0]
        yield batch
    refuse_nameless(nameless, cluster, table)


def refuse_nameless(nameless: int, cluster: str | None, table: str) -> None:
    """An error for rows without a cluster.

    Raises
    ------
    DataError
        If there are some.
    """
    if nameless:
        raise DataError(
            f"{table}, column {cluster!r} (--cluster): {nameless:,} rows are null, NaN or blank; together they "
            "would count as one user. Fill them in, or leave these rows out."
        )
