"""A Bayesian network of discrete nodes: levels, parents, and a table for each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from truelift.errors import ConfigError
from truelift.graph.model import CausalGraph, Node, graph_of

#: How far a row of a published table may be from one: they are rounded, some to two digits.
_ROUNDING = 0.02
#: Rows whose sum differs by no more are left as they stand.
_EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class BayesianNetwork:
    """P of every node given its parents.

    Parameters
    ----------
    levels : mapping of str to tuple of str
        By node, the values that it takes.
    parents : mapping of str to tuple of str
    tables : mapping of str to ndarray
        Axes are the parents in their order, then the node; the last axis sums to one.
    graph_nodes : mapping of str to Node, optional
        What is known of nodes besides: columns, cuts.

    Raises
    ------
    ConfigError
        For tables that are none, or parents in a cycle.
    """

    levels: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, np.ndarray]
    graph_nodes: Mapping[str, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graph()
        tables = {name: self._checked(name, table) for name, table in self.tables.items()}
        object.__setattr__(self, "tables", tables)

    def graph(self) -> CausalGraph:
        """Its arrows."""
        arrows = [(p, name) for name, above in self.parents.items() for p in above]
        return graph_of(arrows, nodes=[self.graph_nodes.get(n) or Node(n) for n in self.levels])

    def order(self) -> list[str]:
        """Nodes, parents first."""
        import networkx as nx

        return list(nx.lexicographical_topological_sort(self.graph().dag, list(self.levels).index))

    def chance(self, values: Mapping[str, str]) -> float:
        """The joint probability of a value for every node."""
        found = 1.0
        for name, table in self.tables.items():
            place = tuple(self.levels[n].index(values[n]) for n in (*self.parents[name], name))
            found *= float(table[place])
        return found

    def _checked(self, name: str, table: np.ndarray) -> np.ndarray:
        wanted = tuple(len(self.levels[n]) for n in (*self.parents[name], name))
        table = np.asarray(table, float)
        if table.shape != wanted:
            raise ConfigError(
                f"P({name}): found a table of {table.shape}, expected {wanted}: the levels of "
                f"{', '.join((*self.parents[name], name))}."
            )
        sums = table.sum(axis=-1, keepdims=True)
        if (
            not (np.isfinite(table).all() and (table >= 0).all())
            or np.abs(sums - 1).max() > _ROUNDING
        ):
            raise ConfigError(
                f"P({name}): found rows that sum to {sums.min():g} ... {sums.max():g}, expected "
                "chances that sum to 1."
            )
        return np.where(np.abs(sums - 1) > _EXACT, table / sums, table)
