"""Factors of users and items with their uncertainty: draws of a Gibbs sampler, with features of both sides.

Labels ``y = c + b_u + b_i + p_u . q_i + e``. A user's ``(b_u, p_u)`` is normal about ``x_u B``, x his features
with a one, B and the precision unknown too; items alike (Salakhutdinov & Mnih, ICML 2008; Simm, Arany et al.,
MLSP 2017). So nothing has to be tuned for few rows: how far factors, biases and features are to be trusted is
part of what is drawn. A row counts as ``weight`` rows, and cells without a row as ``elsewhere`` rows of a label
of their own, all of them, by sums over the catalogue (Hu, Koren & Volinsky, ICDM 2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from truelift.models.trees.kernels import compiled

# Prior of precisions: degrees of freedom beyond the dimensions, and variance of standardised labels that
# a dimension of the factors is believed to have.
_BELIEF, _SPREAD = 1.0, 0.1


@dataclass(frozen=True)
class Noise:
    """Mean and spread of labels, and the precision of one about what is said of it, in units of the spread."""

    level: float
    spread: float
    precision: float


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """Labels ``left_u . right_i`` of all cells without a row, each counting ``weight`` rows.

    Parameters
    ----------
    weight : float
    left, right : ndarray, users x r and items x r
    noise : Noise, optional
        Of labels; by the rows' own where there is none. Rows with pseudo-labels ``y' + (y - y') / p`` do not
        know it: theirs is that of labels, many times over.
    """

    weight: float
    left: np.ndarray
    right: np.ndarray
    noise: Noise | None = None


@dataclass(frozen=True, eq=False)
class Draw:
    """A draw of biases and factors, biases first."""

    users: np.ndarray
    items: np.ndarray
    noise: Noise


@compiled
def _draw_side(  # type: ignore[no-untyped-def]
    start, other, labels, weights, elsewhere, filled, ones, offset, whole, pulls, precision, centre, tau,
    normal, out,
):  # fmt: skip
    """Draw all rows of a side, given the other side.

    Rows of unit k are ``start[k]`` to ``start[k + 1]``. ``ones`` are the other side's factors with a one
    in place of their bias, ``offset`` is that bias, ``whole`` the sum of their squares, ``pulls`` what cells
    without a row pull towards.
    """
    size = ones.shape[1]
    left = np.empty((size, size))
    right = np.empty(size)
    for k in range(len(start) - 1):
        for a in range(size):
            right[a] = tau * elsewhere * pulls[k, a]
            for b in range(size):
                right[a] += precision[a, b] * centre[k, b]
                left[a, b] = precision[a, b] + tau * elsewhere * whole[a, b]
        for row in range(start[k], start[k + 1]):
            j = other[row]
            mass = tau * (weights[row] - elsewhere)
            pull = tau * (
                weights[row] * (labels[row] - offset[j]) - elsewhere * (filled[row] - offset[j])
            )
            for a in range(size):
                right[a] += pull * ones[j, a]
                for b in range(a + 1):
                    left[a, b] += mass * ones[j, a] * ones[j, b]
        for a in range(size):  # Cholesky, in the lower half
            for b in range(a + 1):
                total = left[a, b]
                for c in range(b):
                    total -= left[a, c] * left[b, c]
                left[a, b] = np.sqrt(max(total, 1e-12)) if a == b else total / left[b, b]
        for a in range(size):
            for c in range(a):
                right[a] -= left[a, c] * right[c]
            right[a] /= left[a, a]
        for a in range(size - 1, -1, -1):
            total = right[a] + normal[k, a]
            for c in range(a + 1, size):
                total -= left[c, a] * out[k, c]
            out[k, a] = total / left[a, a]


class _Side:
    """Rows of one side in order, its features, and what is believed of its units."""

    def __init__(
        self, own: np.ndarray, other: np.ndarray, units: int, features: np.ndarray, size: int
    ) -> None:
        self.order = np.argsort(own, kind="stable")
        self.start = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=units))])
        self.other = other[self.order]
        self.features = np.column_stack([np.ones(units), features])
        self.squares = self.features.T @ self.features
        self.centre = np.zeros((units, size))
        self.precision = np.eye(size) / _SPREAD
        self.ridge = 10.0

    def believe(self, found: np.ndarray, rng: np.random.Generator) -> None:
        """Draw links of features, precision and the links' own penalty, given the side's draws."""
        units, size = found.shape
        width = self.features.shape[1]
        penalty = np.full(width, self.ridge)
        penalty[0] = 1e-2
        root = linalg.cholesky(self.squares + np.diag(penalty), lower=True)
        mean = linalg.cho_solve((root, True), self.features.T @ found)
        noise = linalg.solve_triangular(root.T, rng.normal(size=(width, size)))
        links = mean + noise @ linalg.inv(linalg.cholesky(self.precision, lower=True))
        self.centre = self.features @ links
        rest = found - self.centre
        own = links[1:]
        degrees = size + _BELIEF
        scatter = np.eye(size) * _SPREAD * degrees + rest.T @ rest + self.ridge * own.T @ own
        half = linalg.cholesky(linalg.inv(scatter), lower=True)
        # Wishart by Bartlett's decomposition.
        bartlett = np.tril(rng.normal(size=(size, size)), -1)
        freedom = degrees + units + len(own) - np.arange(size)
        np.fill_diagonal(bartlett, np.sqrt(rng.chisquare(freedom)))
        half = half @ bartlett
        self.precision = half @ half.T
        if own.size:
            squares = float(np.einsum("fa,ab,fb->", own, self.precision, own))
            self.ridge = float(rng.gamma(1.0 + own.size / 2, 1 / (1.0 + squares / 2)))


def sample_factors(
    users: np.ndarray,
    items: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    shape: tuple[int, int],
    features: tuple[np.ndarray, np.ndarray],
    *,
    rank: int,
    sweeps: int,
    kept: int,
    seed: int,
    elsewhere: Elsewhere | None = None,
) -> list[Draw]:
    """Draws of biases and factors, given weighted labels.

    Parameters
    ----------
    users, items : ndarray of int, n
    labels, weights : ndarray, n
    shape : (int, int)
        Users and items that there are.
    features : (ndarray, ndarray)
        Users x f and items x g, of about unit spread; f and g may be 0.
    rank, sweeps, kept, seed : int
        Factors beside the biases; passes, of which ``kept`` of the last two thirds are returned.
    elsewhere : Elsewhere, optional

    Returns
    -------
    list of Draw
    """
    rng = np.random.default_rng(seed)
    size = rank + 1
    level = float(np.average(labels, weights=weights))
    scale = max(float(np.sqrt(np.average(np.square(labels - level), weights=weights))), 1e-6)
    given = elsewhere.noise if elsewhere is not None else None
    tau = 1.0
    if given is not None:
        level, scale, tau = given.level, given.spread, given.precision
    value = (np.asarray(labels, float) - level) / scale
    filled = np.zeros(len(value))
    share, left, right = 0.0, np.zeros((shape[0], 1)), np.zeros((shape[1], 1))
    if elsewhere is not None and elsewhere.weight > 0:
        share = elsewhere.weight
        left = np.column_stack([elsewhere.left, np.full(shape[0], -level)]) / scale
        right = np.column_stack([elsewhere.right, np.ones(shape[1])])
        filled = np.einsum("nr,nr->n", left[users], right[items])
    sides = [
        _Side(users, items, shape[0], features[0], size),
        _Side(items, users, shape[1], features[1], size),
    ]
    found = [0.1 * rng.normal(size=(n, size)) for n in shape]
    for one in found:
        one[:, 0] = 0.0
    targets = [(left, right), (right, left)]
    rows = [(value[s.order], np.asarray(weights, float)[s.order], filled[s.order]) for s in sides]
    total = float(np.sum(weights))
    draws: list[Draw] = []
    keep = set(np.unique(np.linspace(sweeps // 3, sweeps - 1, kept).astype(int)).tolist())
    for sweep in range(sweeps):
        for own, (side, (mine, others), (label, weight, fill)) in enumerate(
            zip(sides, targets, rows, strict=True)
        ):
            far = found[1 - own]
            ones = far.copy()
            ones[:, 0] = 1.0
            offset = np.ascontiguousarray(far[:, 0])
            side.believe(found[own], rng)
            pulls = mine @ (others.T @ ones) - offset @ ones
            _draw_side(
                side.start, side.other, label, weight, share, fill, ones, offset, ones.T @ ones, pulls,
                side.precision, side.centre, tau, rng.normal(size=found[own].shape), found[own],
            )  # fmt: skip
        p, q = found
        if given is None:
            said = p[users, 0] + q[items, 0] + np.einsum("nf,nf->n", p[users, 1:], q[items, 1:])
            miss = float(np.sum(weights * np.square(value - said)))
            tau = float(rng.gamma(1.0 + total / 2, 1 / (1.0 + miss / 2)))
        if sweep in keep:
            biases = [scale * side[:, :1] for side in found]
            scaled = [np.hstack([biases[0], scale * p[:, 1:]]), np.hstack([biases[1], q[:, 1:]])]
            draws.append(Draw(scaled[0], scaled[1], Noise(level, scale, tau)))
    return draws
