"""Run by two ranks under horovodrun: what only shows with a neighbour. Exits 1 on a fault."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from truelift.models.runtime import start_tensorflow

start_tensorflow(1, own_process=True)
LOADED = sorted({"matplotlib", "sklearn"} & set(sys.modules))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from truelift.distributed.horovod_ranks import HorovodRanks  # noqa: E402
from truelift.training.divergence import weights_spread  # noqa: E402
from truelift.training.loop import mean_gradients  # noqa: E402
from truelift.training.sparse_rows import sum_rows_over_ranks  # noqa: E402


def main(folder: Path) -> None:
    ranks = HorovodRanks()
    rank = ranks.rank

    # Rank 0 has one target of gradient 1, rank 1 three of gradient 5 in sum.
    sums, counts = ([1.0, 10.0], 1.0) if rank == 0 else ([5.0, 2.0], 3.0)
    gradient = [tf.constant(sums[:1]), tf.IndexedSlices([sums[1]], [1], [2])]
    means, total = mean_gradients(gradient, tf.constant(counts), ranks)

    # Rank 1 has one row more, and both touch row 4.
    ids, values = ([4], [[1.0]]) if rank == 0 else ([9, 4], [[2.0], [3.0]])
    rows = sum_rows_over_ranks(tf.IndexedSlices(tf.constant(values), ids, [10, 1]), "table", ranks)

    variable = keras.Variable(np.arange(4.0) + 100 * rank)
    before = weights_spread([variable], ranks)
    ranks.share([variable])
    after = weights_spread([variable], ranks)
    swapped = keras.Variable(np.array([0.0, 1.0]) if rank == 0 else np.array([1.0, 0.0]))

    found = {
        "rank": rank,
        "size": ranks.size,
        "loaded": LOADED,
        "there": [import_module(name).__name__ for name in ("matplotlib", "sklearn")],
        "dense": means[0].numpy().tolist(),
        "sparse": means[1].numpy().tolist(),
        "total": float(total),
        "row_ids": rows.indices.numpy().tolist(),
        "row_sums": rows.values.numpy().ravel().tolist(),
        "spread_before": before,
        "spread_after": after,
        "spread_of_swapped": weights_spread([swapped], ranks),
        "values": variable.numpy().tolist(),
        "largest": ranks.max(np.array([10 * rank + 1, -rank]), "largest").tolist(),
        "sum": ranks.sum(np.array([1, rank]), "sum").tolist(),
        "joined": ranks.join(np.arange(1 + rank) + 10 * rank, "joined").tolist(),
        "of_first": ranks.of_first(b"first" if rank == 0 else b"another").decode(),
    }
    (folder / f"found-{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
