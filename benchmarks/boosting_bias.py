"""Bias of cross-fitted AIPW with boosted nuisances, in standard errors, by how trees are grown.

    python benchmarks/boosting_bias.py [--rows 50000] [--repetitions 4] [--threads 1]

Two worlds whose effect is 1: a linear one (linear outcome, linear log odds), on which shrunken
trees under-fit, and a nonlinear one (interactions, kinks, waves), on which linear models are
wrong. `shift` is the estimate less the one with the true nuisances on the same rows, in standard
errors: it shows the nuisances' part alone, and sampling noise cancels. `z` is the estimate less
the truth. `linear` is the start that the trees of `on top of linear` grow on; `degree 2` has squares
and products in it. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from truelift.effects.boosting import BoostingNuisances, BoostingOptions, fit_in_memory

EFFECT = 1.0
FOLDS = 5
CHOICES = {
    "100 of depth 4, no stop": BoostingOptions(
        trees=100, depth=4, early_stopping_rounds=0, on_top_of_linear=False
    ),
    "500 trees, stopping": BoostingOptions(on_top_of_linear=False),
    "on top of linear": BoostingOptions(),
    "on top of degree 2": BoostingOptions(start_degree=2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--covariates", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for world in (linear_world, nonlinear_world):
        found: dict[str, list[tuple[float, ...]]] = {}
        for repetition in range(options.repetitions):
            random = np.random.default_rng([options.seed, repetition])
            for choice, line in repeat(world, options, random).items():
                found.setdefault(choice, []).append(line)
        figures[world.__name__] = {choice: summary(lines) for choice, lines in found.items()}
        print(f"\n{world.__name__}: {options.rows:,} rows, {options.repetitions} repetitions")
        for choice, numbers in figures[world.__name__].items():
            print(f"  {choice:24s} " + "  ".join(f"{k} {v:7.3f}" for k, v in numbers.items()))
    print(json.dumps({"benchmark": "boosting_bias", "rows": options.rows, "figures": figures}))


def linear_world(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Propensity and untreated outcome: linear in all covariates."""
    index = x.sum(axis=0) / np.sqrt(len(x))
    return 1 / (1 + np.exp(-index)), 2 * index


def nonlinear_world(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interactions, kinks and waves in both."""
    odds = 0.7 * x[0] * x[1] + 0.7 * np.abs(x[2]) - 0.6 + 0.5 * np.sin(2 * x[3])
    outcome = x[0] * x[1] + 1.5 * np.abs(x[2]) + np.sin(2 * x[3]) + (x[4] > 0.5) + 0.5 * x[5]
    return 1 / (1 + np.exp(-odds)), outcome


def repeat(
    world: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    options: argparse.Namespace,
    random: np.random.Generator,
) -> dict[str, tuple[float, ...]]:
    """One draw of a world, estimated with every choice."""
    x = random.standard_normal((options.covariates, options.rows))
    propensity, untreated = world(x)
    arm = (random.random(options.rows) < propensity).astype(int)
    outcome = untreated + EFFECT * arm + random.standard_normal(options.rows)
    fold = np.arange(options.rows) % FOLDS
    oracle, _ = aipw(arm, outcome, propensity, np.stack([untreated, untreated + EFFECT]))
    lines = {}
    for choice, boosting in CHOICES.items():
        fitted = fit_in_memory(x, arm, outcome[None], fold, boosting, threads=options.threads)
        lines[choice] = (*estimate(fitted, x, arm, outcome, fold, oracle), rounds(fitted))
        if choice == "on top of linear":
            bare = without_trees(fitted)
            lines["linear"] = (*estimate(bare, x, arm, outcome, fold, oracle)[:3], 0.0, 0.0)
    return lines


def estimate(
    fitted: BoostingNuisances,
    x: np.ndarray,
    arm: np.ndarray,
    outcome: np.ndarray,
    fold: np.ndarray,
    oracle: float,
) -> tuple[float, float, float, float]:
    """Shift from the oracle and error, both in standard errors; standard error; seconds."""
    propensity, regression = np.empty(len(arm)), np.empty((2, len(arm)))
    for k in range(FOLDS):
        own = fold == k
        shares, means = fitted.predict(x[:, own], k)
        propensity[own], regression[:, own] = shares[1], means[:, 0]
    found, error = aipw(arm, outcome, propensity, regression)
    return (found - oracle) / error, (found - EFFECT) / error, error, fitted.seconds["total"]


def aipw(
    arm: np.ndarray, outcome: np.ndarray, propensity: np.ndarray, regression: np.ndarray
) -> tuple[float, float]:
    """Robins, Rotnitzky & Zhao (1994): the mean score and its standard error."""
    score = regression[1] - regression[0]
    score = score + arm * (outcome - regression[1]) / propensity
    score = score - (1 - arm) * (outcome - regression[0]) / (1 - propensity)
    return float(score.mean()), float(score.std() / np.sqrt(len(score)))


def without_trees(fitted: BoostingNuisances) -> BoostingNuisances:
    """The linear start alone."""
    return replace(
        fitted,
        propensity_boosters=(b"",) * FOLDS,
        outcome_boosters=((((b"",),) * 2),) * FOLDS,
    )


def rounds(fitted: BoostingNuisances) -> float:
    """Mean rounds of all models."""
    return float(np.mean([*fitted.propensity_rounds, *fitted.outcome_rounds.ravel()]))


def summary(lines: list[tuple[float, ...]]) -> dict[str, float]:
    """Means over repetitions, and the root mean square of z."""
    values = np.array(lines)
    return {
        "shift": round(float(values[:, 0].mean()), 3),
        "z_mean": round(float(values[:, 1].mean()), 3),
        "z_rms": round(float(np.sqrt((values[:, 1] ** 2).mean())), 3),
        "standard_error": round(float(values[:, 2].mean()), 5),
        "seconds": round(float(values[:, 3].mean()), 1),
        "rounds": round(float(values[:, 4].mean()), 1),
    }


if __name__ == "__main__":
    main()
