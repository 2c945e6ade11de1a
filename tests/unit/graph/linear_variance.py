"""How precise adjustment is in a linear model with weights by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.graph.model import CausalGraph


def variances(graph: CausalGraph, sets: Sequence[set[str]], seed: int) -> list[float]:
    """Asymptotic variance, times n, of the least-squares coefficient of x given each set."""
    rng, dag = np.random.default_rng(seed), graph.dag
    names = list(dag)
    weights = np.zeros((len(names), len(names)))
    for a, b in dag.edges:
        weights[names.index(a), names.index(b)] = rng.uniform(0.3, 1.5) * rng.choice([-1, 1])
    mixing = np.linalg.inv(np.eye(len(names)) - weights)
    covariance = mixing.T @ np.diag(rng.uniform(0.5, 2, len(names))) @ mixing

    def left(target: str, given: list[str]) -> float:
        at, on = names.index(target), [names.index(name) for name in given]
        within, beside = covariance[np.ix_(on, on)], covariance[on, at]
        return float(covariance[at, at] - beside @ np.linalg.solve(within, beside))

    return [left("y", ["x", *sorted(given)]) / left("x", sorted(given)) for given in sets]
