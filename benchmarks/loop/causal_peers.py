"""Published rankers by effect and by likelihood, rebuilt on arrays for :mod:`causal_worlds`.

Every ranker is a function of the logged rounds and a setting to scores (users x items). Settings that
are tried are listed beside it, as many for each; which one counts is decided on logs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.models.factors.kernels import fit_pairs
from truelift.models.factors.shown import ShownLog

Setting = dict[str, Any]
RANK = 64


@dataclass(frozen=True)
class Method:
    """A ranker and the settings that are tried."""

    name: str
    fit: Callable[[Sequence[ShownLog], Setting, int], np.ndarray]
    settings: tuple[Setting, ...]


def _start(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    left, right = (0.1 * rng.normal(size=(n, RANK)) for n in shape)
    return left, right, np.zeros(shape[1])


def _cells(logs: Sequence[ShownLog]) -> tuple[np.ndarray, ...]:
    """Users, items, shown and chance of all purchases of all rounds."""
    found = [np.nonzero(log.bought) for log in logs]
    return (
        np.concatenate([u for u, _ in found]),
        np.concatenate([i for _, i in found]),
        np.concatenate([log.shown[c] for log, c in zip(logs, found, strict=True)]),
        np.concatenate([log.chance[c] for log, c in zip(logs, found, strict=True)]),
    )


def random_order(logs: Sequence[ShownLog], setting: Setting, seed: int) -> np.ndarray:
    """By lot."""
    return np.random.default_rng(seed).random(logs[0].shown.shape)


def popularity(logs: Sequence[ShownLog], setting: Setting, seed: int) -> np.ndarray:
    """What is bought most, shown or not."""
    return np.broadcast_to(sum(log.bought.sum(0) for log in logs), logs[0].shown.shape)


def bpr(logs: Sequence[ShownLog], setting: Setting, seed: int) -> np.ndarray:
    """Rendle et al. (UAI 2009): what is bought before what is not."""
    users, items, *_ = _cells(logs)
    left, right, bias = _start(logs[0].shown.shape, seed)
    bought = np.any([log.bought for log in logs], axis=0)
    fit_pairs(
        users, items, np.ones(len(users)), left, right, bias, setting["steps"], setting["rate"],
        setting["penalty"], seed, bought,
    )  # fmt: skip
    return left @ right.T + bias


def dlce(logs: Sequence[ShownLog], setting: Setting, seed: int) -> np.ndarray:
    """Sato et al. (RecSys 2020): pairs weighted by capped inverse chances, purchases unshown downwards."""
    users, items, shown, chance = _cells(logs)
    left, right, bias = _start(logs[0].shown.shape, seed)
    cap = setting["cap"]
    weight = np.where(shown, 1 / np.maximum(chance, cap), -1 / np.maximum(1 - chance, cap))
    nothing = np.zeros(logs[0].shown.shape, bool)
    fit_pairs(
        users, items, weight, left, right, bias, setting["steps"], setting["rate"],
        setting["penalty"], seed, nothing,
    )  # fmt: skip
    return left @ right.T + bias


@compiled
def _uplift_pairs(code, alpha, steps, seed):  # type: ignore[no-untyped-def]
    """Triplets of Sato et al. (RecSys 2019); code is 2 shown + bought, of one round."""
    np.random.seed(seed)
    users, items = code.shape
    found = np.empty((steps, 3), np.int64)
    for step in range(steps):
        if np.random.random() <= alpha:  # bought unshown is worse than not bought unshown
            better = 3 if np.random.random() < 0.5 else 0
            worse = 2 if np.random.random() < 0.5 else 1
        else:
            better = 3
            worse = np.random.randint(0, 3)
        while True:
            u = np.random.randint(0, users)
            i = j = -1
            # The k-th of its kind, by one walk around the user's items.
            start = np.random.randint(0, items)
            for k in range(items):
                place = (start + k * 7919) % items
                if i < 0 and code[u, place] == better:
                    i = place
                if j < 0 and code[u, place] == worse:
                    j = place
                if i >= 0 and j >= 0:
                    break
            if i >= 0 and j >= 0:
                break
        found[step, 0], found[step, 1], found[step, 2] = u, i, j
    return found


@compiled
def _fit_triplets(triplets, left, right, rate, penalty, logistic):  # type: ignore[no-untyped-def]
    """Pairs if logistic is False; else single cells ``(u, i, label)``."""
    rank, steps = left.shape[1], len(triplets)
    for step in range(steps):
        u, i, j = triplets[step, 0], triplets[step, 1], triplets[step, 2]
        pace = rate * (1.0 - 0.9 * step / steps)
        score = 0.0
        if logistic:
            for f in range(rank):
                score += left[u, f] * right[i, f]
            pull = j - 1.0 / (1.0 + np.exp(-score))
            for f in range(rank):
                a, b = left[u, f], right[i, f]
                left[u, f] += pace * (pull * b - penalty * a)
                right[i, f] += pace * (pull * a - penalty * b)
        else:
            for f in range(rank):
                score += left[u, f] * (right[i, f] - right[j, f])
            pull = 1.0 / (1.0 + np.exp(score))
            for f in range(rank):
                a, b, c = left[u, f], right[i, f], right[j, f]
                left[u, f] += pace * (pull * (b - c) - penalty * a)
                right[i, f] += pace * (pull * a - penalty * b)
                right[j, f] += pace * (-pull * a - penalty * c)


def _codes(log: ShownLog) -> np.ndarray:
    return (2 * log.shown + log.bought).astype(np.int8)


def ulbpr(logs: Sequence[ShownLog], setting: Setting, seed: int) -> np.ndarray:
    """Sato et al. (RecSys 2019), pairwise: bought when shown before all else."""
    left, right, _ = _start(logs[0].shown.shape, seed)
    each = setting["steps"] // len(logs)
    drawn = [
        _uplift_pairs(_codes(log), setting["alpha"], each, seed + r) for r, log in enumerate(logs)
    ]
    triplets = np.stack(drawn, axis=1).reshape(-1, 3)
    _fit_triplets(triplets, left, right, setting["rate"], setting["penalty"], False)
    return left @ right.T


def ulrmf(logs: Sequence[ShownLog], setting: Setting, seed: int) -> np.ndarray:
    """Sato et al. (RecSys 2019), pointwise: a label of one for bought when shown, half of cells shown."""
    rng = np.random.default_rng(seed)
    left, right, _ = _start(logs[0].shown.shape, seed)
    steps, nothing = setting["steps"], 0.8
    parts = []
    for log in logs:
        code = _codes(log)
        for kind, share in ((3, 1 - nothing), (2, nothing), (1, 1 - nothing), (0, nothing)):
            user, item = np.nonzero(code == kind)
            drawn = rng.integers(0, len(user), int(steps / len(logs) * 0.5 * share))
            likely = kind == 3 or (kind == 0 and setting["alpha"] > 0)
            label = (rng.random(len(drawn)) < (1.0 if kind == 3 else setting["alpha"])) & likely
            parts.append(np.stack([user[drawn], item[drawn], label.astype(np.int64)], axis=1))
    cells = rng.permutation(np.concatenate(parts))
    _fit_triplets(cells, left, right, setting["rate"], setting["penalty"], True)
    return left @ right.T


def neighbours(logs: Sequence[ShownLog], setting: Setting, seed: int) -> np.ndarray:
    """Sato, Singh & Ohkuma (2021): what users alike did with the item shown, less without.

    Alike by what they bought (``bought``) or were shown (``shown``), by the cosine to a power.
    """
    scores = np.zeros(logs[0].shown.shape)
    alike = np.zeros((len(scores), len(scores)))
    for log in logs:
        sets = (log.bought if setting["alike"] == "bought" else log.shown).astype(np.float32)
        size = np.sqrt(np.maximum(sets.sum(1), 1))
        alike += (sets @ sets.T) / (size[:, None] * size)
    alike /= len(logs)
    np.fill_diagonal(alike, 0.0)
    if (most := setting["most"]) < len(alike):
        least = np.partition(alike, -most, axis=1)[:, -most][:, None]
        alike = np.where(alike >= least, alike, 0.0)
    alike = (alike ** setting["power"]).astype(np.float32)
    total, calm = alike.sum(1)[:, None] * len(logs), setting["shrink"]
    parts = [
        sum(alike @ part.astype(np.float32) for part in kind)
        for kind in (
            [log.shown & log.bought for log in logs], [log.shown for log in logs],
            [~log.shown & log.bought for log in logs],
        )
    ]  # fmt: skip
    scores = parts[0] / (calm + parts[1]) - parts[2] / (calm + total - parts[1])
    return np.asarray(scores)
