"""Whether two columns are associated beyond others, with errors that respect users.

The statistic is the covariance of what linear regressions on the others leave of both, in units of its spreads: a
partial correlation, and for texts a matrix of them. Its covariance is the jackknife's that leaves out a bucket of
users at a time (Efron & Stein 1981); Hotelling's test of it has the F distribution. Texts that are held fixed
together are held fixed in all their combinations where rows allow it.
"""

from __future__ import annotations

from collections.abc import Iterable
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
        The partial correlation's size, from 0 to 1; of texts the root mean square over the smaller side. Not a
        number where what is given has too many combinations of levels to be held fixed.
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

    def of(self, claim: Claim) -> Association:
        """The test of a claim."""
        key = frozenset((claim.a, claim.b)), frozenset(claim.given)
        if key not in self._known:
            self._known[key] = self._tested(claim)
        return self._known[key]

    def prepare(self, claims: Iterable[Claim]) -> None:
        """Read what the tests of some claims need, in few readings."""
        self.columns.prepare({self._texts(claim.given) for claim in claims})

    def _texts(self, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(name for name in given if name in self.columns.levels))

    def _tested(self, claim: Claim) -> Association:
        columns, texts = self.columns, self._texts(claim.given)
        if not columns.can_hold(texts):
            return Association(float("nan"), 1.0)
        cells = columns.cells(texts) if columns.needs_cells(texts) else None
        plain = [name for name in claim.given if cells is None or name not in texts]
        places = np.arange(columns.products.shape[1])
        held = np.concatenate(
            [places[: 0 if cells else 1], *(places[columns.slices[name]] for name in plain)]
        )
        ends = [places[columns.slices[name]] for name in (claim.a, claim.b)]
        chosen = np.concatenate([held, *ends])
        own = columns.products[:, chosen][:, :, chosen]
        rows, total = columns.products[:, 0, 0], own.sum(axis=0)
        left = total - own
        if cells is not None:
            sums = cells.sums[:, :, chosen]
            count, all_sums = cells.rows.sum(axis=0), sums.sum(axis=0)
            total = _within(total, count, all_sums)
            left = np.stack(
                [
                    _within(products, count - n, all_sums - s)
                    for products, n, s in zip(left, cells.rows, sums, strict=True)
                ]
            )
        turns = (columns.tested(claim.a), columns.tested(claim.b))
        k, wide = len(held), len(ends[0])
        xx, yy, xy = (part[0] for part in _residual(*_parted(total[None], k, wide, turns)))
        root_x, root_y = _inverse_root(xx), _inverse_root(yy)
        whole = (root_x @ xy @ root_y).ravel()
        each = root_x @ _residual(*_parted(left, k, wide, turns))[2] @ root_y
        each = each.reshape(len(left), -1)
        # Each is a sum over the rows of the other buckets: brought to the size of the whole.
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


def _within(products: np.ndarray, rows: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Products of deviations from the means of combinations."""
    seen = rows > 0.5
    found: np.ndarray = products - (sums[seen] / rows[seen, None]).T @ sums[seen]
    return found


def _parted(
    products: np.ndarray, held: int, wide: int, turns: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Products of both sides, of what is held fixed, and of that with both sides."""
    s, x, y = slice(held), slice(held, held + wide), slice(held + wide, None)
    first, second = turns
    return (
        first.T @ products[:, x, x] @ first, second.T @ products[:, y, y] @ second,
        first.T @ products[:, x, y] @ second, products[:, s, s], products[:, s, x] @ first,
        products[:, s, y] @ second,
    )  # fmt: skip


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
