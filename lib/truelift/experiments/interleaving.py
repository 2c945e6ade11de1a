"""Two rankers in one list: whose items are preferred, and whose change more.

*Team draft* (Radlinski, Kurup & Joachims 2008): in each round a coin says which ranker picks first, and
each picks its best item that is not yet in the list. Clicks are credited to the ranker that picked.
That compares clicks *on* the list: items that people would have found anyway count in full.

*Causal interleaving* asks what an item's place in the list changes (Sato 2021), so that it counts
outcomes of items that were not shown, too. Here items of both rankings are always shown; the others are
paired by rank, and a coin shows one of each pair. Every one of them is shown with the chance one half,
which inverse propensities undo. Items must not change each other's outcomes.

All coins are hashes of the list's key, so that a list can be made again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import special

from truelift.arrays.keys import count_nameless, hash_keys, mix
from truelift.errors import DataError
from truelift.experiments.metrics import among
from truelift.inference.clusters import ClusterSums

METHODS = ("team draft", "causal")
BOTH = -1
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Interleaved:
    """Lists of two rankers.

    Parameters
    ----------
    items : ndarray, n x m
        Candidates of each list: of a team draft the k shown ones, in order; of causal interleaving
        all items of both rankings, -1 where a list has fewer.
    team : ndarray of int, n x m
        0 or 1: the ranker that brought the item; -1 for both, or no item.
    shown : ndarray of bool, n x m
    method : str
    """

    items: np.ndarray
    team: np.ndarray
    shown: np.ndarray
    method: str


@dataclass(frozen=True)
class Preference:
    """The second ranker against the first.

    Parameters
    ----------
    estimate, standard_error, ci_lower, ci_upper, p_value : float
        Of a team draft: credited outcomes a list, second less first. Of causal interleaving: outcomes
        that the shown places cause, by ranker and list, second less first.
    lists, clusters : int
    method : str
    """

    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    p_value: float
    lists: int
    clusters: int
    method: str

    def __repr__(self) -> str:
        return (
            f"Preference({self.method}: second less first {self.estimate:+.4g} a list "
            f"[{self.ci_lower:.4g}, {self.ci_upper:.4g}], p {self.p_value:.3g}, {self.lists:,} lists of "
            f"{self.clusters:,} clusters)"
        )


def team_draft(first: np.ndarray, second: np.ndarray, lists: pa.Array, salt: str) -> Interleaved:
    """Interleave by drafting teams.

    Parameters
    ----------
    first, second : ndarray of int, n x k
        The rankers' items, best first, all different within a ranking.
    lists : pyarrow.Array, n
        Keys of the lists.
    salt : str
    """
    _checked(first, second)
    count, length = first.shape
    items, team = np.full((count, length), -1, np.int64), np.full((count, length), -1)
    rankings, each = (first, second), np.arange(count)
    for place in range(length):
        if place % 2 == 0:
            begins = _coins(lists, salt, place)
        picks = np.where(begins, 1, 0) if place % 2 == 0 else np.where(begins, 0, 1)
        for ranker, ranking in enumerate(rankings):
            own = np.flatnonzero(picks == ranker)
            taken = (ranking[own][:, :, None] == items[own][:, None, :place]).any(axis=2)
            items[own, place] = ranking[own, np.argmin(taken, axis=1)]
        team[each, place] = picks
    return Interleaved(items, team, np.ones((count, length), bool), METHODS[0])


def causal_interleaving(
    first: np.ndarray, second: np.ndarray, lists: pa.Array, salt: str
) -> Interleaved:
    """Interleave so that every item of one ranking alone is shown with the chance one half.

    Parameters
    ----------
    first, second : ndarray of int, n x k
    lists : pyarrow.Array, n
    salt : str
    """
    _checked(first, second)
    length = first.shape[1]
    of_both = [
        (a[:, :, None] == b[:, None, :]).any(axis=2) for a, b in ((first, second), (second, first))
    ]
    # Items of one ranking alone come first, in their order: the i-th of either are a pair.
    order = [np.argsort(both, axis=1, kind="stable") for both in of_both]
    ranked = [np.take_along_axis(r, o, axis=1) for r, o in zip((first, second), order, strict=True)]
    common = np.take_along_axis(of_both[0], order[0], axis=1)
    coins = np.stack([_coins(lists, salt, place) for place in range(length)], axis=1)
    items = np.concatenate([ranked[0], np.where(common, -1, ranked[1])], axis=1)
    team = np.concatenate([np.where(common, BOTH, 0), np.where(common, BOTH, 1)], axis=1)
    shown = np.concatenate([common | ~coins, ~common & coins], axis=1)
    return Interleaved(items, team, shown, METHODS[1])


def preference(
    lists: Interleaved, outcome: np.ndarray, cluster: pa.Array, confidence: float = 0.95
) -> Preference:
    """Compare the rankers, with errors clustered by user.

    Parameters
    ----------
    lists : Interleaved
    outcome : ndarray, n x m
        Of each candidate: of a team draft clicks or purchases of shown items; of causal interleaving
        also those of items that were not shown.
    cluster : pyarrow.Array, n
    confidence : float

    Raises
    ------
    DataError
        If shapes differ, there are fewer than two clusters, or all say the same to the last digit: that
        has no error, and is no finding.
    """
    if outcome.shape != lists.items.shape or len(cluster) != len(outcome):
        raise DataError(
            f"Outcomes of shape {outcome.shape} of {len(cluster)} clusters' lists; expected "
            f"{lists.items.shape}."
        )
    _check_names(cluster, "cluster")
    if wrong := int(np.count_nonzero(~np.isfinite(outcome))):
        raise DataError(
            f"outcome: {wrong:,} values are missing or not finite; expected 0 where nothing came of it."
        )
    sign = np.where(lists.team == 1, 1.0, -1.0) * (lists.team >= 0)
    if lists.method == METHODS[1]:
        # Outcome over its chance where shown, less the same where not: half of either.
        sign = sign * np.where(lists.shown, 2.0, -2.0)
    each = (sign * outcome).sum(axis=1)
    sums = ClusterSums(2)
    sums.add(hash_keys(cluster), np.stack([np.ones(len(each)), each]))
    _, (size, total) = sums.finish()
    count = len(size)
    if count < 2:
        raise DataError(f"{count} cluster(s); a comparison takes at least two.")
    estimate = float(each.mean())
    residual = total - estimate * size
    error = float(np.sqrt(residual @ residual * count / (count - 1)) / len(each))
    if error <= _ROUNDING * float(np.abs(outcome).max(initial=0.0)):
        raise DataError(
            f"outcome: every cluster has the same difference between the rankers ({estimate:g} a list), so "
            "nothing tells its error; expected outcomes that differ between lists, with 0 where nothing came "
            "of an item."
        )
    reach = float(special.stdtrit(count - 1, 0.5 + confidence / 2)) * error
    p_value = float(2 * special.stdtr(count - 1, -abs(estimate) / error))
    return Preference(
        estimate, error, estimate - reach, estimate + reach, p_value, len(each), count, lists.method
    )


def interleave(
    first: np.ndarray, second: np.ndarray, lists: pa.Array, salt: str, method: str
) -> Interleaved:
    """One of the two, by its name.

    Raises
    ------
    ConfigError
        For a method that there is not.
    """
    among(method, METHODS, "method")
    if len(lists) != len(first):
        raise DataError(
            f"lists: found {len(lists):,} keys of {len(first):,} lists, expected one each."
        )
    _check_names(lists, "lists")
    make = team_draft if method == METHODS[0] else causal_interleaving
    return make(first, second, lists, salt)


def _check_names(keys: pa.Array, argument: str) -> None:
    """Refuse keys that name nothing: together they would be one, with one coin and one error."""
    if nameless := count_nameless(keys)[0]:
        raise DataError(
            f"{argument}: {nameless:,} of {len(keys):,} keys are null, NaN or blank; expected one in every "
            "place."
        )


def _coins(lists: pa.Array, salt: str, place: int) -> np.ndarray:
    salted = hash_keys(pa.array([f"{salt} {place}"]))[0]
    return mix(hash_keys(lists) ^ salted) >> np.uint64(63) == 1


def _checked(first: np.ndarray, second: np.ndarray) -> None:
    if first.ndim != 2 or first.shape != second.shape or not first.size:
        raise DataError(
            f"Rankings of shapes {first.shape} and {second.shape}; expected the same lists with the "
            "same number of items."
        )
    for name, ranking in (("first", first), ("second", second)):
        ordered = np.sort(ranking, axis=1)
        if (ordered[:, 1:] == ordered[:, :-1]).any() or (ranking < 0).any():
            raise DataError(f"The {name} ranking has an item twice, or a negative one, in a list.")
