"""How often an edge comes: graphs of halves of the clusters, from the sums alone.

Buckets are split at random into two halves, and each half gives a graph, with the same tests and at the same
level (complementary pairs, Shah & Samworth 2013). A half is what a sample of half as many clusters would be, so
the frequency of an edge is, on average over samples, the chance that such a sample shows it. Buckets drawn
with replacement would not do: a bucket that is there twice makes noise look like evidence, and edges between
independent columns would come three times too often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from truelift.graph.discovery.pattern import Pattern

FEWEST = 5


def halves(buckets: int, graphs: int, seed: int) -> Iterator[np.ndarray]:
    """Which buckets each graph is learned on: pairs of halves that have none in common."""
    rng = np.random.default_rng(seed)
    for _ in range(-(-graphs // 2)):
        order = rng.permutation(buckets)
        for part in (order[: buckets // 2], order[buckets // 2 :]):
            kept = np.zeros(buckets, bool)
            kept[part] = True
            yield kept


def frequencies(patterns: Sequence[Pattern], p: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the patterns with an edge between each pair, and with an arrow ``i -> j``."""
    adjacent, arrows = np.zeros((p, p)), np.zeros((p, p))
    for pattern in patterns:
        adjacent += pattern.adjacent
        arrows += pattern.directed
    count = max(len(patterns), 1)
    return adjacent / count, arrows / count


def patterns_of_halves(
    buckets: int, graphs: int, seed: int, learn: Callable[[np.ndarray], Pattern],
    told: Callable[[str], None] = lambda text: None,
) -> list[Pattern]:  # fmt: skip
    """Patterns that ``learn(kept buckets)`` gives for each half."""
    found = []
    for number, kept in enumerate(halves(buckets, graphs, seed)):
        told(f"graph {number + 1} of {graphs} on half of the clusters")
        found.append(learn(kept))
    return found
