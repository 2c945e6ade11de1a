"""The test of independence on exact tables, for columns of levels: Pearson's, with clustered rows.

A bucket's part in a cell of stratum s is ``n_xy - n_x p_y - n_y p_x + n p_x p_y``, with shares of the stratum
over all rows: the sum over its rows of (1[x] - p_x)(1[y] - p_y). Divided by the root of the expected count
these parts add up to Pearson's statistic, and their spread over buckets corrects it as in
:mod:`~.dependence` (Rao & Scott 1984).
"""

from __future__ import annotations

import numpy as np

from truelift.graph.discovery.dependence import settled
from truelift.graph.discovery.family_kernels import compiled

#: Tables of more cells times buckets are not tested: they hold next to nothing a cell.
_MOST = 1 << 21


@compiled
def table_test(
    codes: np.ndarray, place: np.ndarray, levels: np.ndarray, buckets: int, clustered: bool,
    x: int, y: int, ss: np.ndarray,
) -> tuple[float, float, float]:  # fmt: skip
    """Squared effect (Cramer's V), F and its degrees of freedom, of X and Y within strata of S.

    Not numbers where the table is too large to tell.
    """
    strata = 1
    for s in ss:
        strata *= levels[s]
    lx, ly = levels[x], levels[y]
    cells = strata * lx * ly
    if cells * buckets > _MOST:
        return np.nan, np.nan, 1.0
    n = codes.shape[1]
    table = np.zeros((buckets, cells))
    for i in range(n):
        at = 0
        for s in ss:
            at = at * levels[s] + codes[s, i]
        table[place[i], (at * lx + codes[x, i]) * ly + codes[y, i]] += 1.0
    whole = np.zeros(cells)
    rows = np.zeros(buckets)
    for b in range(buckets):
        for c in range(cells):
            whole[c] += table[b, c]
            rows[b] += table[b, c]
    parts = np.zeros((buckets, cells))
    d = 0
    px, py = np.empty(lx), np.empty(ly)
    bx, by = np.empty(lx), np.empty(ly)
    for s in range(strata):
        first = s * lx * ly
        total = 0.0
        px[:], py[:] = 0.0, 0.0
        for i in range(lx):
            for j in range(ly):
                v = whole[first + i * ly + j]
                total += v
                px[i] += v
                py[j] += v
        if total <= 0.0:
            continue
        seen_x, seen_y = 0, 0
        for i in range(lx):
            seen_x += px[i] > 0.0
            px[i] /= total
        for j in range(ly):
            seen_y += py[j] > 0.0
            py[j] /= total
        d += (seen_x - 1) * (seen_y - 1)
        if seen_x < 2 or seen_y < 2:
            continue
        for b in range(buckets):
            bx[:], by[:] = 0.0, 0.0
            own = 0.0
            for i in range(lx):
                for j in range(ly):
                    v = table[b, first + i * ly + j]
                    own += v
                    bx[i] += v
                    by[j] += v
            if own == 0.0:
                continue
            for i in range(lx):
                for j in range(ly):
                    e = px[i] * py[j]
                    if e > 0.0:
                        v = table[b, first + i * ly + j] - bx[i] * py[j] - by[j] * px[i] + own * e
                        parts[b, first + i * ly + j] = v / np.sqrt(total * e)
    if d == 0:
        return 0.0, 0.0, 1.0
    whole_n = float(n)
    effect, f, freedom = settled(parts, rows, whole_n, cells, 1, clustered)
    effect /= max(min(lx, ly) - 1, 1)
    if not clustered:
        return effect, f * cells / d, float(d)
    return effect, f, min(freedom, float(d))
