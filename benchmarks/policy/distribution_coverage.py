"""How often 95% intervals of quantiles and of the mean of the lowest tenth hold the truth.

    python benchmarks/policy/distribution_coverage.py [--repeats 300] [--rows 2000]

Two actions, of which the second earns more and varies more; users of one row, and of five with half of
the variance in common. The truth is of ten million draws. Prints a table and, as last line, one JSON
object.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import pyarrow as pa

import truelift as tl

CHANCES, NEW = np.array([0.6, 0.4]), np.array([0.2, 0.8])
QUANTILES, LOWEST = (0.1, 0.5, 0.9), 0.1


def rewards(action: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Right-skewed: logarithms are normal."""
    return np.asarray(np.exp(0.5 * action + (0.4 + 0.4 * action) * noise))


def truth() -> dict[str, float]:
    """Quantiles and the mean of the lowest tenth, under the new policy."""
    rng = np.random.default_rng(10**6)
    drawn = np.sort(rewards(rng.random(10**7) > NEW[0], rng.normal(size=10**7)))
    found = {f"quantile {s:g}": float(drawn[int(np.ceil(s * len(drawn))) - 1]) for s in QUANTILES}
    return found | {f"CVaR {LOWEST:g}": float(drawn[: int(LOWEST * len(drawn))].mean())}


def log(rows: int, per_user: int, seed: int) -> pa.Table:
    """A log of another policy, with the new one's chances in columns."""
    rng = np.random.default_rng(seed)
    action = (rng.random(rows) > CHANCES[0]).astype(int)
    own = np.repeat(rng.normal(size=rows // per_user), per_user)
    noise = own if per_user == 1 else np.sqrt(0.5) * (own + rng.normal(size=rows))
    return pa.table(
        {
            "action": action, "p": CHANCES[action], "reward": rewards(action, noise),
            "new0": np.full(rows, NEW[0]), "new1": np.full(rows, NEW[1]),
            "user": np.arange(rows) // per_user,
        }
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()
    known, figures = truth(), {}
    for per_user in (1, 5):
        hits: dict[str, list[tuple[bool, bool]]] = {key: [] for key in known}
        together = 0
        for seed in range(options.repeats):
            result = tl.evaluate_policies(
                log(options.rows, per_user, seed), action="action", rewards="reward",
                propensity="p", user="user", estimators=["SNIPS"], buckets=5,
                policies={"new": {"chances": {"0": "new0", "1": "new1"}}},
                distribution={"quantiles": list(QUANTILES), "cvar": [LOWEST]}, band_draws=2000,
            )  # fmt: skip
            every = True
            for e in result.distribution:
                if e.policy == "new":
                    key = f"{e.quantity} {e.share:g}"
                    low, high = e.ci_lower or -np.inf, e.ci_upper or np.inf
                    wide = (e.band_lower or -np.inf, e.band_upper or np.inf)
                    hits[key].append((low <= known[key] <= high, wide[0] <= known[key] <= wide[1]))
                    every &= hits[key][-1][1]
            together += every
        for key, found in hits.items():
            figures[f"{key}, users of {per_user}"] = {
                "coverage": round(float(np.mean([h for h, _ in found])), 3)
            }
        figures[f"all bands at once, users of {per_user}"] = {
            "coverage": round(together / options.repeats, 3)
        }
    for label, figure in figures.items():
        print(f"  {label:<36}{figure['coverage']}")
    print(json.dumps({"benchmark": "distribution_coverage", "rows": options.rows,
                      "repeats": options.repeats, "figures": figures}))  # fmt: skip


if __name__ == "__main__":
    main()
