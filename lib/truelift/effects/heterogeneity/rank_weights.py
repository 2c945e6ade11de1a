"""Targeting curves as weighted sums of scores, with their influence functions, by rank cell.

Every curve of a priority rule is an L-statistic: with units ordered by falling forecast,

    theta = (1 / W) * sum of w * score * u(rank),

with ``u`` the tail sum of 1/rank for AUTOC, the share of units ranked no higher for the area under
the uplift curve, ``1(rank <= q) / q`` for the average effect of the top share q. Its influence
function, the estimated order included, is

    (w / W) * (score * u(rank) - v(rank) - constant),   v(r) = integral over q > r of -u'(q) tau(q),

with ``tau`` the mean score around a rank (Yadlowsky, Fleming, Shah, Brunskill & Wager 2021,
"Evaluating treatment prioritization rules via rank-weighted average treatment effects"). Both
are tables over the ordered cells, which hold all that is needed once the mean scores of cells
are known: one more pass adds up the influence functions by cluster, and no row is ever sorted.

Units of one cell are ties: they share the average of the weights of their ranks, as if their
order were drawn at random. With a cell for every unit, sums are those of the sorted sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

# The mean score at a rank is averaged over this share to either side. From the cell alone it
# would follow the unit's own noise, and errors would come out too small where cells are single
# units with large weights.
_WINDOW = 0.05


@dataclass(frozen=True, eq=False)
class RankTable:
    """Weights and influence of m statistics by cell, of one fold.

    Parameters
    ----------
    score_weight, offset : ndarray, m x B
        A unit's influence is ``w * (score * score_weight - offset) / W``, zero on average.
    estimate : ndarray, m
    """

    score_weight: np.ndarray
    offset: np.ndarray
    estimate: np.ndarray


#: AUTOC, Qini, AUUC stand before the statistics by fraction.
AREAS = ("AUTOC", "Qini", "AUUC")


def rank_table(
    weight: np.ndarray, score: np.ndarray, units: float, fractions: tuple[float, ...]
) -> RankTable:
    """Areas, average effects of top shares, and these less the average of all (TOC).

    Parameters
    ----------
    weight, score : ndarray, B
        Weight and weighted score by cell, the lowest forecasts first.
    units : float
        Units n of the fold; a unit's ranks are as wide as its weight on the average weight.
    fractions : tuple of float
        Top shares q in (0, 1].

    Returns
    -------
    RankTable
        Statistics in the order AUTOC, Qini, AUUC, effects by fraction, TOC by fraction.
    """
    # From the highest forecast on; ranks run from 0 to n.
    w, s = weight[::-1], score[::-1]
    total = w.sum()
    width = w * units / total
    end = np.cumsum(width)
    start = end - width
    shares = np.concatenate([[0.0], np.cumsum(w) / total])
    gains = np.concatenate([[0.0], np.cumsum(s) / total])
    tau = _mean_score((shares[:-1] + shares[1:]) / 2, shares, gains)
    rows = [
        _autoc(start, width, units, tau),
        _uplift(start, width, units, tau, (units + 1) / (2 * units)),
        _uplift(start, width, units, tau, 0.0),
    ]
    rows += [_top(q, shares, gains, 0.0) for q in fractions]
    rows += [_top(q, shares, gains, 1.0) for q in fractions]
    u = np.stack([row[0] for row in rows])
    v = np.stack([row[1] for row in rows])
    estimate = u @ s / total
    constant = estimate - v @ w / total
    return RankTable(u[:, ::-1], (v + constant[:, None])[:, ::-1], estimate)


Pair = tuple[np.ndarray, np.ndarray]


def _autoc(start: np.ndarray, width: np.ndarray, units: float, tau: np.ndarray) -> Pair:
    """Tail sums of 1 / rank: H(n) - H(rank - 1), averaged over a cell's ranks."""

    def harmonic(n: np.ndarray) -> np.ndarray:
        return digamma(n + 1) - digamma(1)

    last = harmonic(np.array(units))
    # The sum of H(0), ..., H(n - 1) is n H(n) - n.
    end = start + width
    mass = (end * harmonic(end) - end) - (start * harmonic(start) - start)
    average = last - np.divide(mass, width, out=harmonic(start), where=width > 0)
    return average - 1.0, _passed(average, last - harmonic(start), last - harmonic(end), tau)


def _uplift(
    start: np.ndarray, width: np.ndarray, units: float, tau: np.ndarray, less: float
) -> Pair:
    """Share of the units ranked no higher: (n - rank + 1) / n, averaged over a cell's ranks."""
    end = start + width
    average = 1.0 - (start + (width - 1.0) / 2) / units
    return average - less, _passed(average, 1.0 - start / units, 1.0 - end / units, tau)


def _passed(
    average: np.ndarray, first: np.ndarray, last: np.ndarray, tau: np.ndarray
) -> np.ndarray:
    """Integral of ``-u' tau`` from each cell on; within the cell, from its average unit on."""
    whole = tau * (first - last)
    after = np.concatenate([np.cumsum(whole[::-1])[::-1][1:], [0.0]])
    return after + tau * (average - last)


def _top(q: float, shares: np.ndarray, gains: np.ndarray, less: float) -> Pair:
    """Average effect of the top share q, less ``less`` times the average effect of all."""
    size = np.diff(shares)
    inside = np.clip(q - shares[:-1], 0.0, size)
    inside = np.divide(inside, size, out=(shares[:-1] < q).astype(float), where=size > 0)
    at = _mean_score(np.array(q), shares, gains)
    return inside / q - less, at * inside / q


def _mean_score(at: np.ndarray, shares: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Mean score around ranks ``at``, from cumulated weights and scores."""
    low, high = np.clip(at - _WINDOW, 0.0, 1.0), np.clip(at + _WINDOW, 0.0, 1.0)
    return (np.interp(high, shares, gains) - np.interp(low, shares, gains)) / (high - low)
