"""Needs as numbers: a linear Gaussian model of states that what is shown pushes.

z_1 ~ N(m_A, P), z_t = F z_t-1 + b_A + w_t, w ~ N(0, I), x_t = C z_t + d + v_t with independent noise: b of the base is zero, and the
first columns load on the first needs alone (C is lower triangular with a diagonal above zero), which leaves no other way to write the
same model. EM is exact (Shumway & Stoffer 1982), and free in the covariance of w, by which it is faster (Liu, Rubin & Wu 1998); its
expectations are sums over users.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from truelift.models.need.linear_kernels import add_users, posteriors
from truelift.models.need.rows import NeedRows
from truelift.models.need.sums import RowOfSums, SummedModel

#: Noise is at least this share of a column's overall spread.
NARROWEST = 1e-3
# A covariance is at least this share of its largest direction.
_FLAT = 1e-8
_STEP = 1e-6


@dataclass(frozen=True)
class NumberLayout(RowOfSums):
    """Where what lies in a row of sums.

    Parameters
    ----------
    needs, inputs, numbers : int
        K, levels of what is shown, columns.
    base : int
        The level that pushes nothing.
    """

    needs: int
    inputs: int
    numbers: int
    base: int = 0

    #: No shares of steps are a part of such a model.
    shares = 0
    levels: tuple[int, ...] = ()
    counts: int = 0

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """By part of the sums, its shape."""
        k, m, g = self.needs, self.inputs, self.numbers
        return {
            "start_steps": (m,), "start_sum": (m, k), "start_square": (k, k), "before": (k + m, k + m),
            "cross": (k, k + m), "square": (k, k), "held": (g, k + 1, k + 1), "shown": (g, k + 1), "seen": (g, 2),
            "steps": (0,), "told": (3,),
        }  # fmt: skip

    @cached_property
    def pushing(self) -> np.ndarray:
        """Levels besides the base."""
        return np.delete(np.arange(self.inputs), self.base)


@dataclass(frozen=True, eq=False)
class LinearModel(SummedModel):
    """How needs go on, what pushes them, and what they show in.

    Parameters
    ----------
    layout : NumberLayout
    moves : ndarray, K x K
        F.
    pushed, begin : ndarray, K x M
        b and m, by level of what is shown.
    begin_spread : ndarray, K x K
        P.
    loading : ndarray, G x K
        C.
    level, noise : ndarray, G
        d, and standard deviations of v.
    """

    layout: NumberLayout
    moves: np.ndarray
    pushed: np.ndarray
    begin: np.ndarray
    begin_spread: np.ndarray
    loading: np.ndarray
    level: np.ndarray
    noise: np.ndarray

    def _arrays(self, rows: NeedRows) -> tuple[np.ndarray, ...]:
        own = (self.moves, self.pushed, self.begin, self.begin_spread, self.loading, self.level, self.noise)  # fmt: skip
        return rows.starts, rows.inputs, rows.numbers, *(np.ascontiguousarray(a) for a in own)

    def add_users(self, rows: NeedRows, by_user: bool, out: np.ndarray) -> None:
        """As :meth:`.SummedModel.add_users` says."""
        add_users(*(*self._arrays(rows), by_user, out))

    def moments(self, rows: NeedRows) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean and covariance of the filter, and of the smoother: n x K and n x K x K each."""
        n, k = len(rows), self.needs
        filtered, smoothed = np.empty((2, n, k))
        spreads = np.empty((2, n, k, k))
        posteriors(*(*self._arrays(rows), filtered, spreads[0], smoothed, spreads[1]))
        return filtered, spreads[0], smoothed, spreads[1]

    def posteriors(self, rows: NeedRows) -> tuple[np.ndarray, np.ndarray]:
        """Means of the filter and of the smoother, n x K each."""
        filtered, _, smoothed, _ = self.moments(rows)
        return filtered, smoothed

    def coefficients(self) -> np.ndarray:
        """What :meth:`log_density` multiplies the sums by."""
        found = np.zeros(self.layout.size)
        part = self.layout.parts(found)
        exact = np.linalg.inv(self.begin_spread)
        towards = exact @ self.begin
        part["start_steps"][:] = -0.5 * (
            np.linalg.slogdet(self.begin_spread)[1] + (self.begin * towards).sum(axis=0)
        )
        part["start_sum"][:], part["start_square"][:] = towards.T, -0.5 * exact
        go = np.concatenate([self.moves, self.pushed], axis=1)
        part["before"][:], part["cross"][:] = -0.5 * go.T @ go, go
        part["square"][:] = -0.5 * np.eye(self.needs)
        shows = np.concatenate([self.loading, self.level[:, None]], axis=1)
        sure = 1 / self.noise[:, None] ** 2
        part["held"][:] = -0.5 * sure[:, None] * shows[:, :, None] * shows[:, None]
        part["shown"][:] = sure * shows
        part["seen"][:, 0], part["seen"][:, 1] = -np.log(self.noise), -0.5 * sure[:, 0]
        return found

    def log_density(self, sums: np.ndarray) -> float:
        """Expected log density of needs and what is seen, up to a constant."""
        return float(self.coefficients() @ sums)

    def improved(self, sums: np.ndarray, scale: np.ndarray) -> LinearModel:
        """The model that makes the expected log density largest, its needs in units of what moves them.

        Parameters
        ----------
        sums : ndarray
        scale : ndarray, G
            Overall standard deviations, below a thousandth of which no noise falls.
        """
        layout, k = self.layout, self.needs
        part = layout.parts(sums)
        kept = np.r_[np.arange(k), k + layout.pushing]
        go = np.zeros((k, k + layout.inputs))
        within = part["before"][np.ix_(kept, kept)]
        go[:, kept] = part["cross"][:, kept] @ np.linalg.pinv(within, hermitian=True)
        steps = max(float(np.trace(part["before"][k:, k:])), 1.0)
        both = go @ part["cross"].T
        moved = (part["square"] - both - both.T + go @ part["before"] @ go.T) / steps
        users = part["start_steps"]
        overall = part["start_sum"].sum(axis=0) / max(users.sum(), 1.0)
        begin = np.where(
            users[:, None] > 0, part["start_sum"] / np.maximum(users, 1.0)[:, None], overall
        ).T
        apart = part["start_square"] - (users * begin) @ begin.T
        shows = np.stack(
            [np.linalg.pinv(h, hermitian=True) @ s for h, s in zip(part["held"], part["shown"], strict=True)]
        )  # fmt: skip
        left = part["seen"][:, 1] - (shows * part["shown"]).sum(axis=1)
        variance = left / np.maximum(part["seen"][:, 0], 1.0)
        noise = np.sqrt(np.maximum(variance, (NARROWEST * scale) ** 2))
        found = replace(
            self, moves=go[:, :k], pushed=go[:, k:], begin=begin,
            begin_spread=_kept_up(apart / max(users.sum(), 1.0)), loading=shows[:, :k], level=shows[:, k], noise=noise,
        )  # fmt: skip
        return found.in_units_of(_kept_up(moved))

    def in_units_of(self, moved: np.ndarray) -> LinearModel:
        """The same model where ``moved`` was the covariance of what moves needs, written in the one way that is left."""
        root = np.linalg.cholesky(moved)
        turn, upper = np.linalg.qr((self.loading[: self.needs] @ root).T)
        change = root @ (turn * np.where(np.diag(upper) < 0, -1.0, 1.0))
        back = np.linalg.inv(change)
        loading = self.loading @ change
        loading[: self.needs] = np.tril(loading[: self.needs])
        spread = back @ self.begin_spread @ back.T
        return replace(
            self, moves=back @ self.moves @ change, pushed=back @ self.pushed, begin=back @ self.begin,
            begin_spread=(spread + spread.T) / 2, loading=loading,
        )  # fmt: skip

    def relabelled(self, _: np.ndarray) -> LinearModel:
        """Itself: columns give needs their order."""
        return self

    def profile(self) -> np.ndarray:
        """What needs show and how they go on, K x (G + K)."""
        return np.concatenate([self.loading.T, self.moves], axis=1)

    def vector(self) -> np.ndarray:
        """Coordinates without bounds."""
        lower = np.tril_indices(self.needs)
        root = _log_diagonal(np.linalg.cholesky(self.begin_spread))
        top = _log_diagonal(self.loading[: self.needs])
        return np.concatenate(
            [self.moves.ravel(), self.pushed[:, self.layout.pushing].ravel(), self.begin.ravel(), root[lower],
             top[lower], self.loading[self.needs :].ravel(), self.level, np.log(self.noise)]
        )  # fmt: skip

    def at(self, vector: np.ndarray) -> LinearModel:
        """The model of a vector, of the same layout."""
        k, layout = self.needs, self.layout
        triangle = k * (k + 1) // 2
        sizes = [k * k, k * len(layout.pushing), k * layout.inputs, triangle, triangle, (layout.numbers - k) * k, layout.numbers]  # fmt: skip
        moves, pushes, begin, root, top, rest, level, noise = np.split(vector, np.cumsum(sizes))
        pushed = np.zeros((k, layout.inputs))
        pushed[:, layout.pushing] = pushes.reshape(k, -1)
        spread_root = _triangle(root, k)
        return LinearModel(
            layout, moves.reshape(k, k), pushed, begin.reshape(k, -1), spread_root @ spread_root.T,
            np.concatenate([_triangle(top, k), rest.reshape(-1, k)]), level, np.exp(noise),
        )  # fmt: skip

    def score_matrix(self) -> np.ndarray:
        """The score is this matrix times the sums: the slopes of the coefficients (Fisher's identity)."""
        vector = self.vector()
        lines = np.empty((len(vector), self.layout.size))
        for place in range(len(vector)):
            step = np.zeros(len(vector))
            step[place] = _STEP * max(1.0, abs(vector[place]))
            ends = [self.at(vector + sign * step).coefficients() for sign in (1, -1)]
            lines[place] = (ends[0] - ends[1]) / (2 * step[place])
        return lines


def _kept_up(covariance: np.ndarray) -> np.ndarray:
    """A covariance without directions that are flat."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    values = np.maximum(values, _FLAT * max(float(values.max()), 1e-6))
    found: np.ndarray = (vectors * values) @ vectors.T
    return found


def _log_diagonal(lower: np.ndarray) -> np.ndarray:
    found = lower.copy()
    np.fill_diagonal(found, np.log(np.maximum(np.diag(lower), 1e-12)))
    return found


def _triangle(entries: np.ndarray, size: int) -> np.ndarray:
    found = np.zeros((size, size))
    found[np.tril_indices(size)] = entries
    np.fill_diagonal(found, np.exp(np.diag(found)))
    return found
