"""Planned looks beside spotify-confidence's and GrowthBook's: false positives and power at the same looks.

    pip download --no-deps spotify-confidence==4.1.0 && unzip spotify_confidence-4.1.0-*.whl -d unpacked
    python benchmarks/policy/sequential_peers.py --confidence unpacked [--rows 400000]

spotify-confidence spends ``alpha t^2`` (Kim & DeMets) by a solver of its own, which is run here.
GrowthBook's threshold is the formula of its documentation: the asymptotic confidence sequence of
Waudby-Smith et al. with a tuning value of 5,000 users. Statistics are normal with independent increments,
the same draws for all rules, and an effect that a test without looks finds in .8. Prints a table and, as
last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np

from truelift.inference.anytime import boundary, mixture_scale
from truelift.inference.group_sequential import fixed_drift, spending_bounds

LEVEL, USERS, TUNING = 0.05, 4000, 5000
LOOKS = (5, 20, 100)


def spotify_bounds(folder: Path, shares: np.ndarray) -> np.ndarray:
    """The bounds of spotify-confidence, two-sided, with the options of its z-test."""
    place = folder / "spotify_confidence/analysis/frequentist/sequential_bound_solver.py"
    found = spec_from_file_location("sequential_bound_solver", place)
    assert found is not None and found.loader is not None
    solver = module_from_spec(found)
    found.loader.exec_module(solver)
    made = solver.bounds(shares, alpha=LEVEL, rho=2, ztrun=8, sides=2)
    return np.asarray(made.bounds, float)


def growthbook_bounds(users: np.ndarray) -> np.ndarray:
    """Half-widths in standard errors: ``sqrt(2 (n rho^2 + 1) / (n rho^2) log(sqrt(n rho^2 + 1) / alpha))``."""
    inner = -2 * np.log(LEVEL)
    rho = np.sqrt((inner + np.log(inner + 1)) / TUNING)
    grown = users * rho**2
    return np.asarray(np.sqrt(2 * (grown + 1) / grown * np.log(np.sqrt(grown + 1) / LEVEL)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--confidence", type=Path, required=True, help="where the wheel was unpacked"
    )
    parser.add_argument("--rows", type=int, default=400_000, help="experiments a cell")
    options = parser.parse_args()
    drift, figures = fixed_drift(LEVEL, 0.8), {}
    for looks in LOOKS:
        shares = (np.arange(looks) + 1) / looks
        users = shares * USERS
        rules = {
            "ours, O'Brien-Fleming spending": np.array(
                spending_bounds(tuple(shares), "obrien_fleming").critical
            ),
            "ours, Pocock spending": np.array(spending_bounds(tuple(shares), "pocock").critical),
            "ours, any time": boundary(users, mixture_scale(1 - LEVEL, USERS), 1 - LEVEL),
            "spotify-confidence": spotify_bounds(options.confidence, shares),
            "GrowthBook": growthbook_bounds(users),
        }
        rng = np.random.default_rng(looks)
        noise = rng.standard_normal((options.rows, looks)) / np.sqrt(looks)
        path = noise.cumsum(axis=1) / np.sqrt(shares)
        for name, critical in rules.items():
            claimed = float((np.abs(path) > critical).any(axis=1).mean())
            power = float((np.abs(path + drift * np.sqrt(shares)) > critical).any(axis=1).mean())
            figures[f"{looks} looks, {name}"] = {
                "false_positives": round(claimed, 4), "power": round(power, 4),
                "last": round(float(critical[-1]), 3),
            }  # fmt: skip
            print(f"{looks:>5}  {name:<32}{claimed:>8.4f}{power:>8.4f}{critical[-1]:>8.3f}")
    ahead = {
        f"{looks} looks: power of {ours} less {theirs}'s": round(
            figures[f"{looks} looks, ours, {ours}"]["power"]
            - figures[f"{looks} looks, {theirs}"]["power"],
            4,
        )
        for looks in LOOKS
        for ours, theirs in (
            ("O'Brien-Fleming spending", "spotify-confidence"), ("any time", "GrowthBook"),
        )
    }  # fmt: skip
    for label, gap in ahead.items():
        print(f"  {label:<70}{gap:+.4f}")
    result = {
        "benchmark": "sequential_peers", "rows": options.rows, "figures": figures, "ratios": {},
        "differences": ahead,
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
