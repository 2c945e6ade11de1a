"""Tables from counts with a Dirichlet prior, and how likely they make rows that they have not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from truelift.errors import ConfigError
from truelift.graph.network.counts import FamilyCounts

_KINDS = ("none", "k2", "bdeu")


@dataclass(frozen=True)
class Prior:
    """Rows that are added to the counts before they are looked at.

    ``none`` adds nothing (maximum likelihood); ``k2`` one to every cell (Cooper & Herskovits 1992); ``bdeu`` a sample
    of ``strength`` rows that knows nothing, spread over all cells of a family (Heckerman, Geiger & Chickering 1995).

    Parameters
    ----------
    kind : {'none', 'k2', 'bdeu'}
    strength : float
        Rows that ``bdeu`` adds.
    """

    kind: str = "bdeu"
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS or not 0 < self.strength < math.inf:
            raise ConfigError(
                f"--prior: found {self.kind}:{self.strength:g}, expected none, k2, or bdeu:ROWS with rows above 0."
            )

    @staticmethod
    def parse(text: str) -> Prior:
        """A prior from ``none``, ``k2``, ``bdeu`` or ``bdeu:10``."""
        kind, _, rows = text.partition(":")
        try:
            return Prior(kind.strip().lower(), float(rows) if rows else 1.0)
        except ValueError:
            raise ConfigError(f"--prior: found {text!r}, expected none, k2 or bdeu:10.") from None

    def in_cell(self, cells: int) -> float:
        """What each cell of a family gets."""
        return {"none": 0.0, "k2": 1.0, "bdeu": self.strength / cells}[self.kind]


def table_of(counts: FamilyCounts, name: str, prior: Prior) -> np.ndarray:
    """P(node | parents): the posterior mean. Combinations of parents without rows or prior are uniform."""
    found = counts.table(name)
    added = found + prior.in_cell(found.size)
    sums = added.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums > 0, added / sums, 1.0 / found.shape[-1])


def log_likelihood(learned: FamilyCounts, rows: FamilyCounts, prior: Prior) -> float:
    """The logarithm of the chance of some rows by tables learned from others, in nats; no table is made.

    Minus infinity where a cell of theirs has no chance, as without a prior it may.
    """
    return float(sum(_of_family(learned, rows, name, prior) for name in learned.names))


def _of_family(learned: FamilyCounts, rows: FamilyCounts, name: str, prior: Prior) -> float:
    levels = learned.sizes[name]
    cells = math.prod(learned.shapes[learned.names.index(name)])
    each = prior.in_cell(cells)
    known, asked = learned.cells(name), rows.cells(name)
    above = _at(known.keys, known.counts, asked.keys) + each
    parents, place = np.unique(known.keys // levels, return_inverse=True)
    sums = np.bincount(place, known.counts, len(parents))
    below = _at(parents, sums, asked.keys // levels) + each * levels
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = np.where(below > 0, above / below, 1.0 / levels)
        return float((asked.counts * np.log(chance)).sum())


def _at(keys: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Values by key, 0 where there is none."""
    if not len(keys):
        return np.zeros(len(asked))
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[place] == asked, values[place], 0.0)
