"""What a fit asks for, and how rows answer: sums of scores by cells of covariates' codes.

A request is answered by sums that add up over parts of the rows, so a table in memory and a table in
a lake (:class:`HistogramKernel`) give the same trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from truelift.policy.trees.kernels import add_cells, add_pairs, add_triples
from truelift.policy.trees.tree import PolicyTree

#: Numbers that one answer may hold: 32 MB.
MOST_NUMBERS = 4_000_000


@dataclass(frozen=True, eq=False)
class CodedRows:
    """Rows whose covariates are bins.

    Parameters
    ----------
    codes : ndarray of uint8, p x n
    scores : ndarray, n x A
        Doubly robust scores of the arms' means, less costs, times weights.
    fold : ndarray of int, n
    """

    codes: np.ndarray
    scores: np.ndarray
    fold: np.ndarray

    def by_fold(self) -> CodedRows:
        """The rows fold after fold: the histogram of one fold stays in the processor's cache."""
        if not len(self.fold) or bool((np.diff(self.fold) >= 0).all()):
            return self
        order = np.argsort(self.fold, kind="stable")
        codes = np.ascontiguousarray(self.codes[:, order])
        return CodedRows(codes, self.scores[order], self.fold[order])


class Grouping(Protocol):
    """Which histograms a row counts in."""

    @property
    def groups(self) -> int:
        """Histograms of each cell."""

    def of(self, rows: CodedRows) -> Iterator[np.ndarray]:
        """The group of every row, once or several times; negative for none."""


@dataclass(frozen=True)
class ByFold:
    """A histogram a fold: those of the other folds are the total less one's own."""

    folds: int

    @property
    def groups(self) -> int:
        """The folds."""
        return self.folds

    def of(self, rows: CodedRows) -> Iterator[np.ndarray]:
        """Each row in its own fold."""
        yield rows.fold.astype(np.int64)


@dataclass(frozen=True)
class ByNode:
    """A histogram a node: of every tree that has not seen the row's fold.

    Parameters
    ----------
    trees : tuple of PolicyTree
        As far as they have grown.
    unseen : tuple of tuple of int
        The folds that each of them has not seen.
    nodes : tuple of (int, int)
        Tree and leaf that are to be cut further.
    """

    trees: tuple[PolicyTree, ...]
    unseen: tuple[tuple[int, ...], ...]
    nodes: tuple[tuple[int, int], ...]

    @property
    def groups(self) -> int:
        """The nodes."""
        return len(self.nodes)

    def of(self, rows: CodedRows) -> Iterator[np.ndarray]:
        """For each tree the places of its leaves."""
        for number, tree in enumerate(self.trees):
            place = np.full(len(tree.arm), -1, np.int64)
            for group, (owner, node) in enumerate(self.nodes):
                if owner == number:
                    place[node] = group
            if (place >= 0).any():
                gone = np.isin(rows.fold, self.unseen[number])
                yield np.where(gone, -1, place[tree.leaf(rows.codes)])


@dataclass(frozen=True, eq=False)
class Request:
    """Histograms of some combinations of covariates.

    Parameters
    ----------
    grouping : Grouping
    combinations : ndarray of int, C x d
        One, two or three covariates each.
    bins : int
    channels : int
        Arms and the count of rows.
    """

    grouping: Grouping
    combinations: np.ndarray
    bins: int
    channels: int

    def empty(self) -> np.ndarray:
        """No rows: C x groups x cells x channels."""
        count, dimension = self.combinations.shape
        shape = (count, self.grouping.groups, self.bins**dimension, self.channels)
        return np.zeros(shape)

    def chunks(self, most: int = MOST_NUMBERS) -> Iterator[Request]:
        """The request in parts whose answers are small."""
        count, dimension = self.combinations.shape
        each = self.grouping.groups * self.bins**dimension * self.channels
        step = max(1, most // each)
        for start in range(0, count, step):
            part = self.combinations[start : start + step]
            yield Request(self.grouping, part, self.bins, self.channels)


#: Answers a request: C x groups x cells x channels.
Sums = Callable[[Request], np.ndarray]


def add_rows(
    request: Request, rows: CodedRows, out: np.ndarray, pool: ThreadPoolExecutor | None = None
) -> None:
    """Add rows to the answer of a request, a combination a thread."""
    values = np.concatenate([rows.scores, np.ones((len(rows.scores), 1))], axis=1)
    for group in request.grouping.of(rows):
        work = [(combo, group, rows, values, request.bins, out[c])
                for c, combo in enumerate(request.combinations)]  # fmt: skip
        if pool is None:
            for task in work:
                _add(task)
        else:
            list(pool.map(_add, work))


def _add(task: tuple[np.ndarray, np.ndarray, CodedRows, np.ndarray, int, np.ndarray]) -> None:
    combo, group, rows, values, bins, out = task
    codes = [rows.codes[i] for i in combo]
    if len(codes) == 1:
        add_cells(codes[0], group, values, out)
    elif len(codes) == 2:
        add_pairs(codes[0], codes[1], group, values, bins, out)
    else:
        add_triples(codes[0], codes[1], codes[2], group, values, bins, out)


@dataclass(eq=False)
class SumsInMemory:
    """Answers requests from rows in memory.

    Parameters
    ----------
    rows : CodedRows
    threads : int
    """

    rows: CodedRows
    threads: int = 2
    _ordered: CodedRows | None = field(default=None, init=False)

    def __call__(self, request: Request) -> np.ndarray:
        if self._ordered is None:
            self._ordered = self.rows.by_fold()
        out = request.empty()
        with ThreadPoolExecutor(self.threads) as pool:
            add_rows(request, self._ordered, out, pool)
        return out
