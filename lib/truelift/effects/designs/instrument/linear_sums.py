"""Two passes for all linear estimators: one Gram matrix, then its projections' sums by cluster.

The first adds up the products of ``(1, x, z, d, y)``. With what it says, the second makes of every row
the instruments ``z~``, treatment ``d~`` and outcomes ``y~`` less what the covariates explain, and adds up by
cluster ``z~ y~`` and ``z~ d~``, the same with the first stage's residual, and ``z~ z~'``, from which a
cluster's own part is left out for the jackknife.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_repeated
from truelift.effects.panel.columns import Scale, weight_column
from truelift.effects.panel.design import Design
from truelift.effects.panel.source import State
from truelift.inference.clusters import ClusterSums, bucket_sketch
from truelift.inference.normal_equations import rank_of, solve_symmetric


@dataclass(frozen=True, eq=False)
class LinearColumns:
    """What rows of the linear estimators are made of.

    Parameters
    ----------
    design : Design
        Covariates.
    instruments, responses : Scale
        Responses are the treatment, then the outcomes.
    cluster : str
    weight : str, optional
    """

    design: Design
    instruments: Scale
    responses: Scale
    cluster: str
    weight: str | None = None

    def names(self) -> tuple[str, ...]:
        """The columns that are read."""
        weight = [self.weight] if self.weight else []
        used = (*self.design.columns(), *self.instruments.names, *self.responses.names)
        return tuple(dict.fromkeys([*used, self.cluster, *weight]))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Covariates with the intercept, instruments, responses."""
        return 1 + len(self.design), len(self.instruments.names), len(self.responses.names)

    def block(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """``(1, x, z, d, y)`` of the rows ((1 + p + k + 1 + J) x n), and their weights."""
        p, k, m = self.sizes
        block = np.empty((p + k + m, batch.num_rows))
        block[:p] = self.design.block(batch, None)
        self.instruments.rows(batch, block[p : p + k])
        self.responses.rows(batch, block[p + k :])
        weight = weight_column(batch, self.weight)
        return block, np.ones(batch.num_rows) if weight is None else weight


@dataclass(frozen=True, eq=False)
class GramKernel:
    """``gram``: the weighted sum of products of ``(1, x, z, d, y)``."""

    columns: LinearColumns

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        size = sum(self.columns.sizes)
        gram = np.zeros((size, size))
        for batch in batches:
            block, weight = self.columns.block(batch)
            gram += (block * weight) @ block.T
        return {"gram": gram}


@dataclass(frozen=True, eq=False)
class Projections:
    """The first pass, with covariates partialled out.

    Parameters
    ----------
    onto_covariates : ndarray, (k + 1 + J) x (1 + p)
        Coefficients of instruments, treatment and outcomes.
    onto_instruments : ndarray, (1 + J) x k
        The reduced forms: coefficients of treatment and outcomes, less covariates.
    products : ndarray, k x k
        ``Q = z~'z~``.
    responses : ndarray, (1 + J) x (1 + J)
        Products of treatment and outcomes, less covariates.
    left : ndarray, k
        Share of each instrument's variance that covariates do not explain.
    responses_left : ndarray, 1 + J
        The same of treatment and outcomes.
    rank : int
        Covariates with the intercept, less those that are combinations of others.
    """

    onto_covariates: np.ndarray
    onto_instruments: np.ndarray
    products: np.ndarray
    responses: np.ndarray
    left: np.ndarray
    responses_left: np.ndarray
    rank: int

    @property
    def residuals(self) -> np.ndarray:
        """Products of what instruments and covariates leave of treatment and outcomes."""
        return self.responses - self.onto_instruments @ self.products @ self.onto_instruments.T


def projections(gram: np.ndarray, sizes: tuple[int, int, int]) -> Projections:
    """Regressions on covariates and instruments from the Gram matrix."""
    p, k, _ = sizes
    covariates, cross, rest = gram[:p, :p], gram[:p, p:], gram[p:, p:]
    coefficients = solve_symmetric(covariates, cross).T
    partial = rest - coefficients @ cross
    partial = (partial + partial.T) / 2
    spread = np.diag(rest) - gram[0, p:] ** 2 / gram[0, 0]
    left = np.clip(np.diag(partial), 0.0, None) / np.where(spread > 0, spread, 1.0)
    products = partial[:k, :k]
    reduced = solve_symmetric(products, partial[:k, k:]).T
    return Projections(
        coefficients, reduced, products, partial[k:, k:], left[:k], left[k:], rank_of(covariates)
    )


@dataclass(frozen=True, eq=False)
class LinearSumsKernel:
    """Sums by cluster of instruments times responses, and what their cross-products say.

    ``total`` and ``cross`` are of the lines ``z~ r~`` (response after response) and then ``z~`` times
    the residual of the first stage. ``jackknife`` and ``jackknife_cross`` are sums and cross-products of
    the responses times the first stage that was fitted without the row's cluster. ``residuals`` are products
    of the reduced forms' residuals.
    """

    columns: LinearColumns
    found: Projections

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        p, k, m = self.columns.sizes
        lines = k * m + k
        sums = ClusterSums(lines + k * k)
        residuals = np.zeros((m, m))
        for batch in batches:
            block, weight = self.columns.block(batch)
            apart = block[p:] - self.found.onto_covariates @ block[:p]
            instruments, responses = apart[:k], apart[k:]
            left = responses - self.found.onto_instruments @ instruments
            residuals += (left * weight) @ left.T
            weighted = instruments * weight
            parts = [
                (responses[:, None] * weighted[None]).reshape(k * m, -1),
                left[0] * weighted,
                (instruments[:, None] * weighted[None]).reshape(k * k, -1),
            ]
            keys = batch.column(batch.schema.get_field_index(self.columns.cluster))
            sums.add(hash_repeated(keys), np.concatenate(parts))
        keys, by_cluster = sums.finish()
        state = {
            "total": by_cluster[:lines].sum(axis=1),
            "cross": by_cluster[:lines] @ by_cluster[:lines].T,
            "clusters": np.array([float(len(keys))]),
            "residuals": residuals,
            "max_sketch": bucket_sketch(keys, bucket),
        }
        fitted = self._left_out(by_cluster, k, m)
        state["jackknife"] = fitted.sum(axis=1)
        state["jackknife_cross"] = fitted @ fitted.T
        return state

    def _left_out(self, by_cluster: np.ndarray, k: int, m: int) -> np.ndarray:
        """Responses times the first stage without the cluster, by cluster (m x G)."""
        groups = by_cluster.shape[1]
        own = by_cluster[: k * m].reshape(m, k, groups)
        squares = by_cluster[k * m + k :].reshape(k, k, groups)
        products = self.found.products[None] - squares.transpose(2, 0, 1)
        together = self.found.products @ self.found.onto_instruments[0]
        right = together[None] - own[0].T
        # A cluster that alone carries an instrument leaves nothing to fit: its part is left out.
        stages = np.linalg.pinv(products, rcond=1e-10, hermitian=True) @ right[:, :, None]
        return np.einsum("mkg,gk->mg", own, stages[:, :, 0])
