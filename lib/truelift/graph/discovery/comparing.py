"""How far a learned pattern is from a true one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.graph.discovery.pattern import Pattern


@dataclass(frozen=True)
class Distance:
    """A learned pattern beside the true one.

    Parameters
    ----------
    precision, recall, f1 : float
        Of edges, whatever their ends.
    arrow_precision, arrow_recall : float
        Of arrows ``i -> j``; NaN where the learned (the true) pattern has none.
    shd : int
        Pairs whose edge differs in being there or in a mark.
    false_arrows : int
        Learned arrows that the true pattern has not.
    """

    precision: float
    recall: float
    f1: float
    arrow_precision: float
    arrow_recall: float
    shd: int
    false_arrows: int


def distance(truth: Pattern, learned: Pattern) -> Distance:
    """Compare two patterns on the same names in the same order."""
    upper = np.triu(np.ones(truth.marks.shape, bool), 1)
    true, found = truth.adjacent & upper, learned.adjacent & upper
    both = int((true & found).sum())
    arrows = int((truth.directed & learned.directed).sum())
    differ = (truth.marks != learned.marks) | (truth.marks != learned.marks).T
    precision, recall = _share(both, found.sum()), _share(both, true.sum())
    return Distance(
        precision,
        recall,
        2 * both / max(int(true.sum() + found.sum()), 1),
        _share(arrows, learned.directed.sum()),
        _share(arrows, truth.directed.sum()),
        int((differ & upper).sum()),
        int(learned.directed.sum()) - arrows,
    )


def _share(part: int, whole: int) -> float:
    return part / int(whole) if whole else float("nan")
