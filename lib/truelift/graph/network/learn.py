"""A network's tables from a table of rows, and how likely it makes users that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from truelift.errors import ConfigError, DataError, NotSupportedError, TableError
from truelift.graph.model import CausalGraph
from truelift.graph.network.coding import Coding, codings_of
from truelift.graph.network.counts import MOST_TABLE, FamilyCounts
from truelift.graph.network.model import BayesianNetwork
from truelift.graph.network.parameters import Prior, log_likelihood, table_of
from truelift.graph.rows import batches_of, with_names
from truelift.lake.buckets import buckets_of
from truelift.lake.foreign import ForeignTable

#: One bucket of users in so many is held out.
HELD_OUT = 5
_BATCH = 1 << 18


@dataclass(frozen=True, eq=False)
class LearnedNetwork:
    """A network and what is known of its fit.

    Parameters
    ----------
    made : BayesianNetwork or None
        Of all rows; None where a family has too many cells for a table.
    rows, dropped : int
        Rows that were counted, and rows with a gap.
    held_out : float
        Nats a row of users that were held out, by tables of the others.
    independent : float
        The same of a network without arrows.
    parameters : int
        Numbers that its tables have to state.
    nodes : int
    too_large : tuple of str
        Nodes whose family has too many cells for a table.
    """

    made: BayesianNetwork | None
    rows: int
    dropped: int
    held_out: float
    independent: float
    parameters: int
    nodes: int
    too_large: tuple[str, ...] = ()

    @property
    def network(self) -> BayesianNetwork:
        """The network with its tables.

        Raises
        ------
        NotSupportedError
            Where a family has too many cells for a table.
        """
        if self.made is None:
            raise NotSupportedError(
                f"{', '.join(self.too_large)} with the parents of each has a table of more than {MOST_TABLE:,} "
                "cells, so there is no network to write or to ask. Take coarser levels (cuts) or fewer parents."
            )
        return self.made

    def __str__(self) -> str:
        beside = f", {self.dropped:,} with gaps left out" if self.dropped else ""
        lines = [
            f"{self.nodes} nodes, {self.parameters:,} parameters from {self.rows:,} rows{beside}.",
            f"  held out  {self._held_out()}",
        ]
        if self.too_large:
            lines.append(
                f"  no table  of {', '.join(self.too_large)}: more than {MOST_TABLE:,} cells; their counts are by key"
            )
        return "\n".join(lines)

    def _held_out(self) -> str:
        if not math.isfinite(self.held_out):
            return (
                "users not seen have combinations that had no rows, which without a prior have no chance: no "
                "likelihood is told; --prior bdeu:1 gives every combination some"
            )
        gain = self.held_out - self.independent
        told = (
            "the arrows tell something" if gain > 0 else "the arrows tell nothing on users not seen"
        )
        return f"{self.held_out:.4f} nats a row of users not seen, {gain:+.4f} against no arrows: {told}"


def learned_network(
    graph: CausalGraph, table: ForeignTable, prior: Prior | None = None, cluster: str | None = None, threads: int = 2,
) -> LearnedNetwork:  # fmt: skip
    """Count the families of a graph once, and make tables of them.

    Users whose bucket is held out are counted apart in the same pass; the likelihood is that of their rows by the
    tables of the others, and the network that is given is of all.

    Parameters
    ----------
    graph : CausalGraph
        Without latent nodes.
    table : ForeignTable
    prior : Prior, optional
    cluster : str, optional
        Rows that share it are held out together.
    threads : int

    Raises
    ------
    ConfigError
        For a graph with latent nodes, or a column of too many values.
    TableError, DataError
        For a column that is not there, or no rows.
    """
    prior = prior or Prior()
    if graph.latent or graph.confounded:
        unseen = [*graph.latent, *(f"{a} <-> {b}" for a, b in graph.confounded)]
        raise ConfigError(
            f"--graph: found latent {', '.join(unseen)}, which no table has counts of. Expected a graph of measured "
            "nodes; effects under latent causes are for truelift identify."
        )
    nodes = {name: graph.by_name[name] for name in graph.measured}
    asked = [*(node.column for node in nodes.values()), *([cluster] if cluster else [])]
    for column in asked:
        if column not in table.schema.names:
            raise TableError(
                f"{table.name} has no column {column!r}; its columns are {', '.join(table.schema.names)}."
            )
    read = list(dict.fromkeys(asked))
    coded = codings_of(nodes, with_names(batches_of(table, read, _BATCH), cluster, table.name))
    sizes = {name: len(coding.levels) for name, coding in coded.items()}
    parents = {
        name: tuple(sorted(graph.dag.predecessors(name), key=list(nodes).index)) for name in nodes
    }
    alone = {name: () for name in nodes}
    counts = [FamilyCounts(sizes, parents, threads) for _ in range(2)]
    lone = [FamilyCounts(sizes, alone, threads) for _ in range(2)]
    kind = np.uint8 if max(sizes.values()) <= 256 else np.int32
    dropped = 0
    for codes, held in _batches(table, read, coded, cluster):
        full = (codes >= 0).all(axis=0)
        dropped += int((~full).sum())
        for part, chosen in enumerate((full & ~held, full & held)):
            some = codes[:, chosen].astype(kind)
            counts[part].add(some)
            lone[part].add(some)
    if not counts[0].rows or not counts[1].rows:
        raise DataError(
            f"{table.name}: found {counts[0].rows + counts[1].rows} rows without gaps, of users in both parts; expected "
            "more."
        )
    held_out = log_likelihood(counts[0], counts[1], prior) / counts[1].rows
    independent = log_likelihood(lone[0], lone[1], prior) / counts[1].rows
    counts[0].merge(counts[1])
    too_large = tuple(name for name in nodes if not counts[0].has_table(name))
    network = None
    if not too_large:
        tables = {name: table_of(counts[0], name, prior) for name in nodes}
        levels = {name: coding.levels for name, coding in coded.items()}
        network = BayesianNetwork(levels, parents, tables, nodes)
    parameters = sum(
        math.prod(sizes[p] for p in parents[name]) * (sizes[name] - 1) for name in nodes
    )
    return LearnedNetwork(
        network, counts[0].rows, dropped, held_out, independent, parameters, len(nodes), too_large
    )


def _batches(
    table: ForeignTable, columns: list[str], coded: dict[str, Coding], cluster: str | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Codes, nodes x n, and which rows are held out."""
    start = 0
    for batch in batches_of(table, columns, _BATCH):
        codes = np.stack([c.codes(batch[c.node.column]) for c in coded.values()])
        number = np.arange(start, start + batch.num_rows)
        start += batch.num_rows
        bucket = buckets_of(batch[cluster], HELD_OUT) if cluster else number % HELD_OUT
        if bucket is None:
            raise TableError(f"column {cluster!r}: {batch[cluster].type} names no user.")
        yield codes, bucket == 0
