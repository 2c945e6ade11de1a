"""Histories a second in training SASRec, beside RecTools, on equal data, dimensions and threads.

The data are simulated with the size and lengths of MovieLens-1M: nothing is to be learned, and
the time does not depend on it. A history is a user: the rate is users over the seconds of a pass,
after start-up, reading and compilation. RecTools trains on the latest 200 events of a user and
pads all to 200. Ours trains on the same events, and once more on all events, as it does by
default: long histories in several windows. Both have two blocks, one head, width 64, dropout 0.2
and full softmax; RecTools keeps its batch of 128.

With ``--xla`` the recipes of SASRec and the GRU are trained with XLA and without, and no peer is
asked; ratios are histories a second, with XLA divided by without.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import publish
from peers import ask, peer_environment
from sequence_accuracy import HERE, RECTOOLS
from sequence_data import Interactions, simulated, write_interactions
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
    parser.add_argument("--xla", action="store_true", help="with XLA beside without, no peers")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    name = "sequence_xla" if arguments.xla else "sequence_training"
    arguments.out = arguments.out or f"benchmarks/results/{name}.json"
    data = simulated(arguments.users, arguments.items)
    events = int(data.lengths.sum())
    print(f"{data.users:,} users, {len(data.item_keys):,} items, {events:,} events, "
          f"mean {data.lengths.mean():.0f}, median {np.median(data.lengths):.0f}")  # fmt: skip

    if arguments.xla:
        publish(name, data.users, *with_and_without_xla(data, arguments.threads), arguments.out)
        return
    processes = arguments.processes or arguments.threads
    options = recipe(
        "sasrec", epochs=2, patience=2, max_length=LENGTH, units=64, layers=2, heads=1,
        relative_time=False,
        processes=processes, threads_per_process=max(arguments.threads // processes, 1),
    )  # fmt: skip
    # What RecTools sees of a user: 200 inputs, each with the next event as its target.
    contestants = {
        "truelift sasrec": data.latest(LENGTH + 1),
        "truelift sasrec, all events": data,
    }
    figures: dict[str, dict[str, Any]] = {}
    for label, seen_data in contestants.items():
        last = train(seen_data, options, 1, label).result.epochs[-1]
        rate = data.users / last.seconds
        figures[label] = {
            "histories_a_second": round(rate, 1),
            "events_a_second": round(rate * (seen_data.lengths.mean() - 1)),
            "seconds": round(last.seconds, 1),
            "processes": processes,
            "threads": arguments.threads,
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
        theirs = found["histories_a_second"]
        ratios = {
            f"histories a second, {label} / RecTools": round(own["histories_a_second"] / theirs, 2)
            for label, own in figures.items()
            if label in contestants
        }
    publish("sequence_training", data.users, figures, ratios, arguments.out)


def with_and_without_xla(
    data: Interactions, threads: int
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Both recipes in one process: histories a second in the second epoch, after compilation."""
    figures: dict[str, dict[str, float]] = {}
    ratios = {}
    for model in ("sasrec", "gru"):
        rates = {}
        for xla in (False, True):
            options = recipe(
                model, epochs=2, patience=2, xla=xla, processes=1, threads_per_process=threads
            )
            label = f"{model} with XLA" if xla else model
            first, last = train(data, options, 1, label).result.epochs
            rates[xla] = data.users / last.seconds
            figures[label] = {
                "histories_a_second": round(rates[xla], 1),
                "seconds": round(last.seconds, 1),
                "seconds_of_the_first_epoch": round(first.seconds, 1),
                "threads": threads,
            }
        ratios[f"{model}, with XLA / without"] = round(rates[True] / rates[False], 3)
    return figures, ratios


if __name__ == "__main__":
    main()
