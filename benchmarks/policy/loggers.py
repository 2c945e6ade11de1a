"""A log of several loggers, weighted in three ways, beside obp's estimators for several loggers.

    pip download --no-deps --no-binary :all: --ignore-requires-python obp==0.5.5 && tar xzf obp-0.5.5.tar.gz
    python benchmarks/policy/loggers.py --obp obp-0.5.5 [--rows 20000] [--repeats 500]

Five softmax policies of different temper wrote a round each. Each of obp's estimates is made from the
predictions of the same model, so that point values have to be equal; then, over many logs, how often
intervals of 95% hold the value, and the standard deviation of the estimates. Prints a table and, as last
line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from open_bandit import obp_estimators

from truelift.policy.off_policy.estimators import Layout
from truelift.policy.off_policy.inference import Values, values_of
from truelift.policy.off_policy.judging import intervals_of
from truelift.policy.off_policy.kernel import cluster_products
from truelift.policy.off_policy.loggers import by_logger, together
from truelift.policy.off_policy.support import SupportLimits, weight_state

ACTIONS, ROUNDS = 10, 5
ESTIMATORS = ("IPS", "SNIPS", "DM", "DR")
HOW = ("naive", "balanced", "effective", "weighted")
LIMITS = SupportLimits()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Chances along the last axis."""
    found = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def world(rate: float) -> dict[str, np.ndarray]:
    """Means of the actions, chances of the loggers and of the candidate."""
    rng = np.random.default_rng(0)
    means = rate * (0.5 + np.arange(ACTIONS) / (ACTIONS - 1))
    wrote = softmax(
        rng.normal(0, 0.8, (ROUNDS, ACTIONS)) + np.linspace(-2, 2, ROUNDS)[:, None] * means / rate
    )
    return {
        "means": means,
        "wrote": wrote,
        "new": softmax(2 * means / rate),
        "q": means * rng.uniform(0.7, 1.3, ACTIONS),
    }


def drawn(
    known: dict[str, np.ndarray], rows: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """A log: who wrote each row, the action, the reward, and all loggers' chances of the action."""
    logger = np.sort(rng.integers(0, ROUNDS, rows))
    action = (rng.random(rows)[:, None] > known["wrote"][logger].cumsum(axis=1)).sum(axis=1)
    chances = known["wrote"][:, action].T
    return {
        "logger": logger, "action": action, "own": chances[np.arange(rows), logger],
        "mixture": chances @ (np.bincount(logger, minlength=ROUNDS) / rows),
        "reward": (rng.random(rows) < known["means"][action]) * 1.0,
    }  # fmt: skip


def ours(known: dict[str, np.ndarray], log: dict[str, np.ndarray], how: str) -> Values:
    """All estimates, every row a user."""
    rows, apart = len(log["action"]), ROUNDS if how in ("effective", "weighted") else 1
    layout = Layout(apart, ESTIMATORS, loggers=apart)
    propensity = log["mixture" if how == "balanced" else "own"]
    w = (known["new"][log["action"]] / propensity)[:, None]
    v = np.full((rows, 1), float(known["new"] @ known["q"]))
    logger = None
    if apart > 1:
        logger = log["logger"]
        w, v = by_logger(w, logger, apart), by_logger(v, logger, apart)
    none, users = np.zeros((0, w.shape[1])), np.arange(rows, dtype=np.uint64)
    state = cluster_products(
        layout, users, w, log["reward"], known["q"][log["action"]], v, none, none, None, logger
    )
    if apart == 1:
        return values_of(layout, state)
    state |= weight_state(w, propensity, np.zeros(1))
    return together(("new",), layout, state, LIMITS, how == "weighted").values


def theirs(
    obp: Any, known: dict[str, np.ndarray], log: dict[str, np.ndarray], how: str
) -> dict[str, float]:
    """obp's estimates of several loggers, by estimator."""
    rows = len(log["action"])
    given = {
        "reward": log["reward"], "action": log["action"], "stratum_idx": log["logger"],
        "pscore": log["own"], "action_dist": np.tile(known["new"][None, :, None], (rows, 1, 1)),
    }  # fmt: skip
    if how == "balanced":
        given.pop("pscore")
        given["pscore_avg"] = log["mixture"]
        given.pop("stratum_idx")
    modelled = given | {
        "estimated_rewards_by_reg_model": np.tile(known["q"][None, :, None], (rows, 1, 1))
    }
    name = how.capitalize()
    ips = getattr(obp, f"MultiLoggers{name}InverseProbabilityWeighting")()
    found = {
        "IPS": ips.estimate_policy_value(**given),
        "DR": getattr(obp, f"MultiLoggers{name}DoublyRobust")().estimate_policy_value(**modelled),
    }
    return {k: float(v) for k, v in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--obp", type=Path, required=True, help="where the package was unpacked")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=500)
    options = parser.parse_args()
    obp, known = obp_estimators(options.obp, "estimators_multi"), world(0.2)
    log, apart = drawn(known, options.rows, np.random.default_rng(1)), 0.0
    for how in ("naive", "balanced", "weighted"):
        values = ours(known, log, how)
        for name, peer in theirs(obp, known, log, how).items():
            own = float(values.estimates[ESTIMATORS.index(name)])
            apart = max(apart, abs(own / peer - 1))
            print(f"  {how:<10}{name:<8}ours {own:.8f}  obp {peer:.8f}")
    print(f"largest relative difference to obp: {apart:.1e}")
    assert apart < 1e-10, apart
    figures: dict[str, Any] = {"largest relative difference": {"of point values": apart}}
    for rate, rows in ((0.2, 2000), (0.02, 2000), (0.02, 20_000)):
        known = world(rate)
        truth = float(known["new"] @ known["means"])
        for how in HOW:
            found, hits = [], np.zeros(len(ESTIMATORS))
            for seed in range(options.repeats):
                values = ours(known, drawn(known, rows, np.random.default_rng(seed)), how)
                lower, upper = intervals_of(values, 0.95, 0.0, 1.0)
                found.append(values.estimates[:-1])
                hits += ((lower <= truth) & (truth <= upper))[:-1]
            estimates = np.array(found)
            for m, name in enumerate(ESTIMATORS):
                if name == "DM":
                    continue
                key = f"rate {rate}, {rows:,} rows, {how}, {name}"
                figures[key] = {
                    "coverage": round(float(hits[m]) / options.repeats, 3),
                    "bias": round(float(estimates[:, m].mean()) / truth - 1, 4),
                    "deviation": round(float(estimates[:, m].std()) / truth, 4),
                }
                print(f"  {key:<48}" + "  ".join(f"{k} {v}" for k, v in figures[key].items()))
    print(json.dumps({"benchmark": "loggers", "repeats": options.repeats, "figures": figures}))


if __name__ == "__main__":
    main()
