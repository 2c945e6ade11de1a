"""BIC of families from moments: Gaussian columns, and levels as the degenerate Gaussian (Andrews et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from truelift.graph.discovery.families import Family, as_arrays
from truelift.graph.discovery.family_kernels import compiled
from truelift.graph.discovery.sums import Moments

_RIDGE = 1e-9


@compiled
def _log_determinant(c: np.ndarray, columns: np.ndarray) -> float:
    """Of a correlation matrix; columns that follow from others count as almost so."""
    k = len(columns)
    a = np.empty((k, k))
    total = 0.0
    for i in range(k):
        for j in range(i + 1):
            s = c[columns[i], columns[j]]
            for t in range(j):
                s -= a[i, t] * a[j, t]
            if i == j:
                s = max(s, _RIDGE)
                a[i, i] = np.sqrt(s)
                total += np.log(s)
            else:
                a[i, j] = s / a[j, j]
    return total


@compiled
def _scores(
    c: np.ndarray, starts: np.ndarray, children: np.ndarray, parents: np.ndarray,
    sizes: np.ndarray, n: float, penalty: float,
) -> np.ndarray:  # fmt: skip
    found = np.empty(len(children))
    columns = np.empty(len(c), np.int64)
    for f in range(len(children)):
        k = 0
        for u in parents[f, : sizes[f]]:
            for v in range(starts[u], starts[u + 1]):
                columns[k] = v
                k += 1
        given = _log_determinant(c, columns[:k])
        width = starts[children[f] + 1] - starts[children[f]]
        for v in range(starts[children[f]], starts[children[f] + 1]):
            columns[k] = v
            k += 1
        both = _log_determinant(c, columns[:k])
        found[f] = -0.5 * n * (both - given) - 0.5 * penalty * np.log(n) * width * (k - width)
    return found


@dataclass(eq=False)
class GramFamilies:
    """Scores of families from moments.

    Parameters
    ----------
    moments : Moments
    n : float
        Rows that count: all of them over the design effect.
    penalty : float
        Times that of BIC.
    """

    moments: Moments
    n: float
    penalty: float = 1.0
    known: dict[Family, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.moments.starts) - 1

    def scores(self, families: Sequence[Family]) -> np.ndarray:
        """See :class:`~.families.FamilyScorer`."""
        new = [f for f in dict.fromkeys(families) if f not in self.known]
        if new:
            children, parents, sizes = as_arrays(new)
            found = _scores(
                self.moments.correlation, self.moments.starts, children, parents, sizes, self.n,
                self.penalty,
            )  # fmt: skip
            self.known.update(zip(new, found.tolist(), strict=True))
        return np.array([self.known[f] for f in families])
