"""The adjacency phase of PC and its colliders, in compiled loops over pairs and sets."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from truelift.graph.discovery.dependence import (
    critical_values,
    is_dependent,
    p_value,
    partial_test,
)
from truelift.graph.discovery.family_kernels import compiled
from truelift.graph.discovery.sums import Moments
from truelift.graph.discovery.tables import table_test

_THREADS = 2


@dataclass(frozen=True, eq=False)
class Evidence:
    """What tests look at: moments by bucket, or codes of levels with the bucket of each row.

    Parameters
    ----------
    moments : Moments
    clustered : bool
        Whether rows of a bucket may depend; else the classical tests are made.
    codes : ndarray of uint8, p x n, optional
        Where all variables have levels and the rows are held: exact tables decide.
    levels, place : ndarray of int
        Numbers of levels; the bucket of each row, counted from zero without gaps.
    """

    moments: Moments
    clustered: bool = True
    codes: np.ndarray = field(default_factory=lambda: np.zeros((1, 0), np.uint8))
    levels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    place: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def exact(self) -> bool:
        """Whether tests are made on tables."""
        return self.codes.shape[1] > 0

    @property
    def size(self) -> int:
        """Number of variables."""
        return len(self.moments.starts) - 1

    @property
    def buckets(self) -> int:
        """Buckets with rows."""
        return len(self.moments.rows)

    @property
    def dimensions(self) -> int:
        """The most degrees of freedom that are looked up."""
        widths = np.sort(np.diff(self.moments.starts))[-2:]
        return int(np.prod(widths)) if not self.exact else 400

    @cached_property
    def whole(self) -> np.ndarray:
        """Cross-products over all buckets."""
        return self.moments.crosses.sum(axis=0)

    def arguments(self) -> tuple[Any, ...]:
        """For the compiled loops."""
        m = self.moments
        return (
            self.exact, m.crosses, self.whole, m.rows, m.n, self.clustered, m.starts,
            self.codes, self.levels, self.place,
        )  # fmt: skip

    def test(self, x: int, y: int, given: Sequence[int] = ()) -> tuple[float, float]:
        """The p-value of independence, and the size of the dependence (0 to 1).

        Of a table too large to tell, 0 and no number: what cannot be tested separates nobody.
        """
        effect, f, freedom = _test(*self.arguments(), x, y, np.array(given, np.int64))  # type: ignore[call-arg]
        if np.isnan(f):
            return 0.0, float("nan")
        return p_value(f, freedom, self.buckets, self.clustered), float(np.sqrt(effect))


@compiled
def _columns(starts: np.ndarray, variables: np.ndarray) -> np.ndarray:
    count = 0
    for v in variables:
        count += starts[v + 1] - starts[v]
    found = np.empty(count, np.int64)
    at = 0
    for v in variables:
        for c in range(starts[v], starts[v + 1]):
            found[at] = c
            at += 1
    return found


@compiled
def _test(
    exact: bool, crosses: np.ndarray, whole: np.ndarray, rows: np.ndarray, n: float,
    clustered: bool, starts: np.ndarray, codes: np.ndarray, levels: np.ndarray, place: np.ndarray, x: int, y: int,
    given: np.ndarray,
) -> tuple[float, float, float]:  # fmt: skip
    if exact:
        return table_test(codes, place, levels, len(rows), clustered, x, y, given)
    xs, ys = np.arange(starts[x], starts[x + 1]), np.arange(starts[y], starts[y + 1])
    return partial_test(crosses, whole, rows, n, clustered, xs, ys, _columns(starts, given))


@compiled
def _next_choice(choice: np.ndarray, n: int) -> bool:
    """The next combination in order; False after the last."""
    k = len(choice)
    i = k - 1
    while i >= 0 and choice[i] == n - k + i:
        i -= 1
    if i < 0:
        return False
    choice[i] += 1
    for j in range(i + 1, k):
        choice[j] = choice[j - 1] + 1
    return True


@compiled
def _may_separate(adjacent: np.ndarray, x: int, y: int, tiers: np.ndarray, out: np.ndarray) -> int:
    """Neighbours of ``x`` other than ``y`` that are no later than both (Spirtes et al.: tiers)."""
    latest = max(tiers[x], tiers[y])
    count = 0
    for z in range(len(adjacent)):
        if z != y and adjacent[x, z] and tiers[z] <= latest:
            out[count] = z
            count += 1
    return count


@compiled
def _level(
    exact: bool, crosses: np.ndarray, whole: np.ndarray, rows: np.ndarray, n: float,
    clustered: bool, starts: np.ndarray, codes: np.ndarray, levels: np.ndarray, place: np.ndarray,
    adjacent: np.ndarray, tiers: np.ndarray, pairs: np.ndarray, size: int, critical: np.ndarray,
    most: int, floor: float, removed: np.ndarray, sets: np.ndarray, tests: np.ndarray,
    weakest: np.ndarray,
) -> None:  # fmt: skip
    """Look for a set of ``size`` neighbours that separates each pair."""
    p = len(adjacent)
    near = np.empty(p, np.int64)
    for row in range(len(pairs)):
        x, y = pairs[row, 0], pairs[row, 1]
        done = False
        for side in range(2):
            a, b = (x, y) if side == 0 else (y, x)
            count = _may_separate(adjacent, a, b, tiers, near)
            if done or count < size or (size == 0 and side == 1):
                continue
            choice = np.arange(size)
            given = np.empty(size, np.int64)
            while True:
                for i in range(size):
                    given[i] = near[choice[i]]
                effect, f, freedom = _test(
                    exact,
                    crosses,
                    whole,
                    rows,
                    n,
                    clustered,
                    starts,
                    codes,
                    levels,
                    place,
                    x,
                    y,
                    given,
                )
                tests[row] += 1
                if not np.isnan(f):
                    weakest[row] = min(weakest[row], effect)
                    if effect < floor or not is_dependent(f, freedom, critical, most):
                        removed[row] = True
                        sets[row, :size] = given
                        done = True
                        break
                if size == 0 or not _next_choice(choice, count):
                    break


@compiled
def _colliders(
    exact: bool, crosses: np.ndarray, whole: np.ndarray, rows: np.ndarray, n: float,
    clustered: bool, starts: np.ndarray, codes: np.ndarray, levels: np.ndarray, place: np.ndarray,
    adjacent: np.ndarray, tiers: np.ndarray, triples: np.ndarray, depth: int, most_sets: int,
    found: np.ndarray,
) -> None:  # fmt: skip
    """For each triple x, z, y the smallest F of x and y given sets without z, and given sets with it."""
    p = len(adjacent)
    near = np.empty(p, np.int64)
    for row in range(len(triples)):
        x, z, y = triples[row, 0], triples[row, 1], triples[row, 2]
        found[row, 0], found[row, 1] = np.inf, np.inf
        for side in range(2):
            a, b = (x, y) if side == 0 else (y, x)
            count = _may_separate(adjacent, a, b, tiers, near)
            asked = 0
            for size in range(min(depth, count) + 1):
                choice = np.arange(size)
                given = np.empty(size, np.int64)
                while asked < most_sets:
                    has = 0
                    for i in range(size):
                        given[i] = near[choice[i]]
                        has |= given[i] == z
                    _effect, f, _freedom = _test(
                        exact,
                        crosses,
                        whole,
                        rows,
                        n,
                        clustered,
                        starts,
                        codes,
                        levels,
                        place,
                        x,
                        y,
                        given,
                    )
                    if not np.isnan(f):
                        found[row, has] = min(found[row, has], f)
                    asked += 1
                    if size == 0 or not _next_choice(choice, count):
                        break


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Which pairs no set separates, and what separates the others.

    Parameters
    ----------
    adjacent : ndarray of bool, p x p
    separated : dict
        By pair ``(x, y)``, ``x < y``, the set that separated it.
    weakest : ndarray, p x p
        The smallest partial correlation (Cramer's V on tables) of each pair among its tests.
    depth, tests : int
        The size of the largest sets; how many tests there were.
    """

    adjacent: np.ndarray
    separated: dict[tuple[int, int], tuple[int, ...]]
    weakest: np.ndarray
    depth: int
    tests: int


def skeleton(
    evidence: Evidence, alpha: float, floor: float, depth: int, tiers: np.ndarray,
    forbidden: np.ndarray, required: np.ndarray, threads: int = _THREADS,
) -> Skeleton:  # fmt: skip
    """PC-stable (Colombo & Maathuis 2014): neighbours change between sizes of sets alone.

    Parameters
    ----------
    evidence : Evidence
    alpha : float
        Level of each test.
    floor : float
        A partial correlation below it counts as none.
    depth : int
        Of the largest sets.
    tiers : ndarray of int
    forbidden, required : ndarray of bool, p x p
        Pairs without an edge, and with one, whatever the tests say.
    threads : int
    """
    p = evidence.size
    most = evidence.dimensions
    critical = critical_values(alpha, evidence.buckets, most, evidence.clustered)
    adjacent = ~forbidden | required
    np.fill_diagonal(adjacent, False)
    separated: dict[tuple[int, int], tuple[int, ...]] = {}
    weakest = np.full((p, p), np.inf)
    count, size = 0, 0
    arguments = evidence.arguments()
    for size in range(depth + 1):
        pairs = np.argwhere(np.triu(adjacent & ~required))
        degree = adjacent.sum(axis=1)
        pairs = (
            pairs[(degree[pairs[:, 0]] > size) | (degree[pairs[:, 1]] > size)] if size else pairs
        )
        if not len(pairs):
            break
        removed = np.zeros(len(pairs), np.bool_)
        sets = np.zeros((len(pairs), max(size, 1)), np.int64)
        tests = np.zeros(len(pairs), np.int64)
        low = np.full(len(pairs), np.inf)

        def work(
            part: slice, pairs: np.ndarray = pairs, removed: np.ndarray = removed,
            sets: np.ndarray = sets, tests: np.ndarray = tests, low: np.ndarray = low, size: int = size,
        ) -> None:  # fmt: skip
            _level(  # type: ignore[call-arg]
                *arguments, adjacent, tiers, pairs[part], size, critical, most, floor**2,
                removed[part], sets[part], tests[part], low[part],
            )  # fmt: skip

        _spread(work, len(pairs), threads)
        count += int(tests.sum())
        for (x, y), gone, own, least in zip(
            pairs.tolist(), removed, sets.tolist(), low, strict=True
        ):
            weakest[x, y] = weakest[y, x] = min(weakest[x, y], least)
            if gone:
                separated[x, y] = tuple(own[:size])
        gone_pairs = pairs[removed]
        adjacent[gone_pairs[:, 0], gone_pairs[:, 1]] = False
        adjacent[gone_pairs[:, 1], gone_pairs[:, 0]] = False
    return Skeleton(adjacent, separated, np.sqrt(weakest), size, count)


def _spread(work: object, count: int, threads: int) -> None:
    """Shares of pairs to threads; each writes to places of its own."""
    cuts = np.linspace(0, count, 4 * threads + 1).astype(int)
    parts = [slice(a, b) for a, b in pairwise(cuts) if b > a]
    if threads == 1 or count < 64:
        for part in parts:
            work(part)  # type: ignore[operator]
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, parts))  # type: ignore[arg-type]


def unshielded(adjacent: np.ndarray) -> np.ndarray:
    """Triples x, z, y with x < y, both next to z and not to each other."""
    found = []
    for z in range(len(adjacent)):
        near = np.flatnonzero(adjacent[z])
        apart = np.argwhere(np.triu(~adjacent[np.ix_(near, near)], 1))
        found += [(near[i], z, near[j]) for i, j in apart]
    return np.array(found, np.int64).reshape(-1, 3)


def collider_evidence(
    evidence: Evidence, found: Skeleton, tiers: np.ndarray, depth: int, most_sets: int = 200,
    threads: int = _THREADS,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Unshielded triples, and F of their ends given the best set without and with the middle."""
    triples = unshielded(found.adjacent)
    values = np.empty((len(triples), 2))
    arguments = evidence.arguments()

    def work(part: slice) -> None:
        _colliders(  # type: ignore[call-arg]
            *arguments, found.adjacent, tiers, triples[part], depth, most_sets,
            values[part],
        )  # fmt: skip

    _spread(work, len(triples), threads)
    return triples, values
