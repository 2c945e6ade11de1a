"""One round: a tree for every fold's model, level by level, with one sum of all workers a level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from truelift.distributed.collective import Collective
from truelift.models.trees.family import Family, Masses
from truelift.models.trees.forest import Tree
from truelift.models.trees.kernels import (
    CODES,
    SQUARED,
    add_histograms,
    add_leaf_sums,
    advance,
    best_splits,
    is_leaf,
    leaf_words,
    pack_gradients,
    word_of,
)
from truelift.models.trees.options import TreeOptions

# Histograms of one level that are held, sent and looked at together.
HISTOGRAM_BYTES = 128 * 2**20
_CURVATURE_BITS = 12

T = TypeVar("T")
R = TypeVar("R")


class Threads:
    """Runs compiled loops of several models at once."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """``work`` of each item, in order."""
        return list(self._pool.map(work, items) if self._pool else map(work, items))


@dataclass(eq=False)
class Growing:
    """A tree that is being grown.

    Parameters
    ----------
    fold, output : int
        Whose model; the class within it.
    steps : tuple of float
        Steps of a gradient and of a curvature in the histograms.
    shift : int
        Bits of the curvatures in an integer that holds both.
    exact : tuple of float
        Steps of the same in the sums of leaves.
    counted : ndarray of int64, (R, 3)
        Ranges of all rows whose state the tree moves; the third column is 1 for rows that its
        leaves' values come from, 2 for other training rows, 0 for those that stop it.
    rows, packed : ndarray
        What splits are sought on.
    share : float
        Of the tree's rows, that these are.
    """

    fold: int
    output: int
    steps: tuple[float, float]
    shift: int
    exact: tuple[float, float]
    counted: np.ndarray
    rows: np.ndarray
    packed: np.ndarray
    share: float
    depth: int = 0
    words: np.ndarray = field(default_factory=lambda: leaf_words(np.zeros(1, np.int64)))
    low: np.ndarray = field(default_factory=lambda: np.full(1, -np.inf))
    high: np.ndarray = field(default_factory=lambda: np.full(1, np.inf))
    set_of_node: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int32))
    sets: np.ndarray = field(default_factory=lambda: np.zeros((1, CODES), bool))

    def __post_init__(self) -> None:
        self.node = np.zeros(len(self.rows), np.int32)
        self.leaf = np.zeros(0, np.uint16)

    def add_level(
        self, nodes: np.ndarray, number: np.ndarray, real: np.ndarray, sets: np.ndarray,
        categorical: np.ndarray, signs: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Split nodes as found; the children's numbers, (2, nodes)."""
        count = len(self.words)
        left = count + 2 * np.arange(len(nodes))
        covariate, last, missing_left = number[:, 0], number[:, 1], number[:, 2] > 0
        by_set = categorical[covariate]
        self.words[nodes] = word_of(left, covariate, last, missing_left, by_set)
        own = np.flatnonzero(by_set)
        self.set_of_node[nodes[own]] = len(self.sets) + np.arange(len(own))
        self.sets = np.concatenate([self.sets, sets[own]])
        children = np.stack([left, left + 1])
        new = count + np.arange(2 * len(nodes))
        self.words = np.concatenate([self.words, leaf_words(new)])
        self.set_of_node = np.concatenate([self.set_of_node, np.zeros(len(new), np.int32)])
        # A monotone split keeps what lies below each child on its side of the middle.
        middle = real.mean(axis=1)
        low = np.stack([self.low[nodes]] * 2)
        high = np.stack([self.high[nodes]] * 2)
        rises, falls = signs[covariate] > 0, signs[covariate] < 0
        high[0, rises], low[1, rises] = middle[rises], middle[rises]
        low[0, falls], high[1, falls] = middle[falls], middle[falls]
        self.low = np.concatenate([self.low, low.T.ravel()])
        self.high = np.concatenate([self.high, high.T.ravel()])
        self.depth += 1
        return children

    def tree(self, values: np.ndarray) -> Tree:
        """What is kept of it."""
        return Tree(self.words, values, self.set_of_node, self.sets, self.depth)


@dataclass(frozen=True, eq=False)
class Grower:
    """Grows trees; every worker calls it for the same models in the same order.

    Parameters
    ----------
    bins : int
        Codes that are in use, without the missing one.
    categorical : ndarray of bool, p
    options : TreeOptions
    workers : Collective
    threads : Threads
    """

    bins: int
    categorical: np.ndarray
    options: TreeOptions
    workers: Collective
    threads: Threads

    def start(
        self, family: Family, masses: Masses, largest: dict[int, float], folds: Sequence[int],
        turn: int,
    ) -> list[Growing]:  # fmt: skip
        """Trees of some folds with their roots, and gradients to seek their splits by.

        Parameters
        ----------
        largest : dict of int to float
            Bounds of residuals times weights, fold by fold.
        turn : int
            Number of the round.
        """
        options = self.options
        windows, shares = [], []
        for k in folds:
            rows = options.subsample * masses.training_rows[k]
            shares.append(min(1.0, options.split_rows / max(rows, 1.0)))
            share = options.subsample * shares[-1]
            windows.append(family.window(family.training[k], share, turn, options.seed))
        counts = np.array([(w[:, 1] - w[:, 0]).sum() for w in windows])
        totals = self.workers.sum(counts.astype(float))
        started = []
        for k, window, share, count, total in zip(
            folds, windows, shares, counts, totals, strict=True
        ):
            bounds = self._bounds(family, largest[k], masses.largest_weight[k])
            # Sums of so many rows of both fit in 64 bits with their sign.
            bits = int(np.ceil(np.log2(max(total, 2.0))))
            steps = (2.0 ** (63 - _CURVATURE_BITS - 2 * bits) - 1, 2.0**_CURVATURE_BITS - 1)
            exact = 2.0 ** min(50, 61 - int(np.ceil(np.log2(max(masses.training_rows[k], 2.0)))))
            mine = family.window(family.training[k], options.subsample, turn, options.seed)
            started += [
                Growing(
                    k, c, (steps[0] / bounds[0], steps[1] / bounds[1]), _CURVATURE_BITS + bits,
                    (exact / bounds[0], exact / bounds[1]),
                    counted_ranges(family.training[k], mine, family.validation[k]),
                    np.empty(count, np.int64), np.empty(count, np.int64), share,
                )
                for c in range(family.classes)
            ]  # fmt: skip
            for growing in started[-family.classes :]:
                pack_gradients(
                    family.kind, family.state[k], growing.output, family.label, family.weight,
                    window, *growing.steps, growing.shift, growing.rows, growing.packed,
                )  # fmt: skip
        return started

    def _bounds(self, family: Family, largest: float, weight: float) -> tuple[float, float]:
        """Bounds of gradients and curvatures."""
        if family.kind == SQUARED:
            return largest or 1.0, weight
        return weight, weight / (4 if family.classes == 1 else 2)

    def grow(self, family: Family, trees: Sequence[Growing]) -> None:
        """Split all trees level by level until no split is worth it."""
        open_nodes = [np.zeros(1, np.int64) for _ in trees]
        parents = None
        for _ in range(self.options.depth):
            if not any(len(nodes) for nodes in open_nodes):
                return
            open_nodes, parents = self._level(family, trees, open_nodes, parents)

    def _level(
        self, family: Family, trees: Sequence[Growing], open_nodes: list[np.ndarray],
        parents: np.ndarray | None,
    ) -> tuple[list[np.ndarray], np.ndarray | None]:  # fmt: skip
        sums = self._histograms(family, trees, open_nodes, parents)
        found = self._splits(family, trees, open_nodes, sums)
        children: list[np.ndarray] = []
        kept = []
        place = 0
        for growing, nodes in zip(trees, open_nodes, strict=True):
            number, real, sets = (part[place : place + len(nodes)] for part in found)
            good = np.flatnonzero(number[:, 0] >= 0)
            kept.append(place + good)
            place += len(nodes)
            if not len(good):
                children.append(np.zeros(0, np.int64))
                continue
            pairs = growing.add_level(
                nodes[good], number[good], real[good], sets[good], self.categorical, family.signs
            )
            # The child with fewer rows first: its histogram is made, the other is what is left.
            swap = number[good, 3] == 0
            pairs[:, swap] = pairs[::-1, swap]
            children.append(pairs.T.ravel())
        self.threads.each(
            lambda growing: advance(
                family.codes, growing.rows, growing.words, growing.set_of_node, growing.sets,
                growing.node,
            ),
            trees,
        )  # fmt: skip
        return children, sums[np.concatenate(kept)]

    def _histograms(
        self, family: Family, trees: Sequence[Growing], open_nodes: list[np.ndarray],
        parents: np.ndarray | None,
    ) -> np.ndarray:  # fmt: skip
        """Sums (slots, p, bins + 1) of all open nodes, the trees' nodes behind one another."""
        made = open_nodes if parents is None else [nodes[::2] for nodes in open_nodes]
        bounds = np.cumsum([0, *(len(nodes) for nodes in made)])
        sums = np.zeros((bounds[-1], family.codes.shape[1], self.bins + 1), np.int64)

        def add(t: int) -> None:
            growing = trees[t]
            slot = np.full(len(growing.words), -1, np.int32)
            slot[made[t]] = np.arange(len(made[t]))
            add_histograms(
                family.codes, growing.rows, growing.packed, growing.node, slot, self.bins,
                sums[bounds[t] : bounds[t + 1]],
            )  # fmt: skip

        self.threads.each(add, [t for t in range(len(trees)) if len(made[t])])
        sums = self.workers.sum(sums)
        if parents is None:
            return sums
        both = np.empty((2 * len(sums), *sums.shape[1:]), np.int64)
        both[::2] = sums
        np.subtract(parents, sums, out=both[1::2])
        return both

    def _splits(
        self, family: Family, trees: Sequence[Growing], open_nodes: list[np.ndarray],
        sums: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        slots = len(sums)
        number, real = np.empty((slots, 4), np.int64), np.zeros((slots, 2))
        sets = np.zeros((slots, CODES), bool)
        counts = [len(nodes) for nodes in open_nodes]
        one = np.repeat([1.0 / t.share for t in trees], counts)
        steps = np.repeat(np.array([t.steps for t in trees]), counts, axis=0)
        low = np.concatenate([t.low[n] for t, n in zip(trees, open_nodes, strict=True)])
        high = np.concatenate([t.high[n] for t, n in zip(trees, open_nodes, strict=True)])
        best_splits(
            sums, np.repeat([t.shift for t in trees], counts), one / steps[:, 0], one / steps[:, 1],
            self.options.min_child_weight * steps[:, 1], low, high, self.categorical,
            family.signs, self.options.l2, number, real, sets,
        )  # fmt: skip
        return number, real, sets

    def leaf_values(self, family: Family, trees: Sequence[Growing]) -> list[np.ndarray]:
        """Values of all nodes, of the leaves by all the tree's rows, times the learning rate."""
        bounds = np.cumsum([0, *(len(t.words) for t in trees)])
        sums = np.zeros((bounds[-1], 2), np.int64)

        def add(t: int) -> None:
            growing = trees[t]
            small = len(growing.words) < 2**16
            growing.leaf = np.empty(len(family.label), np.uint16 if small else np.int32)
            add_leaf_sums(
                family.kind, family.codes, family.state[growing.fold], growing.output,
                family.label, family.weight, growing.counted, growing.words,
                growing.set_of_node, growing.sets, growing.depth, *growing.exact, growing.leaf,
                sums[bounds[t] : bounds[t + 1]],
            )  # fmt: skip

        self.threads.each(add, range(len(trees)))
        sums = self.workers.sum(sums)
        values = []
        for t, growing in enumerate(trees):
            g, h = (sums[bounds[t] : bounds[t + 1]] / np.array(growing.exact)).T
            total = h + self.options.l2
            value = np.divide(-g, total, out=np.zeros(len(g)), where=total > 0)
            value = np.clip(value, growing.low, growing.high)
            value = np.where(is_leaf(growing.words), value, 0.0)
            values.append(self.options.learning_rate * value)
        return values


def counted_ranges(training: np.ndarray, mine: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """Ranges with a third column: 1 for the tree's rows, 2 for other training rows, else 0."""
    parts = [(low, high, 1) for low, high in mine]
    for low, high in training:
        at = low
        for a, b in sorted((a, b) for a, b in mine if low <= a < high):
            parts.append((at, a, 2))
            at = b
        parts.append((at, high, 2))
    parts += [(low, high, 0) for low, high in validation]
    return np.array([p for p in parts if p[0] < p[1]], np.int64).reshape(-1, 3)
