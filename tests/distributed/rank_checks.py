"""Run by two ranks under horovodrun: what only shows with a neighbour. Exits 1 on a fault."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from truelift.models.runtime import start_tensorflow

start_tensorflow(1, own_process=True)
LOADED = sorted({"matplotlib", "sklearn"} & set(sys.modules))

import horovod.tensorflow as hvd  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from truelift.training import optimizer  # noqa: E402
from truelift.training.sparse_rows import sum_rows_over_ranks  # noqa: E402


def main(folder: Path) -> None:
    hvd.init()
    rank = hvd.rank()

    # Rank 0 has one target of gradient 1, rank 1 three of gradient 5 in sum.
    sums, counts = ([1.0, 10.0], 1.0) if rank == 0 else ([5.0, 2.0], 3.0)
    gradient = [tf.constant(sums[:1]), tf.IndexedSlices([sums[1]], [1], [2])]
    means, total = optimizer.mean_gradients(gradient, tf.constant(counts))

    # Rank 1 has one row more, and both touch row 4.
    ids, values = ([4], [[1.0]]) if rank == 0 else ([9, 4], [[2.0], [3.0]])
    rows = sum_rows_over_ranks(tf.IndexedSlices(tf.constant(values), ids, [10, 1]), "table")

    variable = keras.Variable(np.arange(4.0) + 100 * rank)
    before = optimizer.weights_spread([variable])
    optimizer.broadcast([variable])
    after = optimizer.weights_spread([variable])
    swapped = keras.Variable(np.array([0.0, 1.0]) if rank == 0 else np.array([1.0, 0.0]))

    found = {
        "rank": rank,
        "size": hvd.size(),
        "loaded": LOADED,
        "there": [import_module(name).__name__ for name in ("matplotlib", "sklearn")],
        "dense": means[0].numpy().tolist(),
        "sparse": means[1].numpy().tolist(),
        "total": float(total),
        "row_ids": rows.indices.numpy().tolist(),
        "row_sums": rows.values.numpy().ravel().tolist(),
        "spread_before": before,
        "spread_after": after,
        "spread_of_swapped": optimizer.weights_spread([swapped]),
        "values": variable.numpy().tolist(),
        "largest": optimizer.largest_over_ranks(10 * rank + 1, "largest"),
        "sum": optimizer.sum_over_ranks(np.array([1, rank]), "sum").tolist(),
    }
    (folder / f"found-{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
