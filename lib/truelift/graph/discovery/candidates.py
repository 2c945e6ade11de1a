"""Which nodes may be parents of each: what a greedy choice takes, and the strongest alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.graph.discovery.families import FamilyScorer
from truelift.graph.discovery.family_sets import MOST_CANDIDATES, NodeSets

_ANYWAY = 4


def first_candidates(
    scorer: FamilyScorer, allowed: np.ndarray, required: np.ndarray, most: int, marginal: int
) -> list[NodeSets]:
    """Candidates of all nodes.

    Parameters
    ----------
    scorer : FamilyScorer
    allowed, required : ndarray of bool, p x p
        ``[i, j]``: whether ``i -> j`` may be there, and has to be.
    most : int
        Parents of a node.
    marginal : int
        Most candidates of a node by their gain alone.
    """
    p = scorer.size
    nobody = np.zeros((p, 1), np.int64)
    empty = scorer.score_arrays(np.arange(p), nobody, np.zeros(p, np.int64))
    causes, effects = np.nonzero(allowed)
    gains = np.full((p, p), -np.inf)  # gains[u, v]: of u as the only parent of v
    if len(causes):
        alone = scorer.score_arrays(effects, causes[:, None], np.ones(len(causes), np.int64))
        gains[causes, effects] = alone - empty[effects]
    # Whether two nodes depend on each other is a question without a direction.
    either = np.maximum(gains, gains.T)
    ranked = np.argsort(-either, axis=0, kind="stable").T
    worth = either > 0
    for v in range(p):
        # The few strongest are looked at even if they gain nothing alone.
        worth[ranked[v][:_ANYWAY], v] |= np.isfinite(either[ranked[v][:_ANYWAY], v])
    likely = [[int(u) for u in ranked[v][: 4 * marginal + 8] if worth[u, v]] for v in range(p)]
    chosen = _greedy(scorer, likely, empty, most + 4)
    found: list[set[int]] = [set() for _ in range(p)]
    for v in range(p):
        strongest = [int(u) for u in ranked[v][:marginal] if worth[u, v]]
        for u in (*chosen[v], *strongest):
            if allowed[u, v]:
                found[v].add(u)
            if allowed[v, u]:
                found[u].add(v)
    nodes = []
    for v in range(p):
        own = [int(u) for u in np.flatnonzero(required[:, v])]
        others = sorted(found[v] - set(own), key=lambda u: (-either[u, v], u))
        room = max(MOST_CANDIDATES - len(own), 0)
        nodes.append(NodeSets((1 << len(own)) - 1, [*own, *sorted(others[:room])]))
    return nodes


def _greedy(
    scorer: FamilyScorer, likely: Sequence[Sequence[int]], empty: np.ndarray, rounds: int
) -> list[list[int]]:
    """The nodes that a forward choice adds to each, one at a time, as long as the score rises."""
    chosen: list[list[int]] = [[] for _ in likely]
    best = empty.copy()
    going = list(range(len(likely)))
    for size in range(1, rounds + 1):
        children, above = [], []
        for v in going:
            new = [u for u in likely[v] if u not in chosen[v]]
            children += [v] * len(new)
            above += [(*chosen[v], u) for u in new]
        if not children:
            break
        scores = scorer.score_arrays(
            np.array(children), np.array(above).reshape(-1, size), np.full(len(children), size)
        )
        grown = set()
        for v, own, score in zip(children, above, scores.tolist(), strict=True):
            if score > best[v]:
                best[v], chosen[v] = score, [*own]
                grown.add(v)
        going = [v for v in going if v in grown]
    return chosen


def widened(
    scorer: FamilyScorer, nodes: Sequence[NodeSets], parents: np.ndarray, order: np.ndarray,
    allowed: np.ndarray, most: int,
) -> set[int]:  # fmt: skip
    """Nodes that get new candidates: some node before them, which was none, would gain as one more parent."""
    p = scorer.size
    place = np.argsort(order)
    children, above, added = [], [], []
    for v in range(p):
        own = np.flatnonzero(parents[:, v])
        if len(own) >= most:
            continue
        new = np.flatnonzero(allowed[:, v] & (place < place[v]) & ~parents[:, v])
        new = np.setdiff1d(new, nodes[v].candidates, assume_unique=True)
        rows = np.zeros((len(new) + 1, most), np.int64)
        rows[:, : len(own)] = own
        rows[1:, len(own)] = new
        children.append(np.full(len(rows), v))
        above.append(rows)
        added.append(np.r_[-1, new])
    if not children:
        return set()
    child, extra = np.concatenate(children), np.concatenate(added)
    sizes = parents.sum(axis=0)[child] + (extra >= 0)
    scores = scorer.score_arrays(child, np.concatenate(above), sizes)
    now = np.full(p, np.nan)
    now[child[extra < 0]] = scores[extra < 0]
    grew = set()
    for at in np.flatnonzero((extra >= 0) & (scores > now[child] + 1e-9)):
        for a, b in ((int(extra[at]), int(child[at])), (int(child[at]), int(extra[at]))):
            node = nodes[b]
            if (
                allowed[a, b]
                and a not in node.candidates
                and len(node.candidates) < MOST_CANDIDATES
            ):
                node.candidates.append(a)
                grew.add(b)
    return grew
