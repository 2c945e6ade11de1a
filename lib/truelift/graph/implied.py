"""Independences that a graph claims among what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from truelift.graph.model import CausalGraph
from truelift.graph.separation import separator


@dataclass(frozen=True)
class Claim:
    """Two nodes that tell nothing of each other, given some.

    Parameters
    ----------
    a, b : str
    given : tuple of str
    """

    a: str
    b: str
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = f", given {', '.join(self.given)}" if self.given else ""
        return f"{self.a} and {self.b}{given}"

    def renamed(self, names: dict[str, str]) -> Claim:
        """The claim of a graph whose nodes have changed places."""
        return Claim(names[self.a], names[self.b], tuple(names[n] for n in self.given))


def claims_of(graph: CausalGraph) -> tuple[Claim, ...]:
    """One claim for each pair of measured nodes that some measured set separates, with a set of no more
    than it takes.

    A graph without latent nodes claims nothing beyond what follows from these; one with them may also
    claim constraints that are no independences (Verma & Pearl 1990), which are not tested.
    """
    return tuple(_claims(graph))


def _claims(graph: CausalGraph) -> Iterator[Claim]:
    dag, measured = graph.dag, graph.measured
    for a, b in combinations(measured, 2):
        if dag.has_edge(a, b) or dag.has_edge(b, a):
            continue
        found = separator(dag, a, b, measured)
        if found is not None:
            yield Claim(a, b, tuple(sorted(found)))
