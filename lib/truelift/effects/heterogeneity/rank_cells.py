"""Forecasts in ordered cells: ranks and quantiles without sorting, the same in every layout.

A forecast c of fold k falls into a cell by ``z / (1 + |z|)`` with ``z = (c - centre) / spread``.
The map keeps order and takes the whole line onto (-1, 1): cells are fine where forecasts are
many, and an outlier costs no resolution. Cells are kept per fold, for forecasts of two models
have no common order. Units of one cell are ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.heterogeneity.blocks import ScoredBlock, State

# A cut that meets a cell's edge up to rounding is on the edge.
_EDGE = 1e-9
_SPREAD = 1e-9


@dataclass(frozen=True, eq=False)
class RankCells:
    """Where the cells lie.

    Parameters
    ----------
    centre, spread : ndarray, K
        Location and scale of each fold's forecasts; they need not be exact.
    cells : int
        Cells B a fold; odd, so that equal forecasts at the centre share one cell.
    """

    centre: np.ndarray
    spread: np.ndarray
    cells: int

    def of(self, cate: np.ndarray, fold: int) -> np.ndarray:
        """Cells of forecasts (n), 0 the lowest."""
        z = (cate - self.centre[fold]) / self.spread[fold]
        place = (z / (1 + np.abs(z)) + 1) * (self.cells / 2)
        return np.clip(place.astype(np.int64), 0, self.cells - 1)


@dataclass(frozen=True)
class SpreadPart:
    """Moments of a plugged-in model's forecasts by fold: ``moments`` (K x 3: W, Wc, Wcc)."""

    forecast: str
    folds: int

    def begin(self, fold: int) -> _SpreadTally:
        """A fresh tally."""
        return _SpreadTally(fold, self.folds)


class _SpreadTally:
    def __init__(self, fold: int, folds: int):
        self._moments, self._fold = np.zeros((folds, 3)), fold

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:
        w = block.weights
        self._moments[self._fold] += (w.sum(), w @ cate, w @ cate**2)

    def finish(self) -> State:
        return {"moments": self._moments}


def cells_from_moments(moments: np.ndarray, cells: int) -> RankCells:
    """Cells around the mean of each fold's forecasts, from :class:`SpreadPart`."""
    weight = np.where(moments[:, 0] > 0, moments[:, 0], 1.0)
    centre = moments[:, 1] / weight
    square = moments[:, 2] / weight
    spread = np.sqrt(np.clip(square - centre**2, 0.0, None))
    floor = _SPREAD * np.sqrt(square)
    return RankCells(centre, np.maximum(np.where(spread > floor, spread, floor), 1e-300), cells)


@dataclass(frozen=True)
class SketchPart:
    """Weights and weighted scores by cell, and the Gram matrix of (1, cate, score), by fold.

    The state is ``weight`` and ``score`` (K x B), ``gram`` (K x 3 x 3) and ``units`` (K).

    Parameters
    ----------
    forecast : str
    cells : RankCells
    """

    forecast: str
    cells: RankCells

    def begin(self, fold: int) -> _SketchTally:
        """A fresh tally."""
        return _SketchTally(self.cells, fold)


class _SketchTally:
    def __init__(self, cells: RankCells, fold: int):
        self._cells, self._fold = cells, fold
        folds = len(cells.centre)
        self._weight = np.zeros((folds, cells.cells))
        self._score = np.zeros((folds, cells.cells))
        self._gram = np.zeros((folds, 3, 3))
        self._units = np.zeros(folds)

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:
        k, w, size = self._fold, block.weights, self._cells.cells
        cell = self._cells.of(cate, k)
        self._weight[k] += np.bincount(cell, w, size)
        self._score[k] += np.bincount(cell, w * block.score, size)
        z = np.stack([np.ones(len(cate)), cate, block.score])
        self._gram[k] += (z * w) @ z.T
        self._units[k] += len(cate)

    def finish(self) -> State:
        return {
            "weight": self._weight, "score": self._score, "gram": self._gram, "units": self._units
        }  # fmt: skip


def quantile_groups_of_cells(weight: np.ndarray, groups: int) -> np.ndarray:
    """Groups of equal weight within each fold, cut at the edges of cells.

    Parameters
    ----------
    weight : ndarray, K x B
        Weight by cell, the lowest forecasts first.
    groups : int
        Q.

    Returns
    -------
    ndarray of int, K x B
        Group 0 (lowest forecasts) to Q - 1 by cell: where the middle of the cell's weight lies.
        Cells are never split, so groups are as equal as ties allow.
    """
    total = weight.sum(axis=1, keepdims=True)
    middle = (np.cumsum(weight, axis=1) - weight / 2) / np.where(total > 0, total, 1.0)
    return np.clip((middle * groups + _EDGE).astype(np.int64), 0, groups - 1)
