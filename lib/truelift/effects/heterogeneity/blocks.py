"""One pass over scored units: what a block holds, and how several sums share one reading.

A pass reads a bucket's batches, lets the caller score them, forecasts each block once per model
and hands it to every part of the pass. Parts return sums of a size that does not depend on rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from truelift.errors import DataError
from truelift.inference.clusters import ClusterSums

State = dict[str, np.ndarray]
#: Separates a part's name from its key in the state of a pass.
_DOT = "."


@dataclass(frozen=True, eq=False)
class ScoredBlock:
    """Units of one bucket with the doubly robust score of one contrast.

    Parameters
    ----------
    score : ndarray, n
        ``E[score | x]`` is the conditional average treatment effect (CATE).
    x : ndarray, p x n
        Standardised covariates.
    cluster : ndarray of uint64, n
        Hashes of the clusters; all units of a cluster lie in one bucket.
    weight : ndarray, n, optional
        Positive; without it every unit counts once.
    """

    score: np.ndarray
    x: np.ndarray
    cluster: np.ndarray
    weight: np.ndarray | None = None

    @property
    def weights(self) -> np.ndarray:
        """The weights, ones where there are none."""
        return np.ones(len(self.score)) if self.weight is None else self.weight


#: Turns a batch of a bucket in the given fold into a block.
ReadBlock = Callable[[pa.RecordBatch, int], ScoredBlock]
#: Runs a kernel over all buckets and adds up its states.
SumPass = Callable[["PassKernel"], State]


class CateModel(Protocol):
    """Forecasts effects with a model that has not seen the fold it is asked about."""

    def predict(self, x: np.ndarray, fold: int) -> np.ndarray:
        """CATE of units of ``fold`` (n), from their covariates ``x`` (p x n)."""


@dataclass(frozen=True)
class Forecast:
    """A CATE model, and the folds that it can be asked about.

    Parameters
    ----------
    model : CateModel
    first_fold : int
        Folds before it have no model; their units are left out.
    """

    model: CateModel
    first_fold: int = 0


class Tally(Protocol):
    """Sums of one bucket."""

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:
        """Add a block; ``cate`` (n) is the part's forecast, empty if it asked for none."""

    def finish(self) -> State:
        """The sums."""


class Part(Protocol):
    """Something that a pass adds up."""

    @property
    def forecast(self) -> str | None:
        """Name of the forecast that it needs."""

    def begin(self, fold: int) -> Tally:
        """A fresh tally for a bucket of ``fold``."""


@dataclass(frozen=True)
class PassKernel:
    """A sum kernel ``kernel(bucket, batches) -> state`` made of parts that share one reading.

    Parameters
    ----------
    read : callable
        ``read(batch, fold) -> ScoredBlock``.
    folds : int
        Folds K; a bucket lies in fold ``bucket % K``.
    parts : mapping of str to Part
    forecasts : mapping of str to Forecast
        Forecasts by the names that the parts use.
    """

    read: ReadBlock
    folds: int
    parts: Mapping[str, Part]
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of a bucket, keys ``'<part>.<key>'``."""
        fold = bucket % self.folds
        sums = PassSums(self, fold)
        for batch in batches:
            block = self.read(batch, fold)
            if not len(block.score):
                continue
            _check_finite(block, bucket)
            sums.add(block)
        return sums.finish()


class PassSums:
    """The sums of one pass over one bucket.

    Parameters
    ----------
    kernel : PassKernel
    fold : int
        Of the bucket.
    """

    def __init__(self, kernel: PassKernel, fold: int):
        self._fold, self._parts = fold, kernel.parts
        self._models = {n: f.model for n, f in kernel.forecasts.items() if fold >= f.first_fold}
        self._tallies = {name: part.begin(fold) for name, part in kernel.parts.items()}

    def add(self, block: ScoredBlock) -> None:
        """Add a block to every part that has its forecast."""
        forecasts = {n: model.predict(block.x, self._fold) for n, model in self._models.items()}
        for name, part in self._parts.items():
            if part.forecast is None:
                self._tallies[name].add(block, np.zeros(0))
            elif part.forecast in forecasts:
                self._tallies[name].add(block, forecasts[part.forecast])

    def finish(self) -> State:
        """The sums, keys ``'<part>.<key>'``."""
        return {
            f"{name}{_DOT}{key}": value
            for name, tally in self._tallies.items()
            for key, value in tally.finish().items()
        }


def part_of(state: State, name: str) -> State:
    """What one part of a pass added up."""
    start = name + _DOT
    return {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}


def _check_finite(block: ScoredBlock, bucket: int) -> None:
    bad = int(np.count_nonzero(~np.isfinite(block.score)))
    if bad:
        raise DataError(
            f"Bucket {bucket}: {bad:,} of {len(block.score):,} scores of a block are not finite; "
            "expected numbers. Look for missing outcomes and for propensities of 0 or 1."
        )


class ClusterProducts:
    """Sums over clusters of products of cluster sums, filed under the bucket's fold.

    Clusters lie in one bucket and buckets in one fold, so every fold's matrix is exact and the
    total over folds is the matrix of all clusters.

    Parameters
    ----------
    quantities : int
        m.
    fold, folds : int
    """

    def __init__(self, quantities: int, fold: int, folds: int):
        self._sums = ClusterSums(quantities)
        self._quantities, self._fold, self._folds = quantities, fold, folds

    def add(self, cluster: np.ndarray, values: np.ndarray) -> None:
        """Add units: hashes (n) and quantities (m x n)."""
        self._sums.add(cluster, values)

    def finish(self) -> State:
        """``products`` (K x m x m) and ``clusters`` (K)."""
        keys, sums = self._sums.finish()
        products = np.zeros((self._folds, self._quantities, self._quantities))
        clusters = np.zeros(self._folds)
        products[self._fold] = sums @ sums.T
        clusters[self._fold] = len(keys)
        return {"products": products, "clusters": clusters}
