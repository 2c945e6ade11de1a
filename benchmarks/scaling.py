"""Steps a second and bytes reduced in training SASRec by one process and by several.

The global batch is the same for any number of processes, so a step learns the same and only its
time differs. Bytes and the time of collectives are from Horovod's own timeline (the tensors of
every gradient's allreduce, by type and shape); the bytes are checked against the model's number of
parameters. Timelines come from runs of their own, for the thread that writes one keeps a core busy
(and so lengthens the reductions that it tells of). The rate is that of the second epoch: the first
one compiles. Data are simulated with the lengths of MovieLens-1M.

"Without Horovod" are as many runs side by side that know nothing of each other, each with its part
of the batch: what the machine itself gives to so many processes. Cores that are two threads of one
give less than twice as much.

    python benchmarks/scaling.py [--users 1500] [--processes 2] [--out FILE]

Last line: one JSON object; ratios are steps a second over those of one process with one thread.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import publish
from sequence_data import simulated
from sequence_runs import recipe, replaced, train

SIZES = {"float16": 2, "float32": 4}


@dataclass(frozen=True)
class Reduced:
    """What Horovod's timeline says of the gradients' reductions.

    Parameters
    ----------
    tensors, bytes : int
        Reductions, and the size of what went in at one rank.
    seconds : float
        Time in which at least one of them was under way, negotiation included.
    """

    tensors: int
    bytes: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--items", type=int, default=3416)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", default="benchmarks/results/scaling.json")
    arguments = parser.parse_args()
    data = simulated(arguments.users, arguments.items)
    many = arguments.processes
    contestants: dict[str, dict[str, Any]] = {
        "1 process": {"processes": 1},
        f"1 process, {many} threads": {"processes": 1, "threads_per_process": many},
        f"{many} processes": {"processes": many},
    }
    figures = {name: measure(data, name, how) for name, how in contestants.items()}
    for name, how in contestants.items():
        check_bytes(figures[name], how)
    figures[f"{many} processes without Horovod"] = apart(data, many)
    alone = figures["1 process"]["steps_a_second"]
    ratios = {
        name: round(found["steps_a_second"] / alone, 3)
        for name, found in figures.items()
        if name != "1 process"
    }
    publish("scaling", data.users, figures, ratios, arguments.out)


def measure(data: Any, name: str, how: dict[str, Any]) -> dict[str, Any]:
    """One contestant's training."""
    options = recipe(
        "sasrec", epochs=2, patience=2, relative_time=False, **{"threads_per_process": 1, **how}
    )
    last = train(data, options, 1, name).result.epochs[-1]
    with tempfile.TemporaryDirectory(prefix="truelift-benchmark-") as folder:
        timeline = Path(folder) / "timeline.json"
        os.environ["HOROVOD_TIMELINE"] = str(timeline)
        try:
            result = train(data, replaced(options, epochs=1), 1, f"{name}, timeline").result
        finally:
            del os.environ["HOROVOD_TIMELINE"]
        reduced = read_timeline(timeline.read_text())
    steps = result.steps_per_epoch * len(result.epochs)
    spent = sum(epoch.seconds for epoch in result.epochs)
    return {
        "steps_a_second": round(result.steps_per_epoch / last.seconds, 2),
        "sequences_a_second": round(last.sequences_per_second, 1),
        "bytes_reduced_a_step": round(reduced.bytes / steps),
        "tensors_a_step": round(reduced.tensors / steps, 2),
        "reducing_share": round(reduced.seconds / spent, 3),
        "input_wait_share": round(last.input_wait_share, 4),
        "parameters": result.parameters,
    }


def apart(data: Any, many: int) -> dict[str, Any]:
    """Runs of one process each, at once, each with its part of the batch: steps of all of them."""
    options = recipe("sasrec", epochs=2, patience=2, relative_time=False, threads_per_process=1,
                     processes=1)  # fmt: skip
    part = replaced(options, batch_size=options.training.batch_size // many)
    with ThreadPoolExecutor(many) as pool:
        runs = [pool.submit(train, data, part, 1, f"apart {n}") for n in range(many)]
        results = [run.result().result for run in runs]
    rates = [found.steps_per_epoch / found.epochs[-1].seconds for found in results]
    return {"steps_a_second": round(sum(rates) / many, 2)}


def read_timeline(text: str) -> Reduced:
    """Sum up the reductions of gradients: of 16 and 32 bits, where counts have 64.

    A tensor's first two events, negotiation and reduction, each end with an ``E``; the one of the
    reduction has type and shape.
    """
    count = size = 0
    stretches: list[tuple[int, int]] = []
    begun: dict[int, list[tuple[str, int]]] = {}
    since: dict[int, int] = {}
    for event in re.findall(r'\{"(?:ph|name)".*?\}(?=[,\n\]]|$)', text):
        try:
            found = json.loads(event)
        except ValueError:
            continue  # the last line may be cut short
        tensor, kind = found.get("pid"), found.get("ph")
        if kind == "B":
            begun.setdefault(tensor, []).append((found["name"], found["ts"]))
            since.setdefault(tensor, found["ts"])
        elif kind == "E" and begun.get(tensor):
            name, _ = begun[tensor].pop()
            args = found.get("args", {})
            if name == "ALLREDUCE" and args.get("dtype") in SIZES:
                count += 1
                size += SIZES[args["dtype"]] * math.prod(json.loads(args["shape"]))
                stretches.append((since[tensor], found["ts"]))
            if not name.startswith("NEGOTIATE") and not begun[tensor]:
                since.pop(tensor, None)
    return Reduced(count, size, covered(stretches) / 1e6)


def covered(stretches: list[tuple[int, int]]) -> int:
    """Length of the union of intervals."""
    total, end = 0, -1
    for start, stop in sorted(stretches):
        total += max(stop - max(start, end), 0)
        end = max(end, stop)
    return total


def check_bytes(figures: dict[str, Any], how: dict[str, Any]) -> None:
    """A step reduces every parameter's gradient once, and the number of targets."""
    expected = 4 * figures["parameters"] + 4
    found = figures["bytes_reduced_a_step"]
    assert found in (expected, 0 if how["processes"] == 1 else expected), (found, expected)


if __name__ == "__main__":
    main()
