"""How often an edge comes: graphs of halves of the clusters, from the sums alone.

Buckets are split at random into two halves, and each half gives a graph, with the same tests and at the same
level (complementary pairs, Shah & Samworth 2013). A half is what a sample of half as many clusters would be, so
the frequency of an edge is, on average over samples, the chance that such a sample shows it. Buckets drawn
with replacement would not do: a bucket that is there twice makes noise look like evidence, and edges between
independent columns would come three times too often.

For one edge that frequency is too sure of itself, for all halves share what this sample happened to show. With a half's
evidence beyond the bar as a standard normal around its mean, the frequency tells the mean of this sample, which is
off by a standard error of its own; :func:`chances` takes that out by empirical Bayes over all pairs (Robbins 1956), the
distribution of true means being the likeliest one (Kiefer & Wolfowitz 1956, Laird 1978).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.stats import binom, norm

from truelift.graph.discovery.pattern import Pattern

FEWEST = 5
# Evidence beyond the bar that is told apart, in standard errors of the whole sample.
_BEYOND = np.linspace(-6.0, 9.0, 76)
# Pairs that know nothing, beside those of the table; passes over the distribution of true means.
_NOTHING, _PASSES = 5.0, 200


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


def chances(shares: np.ndarray, graphs: int) -> np.ndarray:
    """The chance that halves of new samples show each edge, from the shares of this sample's halves that do.

    Parameters
    ----------
    shares : ndarray
        Of all pairs that may have an edge.
    graphs : int
        Of halves.
    """
    counts, place, pairs = np.unique(
        np.rint(shares * graphs), return_inverse=True, return_counts=True
    )
    seen = binom.pmf(counts[:, None], graphs, norm.cdf(_BEYOND)[None])
    likely = seen @ _normed(norm.pdf(_BEYOND[:, None] - _BEYOND[None]))
    weights = np.full(len(_BEYOND), 1 / len(_BEYOND))
    for _ in range(_PASSES):
        total = pairs @ _of_rows(likely * weights) + _NOTHING / len(_BEYOND)
        weights = total / (len(shares) + _NOTHING)
    # A half varies by twice the variance of the whole.
    found: np.ndarray = _of_rows(likely * weights) @ norm.cdf(_BEYOND / np.sqrt(2))
    return found[place]


def _normed(columns: np.ndarray) -> np.ndarray:
    found: np.ndarray = columns / columns.sum(axis=0)
    return found


def _of_rows(weights: np.ndarray) -> np.ndarray:
    found: np.ndarray = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    return found


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
