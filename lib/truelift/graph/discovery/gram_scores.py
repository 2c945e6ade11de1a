"""BIC of families from moments: Gaussian columns, and levels as the degenerate Gaussian (Andrews et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

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
    among : float
        Times the logarithm of the number of columns that a parent costs besides: of many columns some always look
        like causes (extended BIC, Chen & Chen 2008; Foygel & Drton 2010).
    """

    moments: Moments
    n: float
    penalty: float = 1.0
    among: float = 1.0

    @cached_property
    def correlation(self) -> np.ndarray:
        """Of all columns; it is a sum over buckets, made once."""
        return self.moments.correlation

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.moments.starts) - 1

    def score_arrays(
        self, children: np.ndarray, parents: np.ndarray, sizes: np.ndarray
    ) -> np.ndarray:
        """See :class:`~.families.FamilyScorer`."""
        found: np.ndarray = _scores(
            self.correlation, self.moments.starts, children, parents, sizes, self.n,
            self.penalty,
        )  # fmt: skip
        return found - self.among * np.log(self.size) * sizes
