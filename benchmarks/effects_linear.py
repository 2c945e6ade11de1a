"""Cross-fitted linear AIPW: ours beside dml-rs, EconML and DoubleML.

    python benchmarks/effects_linear.py [--rows 1000000] [--repeats 3] [--peers dml_rs,econml]

All read the same Parquet files (one Delta table, 20 covariates, binary treatment, one outcome);
reading is timed, process start and imports are not. Ours and dml-rs give user-clustered standard
errors, the others have none here. Each contestant runs in a process of its own, one after the
other; ``tree_mib`` is the largest memory of that process and all below it. "20 outcomes" is ours
again with twenty outcome columns. The peers live in an environment that the script makes with uv, in
the user's cache. The last line is one JSON object; ratios are ours divided by the other's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile

from effects_peers import PEERS, ours, peer
from effects_timing import compared, timed

MANY = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--covariates", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated; '' for none")
    parser.add_argument("--out", default="benchmarks/results/effects_linear.json")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(timed(contestant(options), options.repeats)))
        return
    from measuring import publish

    place = tempfile.mkdtemp(prefix="truelift-linear-")
    try:
        figures = compare(options, f"{place}/panel")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    one = figures["truelift"]["seconds"]
    ratios = {n: round(one / f["seconds"], 3) for n, f in figures.items() if n in PEERS}
    many = figures["truelift, 20 outcomes"]["seconds"]
    ratios["20 outcomes, over one"] = round(many / one, 3)
    publish("effects_linear", options.rows, figures, ratios, options.out)


def compare(options: argparse.Namespace, table: str) -> dict[str, dict[str, float]]:
    from simulated_table import write_panel

    truth = write_panel(table, options.rows, options.covariates, 40, outcomes=MANY)
    return compared(
        __file__, ("truelift", "truelift, 20 outcomes"), options.peers, options.repeats, truth,
        "--table", table, "--cores", str(options.cores),
        "--covariates", str(options.covariates),
        "--tolerance", str(options.tolerance),
    )  # fmt: skip


def contestant(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    if not options.measure.startswith("truelift"):
        return peer(options.measure, options.table, options.covariates, "linear")
    outcomes: tuple[str, ...] = ("y_spend",)
    if "20" in options.measure:
        outcomes = ("y_spend", "y_visits", *(f"y_{j}" for j in range(MANY - 2)))
    return ours(options.table, options.cores, options.tolerance, outcomes)


if __name__ == "__main__":
    main()
