"""A search over orders of the nodes, each with its best parents among those before it.

The space is that of Teyssier & Koller (2005); the move takes one node to its best place, as BOSS does
(Andrews et al. 2023), and plateaus are left by kicks, the best order being kept (iterated local search,
as FLOP, Wienöbst et al. 2025). Sets of parents are scored beforehand, in a few large batches, and the
search over orders touches no data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import ConfigError
from truelift.graph.discovery.candidates import first_candidates, widened
from truelift.graph.discovery.families import FamilyScorer
from truelift.graph.discovery.family_sets import FamilyLists, NodeSets, as_lists, grow
from truelift.graph.discovery.order_kernels import KICK_MOVES, chosen_families, iterated


@dataclass(frozen=True)
class SearchOptions:
    """How long to search.

    Parameters
    ----------
    max_parents : int
        Besides those that are required.
    beam : int
        Sets of a size from which those of the next size are made, by node.
    kicks : int
        Perturbations, after each of which the order is improved again.
    starts : int
        Orders by chance to begin with, besides the one at hand.
    rounds : int
        Most times that candidates are looked for anew.
    marginal : int
        Most candidates of a node by their gain alone.
    seed : int
    """

    max_parents: int = 6
    beam: int = 60
    kicks: int = 200
    starts: int = 4
    rounds: int = 4
    marginal: int = 10
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Searched:
    """The best DAG that was found.

    Parameters
    ----------
    parents : ndarray of bool, p x p
        ``parents[i, j]``: ``i -> j``.
    order : ndarray of int
    score : float
    """

    parents: np.ndarray
    order: np.ndarray
    score: float


def search(
    scorer: FamilyScorer, options: SearchOptions, tiers: np.ndarray | None = None,
    forbidden: np.ndarray | None = None, start: np.ndarray | None = None,
    required: np.ndarray | None = None,
) -> Searched:  # fmt: skip
    """The DAG of the best order.

    Parameters
    ----------
    scorer : FamilyScorer
    options : SearchOptions
    tiers : ndarray of int, optional
        A node has parents of its own tier and of earlier ones alone.
    forbidden, required : ndarray of bool, optional
        ``[i, j]``: no ``i -> j``, and always ``i -> j``. Required arrows make no cycle and keep to the tiers.
    start : ndarray of int, optional
        An order to begin with.

    Raises
    ------
    ConfigError
        For a node whose required parents have too many levels for a table.
    """
    p = scorer.size
    tiers = np.zeros(p, np.int64) if tiers is None else np.asarray(tiers, np.int64)
    required = np.zeros((p, p), bool) if required is None else required
    first = (tiers[:, None] < tiers[None, :]) | reached(required)
    allowed = ~first.T
    if forbidden is not None:
        allowed &= ~forbidden
    np.fill_diagonal(allowed, False)
    rng = np.random.default_rng(options.seed)
    nodes = first_candidates(scorer, allowed, required, options.max_parents, options.marginal)
    order = _kept_to(first, np.argsort(tiers, kind="stable") if start is None else start)
    changed, found = set(range(p)), None
    for turn in range(options.rounds):
        grow(scorer, nodes, sorted(changed), options.max_parents, options.beam)
        if odd := [v for v, node in enumerate(nodes) if not np.isfinite(node.kept_scores).all()]:
            raise ConfigError(
                f"required: column {odd[0] + 1} of the graph has required parents of so many levels that no table "
                "of them can be scored. Require fewer, or put levels together (--levels)."
            )
        # Later rounds go on from where the first ended.
        more = options.starts if turn == 0 else 0
        found = _searched(as_lists(nodes), order, first, more, options.kicks, rng)
        order = found.order
        if turn + 1 == options.rounds:
            break
        changed = widened(scorer, nodes, found.parents, order, allowed, options.max_parents)
        if not changed:
            break
    assert found is not None
    return found


def reached(arrows: np.ndarray) -> np.ndarray:
    """``[i, j]``: whether arrows lead from i to j, by any number of steps."""
    found = arrows.copy()
    for via in range(len(arrows)):
        found |= found[:, via, None] & found[None, via]
    return found


def _kept_to(first: np.ndarray, order: np.ndarray) -> np.ndarray:
    """An order as near to one as what has to stand before what allows."""
    left, found = [int(v) for v in order], []
    while left:
        at = next(i for i, v in enumerate(left) if not first[left, v].any())
        found.append(left.pop(at))
    return np.array(found, np.int64)


def _searched(
    lists: FamilyLists, order: np.ndarray, first: np.ndarray, starts: int, count: int,
    rng: np.random.Generator,
) -> Searched:  # fmt: skip
    p = len(order)
    bits = np.full((p, p), -1, np.int64)
    for v in range(p):
        own = lists.candidates[v][lists.candidates[v] >= 0]
        bits[v, own] = np.arange(len(own))
    near = _near((bits >= 0) | (bits.T >= 0))
    best, score = order, -np.inf
    for turn in range(starts + 1):
        begin = order.copy() if turn == 0 else _kept_to(first, rng.permutation(p))
        kicks = rng.random((count, 2 * KICK_MOVES))
        found, its = iterated(
            lists.candidates,
            lists.starts,
            lists.masks,
            lists.scores,
            bits,
            near,
            first,
            begin,
            kicks,
        )
        if its > score + 1e-9:
            best, score = found, its
    chosen = chosen_families(lists.candidates, lists.starts, lists.masks, best)
    parents = np.zeros((p, p), bool)
    for v in range(p):
        node = NodeSets(0, [int(u) for u in lists.candidates[v] if u >= 0])
        parents[node.parents(lists.masks[chosen[v], None])[0], v] = True
    return Searched(parents, best, float(score))


def _near(joined: np.ndarray) -> np.ndarray:
    """Nodes that may be parents or children of each, filled up with -1."""
    found = np.full((len(joined), max(int(joined.sum(axis=1).max(initial=0)), 1)), -1, np.int64)
    for v, row in enumerate(joined):
        others = np.flatnonzero(row)
        found[v, : len(others)] = others
    return found
