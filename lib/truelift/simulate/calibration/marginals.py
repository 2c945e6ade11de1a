"""What a lake and a world are compared by: baskets, gaps between visits, popularity, clicks by slot.

A visit is a user in a round, in a lake as in a world: what somebody does in several sessions of one day is one
visit. Gaps are told up to a cap, for visits with at least so many rounds to go, so that a log's end makes none
shorter; who does not come again within it counts as one round later. All are counts that add up over users.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.lake.states import State

#: Larger baskets count as this one.
MOST_BASKET = 200
#: Rounds that a gap is followed.
MOST_GAP = 30
_SHARES = 101
_LEAST = 50


@dataclass(frozen=True, eq=False)
class Marginals:
    """Counts of visits and slots.

    Parameters
    ----------
    baskets : ndarray, MOST_BASKET + 1
        Visits by how many different items were bought.
    gaps, buyers_gaps : ndarray, cap + 2
        Visits by rounds until the next one (the last: later or never), and the same of visits that bought.
    sold : ndarray, items
        Purchases by item, in any order.
    shown, clicked : ndarray, slots
        How often each slot was filled, and clicked; no slots where nothing is known of lists.
    """

    baskets: np.ndarray
    gaps: np.ndarray
    buyers_gaps: np.ndarray
    sold: np.ndarray
    shown: np.ndarray
    clicked: np.ndarray

    @property
    def browsing(self) -> bool:
        """Whether visits without a purchase are in the log."""
        return bool(self.baskets[0] > 0)

    def distributions(self, browsing: bool) -> dict[str, np.ndarray]:
        """By name: shares of baskets and gaps, shares of sales by relative rank, clicks by slot.

        Left out is what hardly anything is known of (fewer than 50 purchases, returns, or clicks).

        Parameters
        ----------
        browsing : bool
            Whether visits without a purchase count: they do where both logs have them.
        """
        found = {}
        baskets = self.baskets if browsing else np.r_[0.0, self.baskets[1:]]
        gaps = self.gaps if browsing else self.buyers_gaps
        if self.baskets[1:].sum() >= _LEAST:
            found["baskets"] = baskets / baskets.sum()
            found["popularity"] = lorenz(self.sold)
        if gaps[:-1].sum() >= _LEAST:
            found["gaps"] = gaps / gaps.sum()
        if self.clicked.sum() >= _LEAST / 2:
            found["clicks"] = self.clicked / np.maximum(self.shown, 1.0)
        return found


def lorenz(sold: np.ndarray) -> np.ndarray:
    """Share of all purchases that the most bought 0%, 1%, .. 100% of the items that were bought make up."""
    ranked = np.sort(sold[sold > 0])[::-1]
    share = np.r_[0.0, np.cumsum(ranked)] / max(float(ranked.sum()), 1.0)
    return np.interp(np.linspace(0, 1, _SHARES), np.linspace(0, 1, len(share)), share)


def distances(
    one: dict[str, np.ndarray], other: dict[str, np.ndarray], slots: np.ndarray
) -> dict[str, float]:
    """How far two logs are apart, by what both know.

    Parameters
    ----------
    one, other : dict of ndarray
        Those of :meth:`Marginals.distributions`.
    slots : ndarray
        How much each slot counts.

    Returns
    -------
    dict of str to float
        Wasserstein's distance of baskets (in items) and gaps (in rounds); of the relative ranks of what is
        bought, the area between the Lorenz curves; the total variation of clicks, a mean over slots.
    """
    found = {}
    for name in one.keys() & other.keys():
        gap = np.abs(
            one[name] - other[name]
            if name in ("popularity", "clicks")
            else np.cumsum(one[name] - other[name])
        )
        if name == "popularity":
            found[name] = float(gap.mean())
        elif name == "clicks":
            found[name] = float(np.average(gap, weights=slots))
        else:
            found[name] = float(gap.sum())
    return found


def visit_counts(
    user: np.ndarray, moment: np.ndarray, item: np.ndarray, last: int, cap: int
) -> State:
    """Counts of visits, from what happened in them.

    Parameters
    ----------
    user : ndarray of int, n
        Codes; a user's rows may come in any order.
    moment : ndarray of int, n
        Rounds, from 0.
    item : ndarray of int, n
        What was bought, -1: nothing.
    last : int
        The log's last round.
    cap : int
        Rounds that a gap is followed.
    """
    rounds = last + 1
    visit, place = np.unique(user.astype(np.int64) * rounds + moment, return_inverse=True)
    bought = item >= 0
    width = int(item.max(initial=0)) + 1
    lines = np.unique(place[bought] * width + item[bought]) // width
    size = np.bincount(lines, minlength=len(visit))
    return {
        "baskets": np.bincount(np.minimum(size, MOST_BASKET), minlength=MOST_BASKET + 1).astype(float),
        "gaps": _gaps(visit, rounds, last, cap),
        "buyers_gaps": _gaps(visit[size > 0], rounds, last, cap),
    }  # fmt: skip


def _gaps(visit: np.ndarray, rounds: int, last: int, cap: int) -> np.ndarray:
    """Of sorted visits (user x rounds + round), those with ``cap`` rounds to go."""
    user, moment = visit // rounds, visit % rounds
    gap = np.full(len(visit), cap + 1)
    again = user[1:] == user[:-1]
    gap[:-1][again] = np.minimum(np.diff(moment)[again], cap + 1)
    counted = gap[moment + cap <= last]
    return np.bincount(counted, minlength=cap + 2).astype(float)
