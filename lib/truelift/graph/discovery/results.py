"""What was learned: a class of graphs, how often each edge came, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.graph.discovery.pattern import sign_of
from truelift.graph.lines import arrows_of
from truelift.graph.model import CausalGraph, Node, graph_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Edge:
    """An edge between two columns, in the graph or found in some of the graphs of halves.

    Parameters
    ----------
    first, second : str
    line : str
        As it stands in the graph: ``a -> b``, ``a -- b`` (either way), ``a <-> b``, ``a o-> b``; empty where the
        graph has none.
    frequency : float or None
        Share of the graphs of halves of the clusters that have the edge, whatever its ends.
    forward, backward : float or None
        Shares in which it points from the first to the second, and back.
    effect : float or None
        How strongly the two depend on each other given what the graph holds fixed, from 0 to 1: the partial
        correlation, or Cramer's V on tables.
    chance : float or None
        That a new sample of half as many clusters shows the edge: the frequency, with what is chance of this sample taken out.
    """

    first: str
    second: str
    line: str
    frequency: float | None
    forward: float | None
    backward: float | None
    effect: float | None
    chance: float | None = None


@dataclass(frozen=True)
class FloorPoint:
    """How many edges the graph has where a smaller dependence counts as none."""

    floor: float
    edges: int
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class DiscoveryResult:
    """A class of causal graphs that the data do not tell apart.

    Parameters
    ----------
    table, version : str
    kind : str
        ``CPDAG`` (no hidden common causes) or ``PAG`` (they are allowed).
    method : str
        What was done, in words.
    names : tuple of str
    tiers : tuple of tuple of str
    lines : tuple of str
        The graph.
    edges : tuple of Edge
    curve : tuple of FloorPoint
    rows : int
        That were learned on.
    buckets : int
    learned_on, left : tuple of int
        Buckets; those that are left are for estimation.
    cluster : str
        Empty where every row stands for itself.
    design_effect : float
        How many dependent rows tell as much as one that stands for itself.
    alpha, floor : float
    graphs : int
        Of halves, behind the frequencies.
    notes : tuple of str
    """

    table: str
    version: str
    kind: str
    method: str
    names: tuple[str, ...]
    tiers: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]
    edges: tuple[Edge, ...]
    curve: tuple[FloorPoint, ...]
    rows: int
    buckets: int
    learned_on: tuple[int, ...]
    left: tuple[int, ...]
    cluster: str
    design_effect: float
    alpha: float
    floor: float
    graphs: int
    notes: tuple[str, ...] = ()

    def graph(self, *arrows: str) -> CausalGraph:
        """The arrows that the data decide, and yours for the edges that they leave open, as a causal graph.

        Parameters
        ----------
        *arrows : str
            ``"age -> mailed"``, one for each open edge.

        Raises
        ------
        ConfigError
            Naming edges that are left open, and for arrows that are no edge.
        """
        signs = {line: sign_of(line) for line in self.lines}
        given, confounded = arrows_of(arrows, "arrows")
        own, hidden = arrows_of([n for n, s in signs.items() if s in ("->", "<->")], "arrows")
        open_ends = {frozenset((e.first, e.second)): e.line for e in self.edges if e.line}
        for pair in (*own, *hidden):
            del open_ends[frozenset(pair)]
        for pair in (*given, *confounded):
            if open_ends.pop(frozenset(pair), None) is None:
                raise ConfigError(
                    f"arrows: {pair[0]} and {pair[1]} have no open edge, expected one of "
                    f"{', '.join(n for n, s in signs.items() if s not in ('->', '<->')) or 'none'}."
                )
        if open_ends:
            raise ConfigError(
                f"The data leave {', '.join(open_ends.values())} open. Say of each which way it goes, such as "
                f"graph({next(iter(open_ends.values())).replace('--', '->')!r})."
            )
        nodes = [Node(name) for name in self.names]
        return graph_of([*own, *given], [*hidden, *confounded], nodes=nodes)

    def to_pandas(self) -> pd.DataFrame:
        """A row an edge."""
        import pandas as pd

        return pd.DataFrame([vars(e) for e in self.edges])

    def summary(self) -> str:
        """The graph in a screen of sentences."""
        decided = sum(sign_of(line) == "->" for line in self.lines)
        told = [
            f"{self.kind} of {len(self.names)} columns of {self.table}: {len(self.lines)} edges, "
            f"{decided} of them with a direction ({self.method}).",
            f"Learned on {self.rows:,} rows in {len(self.learned_on)} of {self.buckets} buckets"
            + (f" of {self.cluster}" if self.cluster else "")
            + (f"; {len(self.left)} are left for estimation." if self.left else "."),
        ]
        if self.cluster:
            told.append(
                f"Rows that share {self.cluster} depend on each other: {self.design_effect:.1f} of them "
                "tell as much as one."
            )
        told += [""]
        shown = [e for e in self.edges if e.line]
        width = max((len(e.line) for e in shown), default=4)
        told += [f"  {e.line:{width}}  {_share(e)}{_strength(e.effect)}" for e in shown]
        beside = [e for e in self.edges if not e.line and (e.frequency or 0) >= _NEARLY]
        if beside:
            told += ["", "Not in the graph, and in many of the graphs of halves:"]
            told += [f"  {e.first} ? {e.second}  {_share(e)}" for e in beside]
        return "\n".join([*told, "", *self.notes])

    def __repr__(self) -> str:
        return self.summary()


_NEARLY = 0.5


def _share(edge: Edge) -> str:
    if edge.frequency is None:
        return ""
    new = "" if edge.chance is None else f", {edge.chance:4.0%} of new samples"
    return f"in {edge.frequency:4.0%} of halves{new}  "


def _strength(value: float | None) -> str:
    return "" if value is None else f"strength {value:.3f}"
