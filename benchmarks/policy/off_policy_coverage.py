"""How often intervals of policies' values hold the truth, at reward rates from .004 to .8.

    python benchmarks/policy/off_policy_coverage.py [--repetitions 1000] [--cells 0,1] [--out FILE]

A world of 50 contexts and 10 actions; the log's and the policy's chances are softmax of normal logits
with standard deviation 1.2, rewards are 0 or 1. With an ICC a user's five rows share the draw behind
their rewards. The reward model is half right. Beside ours, what a bootstrap of the rows with the mean
weight taken as known converges to (obp's intervals of self-normalised estimators); our interval with a
normal quantile in place of Student's; and how wide a symmetric interval by the estimated error has to be
to hold 95% of the values. Prints a table and, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from truelift.policy.off_policy.estimators import Layout
from truelift.policy.off_policy.inference import values_of
from truelift.policy.off_policy.judging import intervals_of
from truelift.policy.off_policy.kernel import cluster_products

CONTEXTS, ACTIONS, SHRINKAGE = 50, 10, 50.0
LAYOUT = Layout(1, ("IPS", "SNIPS", "DR", "SNDR", "DRos"), {"DRos": (SHRINKAGE,)})
NAMES = ("IPS", "SNIPS", "DR", "SNDR", "DRos", "present")


@dataclass(frozen=True)
class Cell:
    """Reward rate, correlation within users, rows, rows a user."""

    rate: float
    icc: float
    rows: int
    per_user: int


CELLS = (
    Cell(0.004, 0.0, 4_000, 1),
    Cell(0.004, 0.0, 40_000, 1),
    Cell(0.02, 0.0, 4_000, 1),
    Cell(0.2, 0.0, 4_000, 1),
    Cell(0.8, 0.0, 4_000, 1),
    Cell(0.004, 0.5, 20_000, 5),
    Cell(0.02, 0.5, 20_000, 5),
    Cell(0.2, 0.5, 20_000, 5),
    Cell(0.8, 0.5, 20_000, 5),
)


class World:
    """Chances of the log and of the policy, means of rewards, and a reward model."""

    def __init__(self, rate: float, seed: int = 0):
        rng = np.random.default_rng(seed)
        shape = (CONTEXTS, ACTIONS)
        logged, wanted = np.exp(rng.normal(0, 1.2, shape)), np.exp(rng.normal(0, 1.2, shape))
        self.logged = logged / logged.sum(axis=1, keepdims=True)
        self.wanted = wanted / wanted.sum(axis=1, keepdims=True)
        most = 3 * rate if rate < 0.3 else 0.98
        self.means = np.clip(rate * (1 + 0.3 * rng.normal(size=shape)), 0.05 * rate, most)
        self.weights = self.wanted / self.logged
        self.predicted = self.means.mean() + 0.5 * (self.means - self.means.mean())
        self.mean_predicted = (self.wanted * self.predicted).sum(axis=1)

    def truths(self) -> dict[str, float]:
        """The policy's value, what DRos estimates in its place, and the present value."""
        value = float((self.wanted * self.means).sum(axis=1).mean())
        shrunk = SHRINKAGE * self.weights / (self.weights**2 + SHRINKAGE)
        rest = (self.logged * shrunk * (self.means - self.predicted)).sum(axis=1)
        own = float((self.mean_predicted + rest).mean())
        present = float((self.logged * self.means).sum(axis=1).mean())
        return dict.fromkeys(NAMES, value) | {"DRos": own, "present": present}

    def draw(self, cell: Cell, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Users, weights, rewards, predictions of them and of the policy."""
        n = cell.rows
        context = rng.integers(0, CONTEXTS, n)
        above = rng.random(n)[:, None] > self.logged.cumsum(axis=1)[context]
        action = np.minimum(above.sum(axis=1), ACTIONS - 1)
        user = np.arange(n) // cell.per_user
        shared = rng.random(n) < np.sqrt(cell.icc)
        draw = np.where(shared, rng.random(user[-1] + 1)[user], rng.random(n))
        reward = (draw < self.means[context, action]).astype(float)
        weight, predicted = self.weights[context, action], self.predicted[context, action]
        return user.astype(np.uint64), weight, reward, predicted, self.mean_predicted[context]


def study(cell: Cell, repetitions: int, seed: int = 1) -> list[dict[str, Any]]:
    """Coverage, width and standard errors of one cell, an estimator a line."""
    world, rng = World(cell.rate), np.random.default_rng(seed)
    truths = np.array([world.truths()[name] for name in NAMES])
    none = np.zeros((0, 1))
    found: dict[str, list[np.ndarray]] = {k: [] for k in ("e", "se", "lo", "hi", "rows", "in")}
    for _ in range(repetitions):
        user, w, r, q, v = world.draw(cell, rng)
        state = cluster_products(LAYOUT, user, w[:, None], r, q, v[:, None], none, none)
        values = values_of(LAYOUT, state)
        lower, upper = intervals_of(values, 0.95, 0.0, 1.0)
        endless = replace(values, degrees=np.full(len(NAMES), np.inf))
        least, most = intervals_of(endless, 0.95, 0.0, 1.0)
        scaled = w / w.mean()
        shrunk = SHRINKAGE * w / (w**2 + SHRINKAGE)
        rows = [w * r, scaled * r, v + w * (r - q), v + scaled * (r - q), v + shrunk * (r - q), r]
        for key, value in (
            ("e", values.estimates), ("se", values.errors), ("lo", lower), ("hi", upper),
            ("rows", np.array([row.std() for row in rows]) / np.sqrt(cell.rows)),
            ("in", (least <= truths) & (truths <= most)),
        ):  # fmt: skip
            found[key].append(value)
    e, se, lo, hi, rows, inside = (
        np.array(found[key]) for key in ("e", "se", "lo", "hi", "rows", "in")
    )
    spread = e.std(axis=0)
    table = []
    for m, name in enumerate(NAMES):
        apart = np.abs(e[:, m] - truths[m])
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = float(np.quantile(np.where(se[:, m] > 0, apart / se[:, m], np.inf), 0.95))
        table.append(
            {
                "rate": cell.rate, "icc": cell.icc, "rows": cell.rows, "estimator": name,
                "events": round(float(np.median(e[:, m] ** 2 / np.maximum(se[:, m], 1e-12) ** 2)), 1),
                "coverage": round(float(np.mean((lo[:, m] <= truths[m]) & (truths[m] <= hi[:, m]))), 3),
                "normal": round(float(np.mean(apart <= 1.96 * se[:, m])), 3),
                "as if independent": round(float(np.mean(apart <= 1.96 * rows[:, m])), 3),
                "width": round(float(np.median(hi[:, m] - lo[:, m]) / (2 * 1.96 * spread[m])), 3),
                "without t": round(float(np.mean(inside[:, m])), 3),
                "needed": round(reach * float(np.median(se[:, m])) / (1.96 * spread[m]), 3),
                "se / sd": round(float(se[:, m].mean() / spread[m]), 3),
                "independent / sd": round(float(rows[:, m].mean() / spread[m]), 3),
            }
        )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--cells", default=",".join(map(str, range(len(CELLS)))))
    parser.add_argument("--out", default="benchmarks/results/off_policy_coverage.json")
    options = parser.parse_args()
    place = Path(options.out)
    figures = json.loads(place.read_text())["figures"] if place.exists() else {}
    for number in options.cells.split(","):
        for line in study(CELLS[int(number)], options.repetitions):
            key = f"{line['rate']:g} icc {line['icc']:g} rows {line['rows']}: {line['estimator']}"
            figures[key] = line | {"repetitions": options.repetitions}
            print("  ".join(f"{k} {v}" for k, v in line.items()), flush=True)
    result = {"benchmark": "off_policy_coverage", "figures": figures, "ratios": {}}
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
