"""What further looks cost: credibility and heterogeneity beside the estimates alone.

    python benchmarks/effects_further.py [--rows 1000000] [--repeats 3]

The estimates alone have today's default estimands and two outcomes; 20 covariates, binary
treatment, four units a user. "credibility" adds omitted-variable bounds, E-values, 100 placebo
treatments, a random common cause and stability; "credibility, all" also benchmarks of three
covariates, an outcome that must show no effect and leaving out each of some twenty campaigns.
Reading is timed, the session's start is not. The last line is one JSON object; ratios are the time
that the further look adds, divided by the time of the estimates alone.
"""

from __future__ import annotations

import argparse
from typing import Any

from effects_peers import ours
from effects_timing import Figures, compared, effects_parser, measure_or_compare

from truelift.settings import EffectOptions

DEFAULTS = EffectOptions()
ALONE = "estimates alone"
LOOKS: dict[str, dict[str, Any]] = {
    ALONE: {},
    "credibility": {"credibility": True},
    "credibility, all": {
        "credibility": True,
        "negative_controls": ("y_visits",),
        "leave_out": "campaign",
        "benchmark_covariates": ("x_1", "x_2", "x_3"),
    },
    "heterogeneity": {"heterogeneity": True},
}


def main() -> None:
    parser = effects_parser(__doc__.splitlines()[0], "effects_further", repeats=3)
    parser.add_argument("--learner", default="linear")
    measure_or_compare("effects_further", parser.parse_args(), contestant, compare, ratios)


def ratios(figures: Figures) -> dict[str, float]:
    alone = figures[ALONE]["seconds"]
    return {
        f"{name}, added": round(found["seconds"] / alone - 1, 3)
        for name, found in figures.items()
        if name != ALONE
    }


def compare(options: argparse.Namespace, table: str) -> Figures:
    from simulated_table import write_panel

    # Benchmarks of covariates are made of the linear learner's sums.
    linear = options.learner == "linear"
    looks = tuple(n for n, look in LOOKS.items() if linear or "benchmark_covariates" not in look)
    truth = write_panel(table, options.rows, options.covariates, 40)
    return compared(
        __file__, looks, "", options.repeats, truth,
        "--table", table, "--cores", str(options.cores), "--learner", options.learner,
    )  # fmt: skip


def contestant(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    return ours(
        options.table, options.cores, 1e-8, ("y_spend", "y_visits"), estimands=DEFAULTS.estimands,
        clip_levels=DEFAULTS.clip_levels, learner=options.learner, **LOOKS[options.measure],
    )  # fmt: skip


if __name__ == "__main__":
    main()
