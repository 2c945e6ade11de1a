"""Covariates as the numbers that the nuisance models see: scaled, encoded, expanded.

A design is fixed before the first pass and maps any block of rows alike, so models, balance and
scores always speak of the same features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys, mix
from truelift.effects.panel.arms import Levels
from truelift.effects.panel.columns import Scale
from truelift.effects.panel.target_encoding import TargetEncoded


@dataclass(frozen=True)
class OneHot:
    """A category of few levels as an indicator each; nulls have none."""

    levels: Levels

    @property
    def names(self) -> tuple[str, ...]:
        """``column=level``."""
        return tuple(f"{self.levels.column}={label}" for label in self.levels.labels)

    def fill(self, batch: pa.RecordBatch, into: np.ndarray) -> None:
        """Indicators as the lines of ``into`` (levels x n)."""
        into[:] = self.levels.codes(batch) == np.arange(len(into))[:, None]


@dataclass(frozen=True)
class Hashed:
    """A category of many levels as signed indicators of a few slots.

    Feature hashing with a sign (Weinberger et al. 2009): what two levels in one slot add cancels
    on average.
    """

    column: str
    size: int

    @property
    def names(self) -> tuple[str, ...]:
        """``column#slot``."""
        return tuple(f"{self.column}#{slot}" for slot in range(self.size))

    def fill(self, batch: pa.RecordBatch, into: np.ndarray) -> None:
        """Signed indicators as the lines of ``into`` (size x n); a null is zero everywhere."""
        column = batch.column(batch.schema.get_field_index(self.column))
        hashes = mix(hash_keys(column))
        slots = (hashes % np.uint64(self.size)).astype(np.int64)
        signs = np.where(hashes >> np.uint64(63), 1.0, -1.0)
        signs[column.is_null().to_numpy(zero_copy_only=False)] = 0.0
        into[:] = 0.0
        into[slots, np.arange(len(slots))] = signs


Category = OneHot | Hashed | TargetEncoded


@dataclass(frozen=True, eq=False)
class Design:
    """Features made of columns.

    Parameters
    ----------
    numbers : Scale
        Numeric columns with their centres and scales.
    missing : tuple of str
        Numeric columns that may be null or NaN: these become the centre, and an indicator
        ``column is missing`` goes beside them.
    categories : tuple of OneHot, Hashed or TargetEncoded
    expansion : str
        ``'none'``; ``'squares'`` of the scaled numbers; ``'interactions'``: squares and products
        of every two.
    kept : ndarray of int, optional
        Features that are kept, of all that the above make; all by default.
    """

    numbers: Scale
    missing: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    expansion: str = "none"
    kept: np.ndarray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features that are kept."""
        names = self._all_names()
        return names if self.kept is None else tuple(names[j] for j in self.kept)

    def __len__(self) -> int:
        return self._width() if self.kept is None else len(self.kept)

    def columns(self) -> tuple[str, ...]:
        """The table's columns that are read."""
        named = (c.levels.column if isinstance(c, OneHot) else c.column for c in self.categories)
        return tuple(dict.fromkeys([*self.numbers.names, *named]))

    def keeping(self, names: tuple[str, ...]) -> Design:
        """The same with some of the features only."""
        if names == self.names:
            return self
        everything = self._all_names()
        return replace(self, kept=np.array([everything.index(n) for n in names], dtype=int))

    def rows(
        self, batch: pa.RecordBatch, into: np.ndarray, fold: int | np.ndarray | None
    ) -> np.ndarray:
        """The features as the lines of ``into`` (features x n).

        Parameters
        ----------
        batch : pyarrow.RecordBatch
        into : ndarray, features x n
        fold : int or ndarray of int, optional
            The units' fold, which target encoding leaves out: one for all or one each; None for
            units that no model has seen.
        """
        if self.kept is None:
            self._fill(batch, into, fold)
        else:
            full = self._fill(batch, np.empty((self._width(), batch.num_rows)), fold)
            np.take(full, self.kept, axis=0, out=into)
        return into

    def block(self, batch: pa.RecordBatch, fold: int | np.ndarray | None) -> np.ndarray:
        """Intercept and features, (1 + features) x n; for ``fold`` see :meth:`rows`."""
        block = np.empty((1 + len(self), batch.num_rows))
        block[0] = 1.0
        self.rows(batch, block[1:], fold)
        return block

    def _fill(
        self, batch: pa.RecordBatch, into: np.ndarray, fold: int | np.ndarray | None
    ) -> np.ndarray:
        end = len(self.numbers.names)
        self.numbers.rows(batch, into[:end])
        for name in self.missing:
            line = into[self.numbers.names.index(name)]
            absent = np.isnan(line)
            line[absent] = 0.0
            into[end] = absent
            end += 1
        for category in self.categories:
            width = len(category.names)
            part = into[end : end + width]
            if isinstance(category, TargetEncoded):
                category.fill(batch, part, fold)
            else:
                category.fill(batch, part)
            end += width
        for i, j in self._products():
            np.multiply(into[i], into[j], out=into[end])
            end += 1
        return into

    def _products(self) -> Iterator[tuple[int, int]]:
        p = len(self.numbers.names)
        if self.expansion in ("squares", "interactions"):
            yield from ((j, j) for j in range(p))
        if self.expansion == "interactions":
            yield from combinations(range(p), 2)

    def _width(self) -> int:
        encoded = sum(len(c.names) for c in self.categories)
        return len(self.numbers.names) + len(self.missing) + encoded + len(list(self._products()))

    def _all_names(self) -> tuple[str, ...]:
        numbers = self.numbers.names
        names = [*numbers, *(f"{name} is missing" for name in self.missing)]
        names += [name for category in self.categories for name in category.names]
        names += [
            f"{numbers[i]}^2" if i == j else f"{numbers[i]} x {numbers[j]}"
            for i, j in self._products()
        ]
        return tuple(names)
