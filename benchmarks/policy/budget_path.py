"""Budget paths: seconds for the path alone and with a clustered band at 20 budgets, in memory.

    python benchmarks/policy/budget_path.py [--rows 1000000] [--arms 5] [--repeats 3]

Users have three rows on average. Published beside it: maq's path of a million units and five arms without
intervals, 1.4 to 1.6 seconds (its ``timing.R``). The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from truelift.policy.budget.path import Offers, budget_path, gains_at

PUBLISHED = 1.5


def offers_of(rows: int, arms: int) -> Offers:
    rng = np.random.default_rng(0)
    forecast = rng.normal(0.2, 1, (rows, arms))
    cost = rng.uniform(0.2, 2, (rows, arms))
    score = forecast + rng.normal(size=(rows, arms))
    return Offers(forecast, score, cost, np.sort(rng.integers(0, rows // 3 + 1, rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--arms", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    small = budget_path(offers_of(1000, args.arms))
    gains_at([small], np.array([small.whole / 2])).bands(0.95, ["compiles"])
    alone, band = [], []
    for _ in range(args.repeats):
        offers = offers_of(args.rows, args.arms)
        began = time.perf_counter()
        path = budget_path(offers)
        alone.append(time.perf_counter() - began)
        budgets = np.linspace(0, path.whole, 21)[1:]
        gains_at([path], budgets).bands(0.95, [str(b) for b in budgets])
        band.append(time.perf_counter() - began)
    figures = {
        "rows": args.rows, "arms": args.arms, "path_seconds": round(statistics.median(alone), 3),
        "with_band_seconds": round(statistics.median(band), 3), "steps": len(path.order),
    }  # fmt: skip
    ratios = {"path / maq's published": round(figures["path_seconds"] / PUBLISHED, 3)}
    print(f"{'rows':>10}{'arms':>6}{'steps':>11}{'path':>9}{'with band':>11}")
    print(
        f"{args.rows:>10,}{args.arms:>6}{figures['steps']:>11,}{figures['path_seconds']:>9}"
        f"{figures['with_band_seconds']:>11}"
    )
    print(json.dumps({"benchmark": "budget_path", "figures": figures, "ratios": ratios}))


if __name__ == "__main__":
    main()
