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

from effects_peers import PEERS, ours, peer
from effects_timing import Figures, compared, effects_parser, measure_or_compare

MANY = 20


def main() -> None:
    parser = effects_parser(__doc__.splitlines()[0], "effects_linear", repeats=3)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated; '' for none")
    measure_or_compare("effects_linear", parser.parse_args(), contestant, compare, ratios)


def ratios(figures: Figures) -> dict[str, float]:
    one = figures["truelift"]["seconds"]
    many = figures["truelift, 20 outcomes"]["seconds"]
    found = {n: round(one / f["seconds"], 3) for n, f in figures.items() if n in PEERS}
    return {**found, "20 outcomes, over one": round(many / one, 3)}


def compare(options: argparse.Namespace, table: str) -> Figures:
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
