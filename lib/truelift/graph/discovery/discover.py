"""From a table to a class of graphs with frequencies: two readings, then sums alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from truelift.errors import DataError
from truelift.graph.discovery.columns import Variable, codes_of, look
from truelift.graph.discovery.learning import (
    Knowledge,
    Learned,
    design_effect,
    knowledge_of,
    learn,
    strengths,
)
from truelift.graph.discovery.options import DiscoveryOptions
from truelift.graph.discovery.pattern import Pattern, sign_of
from truelift.graph.discovery.results import DiscoveryResult, Edge, FloorPoint
from truelift.graph.discovery.separation import Evidence
from truelift.graph.discovery.source import Source, source_of
from truelift.graph.discovery.stability import FEWEST, chances, frequencies, patterns_of_halves
from truelift.graph.discovery.sums import GramKernel, moments_of
from truelift.lake.foreign import ForeignTable

Told = Callable[[str], None]

#: Codes of levels that are held in memory, rows x columns.
MOST_HELD = 200_000_000
_FLOORS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
_METHODS = {
    "order": "a search over orders", "pc": "tests of separation", "fci": "tests of separation, hidden causes allowed",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Ground:
    """All that is learned from: the sums of a reading, and codes of rows where they are held.

    Parameters
    ----------
    variables : tuple of Variable
    gram : ndarray of int64, B x (q + 1) x (q + 1)
    codes, place : ndarray or None
        Levels of the rows, and the bucket of each.
    clustered : bool
        Whether rows of a bucket may depend.
    """

    variables: tuple[Variable, ...]
    gram: np.ndarray
    codes: np.ndarray | None = None
    place: np.ndarray | None = None
    clustered: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(v.name for v in self.variables)

    def only(self, buckets: np.ndarray) -> Ground:
        """The rows of some buckets, which keep their order and are numbered anew."""
        if self.codes is None or self.place is None:
            return replace(self, gram=self.gram[buckets])
        number = np.cumsum(buckets) - 1
        kept = buckets[self.place]
        return replace(
            self, gram=self.gram[buckets], codes=self.codes[:, kept], place=number[self.place[kept]]
        )

    def evidence(self) -> Evidence:
        """For tests and scores."""
        moments = moments_of(self.gram, self.variables)
        if self.codes is None or self.place is None:
            return Evidence(moments, self.clustered)
        _, place = np.unique(self.place, return_inverse=True)
        levels = np.array([len(v.levels) for v in self.variables], np.int64)
        return Evidence(moments, self.clustered, self.codes, levels, place)


def discover(
    table: ForeignTable, options: DiscoveryOptions, told: Told = lambda text: None
) -> DiscoveryResult:
    """Learn a class of causal graphs from a table.

    Parameters
    ----------
    table : ForeignTable
    options : DiscoveryOptions
    told : callable
        Hears what is being done.

    Raises
    ------
    ConfigError, TableError, DataError
        For columns, tiers and clusters that cannot be learned from, each in one message.
    """
    source = source_of(table, options)
    knowledge_of(
        source.nodes, options.tiers
    )  # what contradicts itself is said before rows are read
    told("looking at the columns")
    variables = look(
        source.looked_at(), source.schema, source.name, options.most_levels, options.categories
    )
    ground = ground_of(source, variables, options, told)
    return learned_from(ground, source, options, told)


def ground_of(
    source: Source, variables: tuple[Variable, ...], options: DiscoveryOptions, told: Told
) -> Ground:
    """Read the rows once more, into sums by bucket.

    Raises
    ------
    DataError
        For too few clusters.
    """
    told("adding up")
    kernel = GramKernel(variables, source.cluster, options.buckets)
    gram = kernel(0, source.batches())["gram"]
    filled = int((gram[:, 0, 0] > 0).sum())
    if filled < options.buckets and filled < 2 * FEWEST / options.share:
        what = f"clusters of {source.cluster!r} in" if source.cluster else "rows in"
        raise DataError(
            f"{source.name}: found {what} {filled} of {options.buckets} buckets, expected at least "
            f"{int(np.ceil(2 * FEWEST / options.share))}: errors are made of the spread over them. "
            "One user, or a few, cannot tell what holds for others; take more, or name another --cluster."
        )
    rows, clustered = int(gram[:, 0, 0].sum()), source.cluster is not None
    if any(not v.levels for v in variables) or rows * len(variables) > MOST_HELD:
        return Ground(variables, gram, clustered=clustered)
    told("holding the levels")
    codes = codes_of(source.batches(), variables)
    placed, seen = [], 0
    for batch in source.batches():
        placed.append(kernel.place(batch, seen))
        seen += batch.num_rows
    return Ground(variables, gram, codes, np.concatenate(placed), clustered)


def learned_from(
    ground: Ground, source: Source, options: DiscoveryOptions, told: Told = lambda text: None
) -> DiscoveryResult:
    """The result, from sums."""
    names, tiers = ground.names, options.tiers
    known = knowledge_of(names, tiers)
    mine = np.zeros(options.buckets, bool)
    mine[list(options.learned_on)] = True
    ground = ground.only(mine & (ground.gram[:, 0, 0] > 0))
    evidence = ground.evidence()
    _refuse_copies(evidence, ground.variables, source.name)
    effect = design_effect(evidence.moments, options.seed) if source.cluster else 1.0
    told("learning the graph")
    whole = learn(evidence, known, options, effect)

    def half(kept: np.ndarray) -> Pattern:
        return learn(ground.only(kept).evidence(), known, options, effect, whole).pattern

    count = len(ground.gram)
    patterns = patterns_of_halves(count, options.bootstraps, options.seed, half, told)
    told("the graph over the floor")
    edges = _edges(whole, evidence, patterns, known)
    return DiscoveryResult(
        table=source.name, version=source.table.version,
        kind="PAG" if options.method == "fci" else "CPDAG", method=_method(options, evidence),
        names=names, tiers=tiers.groups, lines=whole.pattern.lines(), edges=edges,
        curve=_curve(edges), rows=int(evidence.moments.n), buckets=options.buckets,
        learned_on=options.learned_on, left=options.left, cluster=source.cluster or "",
        design_effect=round(effect, 3), alpha=options.alpha, floor=options.floor,
        graphs=len(patterns), notes=_notes(options, whole.pattern),
    )  # fmt: skip


def _method(options: DiscoveryOptions, evidence: Evidence) -> str:
    if options.method == "order":
        what = "counts of the levels, qNML" if evidence.exact else "second moments, extended BIC"
    else:
        what = f"{'exact tables' if evidence.exact else 'partial correlations'}, level {options.alpha:g}"
    return f"{_METHODS[options.method]}: {what}"


def _refuse_copies(evidence: Evidence, variables: tuple[Variable, ...], table: str) -> None:
    """Columns that are the same up to their scale or the names of their levels."""
    starts, correlation = evidence.moments.starts, evidence.moments.correlation
    rank, whiten = np.zeros(len(variables)), np.zeros_like(correlation)
    for i, (a, b) in enumerate(pairwise(starts)):
        values, vectors = np.linalg.eigh(correlation[a:b, a:b])
        told = values > 1e-6
        rank[i] = told.sum()
        whiten[a:b, a:b] = (vectors / np.sqrt(np.where(told, values, np.inf))) @ vectors.T
    # What a column shares with another: squared canonical correlations, which are all one where it follows.
    shared = (whiten @ correlation @ whiten) ** 2
    shared = np.add.reduceat(np.add.reduceat(shared, starts[:-1], axis=0), starts[:-1], axis=1)
    width = np.diff(starts)
    # One that is constant in these rows says nothing, and not the same as another.
    same = (width[:, None] == width) & (rank[:, None] > 0) & (rank > 0) & (shared > rank - 1e-6)
    found = [
        f"{variables[j].name} and {variables[i].name}" for i, j in np.argwhere(np.tril(same, -1))
    ]
    if found:
        raise DataError(
            f"{table}: {'; '.join(found)} say the same in every row, so that no data can tell which of "
            "them acts. Leave one of each out (--columns)."
        )


def _edges(
    whole: Learned, evidence: Evidence, patterns: list[Pattern], known: Knowledge
) -> tuple[Edge, ...]:
    pattern, p = whole.pattern, len(whole.pattern)
    often, arrows = frequencies(patterns, p)
    new = often.copy()
    # What is known beforehand is no matter of chance.
    settled = known.required | known.required.T | (known.ruled_out & known.ruled_out.T)
    open_pairs = np.triu(~settled, 1)
    if patterns and open_pairs.any():
        new[open_pairs] = chances(often[open_pairs], len(patterns))
        new = np.triu(new, 1) + np.triu(new, 1).T
    own = list(pattern.edges())
    others = [(int(i), int(j)) for i, j in np.argwhere(np.triu((often > 0) & ~pattern.adjacent))]
    pairs = [*own, *sorted(others, key=lambda e: -often[e])]
    size: list[float | None] = [*strengths(evidence, whole, own), *([None] * len(others))]
    return tuple(
        Edge(
            pattern.names[i], pattern.names[j], pattern.line(i, j) if pattern.adjacent[i, j] else "",
            float(often[i, j]) if patterns else None, float(arrows[i, j]) if patterns else None,
            float(arrows[j, i]) if patterns else None, strength, float(new[i, j]) if patterns else None,
        )
        for (i, j), strength in zip(pairs, size, strict=True)
    )  # fmt: skip


def _curve(edges: tuple[Edge, ...]) -> tuple[FloorPoint, ...]:
    """Edges of the graph by how strong they are at least."""
    own = [e for e in edges if e.line]
    points, before = [], {e.line for e in own}
    for floor in _FLOORS:
        kept = {e.line for e in own if (e.effect or 0.0) >= floor}
        points.append(FloorPoint(floor, len(kept), tuple(sorted(before - kept))))
        before = kept
    return tuple(points)


def _notes(options: DiscoveryOptions, pattern: Pattern) -> tuple[str, ...]:
    notes = []
    if options.method == "fci":
        notes.append(
            "Hidden common causes are allowed: a <-> b has one, a circle (o) is an end that the data leave open."
        )
    else:
        notes.append(
            "This takes for granted that no hidden common cause moves two of the columns; with people's "
            "needs unseen, --method fci is the honest choice."
        )
    undecided = sum(sign_of(line) == "--" for line in pattern.lines())
    if undecided:
        notes.append(
            f"{undecided} edges have no direction: the data fit either way. Tiers, or an experiment, can tell."
        )
    return tuple(notes)
