"""Values of policies that fill lists: from the weights of slots, with errors clustered by user.

A list has L slots. A row brings, for each slot k, the weight ``w_k = pi_e(a_k | x, a_1..k-1) /
pi_b(a_k | x, a_1..k-1)`` and the reward ``r_k``; a list that is shorter has weight 1 and reward 0 in
what it lacks. What is assumed about users decides the estimator:

* SIPS: nothing; the product of all weights times all rewards;
* IIPS: a slot's reward depends on its own item (Li et al. 2018): ``sum_k w_k r_k``;
* RIPS: on it and those before (McInerney et al. 2020): ``sum_k w_1 .. w_k r_k``;
* cascade-DR (Kiyohara et al. 2022): as RIPS, with predictions ``q_k`` of a slot's and all later
  rewards given the slots so far, and their mean ``v_k`` over what the policy puts into slot k;
* PI: the list's reward is a sum of what its slots add (Swaminathan et al. 2017), and both policies fill
  slots independently of each other: ``(1 + sum_k (w_k - 1)) sum_k r_k``.

The self-normalised forms divide slot by slot by the sum of the weights that a slot's reward has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError
from truelift.inference.clusters import ClusterSums
from truelift.policy.off_policy.inference import ratios_of

State = dict[str, np.ndarray]
#: In the order of the estimates.
SLATE_ESTIMATORS = ("SIPS", "IIPS", "RIPS", "PI", "SNSIPS", "SNIIPS", "SNRIPS", "cascade-DR")
#: What the lists of the log earned, last.
PRESENT = "present"


@dataclass(frozen=True, eq=False)
class SlateValues:
    """Estimates of the reward of a list, and the reward of the log's lists, last.

    Parameters
    ----------
    names : tuple of str, M
    estimates, standard_errors : ndarray, M
    covariance : ndarray, M x M
        Clustered by user.
    users, lists : int
    """

    names: tuple[str, ...]
    estimates: np.ndarray
    standard_errors: np.ndarray
    covariance: np.ndarray
    users: int
    lists: int

    def __repr__(self) -> str:
        said = ", ".join(
            f"{n} {e:.5g} ± {s:.2g}"
            for n, e, s in zip(self.names, self.estimates, self.standard_errors, strict=True)
        )
        return f"SlateValues({self.lists:,} lists of {self.users:,} users: {said})"


def slate_state(
    users: np.ndarray, weights: np.ndarray, rewards: np.ndarray,
    predicted: np.ndarray | None = None, mean_predicted: np.ndarray | None = None,
) -> State:  # fmt: skip
    """Sums of lists by user and their cross-products, which add up over buckets of whole users.

    Parameters
    ----------
    users : ndarray of uint64, n
    weights, rewards : ndarray, n x L
    predicted, mean_predicted : ndarray, n x L, optional
        q and v of cascade-DR, which needs both.

    Raises
    ------
    DataError
        For arrays that do not belong together, or weights that are negative or missing.
    """
    if weights.shape != rewards.shape or weights.ndim != 2 or len(users) != len(weights):
        raise DataError(
            f"Slates: found weights {weights.shape}, rewards {rewards.shape} and {len(users)} users; "
            "expected weights and rewards of lists x slots, and a user for each list."
        )
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise DataError(
            "Slates: found weights that are missing or negative; expected, for each slot, the "
            "policy's chance of its item divided by the log's."
        )
    n, slots = weights.shape
    lines = np.empty((4 * slots + 5, n))
    running = np.cumprod(weights, axis=1)
    lines[:slots], lines[slots : 2 * slots] = (weights * rewards).T, weights.T
    lines[2 * slots : 3 * slots], lines[3 * slots : 4 * slots] = (running * rewards).T, running.T
    whole = rewards.sum(axis=1)
    lines[4 * slots] = running[:, -1] * whole
    lines[4 * slots + 1] = (1 + (weights - 1).sum(axis=1)) * whole
    lines[4 * slots + 2] = 0.0
    if predicted is not None and mean_predicted is not None:
        before = np.column_stack([np.ones(n), running[:, :-1]])
        parts = running * (rewards - predicted) + before * mean_predicted
        lines[4 * slots + 2] = parts.sum(axis=1)
    lines[4 * slots + 3] = 1.0
    lines[4 * slots + 4] = whole
    sums = ClusterSums(len(lines))
    sums.add(users, lines)
    keys, found = sums.finish()
    return {
        "total": found.sum(axis=1),
        "cross": found @ found.T,
        "clusters": np.array([float(len(keys))]),
        "max_slots": np.array([float(slots)]),
        "max_model": np.array([float(predicted is not None)]),
    }


def slate_values(state: State) -> SlateValues:
    """Estimates of all estimators from a state, added up over buckets; cascade-DR with predictions.

    Raises
    ------
    DataError
        If there are fewer than two users.
    """
    slots, model = int(state["max_slots"][0]), bool(state["max_model"][0])
    own, running = range(slots), range(2 * slots, 3 * slots)
    whole, additive, doubly, lists, present = range(4 * slots, 4 * slots + 5)
    terms: list[list[tuple[int, int]]] = [
        [(whole, lists)],
        [(line, lists) for line in own],
        [(line, lists) for line in running],
        [(additive, lists)],
        [(whole, 4 * slots - 1)],
        _normalised(own, slots),
        _normalised(running, slots),
    ]
    if model:
        terms.append([(doubly, lists)])
    names = (*SLATE_ESTIMATORS[: len(terms)], PRESENT)
    terms.append([(present, lists)])
    estimates, covariance = ratios_of(terms, state)
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    users, count = round(float(state["clusters"][0])), round(float(state["total"][lists]))
    return SlateValues(names, estimates, errors, covariance, users, count)


def _normalised(lines: Iterable[int], slots: int) -> list[tuple[int, int]]:
    """Each slot's rewards by its weights, which lie as many lines further on."""
    return [(line, line + slots) for line in lines]
