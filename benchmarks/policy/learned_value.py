"""Do intervals of a learned policy's value hold it? And those of a budget path?

    python benchmarks/policy/learned_value.py [--repetitions 2000] [--cells NAME,...]

Worlds have three covariates of six levels, three arms, five folds and known effects; scores are effects plus noise
that clusters of four units share to a degree (``icc``). A tree of depth two is learned in each repetition; the
truth is the mean value of the folds' trees over all cells of the covariates, which are equally likely. Beside
it: the interval without what folds have in common (``folds alone``); the same interval for the tree of all units;
the interval of the in-sample value for the tree of all units, and the budget path's gain at two fifths of
the whole spend, with forecasts three times the effects, by the slope of the scored path and by the price of the
last step. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass

import numpy as np

from truelift.policy.budget.path import Offers, budget_path, gains_at
from truelift.policy.means import Ratios
from truelift.policy.trees.fit import TreeOptions, fit_trees
from truelift.policy.trees.histograms import CodedRows, SumsInMemory

LEVELS, COVARIATES, ARMS, FOLDS, CLUSTER = 6, 3, 3, 5, 4
GRID = np.array(list(itertools.product(range(LEVELS), repeat=COVARIATES)), np.uint8).T


@dataclass(frozen=True)
class World:
    units: int
    icc: float
    size: float


CELLS = {
    "none-1000": World(1000, 0.0, 0.0),
    "small-1000": World(1000, 0.0, 0.2),
    "large-1000": World(1000, 0.0, 1.0),
    "small-5000": World(5000, 0.0, 0.2),
    "clusters-1000": World(1000, 0.5, 0.2),
    "clusters-5000": World(5000, 0.5, 0.2),
}


def effects(codes: np.ndarray, size: float) -> np.ndarray:
    """Effects of the arms (n x A): steps in two covariates, a slope in the third."""
    first = np.where(codes[0] > 2, 1.0, -0.5)
    second = np.where(codes[1] > 3, 1.5, -0.6) + 0.1 * (codes[2] - 2.5)
    return size * np.column_stack([np.zeros(codes.shape[1]), first, second])


def policy_value(world: World, rng: np.random.Generator) -> dict[str, float]:
    n = world.units
    codes = rng.integers(0, LEVELS, (COVARIATES, n)).astype(np.uint8)
    cluster = np.repeat(np.arange(n // CLUSTER), CLUSTER)
    shared = rng.normal(size=(n // CLUSTER, ARMS))[cluster]
    noise = np.sqrt(world.icc) * shared + np.sqrt(1 - world.icc) * rng.normal(size=(n, ARMS))
    scores = effects(codes, world.size) + 2.0 * noise
    fold = cluster % FOLDS
    found = fit_trees(
        SumsInMemory(CodedRows(codes, scores, fold), 1), COVARIATES, LEVELS, ARMS, FOLDS,
        TreeOptions(2, 20), 1,
    )  # fmt: skip
    rows = np.arange(n)
    out = np.empty(n)
    for k, tree in enumerate(found.of_folds):
        own = fold == k
        out[own] = scores[own][rows[: own.sum()], tree.choose(codes[:, own])]
    inside = scores[rows, found.of_all.choose(codes)]
    grid = effects(GRID, world.size)
    cells = np.arange(GRID.shape[1])
    truths = [grid[cells, tree.choose(GRID)].mean() for tree in found.of_folds]
    truth = float(np.bincount(fold, minlength=FOLDS) @ truths) / n
    of_all = float(grid[cells, found.of_all.choose(GRID)].mean())
    moved = np.zeros((2, FOLDS, FOLDS))
    for tree, (j, k) in zip(
        found.of_pairs, itertools.combinations(range(FOLDS), 2), strict=True
    ):  # fmt: skip
        before = scores[rows, tree.choose(codes)]
        for one, other in ((j, k), (k, j)):
            moved[1, one, other] = (out - before)[fold == one].sum()
    estimate, alone = clustered(out, cluster)
    _, error = clustered(out, cluster, moved)
    naive, naive_error = clustered(inside, cluster)
    return {
        "coverage": abs(estimate - truth) < 1.96 * error,
        "folds_alone": abs(estimate - truth) < 1.96 * alone,
        "of_all": abs(estimate - of_all) < 1.96 * error,
        "in_sample": abs(naive - of_all) < 1.96 * naive_error,
        "off": estimate - truth,
        "error": error,
        "optimism": naive - of_all,
    }


def clustered(
    values: np.ndarray, cluster: np.ndarray, moved: np.ndarray | None = None
) -> tuple[float, float]:
    sums = np.array([np.bincount(cluster), np.bincount(cluster, values)])
    state = {"total": sums.sum(axis=1), "products": sums @ sums.T, "clusters": np.array([sums.shape[1]])}  # fmt: skip
    found = Ratios.of(state if moved is None else state | {"moved": moved}, [1], [0])
    return float(found.estimates[0]), float(np.sqrt(found.whole_covariance()[0, 0]))


class Gains:
    """The gain of a budget where forecasts are three times the effects, and its truth."""

    def __init__(self, world: World, rng: np.random.Generator):
        self.world, self.rng = world, rng
        effect, cost = self._draw(200_000)
        large = budget_path(Offers(3 * effect, effect, cost))
        self.budgets = np.array([0.4 * large.whole])
        self.truth = float(large.gain_at(self.budgets)[0])

    def _draw(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        effect = self.rng.normal(0.2, 1, (n, ARMS - 1))
        return effect, np.exp(0.4 * self.rng.normal(size=effect.shape) + 0.5 * effect)

    def once(self) -> dict[str, float]:
        n = self.world.units
        effect, cost = self._draw(n)
        cluster = np.repeat(np.arange(n // CLUSTER), CLUSTER)
        shared = self.rng.normal(size=(n // CLUSTER, ARMS - 1))[cluster]
        own = self.rng.normal(size=effect.shape)
        icc = self.world.icc
        score = effect + np.sqrt(icc) * shared + np.sqrt(1 - icc) * own
        path = budget_path(Offers(3 * effect, score, cost, cluster))
        found = gains_at([path], self.budgets)
        off = abs(found.estimates[0] - self.truth)
        by_price = _ByPrice(**vars(path))
        priced = gains_at([by_price], self.budgets)
        return {
            "path": off < 1.96 * np.sqrt(found.covariance[0, 0]),
            "path_by_price": off < 1.96 * np.sqrt(priced.covariance[0, 0]),
        }


class _ByPrice(type(budget_path(Offers(*(np.ones((2, 1)),) * 3)))):  # type: ignore[misc]
    def scored_slope(self, budgets: np.ndarray) -> np.ndarray:
        return self.price_at(budgets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--cells", default=",".join(CELLS))
    args = parser.parse_args()
    figures = {}
    print(f"{'cell':16}{'coverage':>9}{'folds alone':>12}{'of all':>8}{'in sample':>11}{'optimism':>10}{'se / sd':>9}"
          f"{'path':>8}{'by price':>10}")  # fmt: skip
    for name in args.cells.split(","):
        world = CELLS[name]
        rng = np.random.default_rng(7)
        gains = Gains(world, rng)
        drawn = [policy_value(world, rng) | gains.once() for _ in range(args.repetitions)]
        mean = {key: float(np.mean([d[key] for d in drawn])) for key in drawn[0]}
        spread = float(np.std([d["off"] for d in drawn]))
        figures[name] = {
            "repetitions": args.repetitions, "coverage": round(mean["coverage"], 4),
            "folds_alone": round(mean["folds_alone"], 4),
            "of_all": round(mean["of_all"], 4), "in_sample": round(mean["in_sample"], 4),
            "optimism": round(mean["optimism"], 4), "bias": round(mean["off"], 5),
            "se_by_sd": round(mean["error"] / spread, 3), "path": round(mean["path"], 4),
            "path_by_price": round(mean["path_by_price"], 4),
        }  # fmt: skip
        f = figures[name]
        print(
            f"{name:16}{f['coverage']:>9}{f['folds_alone']:>12}{f['of_all']:>8}{f['in_sample']:>11}{f['optimism']:>10}"
            f"{f['se_by_sd']:>9}{f['path']:>8}{f['path_by_price']:>10}", flush=True,
        )  # fmt: skip
    print(json.dumps({"benchmark": "learned_value", "figures": figures, "ratios": {}}))


if __name__ == "__main__":
    main()
