"""Exact policy trees: seconds by rows, covariates, bins and arms, in memory.

    python benchmarks/policy/policy_tree.py [--rows 1000000] [--repeats 1] [--threads 2]

Depth two is that of 30 covariates in 64 bins and 20 arms, depth three that of 10 in 16 and 3 arms; each fit
searches the trees of all rows and of five folds' complements. Published beside them: sparsepolicytree at
30 distinct values of 30 covariates, 20 arms and a million rows, 21 minutes on 4 cores; policytree at 100,000
rows, 30 covariates and 3 arms, 7.4 hours. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from truelift.policy.trees.fit import TreeOptions, fit_trees
from truelift.policy.trees.histograms import CodedRows, SumsInMemory

FOLDS = 5
CASES = {"depth 2": (2, 30, 64, 20, 21 * 60.0), "depth 3": (3, 10, 16, 3, None)}


def rows_of(rows: int, covariates: int, bins: int, arms: int) -> CodedRows:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, bins, (covariates, rows), dtype=np.uint8)
    scores = rng.normal(size=(rows, arms))
    scores[:, 1] += (codes[0] > bins // 2) * (codes[1] > bins // 3)
    return CodedRows(codes, scores, rng.integers(0, FOLDS, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    ratios: dict[str, float] = {}
    for name, (depth, covariates, bins, arms, published) in CASES.items():
        small = rows_of(2000, covariates, bins, arms)
        fit_trees(
            SumsInMemory(small), covariates, bins, arms, FOLDS, TreeOptions(depth)
        )  # compiles
        rows = rows_of(args.rows, covariates, bins, arms)
        seconds, cpu = [], []
        for _ in range(args.repeats):
            began, used = time.perf_counter(), time.process_time()
            found = fit_trees(
                SumsInMemory(rows, args.threads), covariates, bins, arms, FOLDS, TreeOptions(depth), args.threads
            )  # fmt: skip
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
        figures[name] = {
            "rows": args.rows, "covariates": covariates, "bins": bins, "arms": arms,
            "seconds": round(statistics.median(seconds), 2),
            "cpu_seconds": round(statistics.median(cpu), 2),
            "value": round(found.sum_of_all / args.rows, 6),
        }  # fmt: skip
        if published is not None:
            ratios[f"{name} / sparsepolicytree's published"] = round(
                figures[name]["seconds"] / published, 4
            )
    print(f"{'':10}{'rows':>10}{'covariates':>12}{'bins':>6}{'arms':>6}{'seconds':>9}{'CPU':>9}")
    for name, f in figures.items():
        print(
            f"{name:10}{f['rows']:>10,}{f['covariates']:>12}{f['bins']:>6}{f['arms']:>6}"
            f"{f['seconds']:>9}{f['cpu_seconds']:>9}"
        )
    print(json.dumps({"benchmark": "policy_tree", "figures": figures, "ratios": ratios}))


if __name__ == "__main__":
    main()
