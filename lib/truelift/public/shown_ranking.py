"""Who should be shown what, from a table of what was shown, by which chance, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.distributions import stats
from truelift.errors import ConfigError, DataError
from truelift.evaluation.unbiased import worth_of_places
from truelift.extras import naming_extras
from truelift.models.factors.causal_pairs import (
    PairModel,
    PairOptions,
    fit_causal_pairs,
    signed_weights,
)
from truelift.public.tables import named_columns, number_values, opened, text_codes
from truelift.public.user_lists import first_items

if TYPE_CHECKING:
    import pandas as pd

DLCE, ITEMS, BOUGHT = "dlce", "effect of items", "popularity"
_CONFIDENCE = 0.95
# Rows as which an item's effect is drawn to that of all items.
_PRIOR = 20.0


@dataclass(frozen=True)
class ShownGain:
    """Additional outcomes of showing a user's first items, by logged chances, with its interval over users."""

    ranker: str
    value: float
    lower: float
    upper: float


@dataclass(frozen=True, eq=False)
class ShownRanking:
    """Rankers by what showing changes beside popularity, and the one that makes lists.

    Parameters
    ----------
    champion : str
        ``effect of items``, unless DLCE is better on rows left out, beyond its interval.
    gains : tuple of ShownGain
        Mean effect of the first items (CP@k), on rows left out.
    difference : ShownGain
        DLCE less the effects of items.
    users, top_k : int
    left_out : int
        Rows without user or item, or with a missing number: no outcome is 0, not missing.
    """

    champion: str
    gains: tuple[ShownGain, ...]
    difference: ShownGain
    users: int
    top_k: int
    left_out: int
    _models: Mapping[str, PairModel] = field(repr=False)
    _users: pa.Array = field(repr=False)
    _items: pa.Array = field(repr=False)

    def recommend(self, users: Iterable[Any] | None = None, count: int = 10) -> pa.Table:
        """The items to show to each user first: ``user_key, rank, item_id, score``."""
        every, model = np.arange(len(self._items)), self._models[self.champion]

        def ranked(user: int) -> tuple[np.ndarray, np.ndarray]:
            return every, model.scores(np.array([user]))[0]

        return first_items(self._users.to_pylist(), self._items, users, count, "score", ranked)

    def to_pandas(self) -> pd.DataFrame:
        """A row a ranker."""
        import pandas as pd

        rows = [(g.ranker, g.value, g.lower, g.upper) for g in self.gains]
        return pd.DataFrame(rows, columns=["ranker", "effect", "ci_lower", "ci_upper"])

    def __str__(self) -> str:
        told = [
            f"{g.ranker}: showing a user's first {self.top_k} items changes each one's outcome by {g.value:+.4f} "
            f"({g.lower:+.4f} to {g.upper:+.4f}), over {self.users:,} users."
            for g in self.gains
        ]
        gap = self.difference
        told.append(
            f"{self.champion!r} makes the lists: {DLCE} less {ITEMS} is {gap.value:+.4f} "
            f"({gap.lower:+.4f} to {gap.upper:+.4f})."
        )
        if self.left_out:
            told.append(f"Left out: {self.left_out:,} rows without user, item or number.")
        return "\n".join(told)

    def __repr__(self) -> str:
        return f"ShownRanking({self})"


def rank_by_effect(
    log: Any,
    *,
    user: str = "user_key",
    item: str = "item_id",
    shown: str = "shown",
    outcome: str = "outcome",
    chance: str = "chance",
    top_k: int = 10,
    folds: int = 2,
    options: PairOptions | None = None,
) -> ShownRanking:
    """Rank items for users by what showing them changes.

    DLCE (Sato et al., RecSys 2020), the effects of items that are the same for all users (inverse chances,
    drawn to the mean), and popularity, each judged on rows left out: ``Z Y / p - (1 - Z) Y / (1 - p)`` summed
    over the rows of a user's first items.

    Parameters
    ----------
    log : DataFrame, Arrow table, str or path
        A row a user and item that could have been shown (those of which nothing came too, with outcome 0: they
        say how often an item was tried).
    user, item, shown, outcome, chance : str
        Columns: ``shown`` 1 or 0, ``outcome`` a number above 0 where it was bought, ``chance`` of having been
        shown, within (0, 1).
    top_k, folds : int
    options : PairOptions, optional

    Returns
    -------
    ShownRanking

    Raises
    ------
    TrueliftError
        For a table, column or option that cannot be used.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.rank_by_effect("shown.csv", outcome="bought", chance="propensity")  # doctest: +SKIP
    """
    for name, number, least in (("top_k", top_k, 1), ("folds", folds, 2)):
        if number < least:
            raise ConfigError(f"{name}: found {number}, expected at least {least}.")
    chosen = options or PairOptions()
    names = {"user": user, "item": item, "shown": shown, "outcome": outcome, "chance": chance}
    with naming_extras():
        table = opened(log)
        rows = named_columns(
            table, {n: (c, n) for n, c in names.items()}, frozenset({"user", "item"})
        )
        keys = {
            n: text_codes(rows[n], table.name, names[n]).cast(pa.string()) for n in ("user", "item")
        }
        numbers = {
            n: number_values(rows[n], table.name, names[n]) for n in ("shown", "outcome", "chance")
        }
        whole = np.logical_and.reduce([np.isfinite(v) for v in numbers.values()])
        for column in keys.values():
            whole &= pc.is_valid(column).to_numpy(zero_copy_only=False)
        kept = pa.array(whole)
        held = {n: c.filter(kept) for n, c in keys.items()}
        users, items = pc.unique(held["user"]), pc.unique(held["item"])
        who, what = (
            pc.index_in(held[n], k).to_numpy().astype(np.int64)
            for n, k in (("user", users), ("item", items))
        )
        seen, done, p = (numbers[n][whole] for n in ("shown", "outcome", "chance"))
    if not len(who) or p.min() <= 0 or p.max() >= 1:
        raise DataError(
            f"{table.name}, column {chance!r}: found {p.min() if len(p) else 0:g} to "
            f"{p.max() if len(p) else 0:g}, expected chances above 0 and below 1: what is always or never "
            "shown tells no effect."
        )
    seen, done = seen > 0, done > 0
    if not done.any() or seen.all() or not seen.any():
        raise DataError(
            f"{table.name}: expected rows that were shown and that were not, and outcomes above 0; found "
            f"{int(seen.sum()):,} shown of {len(seen):,}, {int(done.sum()):,} outcomes."
        )
    shape = (len(users), len(items))
    part = np.random.default_rng(chosen.seed).permutation(len(who)) % folds
    parts = {n: np.full((folds, shape[0]), np.nan) for n in (DLCE, ITEMS, BOUGHT)}
    worth = signed_weights(seen, p, 1e-12) * done
    for fold in range(folds):
        others, mine = part != fold, part == fold
        models = _models(
            who[others], what[others], seen[others], done[others], p[others], shape, chosen
        )
        for name, model in models.items():
            parts[name][fold] = _first(model, who[mine], what[mine], worth[mine], shape, top_k)
    gained = {n: np.nanmean(found, axis=0) for n, found in parts.items()}
    gains = {n: _interval(n, values) for n, values in gained.items()}
    gap = _interval("difference", gained[DLCE] - gained[ITEMS])
    champion = DLCE if gap.lower > 0 else ITEMS
    return ShownRanking(
        champion, tuple(gains.values()), gap, shape[0], top_k, int(len(whole) - whole.sum()),
        _models(who, what, seen, done, p, shape, chosen), users, items,
    )  # fmt: skip


def _models(
    who: np.ndarray, what: np.ndarray, seen: np.ndarray, done: np.ndarray, p: np.ndarray,
    shape: tuple[int, int], options: PairOptions,
) -> dict[str, PairModel]:  # fmt: skip
    bought = np.bincount(what[done], minlength=shape[1]).astype(float)
    rows = np.bincount(what, minlength=shape[1])
    effect = np.bincount(what, signed_weights(seen, p, options.cap) * done, shape[1])
    mean = effect.sum() / max(len(what), 1)
    flat = np.zeros((shape[0], 1)), np.zeros((shape[1], 1))
    return {
        DLCE: fit_causal_pairs(who[done], what[done], seen[done], p[done], shape, options),
        ITEMS: PairModel(*flat, (effect + _PRIOR * mean) / (rows + _PRIOR)),
        BOUGHT: PairModel(*flat, bought),
    }


def _first(
    model: PairModel, who: np.ndarray, what: np.ndarray, worth: np.ndarray, shape: tuple[int, int], k: int
) -> np.ndarray:  # fmt: skip
    """Mean worth of the rows of each user that are among his first k of the rows that he has here.

    NaN of a user without a row here, whose mean is that of the other folds.
    """
    score = np.empty(len(who))
    order = np.argsort(who, kind="stable")
    start = np.searchsorted(who[order], np.arange(shape[0] + 1))
    for user in np.unique(who):
        mine = order[start[user] : start[user + 1]]
        score[mine] = model.scores(np.array([user]))[0][what[mine]]
    first = np.bincount(who, worth * worth_of_places(who, score, np.ones(k)), shape[0])
    count = np.diff(start)
    return np.where(count > 0, first / np.maximum(np.minimum(count, k), 1), np.nan)


def _interval(name: str, values: np.ndarray) -> ShownGain:
    users = len(values)
    if users < 2:
        return ShownGain(name, float(values.mean()), -np.inf, np.inf)
    wide = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, users - 1))
    half = wide * float(values.std(ddof=1)) / np.sqrt(users)
    mean = float(values.mean())
    return ShownGain(name, mean, mean - half, mean + half)
