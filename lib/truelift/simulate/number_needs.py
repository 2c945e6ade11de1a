"""A world of needs that are more or less: people whose needs fade, mails that push one of them, and what they then do."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from truelift.models.need.linear import LinearModel, NumberLayout
from truelift.models.need.rows import NeedRows

#: What one sees of a person; the first tells of the first need alone.
SEEN = ("pages", "minutes", "items", "spend")


def _truth() -> LinearModel:
    loading = np.array([[1.0, 0.0], [0.6, 1.2], [0.3, 0.8], [4.0, 10.0]])
    return LinearModel(
        NumberLayout(2, 2, 4), np.array([[0.7, 0.1], [0.0, 0.5]]), np.array([[0.0, 0.8], [0.0, -0.3]]),
        np.array([[0.0, 0.5], [0.0, 0.0]]), np.array([[2.0, 0.3], [0.3, 1.4]]), loading, np.array([8.0, 20.0, 3.0, 60.0]),
        np.array([1.0, 1.5, 0.8, 12.0]),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class NumberNeedWorld:
    """People with two needs; a mail makes the first larger and the second smaller.

    Parameters
    ----------
    truth : LinearModel
        Of two levels of the input and the columns of ``SEEN``, in their units.
    mailed : tuple of float
        The chance of a mail before a step, after steps with less and with more money than usual.
    """

    truth: LinearModel = field(default_factory=_truth)
    mailed: tuple[float, float] = (0.5, 0.3)

    def draw(self, users: int, steps: int, seed: int) -> tuple[pa.Table, np.ndarray]:
        """Steps of new people, and the needs at each (users x steps x 2)."""
        rng, truth = np.random.default_rng(seed), self.truth
        need = np.empty((users, steps, 2))
        seen = np.empty((users, steps, len(SEEN)))
        shown = np.empty((users, steps), np.int64)
        root = np.linalg.cholesky(truth.begin_spread)
        for t in range(steps):
            more = seen[:, t - 1, 3] > truth.level[3] if t else np.zeros(users, bool)
            shown[:, t] = rng.random(users) < np.array(self.mailed)[more.astype(int)]
            by_chance = rng.normal(size=(users, 2))
            if t:
                need[:, t] = (
                    need[:, t - 1] @ truth.moves.T + truth.pushed.T[shown[:, t]] + by_chance
                )
            else:
                need[:, 0] = truth.begin.T[shown[:, 0]] + by_chance @ root.T
            noise = truth.noise * rng.normal(size=(users, len(SEEN)))
            seen[:, t] = truth.level + need[:, t] @ truth.loading.T + noise
        columns = dict(zip(SEEN, seen.reshape(-1, len(SEEN)).T, strict=True))
        who, when = np.repeat(np.arange(users), steps), np.tile(np.arange(steps), users)
        table = {"customer": who, "week": when, "mailed": shown.ravel(), **columns}
        return pa.table(table), need

    def filter(self, table: pa.Table) -> np.ndarray:
        """The needs that the true numbers make of what was seen up to the step, rows x 2."""
        users = table["customer"].to_numpy()
        starts = np.r_[np.flatnonzero(np.r_[True, users[1:] != users[:-1]]), len(users)]
        numbers = np.stack([table[c].to_numpy() for c in SEEN], axis=1)
        empty, shown = np.zeros((len(users), 0)), table["mailed"].to_numpy().astype(np.int32)
        rows = NeedRows(starts, shown, empty.astype(np.int32), empty, numbers, empty)
        return self.truth.posteriors(rows)[0]

    def effects(self, steps: int) -> np.ndarray:
        """What a mail adds at the next steps to both needs and to spend, steps x 3."""
        added = [self.truth.pushed[:, 1]]
        for _ in range(steps - 1):
            added.append(self.truth.moves @ added[-1])
        needs = np.array(added)
        return np.concatenate([needs, needs @ self.truth.loading[3:].T], axis=1)
