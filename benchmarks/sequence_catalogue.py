"""A vocabulary of a million items in bounded memory: SASRec with sampled softmax.

Histories are simulated (popularity by Zipf's law, 200 events). Three tables of items x 64 floats
have to be held: the embedding and Adam's two moments; a step may touch only rows in use. The
bound is what the process has before the model, plus these three tables, plus 256 MiB for all
else; above it the script fails. Beside it, in a process of its own, the same model with dense gradients, as Keras'
Adam takes them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from measuring import publish

UNITS, LENGTH, WINDOWS, NEGATIVES = 64, 200, 8, 1024
ACTIVATIONS = 256 * 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--dense-steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contestant", choices=("rows", "dense"), help=argparse.SUPPRESS)
    parser.add_argument("--out", default="benchmarks/results/sequence_catalogue.json")
    options = parser.parse_args()
    if options.contestant:
        steps = options.steps if options.contestant == "rows" else options.dense_steps
        print(json.dumps(contest(options.contestant, options.items, steps, options.threads)))
        return
    figures = {}
    for contestant in ("rows", "dense"):
        command = [sys.executable, __file__, *sys.argv[1:], "--contestant", contestant]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        figures[contestant] = json.loads(done.stdout.splitlines()[-1])
    rows, dense = figures["rows"], figures["dense"]
    ratios = {
        "steps a second, rows to dense": round(rows["steps_a_second"] / dense["steps_a_second"], 2),
        "memory over the start, rows to dense": round(
            (rows["peak_mib"] - rows["start_mib"]) / (dense["peak_mib"] - dense["start_mib"]), 2
        ),
    }
    publish("sequence_catalogue", options.items, figures, ratios, options.out)
    if rows["peak_mib"] > rows["bound_mib"]:
        sys.exit(f"Peak memory {rows['peak_mib']} MiB, expected at most {rows['bound_mib']} MiB.")


def contest(contestant: str, items: int, steps: int, threads: int) -> dict[str, float]:
    """Train for some steps and tell memory (MiB) and speed."""
    from truelift.models.runtime import start_tensorflow

    start_tensorflow(threads)
    import horovod.tensorflow as hvd
    import keras

    from truelift.models.sequence.event_options import SASRecOptions
    from truelift.models.sequence.sasrec import SASRec

    hvd.init()
    start = peak_memory()
    keras.utils.set_random_seed(1)
    model = SASRec(
        SASRecOptions(
            items, UNITS, max_length=LENGTH, loss="sampled_softmax", negatives=NEGATIVES,
            popularity_power=0.5, sparse=contestant == "rows",
        )
    )  # fmt: skip
    model.build()
    batches = simulated(items)
    model.start_from_popularity(1e9 / (np.arange(items + 1) + 10.0))
    step = trainer(model)
    losses = [step(next(batches)) for _ in range(2)]
    begun = time.perf_counter()
    losses += [step(next(batches)) for _ in range(steps)]
    seconds = time.perf_counter() - begun
    bound = start + 3 * 4 * (items + 1) * UNITS + ACTIVATIONS
    tenth = max(len(losses) // 10, 1)
    return {
        "steps_a_second": round(steps / seconds, 2),
        "start_mib": round(start / 2**20),
        "peak_mib": round(peak_memory() / 2**20),
        "bound_mib": round(bound / 2**20),
        "first_loss": round(float(np.mean(losses[:tenth])), 3),
        "last_loss": round(float(np.mean(losses[-tenth:])), 3),
    }


def trainer(model: Any) -> Callable[[Any], float]:
    """One step: rows where the model gives rows, Keras' Adam for the rest."""
    import keras
    import tensorflow as tf

    from truelift.training.sparse_rows import RowAdam, sum_rows

    rows = model.sparse_variables
    dense = [v for v in model.trainable_variables if all(v is not r for r in rows)]
    adam = keras.optimizers.Adam(0.002)
    adam.build(dense)
    row_adam = RowAdam(rows, lambda _: 0.002)

    @tf.function(input_signature=list(model.training_signature()))
    def step(*inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            loss, weight = model.loss(*inputs)
            loss = loss / tf.maximum(weight, 1.0)
        of_dense, of_rows = tape.gradient(loss, (dense, rows))
        adam.apply([tf.convert_to_tensor(g) for g in of_dense], dense)
        if rows:
            row_adam.apply([sum_rows(g) for g in of_rows])
        return loss

    return lambda batch: float(step(*model.training_inputs(batch)))


def simulated(items: int) -> Iterator[Any]:
    """Batches of full windows; the next item is a neighbour of the last one half of the time."""
    from truelift.models.sequence.batches import Batch

    draw = np.random.default_rng(0)
    size = WINDOWS * (LENGTH + 1)
    rows = np.repeat(np.arange(WINDOWS, dtype=np.int32), LENGTH + 1)
    slots = np.tile(np.arange(LENGTH + 1, dtype=np.int32), WINDOWS)
    times = slots.astype(np.int64) * 60_000_000
    while True:
        drawn = (items * draw.random(size) ** 3).astype(np.int32)
        stays = draw.random(size) < 0.5
        for i in range(1, size):
            if stays[i]:
                drawn[i] = (drawn[i - 1] + 1) % items
        yield Batch(rows, slots, drawn + 1, WINDOWS, LENGTH, WINDOWS, times)


def peak_memory() -> int:
    """Most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
