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
    """

    estimates: np.ndarray
    covariance: np.ndarray
    clusters: int

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
        return Ratios(estimates, covariance, clusters)

    def combined(self, weights: np.ndarray) -> Ratios:
        """Linear combinations (lines of ``weights``)."""
        return Ratios(
            weights @ self.estimates, delta_covariance(weights, self.covariance), self.clusters
        )

    def bands(self, confidence: float, names: Sequence[str]) -> SimultaneousBands:
        """Intervals that hold for all at once; see :mod:`truelift.inference.bands`."""
        return simultaneous_bands(
            self.estimates, self.covariance, self.clusters - 1, confidence, tuple(names)
        )
