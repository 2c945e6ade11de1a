"""What sets of parents are worth: scores of families, asked for in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from truelift.graph.discovery.family_kernels import BDEU, BIC, QNML, score_families

Family = tuple[int, tuple[int, ...]]

KINDS = {"bic": BIC, "bdeu": BDEU, "qnml": QNML}


class FamilyScorer(Protocol):
    """Scores families; a batch may cost a pass over the rows, so batches are large and few."""

    @property
    def size(self) -> int:
        """Number of nodes."""
        ...

    def score_arrays(
        self, children: np.ndarray, parents: np.ndarray, sizes: np.ndarray
    ) -> np.ndarray:
        """Scores in nats of families as :func:`as_arrays` gives them, larger is better.

        Minus infinity where the table would be too large.
        """
        ...


def as_arrays(families: Sequence[Family]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Families for compiled loops: children (n), parents (n x the most), and how many each has (n)."""
    sizes = np.array([len(parents) for _, parents in families])
    parents = np.zeros((len(families), max(int(sizes.max()), 1)), np.int64)
    for row, (_, own) in enumerate(families):
        parents[row, : len(own)] = own
    return np.array([child for child, _ in families]), parents, sizes


@dataclass(eq=False)
class CountedFamilies:
    """Families of discrete columns, counted on codes that are held.

    Parameters
    ----------
    codes : ndarray of uint8, p x n
    levels : ndarray of int, p
    weights : ndarray, n
        One each, or how often a row's bucket was drawn.
    kind : str
        A key of ``KINDS``.
    strength : float
    cells : int
        Of the largest table.
    """

    codes: np.ndarray
    levels: np.ndarray
    weights: np.ndarray
    kind: str = "bic"
    strength: float = 1.0
    cells: int = 1 << 16

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.codes)

    def score_arrays(
        self, children: np.ndarray, parents: np.ndarray, sizes: np.ndarray
    ) -> np.ndarray:
        """See :class:`FamilyScorer`."""
        found: np.ndarray = score_families(
            self.codes, self.weights, self.levels, children, parents, sizes, KINDS[self.kind],
            self.strength, self.cells,
        )  # fmt: skip
        return found

    def scores(self, families: Sequence[Family]) -> np.ndarray:
        """Scores of families one by one."""
        return self.score_arrays(*as_arrays(families))
