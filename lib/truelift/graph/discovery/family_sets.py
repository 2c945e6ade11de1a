"""Sets of parents that are worth having, node by node: scored by size, the best of a size grown into the next.

A set is a number whose bits are places among the node's candidates. What was scored once is kept, so that a node
that gets one more candidate asks for sets with it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from truelift.graph.discovery.families import FamilyScorer

#: Bits of a set.
MOST_CANDIDATES = 60


@dataclass(frozen=True, eq=False)
class FamilyLists:
    """Sets of parents of each node that are worth having, the best first.

    Parameters
    ----------
    candidates : ndarray of int, p x most
        Filled up with -1.
    starts : ndarray of int, p + 1
    masks : ndarray of uint64
        Of a set: bits by place among the candidates.
    scores : ndarray
    """

    candidates: np.ndarray
    starts: np.ndarray
    masks: np.ndarray
    scores: np.ndarray


@dataclass(eq=False)
class NodeSets:
    """What is known of one node.

    Parameters
    ----------
    base : int
        Parents that it has to have, as a set.
    candidates : list of int
        Only added to, so that bits keep their meaning.
    asked, scores : ndarray
        Sets that were scored, rising, and what they score.
    kept, kept_scores : ndarray
        Those that beat all their parts, the best first.
    """

    base: int
    candidates: list[int]
    asked: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    kept: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    kept_scores: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def known(self, masks: np.ndarray) -> np.ndarray:
        """Scores of sets, NaN where they were not asked for."""
        return _looked_up(self.asked, self.scores, masks, np.nan)

    def learn(self, masks: np.ndarray, scores: np.ndarray) -> None:
        """Scores of sets that were not known."""
        asked = np.concatenate([self.asked, masks])
        order = np.argsort(asked)
        self.asked, self.scores = asked[order], np.concatenate([self.scores, scores])[order]

    def parents(self, masks: np.ndarray) -> np.ndarray:
        """Nodes of sets of one size, sets x size."""
        held = masks[:, None] >> np.arange(len(self.candidates), dtype=np.uint64) & np.uint64(1)
        found: np.ndarray = np.array(self.candidates, np.int64)[np.nonzero(held)[1]]
        return found.reshape(len(masks), -1)

    def bits(self) -> np.ndarray:
        """Candidates as sets of one, without those that it has to have."""
        every = np.uint64(1) << np.arange(len(self.candidates), dtype=np.uint64)
        return every[every & np.uint64(self.base) == 0]


def grow(
    scorer: FamilyScorer, nodes: Sequence[NodeSets], which: Sequence[int], most: int, beam: int
) -> None:
    """Score sets of the candidates of some nodes by size, in place.

    Parameters
    ----------
    scorer : FamilyScorer
    nodes : sequence of NodeSets
    which : sequence of int
        Nodes whose candidates have changed.
    most : int
        Parents of a node, besides those that it has to have.
    beam : int
        Sets of a size from which those of the next size are made.
    """
    fronts = {v: np.array([nodes[v].base], np.uint64) for v in which}
    _score(scorer, nodes, fronts)
    whole = {v: _Kept(nodes[v], fronts[v]) for v in which}
    for _ in range(most):
        wider = {}
        for v, front in fronts.items():
            bits = nodes[v].bits()
            new = front[:, None] | bits
            wider[v] = np.unique(new[(front[:, None] & bits) == 0])
        wider = {v: masks for v, masks in wider.items() if len(masks)}
        _score(scorer, nodes, wider)
        fronts = {v: whole[v].add(masks, beam) for v, masks in wider.items()}
    for v in which:
        whole[v].close()


def _score(scorer: FamilyScorer, nodes: Sequence[NodeSets], asked: dict[int, np.ndarray]) -> None:
    """What is not known yet, in one batch."""
    new = {v: masks[np.isnan(nodes[v].known(masks))] for v, masks in asked.items()}
    new = {v: masks for v, masks in new.items() if len(masks)}
    if not new:
        return
    above = {v: nodes[v].parents(masks) for v, masks in new.items()}
    widest = max(1, *(rows.shape[1] for rows in above.values()))
    padded = [np.pad(rows, ((0, 0), (0, widest - rows.shape[1]))) for rows in above.values()]
    counts = [len(masks) for masks in new.values()]
    sizes = np.repeat([rows.shape[1] for rows in above.values()], counts)
    scores = scorer.score_arrays(np.repeat(list(new), counts), np.concatenate(padded), sizes)
    for (v, masks), own in zip(new.items(), np.split(scores, np.cumsum(counts)[:-1]), strict=True):
        nodes[v].learn(masks, own)


class _Kept:
    """Sets of a node that beat their parts, while sizes grow."""

    def __init__(self, node: NodeSets, base: np.ndarray):
        self.node = node
        self.empty = float(node.known(base)[0])
        self.masks, self.scores = [base], [np.array([self.empty])]
        # Sets of the last size, and the best of each and of all its known parts.
        self.last, self.best = base, np.array([self.empty])

    def add(self, masks: np.ndarray, beam: int) -> np.ndarray:
        """Sets of the next size, rising; those that are grown further."""
        scores = self.node.known(masks)
        parts = np.full(len(masks), self.empty)
        for bit in self.node.bits():
            has = masks & bit != 0
            parts[has] = np.maximum(
                parts[has], _looked_up(self.last, self.best, masks[has] ^ bit, -np.inf)
            )
        better = scores > parts
        self.masks.append(masks[better])
        self.scores.append(scores[better])
        self.last, self.best = masks, np.maximum(scores, parts)
        front: np.ndarray = masks[np.argsort(-scores, kind="stable")[:beam]]
        return front[np.isfinite(self.node.known(front))]

    def close(self) -> None:
        """Hand over what was kept, the best first."""
        masks, scores = np.concatenate(self.masks), np.concatenate(self.scores)
        order = np.lexsort((masks, -scores))
        # What stands behind the smallest set of all is never chosen.
        order = order[: int(np.flatnonzero(masks[order] == np.uint64(self.node.base))[0]) + 1]
        self.node.kept, self.node.kept_scores = masks[order], scores[order]


def _looked_up(
    keys: np.ndarray, values: np.ndarray, asked: np.ndarray, absent: float
) -> np.ndarray:
    if not len(keys):
        return np.full(len(asked), absent)
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[place] == asked, values[place], absent)


def as_lists(nodes: Sequence[NodeSets]) -> FamilyLists:
    """All nodes' sets one after the other."""
    most = max((len(node.candidates) for node in nodes), default=0)
    table = np.full((len(nodes), max(most, 1)), -1, np.int64)
    for v, node in enumerate(nodes):
        table[v, : len(node.candidates)] = node.candidates
    return FamilyLists(
        table, np.cumsum([0, *(len(node.kept) for node in nodes)]),
        np.concatenate([node.kept for node in nodes]),
        np.concatenate([node.kept_scores for node in nodes]),
    )  # fmt: skip
