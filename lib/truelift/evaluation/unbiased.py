"""What scores are worth on rows that were drawn by lot, or by weights on rows that were not.

Every figure is a ratio of sums over rows (AUC a ratio of sums over pairs), so each has an influence
function; it is added up by user, and intervals and differences of two scores follow. AUC: DeLong, DeLong
& Clarke-Pearson (Biometrics 1988), weighted. With weights ``1 / p`` rows that people chose stand for all
(Swaminathan & Joachims 2015, self-normalised).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from truelift.arrays.distributions import stats
from truelift.errors import DataError

CONFIDENCE = 0.95
MEASURES = ("auc", "ndcg", "recall_at_k", "accuracy", "recall", "precision", "f1")


@dataclass(frozen=True, eq=False)
class Judged:
    """A figure with its interval over users.

    Parameters
    ----------
    name : str
    value, lower, upper : float
    users : int
    """

    name: str
    value: float
    lower: float
    upper: float
    users: int
    _influence: np.ndarray = field(repr=False)

    @property
    def influence(self) -> np.ndarray:
        """What each user moves the figure by; differences of figures on the same rows come of it."""
        return self._influence

    def less(self, other: Judged) -> Judged:
        """The difference to another score's figure on the same rows."""
        moved = self._influence - other._influence
        return _told(self.name, self.value - other.value, moved, self.users)


def judge(
    users: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray | None = None,
    k: int = 5,
    cut: float = 0.5,
    cut_by_share: bool = False,
    shares_known: bool = False,
) -> dict[str, Judged]:
    """AUC, NDCG@k, recall@k, accuracy, recall, precision and F1.

    Parameters
    ----------
    users : ndarray of int, n
    labels : ndarray of bool, n
    scores : ndarray, n
    weights : ndarray, n, optional
        ``1 / chance`` of rows that were not drawn by lot.
    k : int
        Places of NDCG and of recall@k (``recall_at_k``: of a user's positive rows, the share among the
        first k), which are means over users with a positive row, each among their own rows.
    cut : float
        A score above it is a prediction of a positive label.
    cut_by_share : bool
        Whether the cut lies where as many rows are foretold positive as are, and so moves with the rows.
    shares_known : bool
        Whether weights were scaled so that positive rows together count a known share.

    Raises
    ------
    DataError
        If all labels are the same.
    """
    positive = np.asarray(labels, bool)
    if not positive.any() or positive.all():
        raise DataError("evaluation: found labels of one kind alone, expected both.")
    mass = np.ones(len(scores)) if weights is None else np.asarray(weights, float)
    owner = np.unique(users, return_inverse=True)[1]
    said = np.asarray(scores) > cut
    hit = positive & said
    ratios = {
        "accuracy": (positive == said, np.ones(len(said))),
        "recall": (hit, positive),
        "precision": (hit, said),
        "f1": (2 * hit, 1.0 * positive + said),
    }
    found = {
        "auc": _auc(owner, positive, scores, mass),
        "ndcg": _first(owner, positive, scores, mass, 1 / np.log2(np.arange(k) + 2), whole=False),
        "recall_at_k": _first(owner, positive, scores, mass, np.ones(k), whole=True),
    }
    # What a row more that is foretold positive adds to a part and to a whole, where the cut makes up for those too many.
    near = _positive_near(positive, np.asarray(scores), mass, cut) if cut_by_share else 0.0
    moved = {
        "accuracy": (2 * near - 1, 0.0),
        "recall": (near, 0.0),
        "precision": (near, 1.0),
        "f1": (2 * near, 1.0),
    }
    for name, (part, whole) in ratios.items():
        below = float((mass * whole).sum())
        value = float((mass * part).sum()) / below if below else 0.0
        influence = part - value * whole
        if cut_by_share:
            on_part, on_whole = moved[name]
            influence = influence - (on_part - value * on_whole) * (1.0 * said - positive)
        if shares_known:
            for own in (positive, ~positive):
                influence[own] -= np.average(influence[own], weights=mass[own])
        found[name] = _told(name, value, np.bincount(owner, mass * influence / (below or 1.0)))
    return found


def _positive_near(positive: np.ndarray, scores: np.ndarray, mass: np.ndarray, cut: float) -> float:
    """The share of positive rows among those with scores about a cut, of so many rows that it settles as they grow."""
    order = np.argsort(scores, kind="stable")
    share = np.cumsum(mass[order]) / mass.sum()
    middle = float(mass[scores <= cut].sum() / mass.sum())
    width = 0.5 * len(scores) ** -0.2
    near = order[np.abs(share - middle) <= width / 2]
    return float(np.average(positive[near], weights=mass[near])) if mass[near].sum() else 0.5


def _auc(owner: np.ndarray, positive: np.ndarray, scores: np.ndarray, mass: np.ndarray) -> Judged:
    place = np.unique(scores, return_inverse=True)[1]
    size = int(place.max()) + 1
    of_positive = np.bincount(place[positive], mass[positive], size)
    of_negative = np.bincount(place[~positive], mass[~positive], size)
    below = np.cumsum(of_negative) - 0.5 * of_negative
    above = of_positive.sum() - np.cumsum(of_positive) + 0.5 * of_positive
    value = float((of_positive * below).sum() / (of_positive.sum() * of_negative.sum()))
    better = np.where(
        positive, below[place] / of_negative.sum() - value, above[place] / of_positive.sum() - value
    )
    whole = np.where(positive, of_positive.sum(), of_negative.sum())
    return _told("auc", value, np.bincount(owner, mass * better / whole))


def _first(
    owner: np.ndarray, positive: np.ndarray, scores: np.ndarray, mass: np.ndarray, fall: np.ndarray,
    whole: bool,
) -> Judged:  # fmt: skip
    """Positive rows among a user's first ones, each worth ``fall`` of its place.

    Against all his positive rows (``whole``), or against the first ones in the best order.
    """
    gain = mass * positive

    def gained(by: np.ndarray) -> np.ndarray:
        return np.bincount(owner, gain * worth_of_places(owner, by, fall))

    best = np.bincount(owner, gain) if whole else gained(gain)
    counted = best > 0
    own = np.divide(gained(np.asarray(scores)), best, out=np.zeros(len(best)), where=counted)
    value = float(own[counted].mean())
    users = int(counted.sum())
    name = "recall_at_k" if whole else "ndcg"
    return _told(name, value, np.where(counted, own - value, 0.0) / users, users)


def worth_of_places(owner: np.ndarray, scores: np.ndarray, fall: np.ndarray) -> np.ndarray:
    """What the place of every row among its owner's is worth (n); places after the last of ``fall`` nothing.

    Rows with the same score share what their places are worth, so that it does not matter in which order
    they come: a table that has the positive rows first would else flatter whoever cannot tell rows apart.

    Parameters
    ----------
    owner : ndarray of int, n
    scores : ndarray, n
    fall : ndarray, k
        By place, the best first.
    """
    order = np.lexsort((-scores, owner))
    whose, score = owner[order], scores[order]
    rank = np.arange(len(order)) - np.searchsorted(whose, whose)
    worth = np.where(rank < len(fall), fall[np.minimum(rank, len(fall) - 1)], 0.0)
    fresh = np.ones(len(order), bool)
    fresh[1:] = (whose[1:] != whose[:-1]) | (score[1:] != score[:-1])
    level = np.cumsum(fresh) - 1
    found = np.empty(len(order))
    found[order] = (np.bincount(level, worth) / np.bincount(level))[level] if len(order) else worth
    return found


def _told(name: str, value: float, influence: np.ndarray, users: int | None = None) -> Judged:
    """A figure by its influence function, of so many users; one user tells nothing of others."""
    users = len(influence) if users is None else users
    half = np.inf
    if users > 1:
        error = float(np.sqrt(users / (users - 1) * np.square(influence).sum()))
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, users - 1)) * error
    return Judged(name, value, value - half, value + half, users, influence)
