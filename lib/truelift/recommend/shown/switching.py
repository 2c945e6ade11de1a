"""What lists are worth by effects that had no part in choosing them, and what changing to others brings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.recommend.shown.effects import OTHER, OWN, ShownEffects, half_width
from truelift.recommend.shown.ranking import effects_for

_LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class Judged:
    """Lists of users, valued.

    Parameters
    ----------
    value : float
        Mean of what a list adds, in purchases.
    weights : ndarray, 2 x items + 1
        What a list's value changes by with each item's effect, at most.
    """

    value: float
    weights: np.ndarray


def judged(
    effects: ShownEffects, category: np.ndarray, shares: np.ndarray, items: np.ndarray
) -> Judged:
    """``sum_c P(o_c + sum of e_k phi) - P(o_c)`` of lists (n x slots; 0 is an empty place)."""
    estimate, _, chance = effects_for(effects, shares, category)
    before = chance / (1 - chance)
    now = before.copy()
    weights = np.zeros_like(effects.estimate)
    n, row = len(items), np.arange(len(items))
    for slot in range(items.shape[1]):
        item = items[:, slot]
        there = item > 0
        eye = effects.eyes[min(slot, len(effects.eyes) - 1)]
        own = category[item]
        with_item = np.clip(chance[row, own] + estimate[row, item], _LEAST / 2, 1 - _LEAST)
        added = with_item / (1 - with_item) - before[row, own]
        now[row, own] = np.maximum(now[row, own] + np.where(there, eye * added, 0.0), 0.0)
        likely = shares[row, own]
        weights[OWN] += np.bincount(item, there * eye * likely, weights.shape[1])
        weights[OTHER] += np.bincount(item, there * eye * (1 - likely), weights.shape[1])
    added_up = (now / (1 + now) - before / (1 + before)).sum(axis=1)
    return Judged(float(added_up.mean()) if n else 0.0, weights / max(n, 1))


def difference(
    judges: tuple[ShownEffects, ShownEffects], category: np.ndarray,
    new: tuple[Judged, Judged], old: tuple[Judged, Judged], confidence: float,
) -> tuple[float, float, float]:  # fmt: skip
    """New lists less old ones, the mean over both judges, with its interval.

    Each judge is a half of the users, who had no part in what he judges; the two are independent.
    """
    gaps = [n.value - o.value for n, o in zip(new, old, strict=True)]
    errors = [
        judge.error_of_sum(n.weights - o.weights, category)
        for judge, n, o in zip(judges, new, old, strict=True)
    ]
    gain, half = (
        float(np.mean(gaps)),
        half_width(confidence) * float(np.hypot(errors[0], errors[1])) / 2,
    )
    return gain, gain - half, gain + half
