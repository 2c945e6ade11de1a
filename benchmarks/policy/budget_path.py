"""Budget paths: seconds for the path alone and with a clustered band at 20 budgets, in memory.

    python benchmarks/policy/budget_path.py [--rows 1000000] [--arms 5] [--repeats 3] [--maq FOLDER]

Users have three rows on average. Published beside it: maq's path of a million units and five arms without
intervals, 1.4 to 1.6 seconds (its ``timing.R``). With ``--maq`` maq itself runs on the same numbers:
the folder ``python-package`` of github.com/grf-labs/maq, built in place for this interpreter by
``python setup.py build_ext --inplace`` (the registry's package of that name is another one). Its whole
path is compared step by step, and its standard errors by bootstrap with ours, where units stand for
themselves, on fewer rows. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

import numpy as np

from truelift.policy.budget.path import Offers, budget_path, gains_at

PUBLISHED = 1.5


def offers_of(rows: int, arms: int) -> Offers:
    rng = np.random.default_rng(0)
    forecast = rng.normal(0.2, 1, (rows, arms))
    cost = rng.uniform(0.2, 2, (rows, arms))
    score = forecast + rng.normal(size=(rows, arms))
    return Offers(forecast, score, cost, np.sort(rng.integers(0, rows // 3 + 1, rows)))


def beside_maq(folder: str, rows: int, arms: int) -> dict[str, Any]:
    """maq's path of the same numbers, and its standard errors on 20,000 of them."""
    sys.path.insert(0, folder)
    from maq import MAQ

    offers = offers_of(rows, arms)
    began = time.perf_counter()
    theirs = MAQ(n_threads=2).fit(offers.forecast, offers.cost, offers.score)
    seconds = time.perf_counter() - began
    path = budget_path(offers)
    spend, gain = np.asarray(theirs.path_spend_), np.asarray(theirs.path_gain_)
    budgets = np.linspace(0, path.whole, 21)[1:-1]
    if len(spend) != len(path.order):
        raise SystemExit(f"maq takes {len(spend):,} steps, ours are {len(path.order):,}")

    few = offers_of(min(rows, 20_000), arms)
    alone = Offers(few.forecast, few.score, few.cost)
    drawn = MAQ(n_bootstrap=1000, n_threads=2).fit(alone.forecast, alone.cost, alone.score)
    ours = budget_path(alone)
    at = np.linspace(0, ours.whole, 11)[1:-1]
    errors = np.sqrt(np.diag(gains_at([ours], at).covariance))
    return {
        "maq_seconds": round(seconds, 3),
        "steps_equal": len(spend),
        "largest_difference_of_spend": float(np.abs(spend - path.spend[1:]).max() / path.whole),
        "largest_difference_of_gain": float(
            np.abs(gain - path.gain[1:]).max() / np.abs(path.gain).max()
        ),
        "largest_difference_at_budgets": float(
            max(abs(theirs.average_gain(b)[0] - path.gain_at(np.array([b]))[0]) for b in budgets)
        ),
        "standard_error_by_maqs": [
            round(float(e / drawn.average_gain(b)[1]), 3) for e, b in zip(errors, at, strict=True)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--arms", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--maq", metavar="FOLDER", help="maq's python-package, built in place")
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
    if args.maq:
        figures |= beside_maq(args.maq, args.rows, args.arms)
        ratios["path / maq here"] = round(figures["path_seconds"] / figures["maq_seconds"], 3)
        print("  ".join(f"{k} {v}" for k, v in list(figures.items())[5:]))
    print(f"{'rows':>10}{'arms':>6}{'steps':>11}{'path':>9}{'with band':>11}")
    print(
        f"{args.rows:>10,}{args.arms:>6}{figures['steps']:>11,}{figures['path_seconds']:>9}"
        f"{figures['with_band_seconds']:>11}"
    )
    print(json.dumps({"benchmark": "budget_path", "figures": figures, "ratios": ratios}))


if __name__ == "__main__":
    main()
