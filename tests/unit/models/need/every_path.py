"""A model of needs by going through every path of needs: what the compiled loops are held to."""

from __future__ import annotations

import itertools
import math

import numpy as np

from truelift.models.need.rows import NeedRows
from truelift.models.need.states import Layout, StateModel

LAYOUT = Layout(3, 2, (3, 2), 1, 1)


def some_model(seed: int, layout: Layout = LAYOUT) -> StateModel:
    rng = np.random.default_rng(seed)
    k, m = layout.needs, layout.inputs
    table = [rng.dirichlet(np.ones(size), k).T for size in layout.levels]
    moves = rng.dirichlet(np.ones(k), (m, k)) if layout.changing else np.stack([np.eye(k)] * m)
    return StateModel(
        layout, rng.dirichlet(np.ones(k), m), moves, np.concatenate([np.zeros((0, k)), *table]),
        rng.gamma(2.0, size=(layout.counts, k)), rng.normal(size=(layout.numbers, k)),
        0.5 + rng.random((layout.numbers, k)),
    )  # fmt: skip


def some_rows(
    seed: int, sizes: tuple[int, ...], layout: Layout = LAYOUT, gaps: float = 0.2
) -> NeedRows:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    codes = np.stack([rng.integers(0, size, n) for size in layout.levels], axis=1).astype(np.int32)
    codes[rng.random(codes.shape) < gaps] = -1
    counts = rng.poisson(2.0, (n, layout.counts)).astype(float)
    numbers = rng.normal(size=(n, layout.numbers))
    counts[rng.random(counts.shape) < gaps] = np.nan
    numbers[rng.random(numbers.shape) < gaps] = np.nan
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    inputs = rng.integers(0, layout.inputs, n).astype(np.int32)
    return NeedRows(starts, inputs, codes, counts, numbers, np.zeros((n, 0)))


def chance_of_step(model: StateModel, rows: NeedRows, i: int, k: int) -> float:
    found = 1.0
    for column, start in enumerate(model.layout.offsets):
        if rows.codes[i, column] >= 0:
            found *= model.table[start + rows.codes[i, column], k]
    for p, x in enumerate(rows.counts[i]):
        if not math.isnan(x):
            found *= model.rate[p, k] ** x * math.exp(-model.rate[p, k]) / math.factorial(int(x))
    for g, x in enumerate(rows.numbers[i]):
        if not math.isnan(x):
            z = (x - model.mean[g, k]) / model.sd[g, k]
            found *= math.exp(-z * z / 2) / model.sd[g, k] / math.sqrt(2 * math.pi)
    return found


def joint(model: StateModel, rows: NeedRows, first: int, last: int) -> dict[tuple[int, ...], float]:
    """By path of needs over a user's steps, its chance together with what was seen."""
    found = {}
    for path in itertools.product(range(model.needs), repeat=last - first):
        chance = 1.0
        for t, k in enumerate(path):
            shown = rows.inputs[first + t]
            chance *= (
                model.transition[shown, path[t - 1], k] if t else model.initial[shown, k]
            ) * chance_of_step(model, rows, first + t, k)
        found[path] = chance
    return found


def drawn_rows(model: StateModel, users: int, steps: int, seed: int) -> NeedRows:
    """Rows that a model makes."""
    rng, layout = np.random.default_rng(seed), model.layout

    def pick(chances: np.ndarray) -> np.ndarray:
        above = (rng.random(len(chances))[:, None] >= np.cumsum(chances, axis=1)).sum(axis=1)
        return np.minimum(above, chances.shape[1] - 1)

    shown = rng.integers(0, layout.inputs, (users, steps))
    need = np.empty((users, steps), np.int64)
    for t in range(steps):
        need[:, t] = pick(
            model.transition[shown[:, t], need[:, t - 1]] if t else model.initial[shown[:, t]]
        )
    k = need.ravel()
    codes = [
        pick(model.table[start : start + size].T[k])
        for start, size in zip(layout.offsets, layout.levels, strict=True)
    ]
    numbers = model.mean.T[k] + model.sd.T[k] * rng.normal(size=(len(k), layout.numbers))
    return NeedRows(
        np.arange(users + 1) * steps, shown.ravel().astype(np.int32), np.stack(codes, axis=1).astype(np.int32),
        rng.poisson(model.rate.T[k]).astype(float), numbers, np.zeros((len(k), 0)),
    )  # fmt: skip
