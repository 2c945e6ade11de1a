"""Covariates as one byte a value: bins that no layout of the rows can change.

Edges come from a sample drawn by a hash of the rows' own content, so one worker and many bin
alike, and no pass over the data is spent on quantile sketches. The same bytes feed training and
prediction, hence a split means the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.keys import mix
from truelift.distributed.collective import Collective
from truelift.models.trees.options import MISSING

# 255 quantiles of so many rows are off by a fourteenth of a bin, and edges need no more.
SAMPLE_ROWS = 50_000
_DRAW = np.uint64(0xD1B54A32D192ED03)


@dataclass(frozen=True, eq=False)
class Bins:
    """Edges of every covariate.

    Parameters
    ----------
    edges : tuple of ndarray
        Ascending; a value's code is the number of edges that are not above it. Empty for a
        categorical covariate, whose code is its value.
    categorical : tuple of bool
    """

    edges: tuple[np.ndarray, ...]
    categorical: tuple[bool, ...]

    @property
    def codes_used(self) -> int:
        """One more than the highest code that a value can have."""
        if any(self.categorical):
            return MISSING
        return max(1 + len(e) for e in self.edges)

    def codes_of(self, column: int, values: np.ndarray) -> np.ndarray:
        """Codes of one covariate's values (float32, NaN where missing) as bytes."""
        if self.categorical[column]:
            missing = np.isnan(values) | (values < 0) | (values >= MISSING)
            return np.where(missing, MISSING, np.where(missing, 0, values)).astype(np.uint8)
        from truelift.models.trees.kernels import bin_codes

        edges = np.full(MISSING, np.inf, np.float32)
        edges[: len(self.edges[column])] = self.edges[column]
        codes = np.empty(len(values), np.uint8)
        bin_codes(edges, values, codes)
        return codes

    def codes(self, x: np.ndarray) -> np.ndarray:
        """Codes of covariates (p, n) as bytes (n, p)."""
        result = np.empty((x.shape[1], len(x)), np.uint8)
        for j in range(len(x)):
            result[:, j] = self.codes_of(j, x[j].astype(np.float32))
        return result


def row_hashes(columns: list[np.ndarray], cluster: np.ndarray) -> np.ndarray:
    """A hash of each row's cluster and covariates, the same wherever the row lies.

    Outcomes and arms take no part, so that what is drawn with it cannot depend on them.
    """
    total = cluster.copy()
    constants = mix(np.arange(len(columns), dtype=np.uint64)) | np.uint64(1)
    with np.errstate(over="ignore"):
        for column, constant in zip(columns, constants, strict=True):
            plain = np.where(np.isnan(column), np.float32(np.nan), column + np.float32(0.0))
            total += plain.astype(np.float32).view(np.uint32).astype(np.uint64) * constant
    return mix(total)


def drawn(hashes: np.ndarray, share: float, salt: int) -> np.ndarray:
    """Whether each hash falls into a share that ``salt`` decides."""
    with np.errstate(over="ignore"):
        moved = mix(hashes ^ mix(np.array([salt], np.uint64) * _DRAW + _DRAW))
    return moved < np.uint64(min(int(share * 2.0**64), 2**64 - 1))


def sample_columns(
    columns: list[np.ndarray], hashes: np.ndarray, workers: Collective
) -> np.ndarray:  # fmt: skip
    """The same rows of all workers on each of them, every column sorted (p, m); NaN last."""
    total = workers.sum(np.array([float(len(hashes))]))[0]
    chosen = np.flatnonzero(drawn(hashes, min(1.0, SAMPLE_ROWS / max(total, 1.0)), salt=1))
    counts = np.zeros(workers.size)
    counts[workers.rank] = len(chosen)
    counts = workers.sum(counts)
    first = int(counts[: workers.rank].sum())
    gathered = np.zeros((len(columns), int(counts.sum())), np.float32)
    for j, column in enumerate(columns):
        gathered[j, first : first + len(chosen)] = column[chosen]
    return np.sort(workers.sum(gathered), axis=1)


def make_bins(sample: np.ndarray, categorical: tuple[bool, ...], most: int) -> Bins:
    """Bins of about equal counts; each value its own where there are few.

    Parameters
    ----------
    sample : ndarray, (p, m)
        Sorted, NaN last.
    categorical : tuple of bool, p
    most : int
        Most bins of a covariate.
    """
    edges = tuple(
        np.zeros(0, np.float32) if skip else _edges(row[~np.isnan(row)], most)
        for row, skip in zip(sample, categorical, strict=True)
    )
    return Bins(edges, categorical)


def _edges(values: np.ndarray, most: int) -> np.ndarray:
    distinct = np.unique(values)
    if len(distinct) > most:
        # The first of each bin's values opens it.
        opened = values[(np.arange(1, most) * len(values)) // most]
        return np.unique(opened[opened > values[0]])
    low, high = distinct[:-1].astype(np.float64), distinct[1:].astype(np.float64)
    middle = ((low + high) / 2).astype(np.float32)
    return np.where(middle > distinct[:-1], middle, distinct[1:])
