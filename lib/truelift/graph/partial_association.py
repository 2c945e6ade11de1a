"""Whether two columns are associated beyond others, with errors that respect users.

The statistic is the covariance of what linear regressions on the others leave of both, in units of its spreads: a
partial correlation, and for texts a matrix of them. Its covariance is the jackknife's that leaves out a bucket of
users at a time (Efron & Stein 1981); Hotelling's test of it has the F distribution. Texts that are held fixed
together are held fixed in all their combinations where rows allow it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from truelift.graph.coded_columns import CodedColumns
from truelift.graph.implied import Claim


@dataclass(frozen=True)
class Association:
    """What two nodes have in common beyond others.

    Parameters
    ----------
    strength : float
        The partial correlation's size, from 0 to 1; of texts the root mean square over the smaller side.
    p_value : float
        That it is zero.
    """

    strength: float
    p_value: float


@dataclass
class Associations:
    """Tests on one table; each is made once.

    Parameters
    ----------
    columns : CodedColumns
    """

    columns: CodedColumns
    _known: dict[tuple[frozenset[str], frozenset[str]], Association] = field(default_factory=dict)
    _cells: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray] | None] = field(
        default_factory=dict
    )

    def of(self, claim: Claim) -> Association:
        """The test of a claim."""
        key = frozenset((claim.a, claim.b)), frozenset(claim.given)
        if key not in self._known:
            self._known[key] = self._tested(claim)
        return self._known[key]

    def _tested(self, claim: Claim) -> Association:
        columns = self.columns
        x, y = columns.slices[claim.a], columns.slices[claim.b]
        turn_x, turn_y = columns.tested(claim.a), columns.tested(claim.b)
        within, with_x, with_y = self._held(claim.given, x, y)
        own = columns.products
        parts = (
            turn_x.T @ own[:, x, x] @ turn_x, turn_y.T @ own[:, y, y] @ turn_y,
            turn_x.T @ own[:, x, y] @ turn_y, within, with_x @ turn_x, with_y @ turn_y,
        )  # fmt: skip
        total = [part.sum(axis=0)[None] for part in parts]
        xx, yy, xy = (part[0] for part in _residual(*total))
        root_x, root_y = _inverse_root(xx), _inverse_root(yy)
        whole = (root_x @ xy @ root_y).ravel()
        left = _residual(*(all_of - part for all_of, part in zip(total, parts, strict=True)))[2]
        each = (root_x @ left @ root_y).reshape(len(left), -1)
        # Each is a sum over the rows of the other buckets: brought to the size of the whole.
        rows = own[:, 0, 0]
        each *= (rows.sum() / (rows.sum() - rows))[:, None]
        buckets = len(each)
        spread = each - each.mean(axis=0)
        covariance = (buckets - 1) / buckets * spread.T @ spread
        rank = int(np.linalg.matrix_rank(covariance, hermitian=True)) if np.any(covariance) else 0
        strength = float(np.sqrt((whole**2).sum() / max(min(xy.shape), 1)))
        if rank == 0 or rank >= buckets:
            return Association(strength, 1.0)
        distance = float(whole @ np.linalg.pinv(covariance, hermitian=True) @ whole)
        f = distance * (buckets - rank) / (rank * (buckets - 1))
        return Association(strength, float(stats.f.sf(f, rank, buckets - rank)))

    def _held(
        self, given: tuple[str, ...], x: slice, y: slice
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Products of what is held fixed, with itself and with both sides."""
        columns, own = self.columns, self.columns.products
        texts = tuple(sorted(name for name in given if name in columns.levels))
        if len(texts) > 1 and texts not in self._cells:
            self._cells[texts] = columns.cells(texts)
        cells = self._cells.get(texts)
        plain = [name for name in given if cells is None or name not in texts]
        chosen = np.concatenate(
            [
                np.zeros(1 if cells is None else 0, np.intp),
                *(np.arange(own.shape[1])[columns.slices[name]] for name in plain),
            ]
        )
        within = own[:, chosen][:, :, chosen]
        with_x, with_y = own[:, chosen, x], own[:, chosen, y]
        if cells is None:
            return within, with_x, with_y
        hot, with_all = cells
        beside = with_all[:, :, chosen]
        within = np.block([[hot, beside], [np.swapaxes(beside, 1, 2), within]])
        with_x = np.concatenate([with_all[:, :, x], with_x], axis=1)
        return within, with_x, np.concatenate([with_all[:, :, y], with_y], axis=1)


def _residual(
    xx: np.ndarray, yy: np.ndarray, xy: np.ndarray, within: np.ndarray, with_x: np.ndarray,
    with_y: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Products of residuals, from products."""
    inverse = np.linalg.pinv(within, hermitian=True, rcond=1e-12)
    on_x, on_y = np.swapaxes(with_x, 1, 2) @ inverse, np.swapaxes(with_y, 1, 2) @ inverse
    return xx - on_x @ with_x, yy - on_y @ with_y, xy - on_x @ with_y


def _inverse_root(products: np.ndarray) -> np.ndarray:
    """The symmetric root of the inverse; directions without spread are left out."""
    values, vectors = np.linalg.eigh(products)
    kept = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    root = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    return np.asarray((vectors * root) @ vectors.T)
