"""Boosting nuisances of the same depth and trees: ours in Spark beside DoubleML's IRM.

    python benchmarks/effects_boosting.py [--rows 1000000] [--repeats 1]

Depth 4, 100 trees, rate 0.1, no early stopping, 5 folds, for all. Ours grows them on top of linear
models, which costs it time and saves it the bias of shrunken trees (``estimate`` against ``truth``).
As in ``effects_linear.py``: same files, reading timed, a process each. The last line is one JSON
object; ratios are ours divided by the other's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile

from effects_peers import ours, peer
from effects_timing import importable, in_process, timed

SAME = {"trees": 100, "depth": 4, "learning_rate": 0.1, "early_stopping_rounds": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--covariates", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--peers", default="doubleml", help="comma-separated; '' for none")
    parser.add_argument("--out", default="benchmarks/results/effects_boosting.json")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(timed(contestant(options), options.repeats)))
        return
    from measuring import publish

    place = tempfile.mkdtemp(prefix="truelift-boosting-")
    try:
        figures = compare(options, f"{place}/panel")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    one = figures["truelift"]["seconds"]
    ratios = {n: round(one / f["seconds"], 3) for n, f in figures.items() if n != "truelift"}
    publish("effects_boosting", options.rows, figures, ratios, options.out)


def compare(options: argparse.Namespace, table: str) -> dict[str, dict[str, float]]:
    from peers import peer_environment
    from simulated_table import write_panel

    truth = write_panel(table, options.rows, options.covariates, 40)
    runs = {"truelift": sys.executable}
    wanted = [name for name in options.peers.split(",") if name]
    if wanted:
        python = peer_environment()
        runs |= {name: python for name in wanted if importable(python, name)}
    figures = {}
    shared = ["--table", table, "--repeats", str(options.repeats), "--cores", str(options.cores)]
    for name, python in runs.items():
        arguments = [*shared, "--covariates", str(options.covariates)]
        found = {**in_process(python, __file__, name, *arguments), "truth": truth}
        figures[name] = found
        print(f"{name}: {found['seconds']:.1f} s, {found['tree_mib']:,.0f} MiB, estimate "
              f"{found['estimate']:.4f} +- {found['standard_error']:.4f}", flush=True)  # fmt: skip
    return figures


def contestant(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    if options.measure != "truelift":
        return peer(options.measure, options.table, options.covariates, "boosting")
    return ours(options.table, options.cores, 1e-5, ("y_spend",), learner="boosting", boosting=SAME)


if __name__ == "__main__":
    main()
