"""What latent nodes leave behind among the measured ones, and what can be identified at all.

The latent projection (Verma & Pearl 1990) has an arrow for a path through latent nodes alone and a pair
for a latent common cause. What an intervention does is a product over the parts that such pairs hold
together; each part is identified unless a larger one that needs the treatment holds it fast: the
recursion of Tian & Pearl (2002), which is complete (Huang & Valtorta 2006; Shpitser & Pearl 2006).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from truelift.graph.model import CausalGraph, hidden

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Projection:
    """A graph over measured nodes alone.

    Parameters
    ----------
    parents : dict of str to frozenset of str
    siblings : dict of str to frozenset of str
        Nodes with which a node shares an unrecorded cause.
    """

    parents: dict[str, frozenset[str]]
    siblings: dict[str, frozenset[str]]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each pair with an unrecorded cause once."""
        return ((a, b) for a, others in self.siblings.items() for b in sorted(others) if a < b)

    def above(self, names: Iterable[str], within: set[str]) -> set[str]:
        """Some nodes and their ancestors by arrows inside of a set."""
        return _reached(names, self.parents, within)

    def part(self, names: Iterable[str], within: set[str]) -> set[str]:
        """Some nodes and all that unrecorded causes inside of a set hold together with them."""
        return _reached(names, self.siblings, within)

    def identifies(self, treatment: str, outcome: str) -> bool:
        """Whether P(outcome | do(treatment)) follows from what is measured."""
        return self.obstacle(treatment, outcome) is None

    def obstacle(self, treatment: str, outcome: str) -> tuple[set[str], set[str]] | None:
        """The part that is needed and the larger one that holds it fast (a hedge); None if identified."""
        left = set(self.parents) - {treatment}
        needed = self.above([outcome], left)
        while needed:
            part = self.part([min(needed)], needed)
            needed -= part
            whole = self.part(part, set(self.parents))
            while (closed := self.above(part, whole)) != part:
                smaller = self.part(part, closed)
                if smaller == whole:
                    return part, whole
                whole = smaller
        return None


def projected(graph: CausalGraph, known: Iterable[str] = ()) -> Projection:
    """The latent projection of a graph.

    Parameters
    ----------
    graph : CausalGraph
    known : iterable of str
        Latent nodes (or ``a <-> b``) that are taken as measured.
    """
    dag = graph.dag
    seen = {*graph.measured, *known}
    parents: dict[str, set[str]] = {name: set() for name in dag if name in seen}
    siblings: dict[str, set[str]] = {name: set() for name in parents}
    for name in dag:
        touched = _touched(dag, name, seen)
        if name in seen:
            for child in touched:
                parents[child].add(name)
        else:
            for a, b in combinations(touched, 2):
                siblings[a].add(b)
                siblings[b].add(a)
    return Projection(
        {name: frozenset(found) for name, found in parents.items()},
        {name: frozenset(found) for name, found in siblings.items()},
    )


def worth_measuring(graph: CausalGraph, treatment: str, outcome: str) -> tuple[str, ...] | None:
    """The smallest set of latent nodes whose measurement would identify an effect.

    Of several as small the first by name; None where not even all of them would do, or where those
    that are not measurable stand in the way.
    """
    free = [name for name in graph.latent if graph.by_name[name].measurable]
    free += [hidden(a, b) for a, b in graph.confounded]
    if not projected(graph, tuple(free)).identifies(treatment, outcome):
        return None
    for size in range(1, len(free) + 1):
        for chosen in combinations(free, size):
            if projected(graph, chosen).identifies(treatment, outcome):
                return chosen
    return None


def _touched(dag: nx.DiGraph, name: str, seen: set[str]) -> list[str]:
    """Measured nodes that paths from a node reach through latent ones alone."""
    found: dict[str, None] = {}
    todo, met = list(dag.succ[name]), set()
    while todo:
        child = todo.pop()
        if child in seen:
            found[child] = None
        elif child not in met:
            met.add(child)
            todo += dag.succ[child]
    return list(found)


def _reached(names: Iterable[str], links: dict[str, frozenset[str]], within: set[str]) -> set[str]:
    found = set(names) & within
    todo = list(found)
    while todo:
        for name in links[todo.pop()]:
            if name in within and name not in found:
                found.add(name)
                todo.append(name)
    return found
