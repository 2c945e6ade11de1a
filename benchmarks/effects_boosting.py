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
import tempfile

from effects_peers import ours, peer
from effects_timing import compared, timed

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
    from simulated_table import write_panel

    truth = write_panel(table, options.rows, options.covariates, 40)
    return compared(
        __file__, ("truelift",), options.peers, options.repeats, truth,
        "--table", table, "--cores", str(options.cores),
        "--covariates", str(options.covariates),
    )  # fmt: skip


def contestant(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    if options.measure != "truelift":
        return peer(options.measure, options.table, options.covariates, "boosting")
    return ours(options.table, options.cores, 1e-5, ("y_spend",), learner="boosting", boosting=SAME)


if __name__ == "__main__":
    main()
