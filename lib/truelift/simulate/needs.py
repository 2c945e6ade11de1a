"""A world of needs whose truth is known: people whose needs move by what they are shown, and what they then do."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from truelift.models.need.rows import NeedRows
from truelift.models.need.states import Layout, StateModel

# What one sees of a person: the section looked at, pages, whether something was bought, minutes.
_LAYOUT = {"levels": (4, 2), "counts": 1, "numbers": 1}


def _even(rows: list[list[float]]) -> np.ndarray:
    table = np.array(rows)
    return table / table.sum(axis=-1, keepdims=True)


def _truth() -> StateModel:
    stay = _even([[8, 1, 1], [1, 8, 1], [1, 1, 8]])
    mailed = _even([[5, 4, 1], [1, 8, 1], [1, 4, 5]])
    sections = _even([[6, 2, 1, 1], [1, 6, 2, 1], [1, 1, 3, 5]]).T
    bought = np.array([[0.95, 0.75, 0.4], [0.05, 0.25, 0.6]])
    return StateModel(
        Layout(3, 2, **_LAYOUT), _even([[5, 3, 2], [5, 3, 2]]), np.stack([stay, mailed]),  # type: ignore[arg-type]
        np.concatenate([sections, bought]), np.array([[1.5, 3.0, 5.0]]), np.array([[2.0, 4.0, 3.0]]),
        np.array([[1.5, 1.5, 1.5]]),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class NeedWorld:
    """People with one of three needs at each step; a mail moves some of them to the second.

    Parameters
    ----------
    truth : StateModel
        Of two levels of the input, a column of four sections, one of whether something was bought, a count and a number.
    mailed : tuple of float
        The chance of a mail before a step, after steps without and with a purchase: by what was seen, never by the need.
    """

    truth: StateModel = field(default_factory=_truth)
    mailed: tuple[float, float] = (0.5, 0.2)

    def draw(
        self, users: int, steps: int, seed: int, always: int | None = None
    ) -> tuple[pa.Table, np.ndarray]:
        """Steps of new people, and the need at each.

        Parameters
        ----------
        users, steps : int
        seed : int
        always : int, optional
            The level of the input that everyone gets at the last step, whatever the world does: do(A).
        """
        rng = np.random.default_rng(seed)
        truth = self.truth
        need = np.empty((users, steps), np.int64)
        shown, bought = np.empty((2, users, steps), np.int64)
        for t in range(steps):
            before = bought[:, t - 1] if t else np.zeros(users, np.int64)
            shown[:, t] = rng.random(users) < np.array(self.mailed)[before]
            if always is not None and t == steps - 1:
                shown[:, t] = always
            chances = (
                truth.transition[shown[:, t], need[:, t - 1]] if t else truth.initial[shown[:, t]]
            )
            need[:, t] = _drawn(chances, rng)
            bought[:, t] = _drawn(truth.table[4:].T[need[:, t]], rng)
        flat = need.ravel()
        section = _drawn(truth.table[:4].T[flat], rng)
        pages = rng.poisson(truth.rate[0][flat])
        minutes = truth.mean[0][flat] + truth.sd[0][flat] * rng.normal(size=flat.size)
        table = pa.table(
            {
                "customer": np.repeat(np.arange(users), steps),
                "week": np.tile(np.arange(steps), users),
                "mailed": shown.ravel(),
                "section": pa.array(np.array(["bread", "fruit", "toys", "wine"])[section]),
                "pages": pages,
                "minutes": minutes,
                "bought": bought.ravel(),
            }
        )
        return table, need

    @staticmethod
    def rows(table: pa.Table) -> NeedRows:
        """A table as :meth:`draw` gives it, as arrays of the layout of ``truth``."""
        users = table["customer"].to_numpy()
        starts = np.r_[np.flatnonzero(np.r_[True, users[1:] != users[:-1]]), len(users)]
        section = np.searchsorted(["bread", "fruit", "toys", "wine"], table["section"].to_numpy())
        codes = np.stack([section, table["bought"].to_numpy()], axis=1).astype(np.int32)
        pages, minutes = (table[c].to_numpy().astype(float)[:, None] for c in ("pages", "minutes"))
        return NeedRows(
            starts, table["mailed"].to_numpy().astype(np.int32), codes, pages, minutes, np.zeros((len(users), 0))
        )  # fmt: skip

    def filter(self, table: pa.Table) -> np.ndarray:
        """P(need | what was seen up to the step) by the true numbers, rows by three."""
        return self.truth.posteriors(self.rows(table))[0]

    def effect(self, share: np.ndarray) -> tuple[np.ndarray, float]:
        """What a mail changes at the next step: the chance of each need, and of a purchase.

        Parameters
        ----------
        share : ndarray, 3
            Of people in each need before.
        """
        change = share @ (self.truth.transition[1] - self.truth.transition[0])
        return change, float(change @ self.truth.table[5])


def _drawn(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    below = np.cumsum(chances, axis=1)
    picked = (rng.random(len(chances))[:, None] >= below).sum(axis=1)
    return np.minimum(picked, chances.shape[1] - 1)
