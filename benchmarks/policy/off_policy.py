"""Values of ten policies by ten estimators at ten tuning values, with one clustered covariance.

    python benchmarks/policy/off_policy.py [--rows 1000000] [--repeats 3] [--users-rows 10]

From the four numbers a row and policy on: sums by user in forty buckets, two threads, and from the sums
all estimates and their covariance. Beside it the same estimates by their formulas in NumPy, as obp has
them (without any interval), and the time of obp's interval of one estimate: its bootstrap draws the
rows 10,000 times, of which some are measured. Point values are compared. Prints a table and, as last
line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from truelift.lake.states import add_states
from truelift.policy.off_policy.estimators import UNGROUPED, Layout
from truelift.policy.off_policy.inference import Values, values_of
from truelift.policy.off_policy.kernel import cluster_products

POLICIES, BUCKETS, DRAWS, RESAMPLES = 10, 40, 3, 10_000
LAYOUT = Layout(POLICIES, UNGROUPED)


def made(rows: int, per_user: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights, rewards and predictions of rows in users."""
    rng = np.random.default_rng(seed)
    shape = (rows, POLICIES)
    q = rng.random(rows)
    return {
        "users": (np.arange(rows) // per_user).astype(np.uint64),
        "w": rng.gamma(0.5, 2.0, shape), "r": (rng.random(rows) < q).astype(float), "q": q,
        "v": rng.random(shape), "robust_q": rng.random(shape), "robust_v": rng.random(shape),
    }  # fmt: skip


def ours(buckets: list[dict[str, np.ndarray]]) -> Values:
    """All estimates with their covariance."""

    def state(b: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return cluster_products(
            LAYOUT, b["users"], b["w"], b["r"], b["q"], b["v"], b["robust_q"], b["robust_v"]
        )

    with ThreadPoolExecutor(2) as pool:
        return values_of(LAYOUT, add_states(pool.map(state, buckets)))


FORMULAS: dict[str, Callable[..., Any]] = {
    "IPS": lambda w, r, rest, v, t: np.mean(w * r),
    "clipped IPS": lambda w, r, rest, v, t: np.mean(np.minimum(w, t) * r),
    "SNIPS": lambda w, r, rest, v, t: np.mean(w * r / w.mean()),
    "DM": lambda w, r, rest, v, t: np.mean(v),
    "DR": lambda w, r, rest, v, t: np.mean(v + w * rest),
    "MRDR": lambda w, r, rest, v, t: np.mean(v + w * rest),
    "SNDR": lambda w, r, rest, v, t: np.mean(v + w * rest / w.mean()),
    "switch-DR": lambda w, r, rest, v, t: np.mean(v + w * (w <= t) * rest),
    "DRos": lambda w, r, rest, v, t: np.mean(v + t * w / (w**2 + t) * rest),
    "sub-Gaussian DR": lambda w, r, rest, v, t: np.mean(v + w / (1 - t + t * w) * rest),
}


def formulas(rows: dict[str, np.ndarray]) -> np.ndarray:
    """The same estimates, one after the other."""
    r, found = rows["r"], []
    for c in LAYOUT.candidates():
        w, v, rest = rows["w"][:, c.policy], rows["v"][:, c.policy], r - rows["q"]
        if c.estimator == "MRDR":
            v, rest = rows["robust_v"][:, c.policy], r - rows["robust_q"][:, c.policy]
        found.append(float(FORMULAS[c.estimator](w, r, rest, v, c.tuning)))
    return np.array(found)


def bootstrap_draw(rows: dict[str, np.ndarray], rng: np.random.Generator) -> float:
    """One draw of the rows' mean, as a bootstrap of 10,000 makes them."""
    round_rewards = rows["w"][:, 0] * rows["r"]
    return float(np.mean(rng.choice(round_rewards, size=len(round_rewards), replace=True)))


def timed(work: Callable[[], Any], repeats: int) -> tuple[Any, dict[str, float]]:
    """What it gives, and medians of seconds of the wall and of the processor."""
    wall, processor, found = [], [], None
    for _ in range(repeats):
        began, cpu = time.perf_counter(), time.process_time()
        found = work()
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - cpu)
    return found, {
        "seconds": round(statistics.median(wall), 3),
        "cpu_seconds": round(statistics.median(processor), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--users-rows", type=int, default=10, help="rows of a user")
    options = parser.parse_args()
    rows = made(options.rows, options.users_rows)
    place = rows["users"] % BUCKETS
    buckets = [{k: v[place == b] for k, v in rows.items()} for b in range(BUCKETS)]
    ours([{k: v[:50] for k, v in b.items()} for b in buckets])  # compiles
    values, figure = timed(lambda: ours(buckets), options.repeats)
    expected, formula = timed(lambda: formulas(rows), 1)
    rng = np.random.default_rng(0)
    _, draw = timed(lambda: bootstrap_draw(rows, rng), DRAWS)
    apart = float(np.max(np.abs(values.estimates[:-1] - expected) / np.abs(expected)))
    assert apart < 1e-10, apart
    interval = {key: round(value * RESAMPLES, 1) for key, value in draw.items()}
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "estimates with covariance": figure | {"estimates": len(expected) + 1},
        "formulas, no intervals": formula,
        "one interval by bootstrap (projected)": interval,
        "largest relative difference": {"of point values": apart},
        "memory": {
            "mib": round(megabytes),
            "of which the rows": round(sum(v.nbytes for v in rows.values()) / 2**20),
        },
    }
    ratios = {
        "one bootstrapped interval": figure["cpu_seconds"] / interval["cpu_seconds"],
        "formulas without intervals": figure["cpu_seconds"] / formula["cpu_seconds"],
    }
    for label, found in figures.items():
        print(f"  {label:<40}" + "  ".join(f"{k} {v}" for k, v in found.items()))
    for label, ratio in ratios.items():
        print(f"  {label:<40}{ratio:.5f}")
    result = {
        "benchmark": "off_policy", "rows": options.rows, "users": int(rows["users"][-1]) + 1,
        "figures": figures, "ratios": ratios,
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
