"""What the data say against a graph: its claims tested, beside graphs whose nodes have changed places.

A claim that fails says that an arrow or a common cause is missing. How many failures are few is told by the same
graph with its nodes shuffled: one that knows something of the world fails less often than nearly all of them
(Eulig et al. 2023, "Toward falsifying causal graphs using a permutation-based test").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from truelift.graph.adjustment import Adjustment
from truelift.graph.coded_columns import CodedColumns
from truelift.graph.designs import front_door, instruments
from truelift.graph.implied import Claim, claims_of
from truelift.graph.model import CausalGraph
from truelift.graph.partial_association import Associations
from truelift.graph.projection import projected
from truelift.graph.results import Identification
from truelift.graph.separation import descendants
from truelift.inference.critical_values import holm

#: Graphs of shuffled nodes, level of a test, and the association below which nothing is made of it.
SHUFFLED, LEVEL, FLOOR = 200, 0.05, 0.01


@dataclass(frozen=True)
class TestedClaim:
    """A claim and what the data say of it.

    Parameters
    ----------
    claim : Claim
    strength : float
        Of the association that should not be there, 0 to 1.
    p_value, adjusted : float
        By itself, and among all claims (Holm 1979).
    violated : bool
        Adjusted below the level, and not below the floor.
    leaning : bool
        Whether the effect would not be identified the same way with that pair joined.
    """

    claim: Claim
    strength: float
    p_value: float
    adjusted: float
    violated: bool
    leaning: bool = False


@dataclass(frozen=True)
class Falsification:
    """What the data say against a graph.

    Parameters
    ----------
    claims : tuple of TestedClaim
        The strongest violation first.
    failures : int
        Claims with a p-value below the level, each by itself.
    shuffled : int
        Graphs of shuffled nodes.
    as_good : int
        Those of them with no more failures.
    rows, dropped : int
    clusters : str
        What errors are clustered by.
    effect : str
        The one that may lean on claims; empty for none.
    """

    claims: tuple[TestedClaim, ...]
    failures: int
    shuffled: int
    as_good: int
    rows: int
    dropped: int
    clusters: str
    effect: str = ""

    @property
    def violated(self) -> tuple[TestedClaim, ...]:
        """Claims that the data contradict, the strongest first."""
        return tuple(claim for claim in self.claims if claim.violated)

    @property
    def untested(self) -> tuple[TestedClaim, ...]:
        """Claims whose condition has too many combinations of levels to be held fixed."""
        return tuple(claim for claim in self.claims if math.isnan(claim.strength))

    @property
    def informative(self) -> bool:
        """Whether the graph does better than all but a few of the shuffled ones."""
        return (self.as_good + 1) / (self.shuffled + 1) <= LEVEL

    @property
    def tellable(self) -> bool:
        """Whether there are enough shuffled graphs for the best of all to be told from chance."""
        return 1 / (self.shuffled + 1) <= LEVEL

    @property
    def exit_code(self) -> int:
        """3 where a claim is violated, of an effect one that it leans on."""
        return 3 if any(c.leaning or not self.effect for c in self.violated) else 0

    def summary(self) -> str:
        """Violations by strength, and the shuffled graphs."""
        return "\n".join(self._lines())

    def __str__(self) -> str:
        return self.summary()

    def _lines(self) -> Iterator[str]:
        beside = f", {self.dropped:,} with gaps left out" if self.dropped else ""
        yield (
            f"The data contradict {len(self.violated)} of {len(self.claims)} independences that the graph "
            f"claims ({self.rows:,} rows{beside}; errors by {self.clusters})."
        )
        if self.untested:
            yield (
                f"  {len(self.untested)} of them could not be tested: what they are given has too many combinations of "
                f"levels ({'; '.join(str(one.claim) for one in self.untested[:3])})."
            )
        for one in self.violated:
            leaning = f"; the effect {self.effect} leans on it" if one.leaning else ""
            p = "p < 0.0001" if one.adjusted < 1e-4 else f"p = {one.adjusted:.4f}"
            yield f"  {one.strength:.3f}  {one.claim}: associated ({p}){leaning}"
        if not self.claims:
            yield "  Every pair of measured nodes is joined, so no table could contradict it."
        elif not self.tellable:
            yield (
                f"  Of so few nodes there are only {self.shuffled} other graphs by shuffling: whether this one "
                "tells more than chance cannot be said."
            )
        elif self.informative:
            yield (
                f"  {self.as_good} of {self.shuffled} graphs with the same nodes shuffled do as well: it tells "
                "something of the data."
            )
        else:
            yield (
                f"  {self.as_good} of {self.shuffled} graphs with the same nodes shuffled do as well: the data do "
                "not tell it from those."
            )


def falsified(
    graph: CausalGraph, columns: CodedColumns, effect: Identification | None = None,
    shuffled: int = SHUFFLED, floor: float = FLOOR, seed: int = 7,
) -> Falsification:  # fmt: skip
    """Test every claim of a graph.

    Parameters
    ----------
    graph : CausalGraph
    columns : CodedColumns
        Of its measured nodes.
    effect : Identification, optional
        Says which violations it leans on.
    shuffled : int
        Graphs of shuffled nodes; all of them where there are fewer.
    floor : float
        Associations below it are no violation, however sure: of many rows everything is significant.
    seed : int
    """
    tests, claims = Associations(columns), claims_of(graph)
    shuffles = list(_shuffles(graph.measured, shuffled, seed)) if claims else []
    tests.prepare([*claims, *(claim.renamed(names) for names in shuffles for claim in claims)])
    found = [tests.of(claim) for claim in claims]
    adjusted = holm(np.array([one.p_value for one in found]))
    tested = [
        TestedClaim(c, f.strength, f.p_value, float(p), bool(p < LEVEL and f.strength >= floor))
        for c, f, p in zip(claims, found, adjusted, strict=True)
    ]
    if effect is not None:
        tested = [replace(t, leaning=t.violated and leans_on(effect, t.claim)) for t in tested]

    def failures(of: Iterable[Claim]) -> int:
        seen = (tests.of(claim) for claim in of)
        return sum(one.p_value < LEVEL and one.strength >= floor for one in seen)

    own = failures(claims)
    as_good = sum(failures(claim.renamed(names) for claim in claims) <= own for names in shuffles)
    tested.sort(key=lambda t: (not t.violated, -np.nan_to_num(t.strength)))
    told = "" if effect is None else f"{effect.treatment} -> {effect.outcome}"
    return Falsification(
        tuple(tested),
        own,
        len(shuffles),
        as_good,
        columns.rows,
        columns.dropped,
        columns.clusters,
        told,
    )


def leans_on(effect: Identification, claim: Claim) -> bool:
    """Whether an effect would not be identified the same way if the two of a claim were joined.

    They are joined by an arrow either way, where it makes no cycle, and by a common cause.
    """
    return any(not _still(effect, graph) for graph in _joined(effect.graph, claim))


def _still(effect: Identification, graph: CausalGraph) -> bool:
    sets = Adjustment(graph, effect.treatment, effect.outcome)
    if effect.method == "back door":
        return sets.is_valid(effect.covariates)
    if effect.method == "front door":
        return front_door(sets) == effect.front_door
    if effect.method == "instrument":
        return effect.instruments[0] in instruments(sets)
    return projected(graph).identifies(effect.treatment, effect.outcome)


def _joined(graph: CausalGraph, claim: Claim) -> Iterator[CausalGraph]:
    plain = replace(graph, forbidden=(), tiers=graph.tiers)
    yield replace(plain, confounded=(*graph.confounded, (claim.a, claim.b)))
    place = {tier: number for number, tier in enumerate(graph.tiers)}
    for a, b in ((claim.a, claim.b), (claim.b, claim.a)):
        first, second = graph.by_name[a].tier, graph.by_name[b].tier
        back = bool(first and second) and place[first] > place[second]
        if not back and a not in descendants(graph.dag, [b]):
            yield replace(plain, arrows=(*graph.arrows, (a, b)))


def _shuffles(names: tuple[str, ...], most: int, seed: int) -> Iterator[dict[str, str]]:
    if math.factorial(min(len(names), 12)) - 1 <= most:
        every = permutations(names)
        next(every)  # the graph itself
        yield from (dict(zip(names, order, strict=True)) for order in every)
        return
    rng = np.random.default_rng(seed)
    for _ in range(most):
        yield dict(zip(names, rng.permutation(names).tolist(), strict=True))
