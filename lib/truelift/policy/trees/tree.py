"""A policy tree: cuts on covariates, an arm in every leaf; applied to codes, and read out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAF = -1


@dataclass(frozen=True)
class PolicyTree:
    """A binary tree on binned covariates; node 0 is the root.

    Parameters
    ----------
    covariate : tuple of int
        By node; -1 is a leaf.
    cut : tuple of int
        Codes up to it go to the node ``below``.
    below, above : tuple of int
        Children; -1 of a leaf.
    arm : tuple of int
        Of a leaf; that of the most valuable arm in a node that is cut.
    """

    covariate: tuple[int, ...]
    cut: tuple[int, ...]
    below: tuple[int, ...]
    above: tuple[int, ...]
    arm: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Cuts on the longest way."""
        return max((len(way) for way in self.ways().values()), default=0)

    @property
    def leaves(self) -> tuple[int, ...]:
        """Nodes that are not cut, from below to above."""
        return tuple(self.ways())

    def leaf(self, codes: np.ndarray) -> np.ndarray:
        """The leaf of every row of ``codes`` (p x n)."""
        node = np.zeros(codes.shape[1], np.int32)
        covariate, cut = np.array(self.covariate), np.array(self.cut)
        below, above = np.array(self.below), np.array(self.above)
        rows = np.arange(codes.shape[1])
        for _ in range(self.depth):
            split = covariate[node]
            low = codes[np.maximum(split, 0), rows] <= cut[node]
            node = np.where(split < 0, node, np.where(low, below[node], above[node]))
        return node

    def choose(self, codes: np.ndarray) -> np.ndarray:
        """The arm of every row of ``codes`` (p x n)."""
        return np.array(self.arm, np.int32)[self.leaf(codes)]

    def ways(self) -> dict[int, tuple[tuple[int, bool], ...]]:
        """By leaf, from below to above: the nodes on the way there, and whether it goes above."""
        found: dict[int, tuple[tuple[int, bool], ...]] = {}
        waiting: list[tuple[int, tuple[tuple[int, bool], ...]]] = [(0, ())]
        while waiting:
            node, way = waiting.pop()
            if self.covariate[node] == LEAF:
                found[node] = way
                continue
            waiting.append((self.above[node], (*way, (node, True))))
            waiting.append((self.below[node], (*way, (node, False))))
        return found


def grown(cuts: list[tuple[int, int] | None], arms: list[int]) -> PolicyTree:
    """A tree from nodes in the order of a walk that goes below first.

    Parameters
    ----------
    cuts : list of (covariate, cut) or None
        None is a leaf.
    arms : list of int
        Of every node.
    """
    below, above = [LEAF] * len(cuts), [LEAF] * len(cuts)

    def take(place: int) -> int:
        """Sets the children of a node and returns the first place behind its tree."""
        if cuts[place] is None:
            return place + 1
        below[place] = place + 1
        above[place] = take(place + 1)
        return take(above[place])

    take(0)
    return PolicyTree(
        tuple(LEAF if c is None else int(c[0]) for c in cuts),
        tuple(LEAF if c is None else int(c[1]) for c in cuts),
        tuple(below),
        tuple(above),
        tuple(int(a) for a in arms),
    )
