"""Sums by cluster and level of a group column, kept together within a bucket."""

from __future__ import annotations

import numpy as np


class CellSums:
    """Running sums by (cluster, level).

    Parameters
    ----------
    quantities : int
    """

    def __init__(self, quantities: int):
        self._parts = [(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros((quantities, 0)))]
        self._pending = 0

    def add(self, cluster: np.ndarray, level: np.ndarray, values: np.ndarray) -> None:
        """Add rows: ``cluster`` and ``level`` (n), ``values`` quantities x n."""
        if not len(cluster):
            return
        self._parts.append(_sum_by_cell(cluster, level.astype(np.int64), values))
        self._pending += len(self._parts[-1][0])
        if self._pending > len(self._parts[0][0]) + 65536:
            self._merge()

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cluster hashes and levels in ascending order, and sums (quantities x cells)."""
        self._merge()
        return self._parts[0]

    def _merge(self) -> None:
        cluster, level, sums = (
            np.concatenate(part, axis=-1) for part in zip(*self._parts, strict=True)
        )
        self._parts, self._pending = [_sum_by_cell(cluster, level, sums)], 0


def _sum_by_cell(
    cluster: np.ndarray, level: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not len(cluster):
        return cluster, level, values
    order = np.lexsort((level, cluster))
    cluster, level = cluster[order], level[order]
    new = (cluster[1:] != cluster[:-1]) | (level[1:] != level[:-1])
    starts = np.flatnonzero(np.concatenate([[True], new]))
    return cluster[starts], level[starts], np.add.reduceat(values[:, order], starts, axis=1)
