"""Policies that fill lists by lot, with the chance of every slot and of the list.

A policy has a weight for every item in every context and a share of exploration: slot k gets item i of
those that are left with chance

    p_k(i) = e / left + (1 - e) w_i / (sum of w over those left)

(Plackett 1975, Luce 1959, mixed with the uniform). Any ranking becomes one by :func:`by_scores` or
:func:`by_rank`. The operator's own lists may also follow the hidden trait h: ``w_i exp(tilt h push)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.errors import ConfigError
from truelift.simulate.shop_world.noise import LIST, stream, uniform

_LEAST = 600.0


@dataclass(frozen=True, eq=False)
class ListPolicy:
    """Lists for every context.

    Parameters
    ----------
    name : str
    weights : ndarray, contexts x items
        At least 0; an item of weight 0 comes by exploration alone, or where nothing else is left.
    explore : float
        Share of each slot that is drawn uniformly.
    tilt : float
        How strongly lists follow what nobody records (of the operator's own alone).
    by_user : bool
        Whether there is a row for every user in every context, the contexts of a user together.
    """

    name: str
    weights: np.ndarray
    explore: float
    tilt: float = 0.0
    by_user: bool = False

    def __post_init__(self) -> None:
        if not (np.all(np.isfinite(self.weights)) and np.all(self.weights >= 0)):
            raise ConfigError(f"{self.name}: found weights that are negative or not numbers.")
        if not 0 <= self.explore <= 1:
            raise ConfigError(f"explore: found {self.explore}, expected a share between 0 and 1.")

    def rows(self, user: np.ndarray, context: np.ndarray, contexts: int) -> np.ndarray:
        """The row of weights of every visit."""
        return user * contexts + context if self.by_user else context


def by_scores(
    name: str, scores: np.ndarray, explore: float, temperature: float, tilt: float = 0.0
) -> ListPolicy:
    """Softmax of scores: what is better by one temperature is e times as likely."""
    if not temperature > 0:
        raise ConfigError(f"temperature: found {temperature}, expected more than 0.")
    gap = (scores - scores.max(axis=1, keepdims=True)) / temperature
    return ListPolicy(name, np.exp(np.maximum(gap, -_LEAST)), explore, tilt)


def by_order(name: str, order: np.ndarray, items: int, explore: float) -> ListPolicy:
    """Given lists, a row a context, but for exploration."""
    weights = np.zeros((len(order), items))
    # What comes next is a billionth as likely, so that slots have their order.
    np.put_along_axis(weights, order, 1e-9 ** np.arange(order.shape[1]), axis=1)
    return ListPolicy(name, weights, explore)


def by_rank(name: str, scores: np.ndarray, explore: float, length: int) -> ListPolicy:
    """The best ``length`` items in their order, but for exploration; ties go to the first item."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :length]
    return by_order(name, order, scores.shape[1], explore)


def random_lists(contexts: int, items: int, name: str = "random") -> ListPolicy:
    """Every item alike."""
    return ListPolicy(name, np.ones((contexts, items)), 1.0)


def draw_lists(
    policy: ListPolicy, length: int, seed: int, moment: int, user: np.ndarray, context: np.ndarray,
    available: np.ndarray, hidden: np.ndarray, push: np.ndarray, empty: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Lists of visits, and the chance with which every slot was filled as it is.

    Parameters
    ----------
    policy : ListPolicy
    length : int
    seed, moment : int
    user, context : ndarray, v
    available : ndarray of bool, items
    hidden : ndarray, v
    push : ndarray, items
    empty : ndarray of bool, v
        Visits without a list: items -1, chances 1.

    Returns
    -------
    items : ndarray of int32, v x length
    chances : ndarray, v x length
        Given the slots before; their product is the chance of the list.
    """
    items = np.full((len(user), length), -1, np.int32)
    chances = np.ones((len(user), length))
    _draw(
        policy.weights, policy.explore, policy.tilt, seed, moment, user, context, available, hidden, push,
        empty, items, chances,
    )  # fmt: skip
    return items, chances


def chances_of(
    policy: ListPolicy, items: np.ndarray, context: np.ndarray, available: np.ndarray
) -> np.ndarray:
    """The chance of every slot of given lists under a policy that knows the context alone (v x L)."""
    chances = np.ones(items.shape)
    _chances(policy.weights, policy.explore, context, available, items, chances)
    return chances


@compiled
def _draw(  # type: ignore[no-untyped-def]
    weights,
    explore,
    tilt,
    seed,
    moment,
    user,
    context,
    available,
    hidden,
    push,
    empty,
    items,
    chances,
):
    start, n = stream(seed, moment, LIST), weights.shape[1]
    left = np.empty(n)
    for v in range(len(user)):
        if empty[v]:
            continue
        row = weights[context[v]]
        total, count = 0.0, 0
        for i in range(n):
            left[i] = row[i] if available[i] else -1.0
            if available[i]:
                count += 1
                if tilt != 0.0:
                    left[i] *= np.exp(tilt * hidden[v] * push[i])
        for k in range(items.shape[1]):
            total = 0.0
            for i in range(n):
                total += left[i] if left[i] > 0.0 else 0.0
            share = explore if total > 0.0 else 1.0
            coin = uniform(start, user[v], 2 * k) < share
            target = uniform(start, user[v], 2 * k + 1) * (count if coin else total)
            chosen, running = -1, 0.0
            for i in range(n):
                if left[i] < 0.0 or (left[i] == 0.0 and not coin):
                    continue
                chosen = i
                running += 1.0 if coin else left[i]
                if running > target:
                    break
            items[v, k] = chosen
            ranked = (1.0 - share) * left[chosen] / total if total > 0.0 else 0.0
            chances[v, k] = share / count + ranked
            left[chosen] = -1.0
            count -= 1


@compiled
def _chances(weights, explore, context, available, items, chances):  # type: ignore[no-untyped-def]
    n = weights.shape[1]
    every = 0
    for i in range(n):
        every += available[i]
    for v in range(len(items)):
        row = weights[context[v]]
        for k in range(items.shape[1]):
            chosen = items[v, k]
            if chosen < 0:
                continue
            # What is left is summed anew: after a sum of the rest is taken off, little is left to trust.
            total = 0.0
            for i in range(n):
                if available[i] and row[i] > 0.0:
                    taken = False
                    for j in range(k):
                        taken |= items[v, j] == i
                    if not taken:
                        total += row[i]
            share = explore if total > 0.0 else 1.0
            ranked = (1.0 - share) * row[chosen] / total if total > 0.0 else 0.0
            chances[v, k] = share / (every - k) + ranked
