"""Covariates as codes: a missing value is 0, numbers count the edges below them, levels are yes or no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError

MOST_LEVELS = 20


@dataclass(frozen=True)
class Binned:
    """One covariate that a tree may cut.

    Parameters
    ----------
    column : str
    edges : tuple of float
        Ascending; code c has values up to ``edges[c - 1]``. None of them for a level.
    level : str, optional
        Of a column of texts: code 1 where it is this one.
    """

    column: str
    edges: tuple[float, ...] = ()
    level: str | None = None

    def codes(self, values: np.ndarray | pa.Array) -> np.ndarray:
        """Codes of a column (n, uint8)."""
        if self.level is not None:
            found = pc.fill_null(pc.equal(values, pa.scalar(self.level, pa.string())), False)
            return found.cast(pa.uint8()).to_numpy(zero_copy_only=False)
        assert isinstance(values, np.ndarray)
        code = np.searchsorted(np.array(self.edges), values, side="left") + 1
        return np.where(np.isnan(values), 0, code).astype(np.uint8)

    def said(self, cut: int, above: bool) -> str:
        """A side of a cut in words."""
        if self.level is not None:
            return (
                f"{self.column} is {self.level}" if above else f"{self.column} is not {self.level}"
            )
        if cut == 0:
            return f"{self.column} is known" if above else f"{self.column} is missing"
        edge = f"{self.edges[cut - 1]:.6g}"
        return f"{self.column} is above {edge}" if above else f"{self.column} is at most {edge}"


@dataclass(frozen=True)
class Bins:
    """All covariates of a tree.

    Parameters
    ----------
    covariates : tuple of Binned
    """

    covariates: tuple[Binned, ...]

    @property
    def size(self) -> int:
        """Codes that the widest covariate has."""
        return max((len(c.edges) + 2 for c in self.covariates), default=2)

    def codes(self, columns: Mapping[str, np.ndarray | pa.Array]) -> np.ndarray:
        """Codes (p x n, uint8) from the columns by name."""
        return np.stack([c.codes(columns[c.column]) for c in self.covariates])


def bins_of(
    numbers: Mapping[str, np.ndarray], texts: Mapping[str, Sequence[str | None]], bins: int
) -> Bins:
    """Edges at quantiles of a sample, and the levels of texts.

    Parameters
    ----------
    numbers : mapping of str to ndarray
        Values of each column in the sample.
    texts : mapping of str to sequence
    bins : int
        Codes of a covariate, the one of missing values among them.

    Raises
    ------
    DataError
        For a column of texts with too many levels, and where nothing varies.
    """
    found: list[Binned] = []
    for name, values in numbers.items():
        known = values[np.isfinite(values)]
        if not len(known):
            continue
        shares = np.arange(1, bins - 1) / (bins - 1)
        edges = np.unique(np.quantile(known, shares, method="inverted_cdf"))
        edges = edges[edges < known.max()]
        if len(edges) or len(known) < len(values):
            found.append(Binned(name, tuple(edges.tolist())))
    for name, labels in texts.items():
        levels = sorted({label for label in labels if label is not None})
        if len(levels) > MOST_LEVELS:
            raise DataError(
                f"categorical: {name!r} has {len(levels)} levels, at most {MOST_LEVELS} are "
                "possible in a tree that people read. Merge levels, or leave it out."
            )
        found += [Binned(name, (), level) for level in (levels if len(levels) > 2 else levels[1:])]
    if not found:
        raise DataError("covariates: none of them varies, so there is nothing to choose by.")
    return Bins(tuple(found))
