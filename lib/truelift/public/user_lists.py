"""The first items of users that a result knows, by a score of all items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from truelift.effects.panel.arms import label_of
from truelift.errors import ConfigError, DataError


def first_items(
    known: Sequence[str], items: pa.Array, users: Iterable[Any] | None, count: int, score: str,
    ranked: Callable[[int], tuple[np.ndarray, np.ndarray]],
) -> pa.Table:  # fmt: skip
    """``user_key, rank`` (from 1)``, item_id`` and a score.

    Parameters
    ----------
    known : sequence of str
        Keys of the users that there are.
    items : Array of text
        Keys of the items.
    users : iterable, optional
        Who is asked for; all of them by default.
    count : int
        Most items of a user.
    score : str
        What the column of scores is called.
    ranked : callable
        From a user's place to the places of the items that may be shown, and the scores of all items.

    Raises
    ------
    ConfigError, DataError
        For a count below 1, and users that are not known.
    """
    if count < 1:
        raise ConfigError(f"count: found {count}, expected at least 1.")
    place = {name: number for number, name in enumerate(known)}
    wanted = known if users is None else [key_of(user) for user in users]
    if strangers := [user for user in wanted if user not in place]:
        raise DataError(
            f"users: found {strangers[0]!r}, of whom there is no row. Expected users of the table."
        )
    found: dict[str, list[Any]] = {"user_key": [], "rank": [], "item_id": [], score: []}
    for user in wanted:
        free, scores = ranked(place[user])
        best = free[np.argsort(-scores[free], kind="stable")][:count]
        found["user_key"] += [user] * len(best)
        found["rank"] += range(1, len(best) + 1)
        found["item_id"] += items.take(pa.array(best)).to_pylist()
        found[score] += scores[best].tolist()
    return pa.table(found)


def key_of(user: Any) -> str:
    """A user's key as those of tables are spelt: whole numbers without a point.

    Raises
    ------
    DataError
        For a truth value, which names nobody.
    """
    if isinstance(user, (bool, np.bool_)):
        raise DataError(f"users: found {user}, expected keys of users: texts or whole numbers.")
    return label_of(user) if isinstance(user, (float, np.floating)) else str(user)
