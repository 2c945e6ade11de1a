"""Histories a second in training SASRec, beside RecTools, on equal data, dimensions and threads.

The data are simulated with the size and lengths of MovieLens-1M: nothing is to be learned, and
the time does not depend on it. A history is a user: the rate is users over the seconds of a pass,
after start-up, reading and compilation. RecTools trains on the latest 200 events of a user and
pads all to 200. Ours trains on the same events, and once more on all events, as it does by
default: long histories in several windows. Both have two blocks, one head, width 64, dropout 0.2
and full softmax; RecTools keeps its batch of 128. Contestants take turns, round by round; figures are
medians, and a ratio is the median of those of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import publish
from peers import ask, peer_environment
from sequence_accuracy import HERE, RECTOOLS
from sequence_data import Interactions, simulated, write_interactions
from sequence_runs import recipe, train

LENGTH = 200
PEER = "RecTools SASRec"
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
    parser.add_argument("--repeats", type=int, default=3, help="rounds; contestants take turns")
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
    # What RecTools sees of a user: 200 inputs, each with the next event as its target.
    contestants = {
        "truelift sasrec": data.latest(LENGTH + 1),
        "truelift sasrec, all events": data,
    }
    peer = (
        rectools(data, arguments.threads, arguments.batches)
        if arguments.peers
        else contextlib.nullcontext()
    )
    rates: dict[str, list[float]] = {}
    with peer as ask_rectools:
        for done in range(arguments.repeats):
            for label, seen_data in contestants.items():
                last = train(seen_data, options, 1, label).result.epochs[-1]
                rates.setdefault(label, []).append(data.users / last.seconds)
            if ask_rectools is not None:
                found = ask_rectools()
                rates.setdefault(PEER, []).append(found["histories_a_second"])
            print(
                f"round {done + 1} of {arguments.repeats}: "
                + ", ".join(f"{label} {found[-1]:.1f}" for label, found in rates.items()),
                flush=True,
            )
    events_of = {label: seen_data.lengths.mean() - 1 for label, seen_data in contestants.items()}
    events_of[PEER] = np.minimum(data.lengths - 1, LENGTH).mean()
    figures: dict[str, dict[str, Any]] = {
        label: {
            "histories_a_second": round(statistics.median(found), 1),
            "slowest": round(min(found), 1),
            "fastest": round(max(found), 1),
            "events_a_second": round(statistics.median(found) * events_of[label]),
            "threads": arguments.threads,
        }
        for label, found in rates.items()
    }
    for label in contestants:
        figures[label]["processes"] = processes
    ratios = {}
    if arguments.peers:
        figures[PEER] |= {name: found[name] for name in ("version", "torch", "histories")}
        for label in contestants:
            key = f"histories a second, {label} / RecTools"
            rounds = np.divide(rates[label], rates[PEER])
            ratios[key] = round(float(np.median(rounds)), 2)
            figures[label]["ratio_of_rounds"] = [round(float(one), 2) for one in sorted(rounds)]
    publish("sequence_training", data.users, figures, ratios, arguments.out)


@contextlib.contextmanager
def rectools(
    data: Interactions, threads: int, batches: int
) -> Iterator[Callable[[], dict[str, Any]]]:
    """A call that trains RecTools on the data and tells its rate."""
    python = peer_environment(RECTOOLS, "rectools")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "interactions.txt")
        write_interactions(data, path)
        yield lambda: ask(
            python, str(HERE / "sequence_rectools.py"), "rate", path,
            "--length", str(LENGTH), "--threads", str(threads),
            "--batches", str(batches), "--options", json.dumps(SHAPE),
        )  # fmt: skip


if __name__ == "__main__":
    main()
