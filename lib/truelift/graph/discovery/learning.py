"""One graph from evidence, by whichever method: what the whole data and each half of them go through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.graph.discovery.dependence import GramTest
from truelift.graph.discovery.families import CountedFamilies, FamilyScorer
from truelift.graph.discovery.gram_scores import GramFamilies
from truelift.graph.discovery.options import DiscoveryOptions, Tiers
from truelift.graph.discovery.order_search import Searched, SearchOptions, reached, search
from truelift.graph.discovery.orientation import class_of_dag
from truelift.graph.discovery.pattern import Pattern
from truelift.graph.discovery.pc import TestOptions, pc
from truelift.graph.discovery.separation import Evidence
from truelift.graph.discovery.sums import Moments

_PAIRS_LOOKED_AT = 400


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What is known beforehand.

    Parameters
    ----------
    names : tuple of str
    tiers : ndarray of int
    ruled_out, required : ndarray of bool, p x p
        ``[i, j]``: no ``i -> j``, and always ``i -> j``.
    """

    names: tuple[str, ...]
    tiers: np.ndarray
    ruled_out: np.ndarray
    required: np.ndarray


def knowledge_of(names: tuple[str, ...], tiers: Tiers) -> Knowledge:
    """What the tiers say of some columns; an arrow against what required ones make of them is ruled out.

    Raises
    ------
    ConfigError
        For arrows that contradict each other or the tiers.
    """
    required = tiers.needed(names)
    return Knowledge(
        names, tiers.numbers(names), tiers.ruled_out(names) | reached(required).T, required
    )


@dataclass(frozen=True, eq=False)
class Learned:
    """A graph, and the order that a search ended with."""

    pattern: Pattern
    order: np.ndarray | None = None
    parents: np.ndarray | None = None


def learn(
    evidence: Evidence, known: Knowledge, options: DiscoveryOptions, design_effect: float,
    start: Learned | None = None,
) -> Learned:  # fmt: skip
    """A graph from the evidence.

    Parameters
    ----------
    evidence : Evidence
    known : Knowledge
    options : DiscoveryOptions
    design_effect : float
        Scores count a row as one over it.
    start : Learned, optional
        Of all data, for a search of a half of them.
    """
    if options.method == "order":
        return _searched(evidence, known, options, design_effect, start)
    tests = TestOptions(options.alpha, options.floor, options.depth)
    if options.method == "pc":
        found, _ = pc(evidence, known.names, tests, known.tiers, known.ruled_out, known.required)
        return Learned(found)
    from truelift.graph.discovery.latent import fci

    return Learned(fci(evidence, known, tests))


def _searched(
    evidence: Evidence, known: Knowledge, options: DiscoveryOptions, design_effect: float,
    start: Learned | None,
) -> Learned:  # fmt: skip
    how = SearchOptions(seed=options.seed)
    if start is not None:
        how = SearchOptions(seed=options.seed, beam=20, marginal=5, kicks=40, starts=0, rounds=2)
    found = search(
        scorer_of(evidence, design_effect), how, known.tiers, known.ruled_out,
        None if start is None else start.order, known.required,
    )  # fmt: skip
    found = _above(evidence, found, options.floor, known.required)
    pattern = class_of_dag(known.names, found.parents, known.tiers, known.ruled_out, known.required)
    return Learned(pattern, found.order, found.parents)


def _above(evidence: Evidence, found: Searched, floor: float, required: np.ndarray) -> Searched:
    """Without parents whose dependence, given the others, is below the floor, besides those that are required."""
    if floor <= 0:
        return found
    parents = found.parents.copy()
    for child in range(len(parents)):
        own = np.flatnonzero(parents[:, child])
        for cause in own[~required[own, child]]:
            rest = [int(u) for u in np.flatnonzero(parents[:, child]) if u != cause]
            if evidence.test(int(cause), child, rest)[1] < floor:
                parents[cause, child] = False
    return Searched(parents, found.order, found.score)


def scorer_of(evidence: Evidence, design_effect: float) -> FamilyScorer:
    """Exact counts where rows are held and all columns have levels, else moments."""
    if evidence.exact:
        weights = np.full(evidence.codes.shape[1], 1.0 / design_effect)
        return CountedFamilies(evidence.codes, evidence.levels, weights, "qnml")
    return GramFamilies(evidence.moments, evidence.moments.n / design_effect)


def design_effect(moments: Moments, seed: int = 0) -> float:
    """How much more dependent rows let a cross-moment vary than independent ones: the median over pairs.

    Of pairs that depend little, for under independence the spread does not hang on the dependence.
    """
    test = GramTest(moments)
    p = len(moments.starts) - 1
    pairs = np.argwhere(np.triu(np.ones((p, p), bool), 1))
    if len(pairs) > _PAIRS_LOOKED_AT:
        pairs = np.random.default_rng(seed).permutation(pairs)[:_PAIRS_LOOKED_AT]
    found = [
        (effect, ratio)
        for x, y in pairs.tolist()
        for effect, ratio in [test.spread(x, y)]
        if ratio > 0
    ]
    if not found:
        return 1.0
    effects, ratios = np.array(found).T
    weak = ratios[effects <= np.median(effects)]
    return float(max(np.median(weak), 1.0))


def strengths(
    evidence: Evidence, learned: Learned, pairs: Sequence[tuple[int, int]]
) -> list[float]:
    """How strongly pairs depend on each other, given the other parents of the later one, or neighbours."""
    found = []
    for i, j in pairs:
        given = _held_fixed(learned, i, j)[:_MOST_FIXED]
        strength = evidence.test(i, j, given)[1]
        while given and np.isnan(strength):
            given.pop()
            strength = evidence.test(i, j, given)[1]
        found.append(strength)
    return found


_MOST_FIXED = 4


def _held_fixed(learned: Learned, i: int, j: int) -> list[int]:
    if learned.parents is not None:
        cause, child = (i, j) if learned.parents[i, j] else (j, i)
        return [int(u) for u in np.flatnonzero(learned.parents[:, child]) if u != cause]
    into = learned.pattern.directed
    return [int(u) for u in np.flatnonzero(into[:, j]) if u != i]
