"""Counts of all families of a network, a node with its parents, in one pass over batches of codes.

A family whose table is small has a place for each cell; of a larger one the cells that occur are kept by key, so that memory
goes with what is in the rows and never with the product of the levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.arrays.shares import about_equal
from truelift.errors import NotSupportedError

#: Cells up to which a family has a table of its own.
MOST_CELLS = 1 << 20
#: Cells of the largest table that is made of counts by key.
MOST_TABLE = 1 << 22
#: Rows that are looked at together, so that their codes stay in the processor's cache.
_BLOCK = 8192


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of a family that rows have.

    Parameters
    ----------
    keys : ndarray of int64
        Places in the table, the child varying fastest; rising.
    counts : ndarray of float64
    """

    keys: np.ndarray
    counts: np.ndarray


class FamilyCounts:
    """Running counts.

    Parameters
    ----------
    sizes : mapping of str to int
        By node, its levels; the order is that of the codes.
    parents : mapping of str to sequence of str
    threads : int
        That count, each some of the families.

    Raises
    ------
    NotSupportedError
        For a family whose cells no key can number.
    """

    def __init__(
        self, sizes: Mapping[str, int], parents: Mapping[str, Sequence[str]], threads: int = 1
    ):
        self.names = list(sizes)
        self.sizes, self.parents, self.rows = sizes, parents, 0
        place = {name: number for number, name in enumerate(self.names)}
        self._members = [
            np.array([place[n] for n in (*parents[name], name)]) for name in self.names
        ]
        self.shapes = [tuple(sizes[self.names[i]] for i in members) for members in self._members]
        self._strides = [_strides(shape) for shape in self.shapes]
        cells = [math.prod(shape) for shape in self.shapes]
        for name, count in zip(self.names, cells, strict=True):
            if count >= 2**62:
                raise NotSupportedError(
                    f"{name} with its parents has {count:.1e} cells, expected fewer than 4e18."
                )
        self._dense = [number for number, count in enumerate(cells) if count <= MOST_CELLS]
        self._sparse = [number for number, count in enumerate(cells) if count > MOST_CELLS]
        ends = np.cumsum([0, *(cells[number] for number in self._dense)])
        self._offsets = dict(zip(self._dense, ends.tolist(), strict=False))
        self._table = np.zeros(int(ends[-1]), np.int64)
        self._cells = {n: Cells(np.zeros(0, np.int64), np.zeros(0)) for n in self._sparse}
        self._kind = np.uint8 if max(sizes.values()) <= 256 else np.int32
        weights = [len(self._members[number]) for number in self._dense]
        shares = about_equal(weights, max(threads, 1))
        self._work = [self._packed([self._dense[i] for i in share]) for share in shares if share]

    def add(self, codes: np.ndarray) -> None:
        """Count rows: ``codes`` is nodes x n, of whole numbers, row after row of a node side by side."""
        codes = np.ascontiguousarray(codes, self._kind)
        self.rows += codes.shape[1]
        count = _kernels()[0]

        def some(work: tuple[np.ndarray, ...]) -> None:
            count(codes, *work, self._table, _BLOCK)

        if len(self._work) > 1:
            with ThreadPoolExecutor(len(self._work)) as pool:
                list(pool.map(some, self._work))
        else:
            for work in self._work:
                some(work)
        for number in self._sparse:
            keys = np.zeros(codes.shape[1], np.int64)
            _kernels()[1](codes, self._members[number], self._strides[number], keys)
            self._cells[number] = _merged(self._cells[number], *np.unique(keys, return_counts=True))

    def merge(self, other: FamilyCounts) -> None:
        """Add the counts of other rows of the same families."""
        self.rows += other.rows
        self._table += other._table
        for number, cells in other._cells.items():
            self._cells[number] = _merged(self._cells[number], cells.keys, cells.counts)

    def cells(self, name: str) -> Cells:
        """The cells of a node's family that rows have."""
        number = self.names.index(name)
        if number in self._cells:
            return self._cells[number]
        table = self._dense_table(number)
        keys = np.flatnonzero(table)
        return Cells(keys, table[keys].astype(float))

    def table(self, name: str) -> np.ndarray:
        """Counts by parents' levels and the node's, the node last.

        Raises
        ------
        NotSupportedError
            For a family that is too large for a table.
        """
        number = self.names.index(name)
        shape = self.shapes[number]
        if number in self._offsets:
            return self._dense_table(number).reshape(shape).astype(float)
        if not self.has_table(name):
            above = " x ".join(str(size) for size in shape)
            raise NotSupportedError(
                f"{name} with its parents {', '.join(self.parents[name])} has a table of {above} cells, more than "
                f"{MOST_TABLE:,}. Take coarser levels (cuts) or fewer parents; held-out likelihoods are "
                "known all the same."
            )
        table = np.zeros(math.prod(shape))
        table[self._cells[number].keys] = self._cells[number].counts
        return table.reshape(shape)

    def has_table(self, name: str) -> bool:
        """Whether a node's family is small enough for a table."""
        return math.prod(self.shapes[self.names.index(name)]) <= MOST_TABLE

    def _dense_table(self, number: int) -> np.ndarray:
        start = self._offsets[number]
        return self._table[start : start + math.prod(self.shapes[number])]

    def _packed(self, numbers: list[int]) -> tuple[np.ndarray, ...]:
        """Families one after the other: where each begins, its columns, their strides, its place."""
        sizes = [len(self._members[n]) for n in numbers]
        return (
            np.cumsum([0, *sizes]), np.concatenate([self._members[n] for n in numbers]),
            np.concatenate([self._strides[n] for n in numbers]),
            np.array([self._offsets[n] for n in numbers], np.int64),
        )  # fmt: skip


def _strides(shape: tuple[int, ...]) -> np.ndarray:
    return np.array([math.prod(shape[i + 1 :]) for i in range(len(shape))], np.int64)


def _merged(held: Cells, keys: np.ndarray, counts: np.ndarray) -> Cells:
    both = np.concatenate([held.keys, keys])
    seen, place = np.unique(both, return_inverse=True)
    return Cells(seen, np.bincount(place, np.concatenate([held.counts, counts]), len(seen)))


@cache
def _kernels() -> tuple[Any, Any]:
    return compiled(_count), compiled(_keys)


def _count(
    codes: np.ndarray, starts: np.ndarray, members: np.ndarray, strides: np.ndarray,
    offsets: np.ndarray, table: np.ndarray, block: int,
) -> None:  # fmt: skip
    rows = codes.shape[1]
    keys = np.empty(block, np.int64)
    for begin in range(0, rows, block):
        size = min(block, rows - begin)
        for family in range(len(offsets)):
            first, last = starts[family], starts[family + 1]
            offset, column = offsets[family], members[last - 1]
            if last - first == 1:
                for i in range(size):
                    table[offset + codes[column, begin + i]] += 1
                continue
            for i in range(size):
                keys[i] = offset + codes[column, begin + i]
            for place in range(first, last - 1):
                column, stride = members[place], strides[place]
                for i in range(size):
                    keys[i] += stride * codes[column, begin + i]
            for i in range(size):
                table[keys[i]] += 1


def _keys(codes: np.ndarray, members: np.ndarray, strides: np.ndarray, out: np.ndarray) -> None:
    for place in range(len(members)):
        column, stride = members[place], strides[place]
        for i in range(codes.shape[1]):
            out[i] += stride * codes[column, i]
