"""Looks at growing experiments: how often is an effect claimed where there is none, and found where
there is one?

``python benchmarks/policy/sequential.py --rows 20000``: so many simulated experiments a cell, clusters
of one to five units that come one after another. Beside planned looks by spending functions and
intervals at any time stands the usual 95% interval at every look. Prints a table; the last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from scipy import special

from truelift.inference.anytime import boundary, mixture_scale
from truelift.inference.group_sequential import (
    constant_bounds,
    fixed_drift,
    inflation,
    sequential_power,
    spending_bounds,
)

CLUSTERS, ICC, FIRST = 4000, 0.3, 100
LOOKS = (5, 100)
CHUNK = 500


def statistics(experiments: int, looks: int, drift: float, seed: int) -> np.ndarray:
    """Clustered t statistics of the difference in means (experiments x looks).

    Parameters
    ----------
    experiments, looks : int
    drift : float
        Expected statistic at the last look.
    seed : int
    """
    random = np.random.default_rng(seed)
    # Equally spaced; a hundred looks begin where a clustered error can be made.
    seen = np.linspace(CLUSTERS / looks, CLUSTERS, looks).astype(int)
    seen = np.maximum(seen, FIRST) if looks > CLUSTERS // FIRST else seen
    found = np.empty((experiments, looks))
    for start in range(0, experiments, CHUNK):
        count = min(CHUNK, experiments - start)
        sizes = random.integers(1, 6, (count, CLUSTERS)).astype(float)
        arm = random.random((count, CLUSTERS)) < 0.5
        noise = np.sqrt(ICC) * sizes * random.standard_normal(sizes.shape)
        noise += np.sqrt((1 - ICC) * sizes) * random.standard_normal(sizes.shape)
        sums = noise + arm * sizes * drift * _error()
        parts = []
        for member in (arm, ~arm):
            n, y = sizes * member, sums * member
            at = [
                np.cumsum(x, axis=1)[:, seen - 1] for x in (n, y, y * y, n * y, n * n, 1.0 * member)
            ]
            mean = at[1] / at[0]
            spread = at[2] - 2 * mean * at[3] + mean**2 * at[4]
            parts.append((mean, spread / at[0] ** 2 * at[5] / (at[5] - 1)))
        (one, of_one), (other, of_other) = parts
        found[start : start + count] = (one - other) / np.sqrt(of_one + of_other)
    return found


def _error() -> float:
    """Standard error of the difference at the last look: sizes of 1 to 5 have the mean 3, square 11."""
    by_cluster = ICC * 11 + (1 - ICC) * 3
    return float(np.sqrt(4 * by_cluster / 9 / CLUSTERS))


def rules(looks: int) -> dict[str, np.ndarray]:
    """What the statistic is compared with at each look."""
    shares = tuple((np.arange(looks) + 1) / looks)
    seen = np.array(shares) * CLUSTERS
    anytime = boundary(seen, mixture_scale(0.95, CLUSTERS), 0.95)

    def by_t(kind: str) -> np.ndarray:
        """As improbable for Student's t, as an analysis has it."""
        tail = special.ndtr(-np.array(spending_bounds(shares, kind).critical))
        return -special.stdtrit(np.maximum(seen, FIRST) - 2, tail)

    return {
        "O'Brien-Fleming spending": by_t("obrien_fleming"),
        "Pocock spending": by_t("pocock"),
        "any time": np.where(seen < FIRST, np.inf, anytime),
        "95% at every look": np.full(looks, -special.ndtri(0.025)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="experiments a cell")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    drift = fixed_drift(0.05, 0.8)
    figures: dict[str, dict[str, float]] = {}
    started = time.process_time()
    print(f"{'looks':>5} {'rule':<26} {'no effect':>10} {'with one':>10} {'by integral':>12}")
    for looks in LOOKS:
        without = np.abs(statistics(options.rows, looks, 0.0, options.seed))
        effect = np.abs(statistics(options.rows, looks, drift, options.seed + 1))
        shares = (np.arange(looks) + 1) / looks
        for name, critical in rules(looks).items():
            claimed, found = ((z > critical).any(axis=1).mean() for z in (without, effect))
            computed = float("nan")
            if "spending" in name:
                kind = "pocock" if name.startswith("Pocock") else "obrien_fleming"
                computed = sequential_power(spending_bounds(tuple(shares), kind), drift)
            figures[f"{looks} looks, {name}"] = {
                "false_positives": round(float(claimed), 4), "power": round(float(found), 4),
                "standard_error": round(float(np.sqrt(claimed * (1 - claimed) / options.rows)), 4),
            }  # fmt: skip
            print(f"{looks:>5} {name:<26} {claimed:>10.4f} {found:>10.4f} {computed:>12.4f}")
    for name in ("obrien_fleming", "pocock"):
        bounds = constant_bounds(5, name)
        figures[f"constants of 5 looks, {name}"] = {
            "critical": round(bounds.critical[-1], 4), "inflation": round(inflation(bounds, 0.8), 4)
        }  # fmt: skip
    result = {
        "benchmark": "sequential",
        "rows": options.rows,
        "figures": figures,
        "ratios": {
            f"{looks} looks: power of {name} by that of any time": round(
                figures[f"{looks} looks, {name}"]["power"] / figures[f"{looks} looks, any time"]["power"], 3
            )
            for looks in LOOKS
            for name in ("O'Brien-Fleming spending", "Pocock spending")
        },
    }  # fmt: skip
    print(f"{time.process_time() - started:.0f} s of processor time")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
