"""A simulated panel of any number of rows as a Delta table, written a chunk at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import write_deltalake

from truelift.lake.buckets import buckets_of
from truelift.simulate.worlds.confounded import ConfoundedWorld

CHUNK_ROWS = 200_000
ROWS_PER_USER = 4


def write_panel(
    uri: str, rows: int, covariates: int, buckets: int, seed: int = 0, outcomes: int = 2
) -> float:
    """Write ``rows`` units in partitions by bucket; returns the true average effect.

    Each chunk brings users of its own, so users grow with the rows. Outcomes beyond the two of
    the simulated panel are ``y_0``, ``y_1``, ...: spend with further noise.
    """
    for chunk, start in enumerate(range(0, rows, CHUNK_ROWS)):
        units = min(CHUNK_ROWS, rows - start)
        clusters = max(units // ROWS_PER_USER, 1)
        world = ConfoundedWorld(covariates, units=units, clusters=clusters, buckets=buckets)
        table = world.draw(seed + chunk).table
        for name in ("unit_id", "user_key"):
            renamed = pc.binary_join_element_wise(pa.scalar(f"{chunk}"), table[name], "-")
            table = table.set_column(table.column_names.index(name), name, renamed)
        # Where the lake's own hash would put them, so that the table is read as it lies.
        keys = table["user_key"].combine_chunks().dictionary_encode()
        place = np.array(buckets_of(keys.dictionary, buckets), np.int32)[keys.indices.to_numpy()]
        table = table.set_column(table.column_names.index("bucket"), "bucket", pa.array(place))
        rng = np.random.default_rng(seed + chunk)
        for j in range(outcomes - 2):
            more = table["y_spend"].to_numpy() + rng.normal(size=units)
            table = table.append_column(f"y_{j}", pa.array(more))
        write_deltalake(uri, table, mode="append", partition_by=["bucket"])
    return ConfoundedWorld(covariates).truth("ATE")
