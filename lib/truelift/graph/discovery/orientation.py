"""From a skeleton or a DAG to its class: colliders, tiers, and the rules of Meek (1995).

An arrow against the order of the tiers is not possible: arrows between tiers are laid first, and all
that follows keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from truelift.graph.discovery.pattern import ARROW, TAIL, Pattern


def undirected(names: Sequence[str], adjacent: np.ndarray) -> Pattern:
    """A skeleton as a pattern without arrows."""
    return Pattern(tuple(names), np.where(adjacent, TAIL, 0).astype(np.int8))


def lay_tiers(marks: np.ndarray, tiers: np.ndarray) -> None:
    """Point every edge between tiers from the earlier one to the later, in place."""
    later = (marks != 0) & (tiers[:, None] < tiers[None, :])
    marks[later] = ARROW
    marks[later.T] = TAIL


def lay_forbidden(marks: np.ndarray, forbidden: np.ndarray) -> None:
    """Point every edge that may not point one way the other way, in place; ``[i, j]``: no ``i -> j``."""
    one_way = (marks != 0) & forbidden.T & ~forbidden
    marks[one_way] = ARROW
    marks[one_way.T] = TAIL


def lay_required(marks: np.ndarray, required: np.ndarray) -> None:
    """Put in every arrow that is known to be there, in place."""
    marks[required] = ARROW
    marks[required.T] = TAIL


def point(marks: np.ndarray, i: int, j: int) -> bool:
    """``i -> j``, where no arrow says otherwise; whether it was done."""
    if marks[j, i] == ARROW:
        return False
    marks[i, j], marks[j, i] = ARROW, TAIL
    return True


def meek(marks: np.ndarray) -> None:
    """Close a pattern under Meek's four rules, in place.

    ``a -> b -- c`` with ``a``, ``c`` apart gives ``b -> c``; ``a -> b -> c`` with ``a -- c`` gives
    ``a -> c``; two arrows from neighbours of ``a`` that are apart into its neighbour ``d`` give
    ``a -> d``; and ``a -- c -> d -> b`` with ``a -- b``, ``a -- d`` (or adjacent) and ``c``, ``b`` apart gives ``a -> b``.
    The fourth is needed where tiers or people have laid arrows.
    """
    changed = True
    while changed:
        changed = False
        directed = (marks == ARROW) & (marks.T == TAIL)
        open_ends = (marks == TAIL) & (marks.T == TAIL)
        near = marks != 0
        for a, b in np.argwhere(open_ends):
            if marks[a, b] != TAIL or marks[b, a] != TAIL:
                continue
            into_a = directed[:, a] & ~near[:, b]
            into_a[b] = False
            through = directed[a] & directed[:, b]
            if into_a.any() or through.any() or _two_ways(a, b, directed, open_ends, near):
                marks[a, b] = ARROW
                directed[a, b] = True
                open_ends[a, b] = open_ends[b, a] = False
                changed = True


def _two_ways(
    a: int, b: int, directed: np.ndarray, open_ends: np.ndarray, near: np.ndarray
) -> bool:
    """Rules 3 and 4."""
    kites = np.flatnonzero(open_ends[a] & directed[:, b])
    if any(not near[c, d] for c, d in combinations(kites, 2)):
        return True
    for d in np.flatnonzero(near[a] & directed[:, b]):
        chain = open_ends[a] & directed[:, d] & ~near[:, b]
        chain[b] = False
        if chain.any():
            return True
    return False


def class_of_dag(
    names: Sequence[str],
    parents: np.ndarray,
    tiers: np.ndarray,
    forbidden: np.ndarray | None = None,
    required: np.ndarray | None = None,
) -> Pattern:
    """The CPDAG of a DAG, with what the tiers, forbidden and required arrows decide.

    Parameters
    ----------
    names : sequence of str
    parents : ndarray of bool, p x p
        ``parents[i, j]``: ``i -> j``.
    tiers : ndarray of int
        All equal for no knowledge.
    forbidden, required : ndarray of bool, p x p, optional
        ``[i, j]``: no ``i -> j``, and always ``i -> j``.
    """
    adjacent = parents | parents.T
    marks = np.where(adjacent, TAIL, 0).astype(np.int8)
    lay_tiers(marks, tiers)
    if forbidden is not None:
        lay_forbidden(marks, forbidden)
    if required is not None:
        lay_required(marks, required)
    for child in range(len(names)):
        for a, b in combinations(np.flatnonzero(parents[:, child]).tolist(), 2):
            if not adjacent[a, b]:
                point(marks, a, child)
                point(marks, b, child)
    meek(marks)
    return Pattern(tuple(names), marks)
