"""Means over units with a joint covariance clustered by user: what every value of a policy is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.inference.bands import SimultaneousBands, simultaneous_bands
from truelift.inference.clusters import ClusterSums
from truelift.inference.delta import delta_covariance

State = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class MeansKernel:
    """A sum kernel: cluster sums of quantities, their total and products.

    Parameters
    ----------
    quantities : int
        m.
    of : callable
        ``of(batch) -> (clusters, quantities)``: hashes (n) and numbers (m x n) of a batch.
    """

    quantities: int
    of: Callable[[pa.RecordBatch], tuple[np.ndarray, np.ndarray]]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of a bucket."""
        sums = ClusterSums(self.quantities)
        for batch in batches:
            if batch.num_rows:
                sums.add(*self.of(batch))
        keys, by_cluster = sums.finish()
        return {
            "total": by_cluster.sum(axis=1),
            "products": by_cluster @ by_cluster.T,
            "clusters": np.array([float(len(keys))]),
        }


@dataclass(frozen=True, eq=False)
class Ratios:
    """Ratios of totals, and their covariance.

    Parameters
    ----------
    estimates : ndarray, r
    covariance : ndarray, r x r
    clusters : int
    shared : ndarray, r x r, optional
        What errors of folds have in common on top; see :func:`shared_of_folds`.
    """

    estimates: np.ndarray
    covariance: np.ndarray
    clusters: int
    shared: np.ndarray | None = None

    @staticmethod
    def of(state: State, numerators: Sequence[int], denominators: Sequence[int]) -> Ratios:
        """``T_n / T_d``, by the influence functions ``(s_n - r s_d) / T_d`` of the clusters.

        The covariance is their sum of products times G / (G - 1).
        """
        total, clusters = state["total"], int(state["clusters"][0])
        up, down = np.array(numerators), np.array(denominators)
        estimates = total[up] / total[down]
        gradient = np.zeros((len(up), len(total)))
        line = np.arange(len(up))
        gradient[line, up] = 1.0 / total[down]
        np.subtract.at(gradient, (line, down), estimates / total[down])
        covariance = delta_covariance(gradient, state["products"]) * clusters / max(clusters - 1, 1)
        shared = None
        if "moved" in state:
            shared = delta_covariance(gradient, shared_of_folds(state["moved"]))
        return Ratios(estimates, covariance, clusters, shared)

    def combined(self, weights: np.ndarray) -> Ratios:
        """Linear combinations (lines of ``weights``)."""
        shared = None if self.shared is None else delta_covariance(weights, self.shared)
        return Ratios(
            weights @ self.estimates,
            delta_covariance(weights, self.covariance),
            self.clusters,
            shared,
        )

    def whole_covariance(self) -> np.ndarray:
        """The covariance with what folds have in common, where that adds to it.

        Each error grows as its own variance does; correlations stay.
        """
        if self.shared is None:
            return self.covariance
        variance = np.diag(self.covariance)
        more = np.maximum(np.diag(self.shared), 0.0)
        grown = np.sqrt(
            1.0 + np.divide(more, variance, out=np.zeros_like(more), where=variance > 0)
        )
        return self.covariance * np.outer(grown, grown)

    def bands(self, confidence: float, names: Sequence[str]) -> SimultaneousBands:
        """Intervals that hold for all at once; see :mod:`truelift.inference.bands`."""
        return simultaneous_bands(
            self.estimates, self.whole_covariance(), self.clusters - 1, confidence, tuple(names)
        )


def shared_of_folds(moved: np.ndarray) -> np.ndarray:
    """What the errors of folds' sums have in common, where each fold is valued by a rule of the others.

    Let e_j be the error of fold j's sum under the rule that has not seen j. It is that under the rule that
    has seen neither j nor k, plus what including k moves, d_jk. Given the other folds, the first parts of
    e_j and e_k are independent with mean zero, and so is each first part times the other's second; left
    is E[d_jk d_kj]: the rule of j bends to the noise of k, and that of k to the noise of j. The clustered
    sums of products know nothing of it, and where rules are unstable it is half as large as they are.
    The product of the moves estimates it; their means add the product of what one fold more is worth to
    each rule, so it errs upwards.

    Parameters
    ----------
    moved : ndarray, m x K x K
        By quantity, fold j and fold k: its sum over fold j under the rule without j, less that under the
        rule without j and k.

    Returns
    -------
    ndarray, m x m
    """
    return np.einsum("mjk,lkj->ml", moved, moved)
