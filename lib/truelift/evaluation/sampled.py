"""Metrics against a sample of the items, for comparison with papers that report them.

Only on request (``sequence.evaluation.sampled_candidates``), and never without :data:`WARNING`.
"""

from __future__ import annotations

import zlib

import numpy as np

from truelift.evaluation.places import Places, places_of
from truelift.models.sequence.histories import ItemSets

WARNING = (
    "Sampled metrics rank a wanted item among a few drawn ones. They are biased and can reverse "
    "the order of two models (Krichene & Rendle, KDD 2020); choose by the full ranking."
)


def sampled_places(
    scores: np.ndarray,
    wanted: ItemSets,
    seen: ItemSets | None,
    users: np.ndarray,
    candidates: int,
    seed: int,
) -> Places:
    """Places among the wanted items and ``candidates`` others, drawn without replacement.

    A user's draw depends on the seed and the user's key alone, so every model meets the same
    candidates, wherever it is evaluated. Where fewer items are left than asked for, all compete.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n, items + 1)
    wanted, seen : ItemSets
        As for :func:`~truelift.evaluation.places.places_of`.
    users : numpy.ndarray of object, shape (n,)
        Keys of the users.
    candidates, seed : int
    """
    items = scores.shape[1] - 1
    places, auc = [], []
    for row in range(len(wanted)):
        mine = wanted.items[wanted.offsets[row] : wanted.offsets[row + 1]]
        free = np.ones(items + 1, dtype=bool)
        free[0] = False
        free[mine] = False
        if seen is not None:
            free[seen.items[seen.offsets[row] : seen.offsets[row + 1]]] = False
        others = np.flatnonzero(free)
        generator = np.random.default_rng([seed, zlib.crc32(str(users[row]).encode())])
        if candidates < len(others):
            others = np.sort(generator.choice(others, candidates, replace=False))
        # In the order of the index, so that ties fall as in the full ranking.
        pool = np.sort(np.concatenate([mine, others]))
        found = places_of(
            np.concatenate([[-np.inf], scores[row, pool]])[None],
            ItemSets(np.array([0, len(mine)]), np.searchsorted(pool, mine) + 1),
        )
        places.append(found.places)
        auc.append(found.auc)
    empty = np.zeros(0)
    return Places(
        wanted.offsets.astype(np.int64),
        wanted.items,
        np.concatenate([empty, *places]).astype(np.int64),
        np.concatenate([empty, *auc]),
    )
