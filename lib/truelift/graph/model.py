"""A causal graph: columns and latent causes, arrows between them, and what is known beforehand.

An arrow says that the one *may* cause the other; what the analyst claims are the arrows that are not
there. A pair in ``confounded`` (``a <-> b``) stands for a cause of both that nobody recorded.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from truelift.errors import ConfigError

if TYPE_CHECKING:
    import networkx as nx

#: Earlier ones may cause later ones, not the other way round.
TIERS = ("profile", "exposure", "behaviour", "outcome")
#: What a node is a property of; a session belongs to a user, an event to a session.
LEVELS = ("user", "session", "event")


@dataclass(frozen=True)
class Node:
    """A quantity.

    Parameters
    ----------
    name : str
    column : str
        Of the table; by default its name.
    latent : bool
        Not in the table.
    measurable : bool
        Whether a latent one could be measured, by a survey or one more log.
    tier : str
        One of the graph's tiers, or empty.
    level : str
        One of :data:`LEVELS`, or empty.
    cuts : tuple of float
        Where a numeric column is cut into classes, for networks.
    """

    name: str
    column: str = ""
    latent: bool = False
    measurable: bool = True
    tier: str = ""
    level: str = ""
    cuts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.latent and self.column:
            raise ConfigError(
                f"nodes.{self.name}: found latent and column {self.column!r}, expected one of both: "
                "what is in the table is not latent."
            )
        if self.level not in ("", *LEVELS):
            raise ConfigError(
                f"nodes.{self.name}.level: found {self.level!r}, expected one of {', '.join(LEVELS)}."
            )
        if list(self.cuts) != sorted(set(self.cuts)):
            raise ConfigError(
                f"nodes.{self.name}.cuts: found {list(self.cuts)}, expected rising numbers."
            )
        if not self.latent and not self.column:
            object.__setattr__(self, "column", self.name)


@dataclass(frozen=True)
class CausalGraph:
    """Nodes, arrows, hidden common causes, and knowledge for those who learn a graph.

    Parameters
    ----------
    nodes : tuple of Node
    arrows : tuple of (str, str)
        From cause to what it may change.
    confounded : tuple of (str, str)
        Pairs that something unrecorded moves both.
    required, forbidden : tuple of (str, str)
        Arrows that a search must have and may not have; required ones are arrows of the graph too.
    tiers : tuple of str
        In the order of time.

    Raises
    ------
    ConfigError
        For a cycle, an arrow against the tiers, a forbidden one, or a name that is no node.
    """

    nodes: tuple[Node, ...]
    arrows: tuple[tuple[str, str], ...] = ()
    confounded: tuple[tuple[str, str], ...] = ()
    required: tuple[tuple[str, str], ...] = ()
    forbidden: tuple[tuple[str, str], ...] = ()
    tiers: tuple[str, ...] = field(default=TIERS)

    def __post_init__(self) -> None:
        arrows = dict.fromkeys((*self.arrows, *self.required))
        pairs = dict.fromkeys((min(pair), max(pair)) for pair in self.confounded)
        object.__setattr__(self, "arrows", tuple(arrows))
        object.__setattr__(self, "confounded", tuple(pairs))
        self._check_names()
        self._check_tiers()
        for a, b in self.forbidden:
            if (a, b) in arrows:
                raise ConfigError(f"arrows: found {a} -> {b}, which forbidden rules out.")
        self._check_cycles()

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Nodes by their names."""
        return {node.name: node for node in self.nodes}

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the nodes that are columns of the table."""
        return tuple(node.name for node in self.nodes if not node.latent)

    @property
    def latent(self) -> tuple[str, ...]:
        """Names of the nodes that are not."""
        return tuple(node.name for node in self.nodes if node.latent)

    def columns(self, names: Iterable[str]) -> tuple[str, ...]:
        """What the table calls some nodes."""
        return tuple(self.by_name[name].column for name in names)

    def node(self, name: str, where: str) -> Node:
        """The node of a name.

        Raises
        ------
        ConfigError
            Where there is none, with the nearest name.
        """
        if name not in self.by_name:
            near = difflib.get_close_matches(name, self.by_name, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"{where}: the graph has no node {name!r}.{hint} Its nodes are "
                f"{', '.join(self.by_name)}."
            )
        return self.by_name[name]

    @cached_property
    def dag(self) -> nx.DiGraph:
        """All nodes and arrows; each pair of ``confounded`` has a node of its own, ``a <-> b``."""
        import networkx as nx

        found = nx.DiGraph()
        found.add_nodes_from(self.by_name)
        found.add_edges_from(self.arrows)
        for a, b in self.confounded:
            found.add_edges_from([(hidden(a, b), a), (hidden(a, b), b)])
        return found

    def _check_names(self) -> None:
        if len(self.by_name) < len(self.nodes):
            names = [node.name for node in self.nodes]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigError(f"nodes: found {', '.join(twice)} twice, expected each name once.")
        for key in ("arrows", "confounded", "forbidden"):
            for a, b in getattr(self, key):
                self.node(a, key)
                self.node(b, key)
                if a == b:
                    raise ConfigError(f"{key}: found an arrow from {a} to itself.")

    def _check_tiers(self) -> None:
        place = {tier: number for number, tier in enumerate(self.tiers)}
        for node in self.nodes:
            if node.tier and node.tier not in place:
                raise ConfigError(
                    f"nodes.{node.name}.tier: found {node.tier!r}, expected one of "
                    f"{', '.join(self.tiers)}, or a list of your own under tiers."
                )
        for a, b in self.arrows:
            first, second = self.by_name[a].tier, self.by_name[b].tier
            if first and second and place[first] > place[second]:
                raise ConfigError(
                    f"arrows: found {a} -> {b}, from tier {first} back to {second}. Expected causes in "
                    f"the order {', '.join(self.tiers)}; turn the arrow, or mend the tiers."
                )

    def _check_cycles(self) -> None:
        ring = _ring(self.arrows)
        if ring:
            raise ConfigError(
                f"arrows: found a cycle, {' -> '.join(ring)}. Expected none: name the two times of "
                "what acts back on itself as two nodes."
            )


def hidden(a: str, b: str) -> str:
    """What the unrecorded cause of a pair is called."""
    return f"{min(a, b)} <-> {max(a, b)}"


def graph_of(
    arrows: Iterable[tuple[str, str]], confounded: Iterable[tuple[str, str]] = (),
    latents: Iterable[str] = (), nodes: Iterable[Node] = (), **rest: Any,
) -> CausalGraph:  # fmt: skip
    """A graph whose nodes are those of its arrows, besides the ones that are described.

    Parameters
    ----------
    arrows, confounded : iterables of (str, str)
    latents : iterable of str
        Nodes that are not in the table.
    nodes : iterable of Node
    **rest
        ``required``, ``forbidden``, ``tiers``.
    """
    arrows, confounded, unseen = tuple(arrows), tuple(confounded), tuple(latents)
    described = {node.name: node for node in nodes}
    pairs = [*arrows, *rest.get("required", ()), *confounded]
    names = dict.fromkeys([*described, *(name for pair in pairs for name in pair), *unseen])
    made = tuple(described.get(name) or Node(name, latent=name in unseen) for name in names)
    return CausalGraph(made, arrows, confounded, **rest)


def _ring(arrows: Iterable[tuple[str, str]]) -> list[str]:
    """Names along a cycle, the first also last; empty where there is none."""
    children: dict[str, list[str]] = {}
    for a, b in arrows:
        children.setdefault(a, []).append(b)
    done: set[str] = set()
    for start in children:
        path: list[str] = []
        todo = [(start, iter(children.get(start, ())))] if start not in done else []
        path = [start]
        while todo:
            name, below = todo[-1]
            child = next((c for c in below if c not in done), None)
            if child is None:
                done.add(name)
                todo.pop()
                path.pop()
            elif child in path:
                return [*path[path.index(child) :], child]
            else:
                path.append(child)
                todo.append((child, iter(children.get(child, ()))))
    return []
