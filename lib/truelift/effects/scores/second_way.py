"""Clusters in a second way that cross the first: sums by second cluster, over all buckets.

The variance is ``V1 + V2 - V12`` (Cameron, Gelbach & Miller 2011), clustered by the first column, by
the second, and by pairs of both. First clusters and pairs lie in one bucket each. A second cluster
lies in many, so every bucket gives its part of each one's sums, and these are grouped once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.scores.sums import Scoring
from truelift.inference.clusters import ClusterSums

#: Parts into which second clusters are cut by their hash, whatever the number of cores.
PARTS = 64
PARTIAL_SUMS = pa.schema(
    [
        ("part", pa.int32()),
        ("key", pa.int64()),
        ("bucket", pa.int32()),
        ("sums", pa.list_(pa.float64())),
    ]
)


@dataclass(frozen=True, eq=False)
class PartialSumsKernel:
    """A bucket's part of the sums of every second cluster: rows of :data:`PARTIAL_SUMS`."""

    scoring: Scoring
    batch_rows: int

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """All rows of one bucket."""
        table = tables["panel"]
        return next(self.in_parts(bucket, iter(table.to_batches()), table.schema))

    def in_parts(
        self,
        bucket: int,
        batches: Iterator[pa.RecordBatch],
        schema: pa.Schema,  # noqa: ARG002
    ) -> Iterator[pa.Table]:
        """One table, from a stream of the bucket's rows."""
        scoring = self.scoring
        sums = ClusterSums(len(scoring.layout))
        for batch in batches:
            for start in range(0, batch.num_rows, self.batch_rows):
                rows = batch.slice(start, self.batch_rows)
                _, units = scoring.units(rows, bucket)
                sums.add_summands(scoring.second_clusters(rows), scoring.quantities(units))
        keys, by_cluster = sums.finish()
        offsets = np.arange(len(keys) + 1, dtype=np.int32) * len(by_cluster)
        yield pa.table(
            {
                "part": pa.array((keys % np.uint64(PARTS)).astype(np.int32)),
                "key": pa.array(keys.view(np.int64)),
                "bucket": pa.array(np.full(len(keys), bucket, np.int32)),
                "sums": pa.ListArray.from_arrays(pa.array(offsets), pa.array(by_cluster.T.ravel())),
            },
            schema=PARTIAL_SUMS,
        )


def crossed_sums(rows: pa.Table, quantities: int) -> dict[str, np.ndarray]:
    """``second_cross`` (S x S) and ``second_clusters`` of one part.

    Parameters
    ----------
    rows : pyarrow.Table
        All rows of :data:`PARTIAL_SUMS` of some second clusters, in any order.
    quantities : int
        S.
    """
    rows = rows.sort_by([("key", "ascending"), ("bucket", "ascending")]).combine_chunks()
    sums = ClusterSums(quantities)
    if rows.num_rows:
        values = pa.concat_arrays(rows["sums"].chunks).flatten().to_numpy(zero_copy_only=False)
        keys = rows["key"].to_numpy().view(np.uint64)
        sums.add(keys, np.ascontiguousarray(values.reshape(-1, quantities).T))
    keys, by_cluster = sums.finish()
    return {
        "second_cross": by_cluster @ by_cluster.T,
        "second_clusters": np.array([float(len(keys))]),
    }
