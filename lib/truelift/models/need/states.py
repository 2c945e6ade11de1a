"""Needs as states: an input-output hidden Markov model, or latent classes where a need never changes.

P(U_1 | A_1) prod P(U_t | U_t-1, A_t) prod P(X_t | U_t) P(Y_t | U_t): what was shown moves needs, needs make what is seen
(Bengio & Frasconi 1995). EM is exact (Baum et al. 1970); its expectations are sums over users, so they add up over
any parts of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from truelift.models.need.rows import NeedRows
from truelift.models.need.state_kernels import add_users, posteriors
from truelift.models.need.sums import RowOfSums, SummedModel

# Numbers are at least this share of their overall spread apart within a need.
_NARROWEST = 1e-3


@dataclass(frozen=True)
class Layout(RowOfSums):
    """Where what lies in a row of sums.

    Parameters
    ----------
    needs, inputs : int
        K, and levels of what is shown.
    levels : tuple of int
        Of each categorical column.
    counts, numbers : int
        Columns of each kind.
    changing : bool
        Whether needs change from step to step.
    """

    needs: int
    inputs: int
    levels: tuple[int, ...]
    counts: int
    numbers: int
    changing: bool = True

    @property
    def shares(self) -> int:
        """Shares of steps that a covariance has beside the coordinates."""
        return self.needs

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """By part of the sums, its shape."""
        k, m = self.needs, self.inputs
        return {
            "initial": (m, k), "transition": (m, k, k), "table": (sum(self.levels), k),
            "counts": (self.counts, k, 2), "numbers": (self.numbers, k, 3), "steps": (k,),
            "told": (3,),
        }  # fmt: skip

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where each categorical column's levels begin."""
        return np.concatenate([[0], np.cumsum(self.levels)[:-1]]).astype(np.int64)[
            : len(self.levels)
        ]


@dataclass(frozen=True, eq=False)
class StateModel(SummedModel):
    """Chances of needs, and of what is seen under each.

    Parameters
    ----------
    layout : Layout
    initial : ndarray, M x K
    transition : ndarray, M x K x K
        By what is shown, from need, to need.
    table : ndarray, levels x K
        Chances of the levels of all categorical columns, one column after the other.
    rate : ndarray, P x K
        Poisson.
    mean, sd : ndarray, G x K
    """

    layout: Layout
    initial: np.ndarray
    transition: np.ndarray
    table: np.ndarray
    rate: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def add_users(self, rows: NeedRows, by_user: bool, out: np.ndarray) -> None:
        """As :meth:`.SummedModel.add_users` says."""
        add_users(*(*self._of(rows), by_user, out))

    def posteriors(self, rows: NeedRows) -> tuple[np.ndarray, np.ndarray]:
        """The filter P(U_t | X, Y up to t) and the smoother P(U_t | all X, Y), n x K each."""
        filtered, smoothed = np.empty((2, len(rows), self.needs))
        posteriors(*(*self._of(rows), filtered, smoothed))
        return filtered, smoothed

    def _of(self, rows: NeedRows) -> tuple[Any, ...]:
        log_table, log_rate = self._logs
        return (
            rows.starts, rows.inputs, rows.codes, rows.counts, rows.numbers, self.initial,
            self.transition, log_table, self.layout.offsets, log_rate, self.rate, self.mean, self.sd,
        )  # fmt: skip

    @cached_property
    def _logs(self) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(divide="ignore"):
            return np.log(self.table), np.log(self.rate)

    def log_density(self, sums: np.ndarray) -> float:
        """Expected log chance of needs and what is seen, which is linear in the sums."""
        part = self.layout.parts(sums)
        found = _plog(part["initial"], self.initial) + _plog(part["table"], self.table)
        if self.layout.changing:
            found += _plog(part["transition"], self.transition)
        w, wx = np.moveaxis(part["counts"], -1, 0)
        found += _plog(wx, self.rate) - float((w * self.rate).sum())
        w, wx, wxx = np.moveaxis(part["numbers"], -1, 0)
        away = wxx - 2 * self.mean * wx + self.mean**2 * w
        return found - float((0.5 * away / self.sd**2 + w * np.log(self.sd)).sum())

    def improved(self, sums: np.ndarray, scale: np.ndarray) -> StateModel:
        """The model that makes :meth:`log_density` of the sums largest.

        Parameters
        ----------
        sums : ndarray
            With those of the prior.
        scale : ndarray, G
            Overall standard deviations of the numbers, below a thousandth of which none falls.
        """
        part = self.layout.parts(sums)
        table = np.empty_like(self.table)
        for start, size in zip(self.layout.offsets, self.layout.levels, strict=True):
            own = slice(start, start + size)
            table[own] = _shares(part["table"][own], self.table[own], 0)
        w, wx = np.moveaxis(part["counts"], -1, 0)
        rate = np.where(w > 0, np.maximum(wx, 1e-12) / np.maximum(w, 1e-300), self.rate)
        w, wx, wxx = np.moveaxis(part["numbers"], -1, 0)
        safe = np.maximum(w, 1e-300)
        mean = np.where(w > 0, wx / safe, self.mean)
        spread = np.maximum((wxx - wx * mean) / safe, (_NARROWEST * scale[:, None]) ** 2)
        sd = np.where(w > 0, np.sqrt(spread), self.sd)
        moves = _shares(part["transition"], self.transition, -1)
        return StateModel(
            self.layout, _shares(part["initial"], self.initial, -1),
            moves if self.layout.changing else self.transition, table, rate, mean, sd,
        )  # fmt: skip

    def relabelled(self, order: np.ndarray) -> StateModel:
        """The same model with needs in another order."""
        return StateModel(
            self.layout, self.initial[:, order], self.transition[:, order][:, :, order],
            self.table[:, order], self.rate[:, order], self.mean[:, order], self.sd[:, order],
        )  # fmt: skip

    def profile(self) -> np.ndarray:
        """What tells the needs apart, K x d, in chances and in spreads: for matching and for comparing."""
        spread = np.maximum(self.sd.mean(axis=1, keepdims=True), 1e-300)
        rooted = np.sqrt(np.maximum(self.rate.mean(axis=1, keepdims=True), 1e-300))
        return np.concatenate([self.table, self.rate / rooted, self.mean / spread]).T


def _plog(weights: np.ndarray, chances: np.ndarray) -> float:
    held = weights > 0
    return float((weights[held] * np.log(np.maximum(chances[held], 1e-300))).sum())


def _shares(sums: np.ndarray, before: np.ndarray, axis: int) -> np.ndarray:
    total = sums.sum(axis=axis, keepdims=True)
    return np.where(total > 0, sums / np.maximum(total, 1e-300), before)


def prior_sums(
    layout: Layout, rows: float, mean_count: np.ndarray, mean: np.ndarray, sd: np.ndarray
) -> np.ndarray:
    """Sums of so many rows a distribution that know nothing: even over levels, and as the columns are overall.

    Parameters
    ----------
    layout : Layout
    rows : float
    mean_count : ndarray, P
    mean, sd : ndarray, G
    """  # fmt: skip
    sums = np.zeros(layout.size)
    part = layout.parts(sums)
    part["initial"][:] = part["transition"][:] = rows / layout.needs
    for start, size in zip(layout.offsets, layout.levels, strict=True):
        part["table"][start : start + size] = rows / size
    part["counts"][..., 0], part["counts"][..., 1] = rows, rows * mean_count[:, None]
    part["numbers"][..., 0], part["numbers"][..., 1] = rows, rows * mean[:, None]
    part["numbers"][..., 2] = rows * (mean**2 + sd**2)[:, None]
    return sums
