"""Boosting nuisances of the same depth and trees: ours in Spark beside DoubleML's IRM.

    python benchmarks/effects_boosting.py [--rows 1000000] [--repeats 1]

Depth 4, 100 trees, rate 0.1, no early stopping, 5 folds, for all. Ours grows them on top of linear
models, which costs it time and saves it the bias of shrunken trees (``estimate`` against ``truth``).
As in ``effects_linear.py``: same files, reading timed, a process each. The last line is one JSON
object; ratios are ours divided by the other's.
"""

from __future__ import annotations

import argparse

from effects_peers import ours, peer
from effects_timing import Figures, compared, effects_parser, measure_or_compare

SAME = {"trees": 100, "depth": 4, "learning_rate": 0.1, "early_stopping_rounds": 0}


def main() -> None:
    parser = effects_parser(__doc__.splitlines()[0], "effects_boosting", repeats=1)
    parser.add_argument("--peers", default="doubleml", help="comma-separated; '' for none")
    measure_or_compare("effects_boosting", parser.parse_args(), contestant, compare, ratios)


def ratios(figures: Figures) -> dict[str, float]:
    one = figures["truelift"]["seconds"]
    return {n: round(one / f["seconds"], 3) for n, f in figures.items() if n != "truelift"}


def compare(options: argparse.Namespace, table: str) -> Figures:
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
