"""Histories a second in training SASRec, beside RecTools, on equal data, dimensions and threads.

The data are simulated with the size and lengths of MovieLens-1M: nothing is to be learned, and
the time does not depend on it. A history is a user: the rate is users over the seconds of a pass,
after start-up, reading and compilation. RecTools trains on the latest 200 events of a user and
pads all to 200; ours trains on every event, long histories in several windows. Both have two
blocks, one head, width 64, dropout 0.2 and full softmax; RecTools keeps its batch of 128.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from measuring import publish
from peers import ask, peer_environment
from sequence_accuracy import HERE, RECTOOLS
from sequence_data import simulated, write_interactions
from sequence_runs import recipe, train

LENGTH = 200
SHAPE = {"n_factors": 64, "n_blocks": 2, "n_heads": 1, "dropout_rate": 0.2, "loss": "softmax"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=6040)
    parser.add_argument("--items", type=int, default=3416)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--processes", type=int, help="of ours; as many as threads by default")
    parser.add_argument("--batches", type=int, default=12, help="of 128 users, for RecTools")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", default="benchmarks/results/sequence_training.json")
    arguments = parser.parse_args()
    data = simulated(arguments.users, arguments.items)
    events = int(data.lengths.sum())
    print(f"{data.users:,} users, {len(data.item_keys):,} items, {events:,} events, "
          f"mean {data.lengths.mean():.0f}, median {np.median(data.lengths):.0f}")  # fmt: skip

    processes = arguments.processes or arguments.threads
    options = recipe(
        "sasrec", epochs=2, patience=2, max_length=LENGTH, units=64, layers=2, heads=1,
        relative_time=False,
        processes=processes, threads_per_process=max(arguments.threads // processes, 1),
    )  # fmt: skip
    trained = train(data, options, 1, "truelift")
    last = trained.result.epochs[-1]
    rate = data.users / last.seconds
    figures = {
        "truelift sasrec": {
            "histories_a_second": round(rate, 1),
            "events_a_second": round(rate * data.lengths.mean()),
            "seconds": round(last.seconds, 1),
            "processes": processes,
            "threads": arguments.threads,
        }
    }
    ratios = {}
    if arguments.peers:
        python = peer_environment(RECTOOLS, "rectools")
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "interactions.txt")
            write_interactions(data, path)
            found = ask(
                python, str(HERE / "sequence_rectools.py"), "rate", path,
                "--length", str(LENGTH), "--threads", str(arguments.threads),
                "--batches", str(arguments.batches), "--options", json.dumps(SHAPE),
            )  # fmt: skip
        seen = np.minimum(data.lengths - 1, LENGTH).mean()
        figures["RecTools SASRec"] = {
            **found,
            "events_a_second": round(found["histories_a_second"] * seen),
            "threads": arguments.threads,
        }
        ratios["histories a second, ours / RecTools"] = round(rate / found["histories_a_second"], 2)
    publish("sequence_training", data.users, figures, ratios, arguments.out)


if __name__ == "__main__":
    main()
