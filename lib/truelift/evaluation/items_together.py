"""Item co-occurrence: what is taken together, or soon after, from counts that add up.

Two readings, by what a step is. Where it is a session, two items are neighbours if they lie in
one session, and the similarity is the cosine ``c_ij / sqrt(n_i n_j)`` (item-based k nearest
neighbours). Where it is an event, ``j`` follows ``i`` if it comes at most :data:`FOLLOWS` events
later, with the weight one over the distance, and the similarity is ``c_ij / n_i`` (sequential
rules); an item that follows itself counts like any other, so that the rules can say "the same
again". Both are of Ludewig & Jannach, "Evaluation of session-based recommendation algorithms"
(2018), and hard to beat for their price.

Counts are whole numbers (weights in units of 1/2520), so their sum over shards and ranks is
exact. Memory is bounded: above :data:`MOST_PAIRS` pairs only each item's most frequent ones are
kept, and then the neighbours are those of a sketch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from truelift.models.sequence.histories import Histories
from truelift.models.sequence.windows import step_index

NAME = "item co-occurrence"
TOGETHER = 50  # places of a session within which items count as taken together
FOLLOWS = 10  # events
UNIT = 2520  # divisible by 1 .. FOLLOWS
MOST_PAIRS = 8_000_000
# Steps of the past that the scores look at.
RECENT_STEPS = 10


@dataclass(frozen=True)
class PairCounts:
    """How often one item goes with another.

    Parameters
    ----------
    items : int
        Size of the catalogue.
    pairs : numpy.ndarray of int64
        ``i * (items + 1) + j``, ascending, each once.
    counts : numpy.ndarray of int64
    """

    items: int
    pairs: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, items: int, pairs: np.ndarray, counts: np.ndarray) -> PairCounts:
        """From pairs in any order that may come several times."""
        order = np.argsort(pairs, kind="stable")
        pairs, counts = pairs[order], counts[order]
        first = np.ones(len(pairs), dtype=bool)
        first[1:] = pairs[1:] != pairs[:-1]
        starts = np.flatnonzero(first)
        totals = np.add.reduceat(counts, starts) if len(starts) else counts
        return cls(items, pairs[starts], totals)

    @classmethod
    def nothing(cls, items: int) -> PairCounts:
        """No pair."""
        return cls(items, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))

    def __add__(self, other: PairCounts) -> PairCounts:
        return PairCounts.of(
            self.items,
            np.concatenate([self.pairs, other.pairs]),
            np.concatenate([self.counts, other.counts]),
        )

    def strongest(self, each: int, weights: np.ndarray | None = None) -> PairCounts:
        """Only the ``each`` pairs of an item with the largest weights (counts, if not given).

        Of equals the smaller index stays.
        """
        value = self.counts if weights is None else weights
        owner = self.pairs // (self.items + 1)
        order = np.lexsort((self.pairs, -value, owner))
        sizes = np.bincount(owner, minlength=self.items + 1)
        begins = np.cumsum(sizes) - sizes
        place = np.arange(len(owner)) - begins[owner[order]]
        kept = np.sort(order[place < each])
        return PairCounts(self.items, self.pairs[kept], self.counts[kept])


def count_pairs(shards: Iterable[Histories], items: int, step: str, neighbours: int) -> PairCounts:
    """Pairs of all histories of some shards.

    Parameters
    ----------
    shards : iterable of Histories
        The training part.
    items : int
    step : str
        ``'session'`` or ``'event'``.
    neighbours : int
        Neighbours that will be kept; four times as many survive where memory is short.
    """
    total = PairCounts.nothing(items)
    for histories in shards:
        for part in _pairs(histories, items, step):
            total = total + part
            if len(total.pairs) > MOST_PAIRS:
                total = total.strongest(4 * neighbours)
    return total


def _pairs(histories: Histories, items: int, step: str) -> Iterable[PairCounts]:
    together = step == "session"
    unit = np.cumsum(histories.session_starts()) if together else histories.owner
    width = items + 1
    left = np.arange(len(histories.items))
    pairs: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    held = 0
    for shift in range(1, (TOGETHER if together else FOLLOWS) + 1):
        left = left[left + shift < len(unit)]
        left = left[unit[left] == unit[left + shift]]
        if len(left) == 0:
            break
        one = histories.items[left].astype(np.int64)
        other = histories.items[left + shift].astype(np.int64)
        if together:  # a set holds an item once; in a row of events it may follow itself
            differ = one != other
            one, other = one[differ], other[differ]
        pairs.append(one * width + other)
        if together:
            pairs.append(other * width + one)
        weight = UNIT if together else UNIT // shift
        counts += [np.full(len(p), weight, dtype=np.int64) for p in pairs[len(counts) :]]
        held += len(pairs[-1])
        if held > MOST_PAIRS // 4:
            yield PairCounts.of(items, np.concatenate(pairs), np.concatenate(counts))
            pairs, counts, held = [], [], 0
    if pairs:
        yield PairCounts.of(items, np.concatenate(pairs), np.concatenate(counts))


def similarity(pairs: PairCounts, popularity: np.ndarray, step: str) -> np.ndarray:
    """Of each pair: the cosine for sessions, the share of what follows for events."""
    counts = np.maximum(popularity, 1.0)
    one, other = np.divmod(pairs.pairs, pairs.items + 1)
    scale: np.ndarray = np.sqrt(counts[one] * counts[other]) if step == "session" else counts[one]
    return pairs.counts / UNIT / scale


@dataclass(frozen=True)
class Neighbours:
    """Scores of what goes with the latest steps of a history.

    Parameters
    ----------
    similarity : scipy.sparse.csr_array, shape (items + 1, items + 1)
        Row ``i`` has the neighbours of item ``i``.
    popularity : numpy.ndarray, shape (items + 1,)
        Decides between items that go with nothing of the history.
    step : str
    """

    similarity: sparse.csr_array
    popularity: np.ndarray
    step: str

    @classmethod
    def fit(
        cls, pairs: PairCounts, popularity: np.ndarray, step: str, neighbours: int
    ) -> Neighbours:
        """Keep the most similar ``neighbours`` of each item."""
        width = pairs.items + 1
        found = similarity(pairs, popularity, step)
        kept = pairs.strongest(neighbours, found)
        chosen = np.searchsorted(pairs.pairs, kept.pairs)
        one, other = np.divmod(kept.pairs, width)
        matrix = sparse.csr_array((found[chosen], (one, other)), shape=(width, width))
        return cls(matrix, popularity, step)

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1).

        An item ``a`` steps back counts with the weight ``1 / a``, the latest ``a = 1``.
        """
        owner, number = histories.owner, step_index(histories, self.step)
        steps = np.zeros(len(histories), dtype=np.int64)
        np.maximum.at(steps, owner, number + 1)
        age = steps[owner] - number
        recent = age <= RECENT_STEPS
        shape = (len(histories), len(self.popularity))
        weights = sparse.csr_array(
            (1.0 / age[recent], (owner[recent], histories.items[recent])), shape=shape
        )
        found: np.ndarray = (weights @ self.similarity).toarray()
        # Far below any similarity, so that popularity can only break ties.
        return found + 1e-9 * self.popularity / (self.popularity.max() + 1.0)
