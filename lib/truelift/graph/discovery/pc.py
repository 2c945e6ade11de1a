"""PC: a skeleton from tests, colliders by weight of evidence, then what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.graph.discovery.orientation import (
    lay_forbidden,
    lay_required,
    lay_tiers,
    meek,
    point,
    undirected,
)
from truelift.graph.discovery.pattern import ARROW, Pattern
from truelift.graph.discovery.separation import Evidence, Skeleton, collider_evidence, skeleton

# Evidence for a collider has to be so many times as good as that against it.
_CLEARLY = 2.0


@dataclass(frozen=True)
class TestOptions:
    """How separation is decided.

    Parameters
    ----------
    alpha : float
        Level of each test.
    floor : float
        A partial correlation below it counts as none.
    depth : int
        Of the largest sets that are conditioned on.
    """

    alpha: float = 0.01
    floor: float = 0.0
    depth: int = 4


def pc(
    evidence: Evidence, names: Sequence[str], options: TestOptions, tiers: np.ndarray,
    forbidden: np.ndarray, required: np.ndarray | None = None, threads: int = 2,
) -> tuple[Pattern, Skeleton]:  # fmt: skip
    """The class of graphs that tests of independence leave.

    A triple ``x - z - y`` becomes a collider where the set that separates ``x`` from ``y`` best is one
    without ``z`` (Ramsey 2016: max-p), clearly better than the best one with it. Colliders are laid in the order
    of their evidence, and none against an arrow that is there already. ``forbidden[i, j]``: no ``i -> j``;
    ``required[i, j]``: always ``i -> j``, whatever the tests say.
    """
    required = np.zeros_like(forbidden) if required is None else required
    found = skeleton(
        evidence, options.alpha, options.floor, options.depth, tiers, forbidden & forbidden.T,
        required | required.T, threads,
    )  # fmt: skip
    pattern = undirected(names, found.adjacent)
    marks = pattern.marks
    lay_tiers(marks, tiers)
    lay_forbidden(marks, forbidden)
    lay_required(marks, required)
    triples, values = collider_evidence(
        evidence, found, tiers, min(found.depth, options.depth), threads=threads
    )
    weight = values[:, 1] / np.maximum(values[:, 0], 1e-12)
    for row in np.argsort(-weight, kind="stable"):
        if weight[row] < _CLEARLY:
            break
        x, z, y = triples[row]
        if marks[z, x] == ARROW or marks[z, y] == ARROW:
            continue
        if tiers[x] <= tiers[z] and tiers[y] <= tiers[z]:
            point(marks, x, z)
            point(marks, y, z)
    meek(marks)
    return pattern, found
