"""Rows of a table for discovery: which columns are nodes, and their batches, read as often as is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from truelift.errors import ConfigError, TableError
from truelift.graph.discovery.options import DiscoveryOptions
from truelift.graph.rows import ROWS, batches_of, with_names
from truelift.lake.foreign import ForeignTable

_FEWEST = 2


@dataclass(frozen=True, eq=False)
class Source:
    """The columns of a table that discovery looks at.

    Parameters
    ----------
    table : ForeignTable
    nodes : tuple of str
    cluster : str or None
    """

    table: ForeignTable
    nodes: tuple[str, ...]
    cluster: str | None

    @property
    def name(self) -> str:
        """For messages."""
        return self.table.name

    @property
    def columns(self) -> tuple[str, ...]:
        """All that are read."""
        beside = () if self.cluster is None or self.cluster in self.nodes else (self.cluster,)
        return (*self.nodes, *beside)

    @property
    def schema(self) -> pa.Schema:
        """Of the nodes."""
        return self.table.stored(self.nodes)

    def batches(self, rows: int = ROWS) -> Iterator[pa.RecordBatch]:
        """All rows, some at a time.

        Raises
        ------
        TableError
            For a table that only Spark can read.
        """
        yield from batches_of(self.table, self.columns, rows)

    def looked_at(self) -> Iterator[pa.RecordBatch]:
        """All rows, for the first time.

        Raises
        ------
        DataError
            For rows without a cluster.
        """
        yield from with_names(self.batches(), self.cluster, self.name)


def source_of(table: ForeignTable, options: DiscoveryOptions) -> Source:
    """The columns that the options ask for.

    Raises
    ------
    ConfigError, TableError
        Naming columns that are not there, or that have no tier.
    """
    known = table.schema.names
    asked: dict[str, Any] = {
        "--columns": options.columns, "--tiers": options.tiers.names,
        "--categories": options.categories, "--cluster": (options.cluster,) if options.cluster else (),
    }  # fmt: skip
    for option, names in asked.items():
        if absent := [n for n in names if n not in known]:
            raise TableError(
                f"{table.name} has no column {', '.join(repr(n) for n in absent)} ({option}); its "
                f"columns are {', '.join(known)}."
            )
    nodes = options.columns or options.tiers.names
    if not nodes:
        nodes = tuple(n for n in known if n != options.cluster and table.is_usable(n))
    if options.tiers.groups and (without := [n for n in nodes if n not in options.tiers.names]):
        raise ConfigError(
            f"--tiers: {', '.join(without)} {'has' if len(without) == 1 else 'have'} no place, "
            "expected every column of --columns in a tier."
        )
    if options.cluster in nodes:
        raise ConfigError(
            f"--cluster: {options.cluster!r} is among the columns of the graph too, expected a name of "
            "people or things that no effect acts on. Leave it out of --columns and --tiers."
        )
    if len(nodes) < _FEWEST:
        raise ConfigError(
            f"{table.name}: found {len(nodes)} columns for a graph, expected at least two."
        )
    return Source(table, tuple(nodes), options.cluster)
