"""Values of a policy that fills lists: seven estimators with clustered errors, from slots' weights.

    python benchmarks/policy/slates.py [--rows 1000000] [--slots 5] [--repeats 3]

From the weights and rewards of the slots on, in forty buckets of users, two threads. Beside it the four
plain estimates by their formulas in NumPy, without intervals. Prints a table and, as last line, one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from truelift.lake.states import add_states
from truelift.policy.off_policy.slates import SlateValues, slate_state, slate_values

BUCKETS = 40
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def made(rows: int, slots: int) -> Rows:
    """Users of ten lists, weights, rewards."""
    rng = np.random.default_rng(0)
    users = (np.arange(rows) // 10).astype(np.uint64)
    clicked = (rng.random((rows, slots)) < 0.1).astype(float)
    return users, rng.gamma(1.0, 1.0, (rows, slots)), clicked


def ours(buckets: list[Rows]) -> SlateValues:
    """All estimates with their covariance."""
    with ThreadPoolExecutor(2) as pool:
        return slate_values(add_states(pool.map(lambda b: slate_state(*b), buckets)))


def formulas(rows: Rows) -> np.ndarray:
    """SIPS, IIPS, RIPS and PI."""
    _, w, r = rows
    whole = r.sum(axis=1)
    return np.array(
        [
            np.mean(w.prod(axis=1) * whole), np.mean((w * r).sum(axis=1)),
            np.mean((np.cumprod(w, axis=1) * r).sum(axis=1)),
            np.mean((1 + (w - 1).sum(axis=1)) * whole),
        ]
    )  # fmt: skip


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
    parser.add_argument("--slots", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = made(options.rows, options.slots)
    place = rows[0] % np.uint64(BUCKETS)
    buckets = [tuple(a[place == b] for a in rows) for b in range(BUCKETS)]
    values, figure = timed(lambda: ours(buckets), options.repeats)  # type: ignore[arg-type]
    expected, formula = timed(lambda: formulas(rows), options.repeats)
    apart = float(np.max(np.abs(values.estimates[:4] / expected - 1)))
    assert apart < 1e-10, apart
    figures = {
        "estimates with covariance": figure | {"estimates": len(values.estimates)},
        "formulas, no intervals": formula,
        "largest relative difference": {"of point values": apart},
    }
    ratios = {"formulas without intervals": figure["cpu_seconds"] / formula["cpu_seconds"]}
    for label, found in figures.items():
        print(f"  {label:<30}" + "  ".join(f"{k} {v}" for k, v in found.items()))
    print(f"  {'formulas without intervals':<30}{ratios['formulas without intervals']:.2f}")
    print(
        json.dumps(
            {"benchmark": "slates", "rows": options.rows, "slots": options.slots,
             "figures": figures, "ratios": ratios}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
