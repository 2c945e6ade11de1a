"""Graphs of users, their sessions and events: the three operations that make them plain graphs.

Where many events belong to one user, how events are *distributed* within a user is a quantity of the user. Collapsing puts
such distributions, Q(event), in place of events; augmenting adds the distribution of some events where others are given,
which these determine; marginalising leaves out what then is not needed. What comes out is a graph over users in which the
usual rules hold, and effects may follow that no average over users gives (Weinstein & Blei 2024, arXiv 2401.05330).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from truelift.errors import ConfigError
from truelift.graph.model import LEVELS, CausalGraph, Node
from truelift.graph.projection import projected
from truelift.graph.separation import ancestors


def collapsed(graph: CausalGraph, level: str = "user") -> CausalGraph:
    """The graph over units of a level: each node below it is replaced by its distribution within a unit.

    A node b below with parents in its own plate is determined by how it responds to them: its distribution given
    them, Q(b | parents), a quantity of the unit that the unit's own causes move. What events do to a quantity of
    their unit (interference) is then done by the distributions of these and of what precedes them.

    An event that has a latent cause among the events responds to something nobody recorded: its distribution given
    its parents is latent too. What is recorded is its distribution given recorded events alone, which
    :func:`augmented` adds (``measured=True``).

    Parameters
    ----------
    graph : CausalGraph
        Every node has a level; a latent cause of a pair below is one of the unit, and acts on both distributions.
    level : {'user', 'session', 'event'}

    Raises
    ------
    ConfigError
        For a node without a level.
    """
    depth = {name: _depth(graph, name) for name in graph.by_name}
    top = LEVELS.index(level)
    below = {name for name in graph.by_name if depth[name] > top}
    names = {
        name: _distribution(graph, name, below) if name in below else name for name in graph.by_name
    }
    unseen = {n.name for n in graph.nodes if n.latent and n.name in below}
    unseen |= {b for a, b in graph.arrows if a in unseen and b in below}
    nodes = [
        Node(names[n.name], latent=True, measurable=False, tier=n.tier, level=level) if n.name in unseen
        else Node(names[n.name], tier=n.tier, level=level) if n.name in below
        else n
        for n in graph.nodes
    ]  # fmt: skip
    inside = graph.dag.subgraph(below)
    arrows: dict[tuple[str, str], None] = {}
    for a, b in graph.arrows:
        if a not in below:
            arrows[a, names[b]] = None
        elif (
            b not in below
        ):  # how it is distributed is determined by all that precedes it in its plate
            arrows |= {(names[c], b): None for c in sorted(ancestors(inside, [a]))}
    confounded = [(names[a], names[b]) for a, b in graph.confounded]
    known = {
        key: tuple(pair for pair in getattr(graph, key) if not below & set(pair))
        for key in ("required", "forbidden")
    }
    return CausalGraph(tuple(nodes), tuple(arrows), tuple(confounded), **known, tiers=graph.tiers)


def augmented(
    graph: CausalGraph, name: str, determined_by: Iterable[str], measured: bool = False
) -> CausalGraph:
    """A collapsed graph with one more distribution, which others of its nodes determine.

    Q(y) is determined by Q(a) and Q(y | a): arrows lead from these to it.

    Parameters
    ----------
    graph : CausalGraph
    name : str
    determined_by : iterable of str
    measured : bool
        That it is one of recorded events, and so known whatever determines it; else it is latent where a part is.

    Raises
    ------
    ConfigError
        For a name that is there already, or parts that are not.
    """
    parts = tuple(determined_by)
    if name in graph.by_name:
        raise ConfigError(f"augment: the graph has a node {name!r} already.")
    held = [graph.node(part, "augment") for part in parts]
    tiers = [node.tier for node in held if node.tier]
    node = Node(
        name, latent=not measured and any(part.latent for part in held),
        tier=max(tiers, key=graph.tiers.index, default=""), level=held[0].level if held else "",
    )  # fmt: skip
    return replace(
        graph, nodes=(*graph.nodes, node), arrows=(*graph.arrows, *((part, name) for part in parts))
    )


def marginalised(graph: CausalGraph, gone: Iterable[str]) -> CausalGraph:
    """The graph without some nodes; what they cause in common becomes an unrecorded cause of pairs.

    Raises
    ------
    ConfigError
        For a name that is no node.
    """
    out = set(gone)
    for name in out:
        graph.node(name, "marginalise")
    hidden = [
        replace(n, column="", latent=True) if n.name in out and not n.latent else n
        for n in graph.nodes
    ]
    seen = replace(graph, nodes=tuple(hidden), required=(), forbidden=())
    others = [n.name for n in graph.nodes if n.latent and n.name not in out]
    found = projected(seen, others)
    arrows = tuple((p, name) for name, above in found.parents.items() for p in sorted(above))
    kept = tuple(n for n in graph.nodes if n.name not in out)
    return CausalGraph(kept, arrows, tuple(found.pairs()), tiers=graph.tiers)


def _depth(graph: CausalGraph, name: str) -> int:
    level = graph.by_name[name].level
    if not level:
        raise ConfigError(f"nodes.{name}.level: found none, expected one of {', '.join(LEVELS)}.")
    return LEVELS.index(level)


def _distribution(graph: CausalGraph, name: str, below: set[str]) -> str:
    given = sorted(a for a, b in graph.arrows if b == name and a in below)
    return f"Q({name} | {', '.join(given)})" if given else f"Q({name})"
