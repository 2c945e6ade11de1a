"""Rows of ``gold.recommendations`` that know effects: relevance, effect with interval, and the chance of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.evaluation import champion, lists
from truelift.lake.tables import table_spec
from truelift.models.sequence.histories import Histories
from truelift.recommend.relevance import whole_users
from truelift.recommend.shown.effects import ShownEffects, half_width
from truelift.recommend.shown.ranking import Lists, RankBy, context_shares, ranked_lists
from truelift.serving.ranking import drop_seen
from truelift.serving.scorer import CHUNK, Scorer

_SCHEMA = table_spec("gold.recommendations").arrow


@dataclass(frozen=True, eq=False)
class EffectLists:
    """How lists of users are made; nothing here is of the size of users times items but a chunk's scores.

    Parameters
    ----------
    how : RankBy
    count : int
        Slots.
    seen_items : str
    category : ndarray of int, items + 1
    effects : ShownEffects, optional
        None: lists by relevance, with a share drawn by lot.
    price : ndarray, items + 1, optional
    """

    how: RankBy
    count: int
    seen_items: str
    category: np.ndarray
    effects: ShownEffects | None = None
    price: np.ndarray | None = None

    def chunks(
        self, scorer: Scorer, histories: Histories
    ) -> Iterator[tuple[Histories, np.ndarray, np.ndarray]]:
        """Some hundred users at a time: histories, chances of every item by the model, who may get what."""
        for start in range(0, len(histories), CHUNK):
            some = histories.slice(start, min(start + CHUNK, len(histories)))
            scores = np.asarray(scorer.ranker.scores(some), np.float64)
            known = drop_seen(scores, some) if self.seen_items == "drop" else scores
            yield some, likely(scores), known > champion.UNKNOWN

    def of(self, some: Histories, relevance: np.ndarray, usable: np.ndarray) -> Lists:
        """Lists of some users."""
        shares = np.zeros((len(some), int(self.category.max(initial=0)) + 1))
        if self.effects is not None:
            shares = context_shares(some.owner, some.items, len(some), self.category, self.effects)
        return ranked_lists(
            self.how, self.effects, self.category, shares, hash_keys(pa.array(some.users)), self.count,
            usable, relevance, self.price,
        )  # fmt: skip


def likely(scores: np.ndarray) -> np.ndarray:
    """Chances that an item comes next, by the model: a softmax over items; 0 for what cannot be ranked."""
    usable = np.isfinite(scores) & (scores > champion.UNKNOWN)
    usable[:, 0] = False
    peak = np.where(usable, scores, -np.inf).max(axis=1, keepdims=True)
    raised = np.where(usable, np.exp(np.where(usable, scores - peak, 0.0)), 0.0)
    return np.asarray(raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-300))


class Ranks(Protocol):
    """What relevance comes from: a ranker, its items by index, and the users that are asked for (None: all)."""

    @property
    def item_keys(self) -> tuple[str, ...]:
        """Keys of the items."""

    @property
    def users(self) -> frozenset[str] | None:
        """Keys of the users."""

    def scorer(self) -> Scorer:
        """Ready to rank."""


@dataclass(frozen=True, eq=False)
class EffectKernel:
    """Rows of ``gold.recommendations`` for the users of one bucket.

    Parameters
    ----------
    base : Ranks
        The model, the items and users that are asked for.
    made : EffectLists
    confidence : float
    """

    base: Ranks
    made: EffectLists
    confidence: float

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Lists of the bucket's users, by user key."""
        histories = whole_users(tables["sequences"])
        if self.base.users is not None:
            histories = histories.take(lists.users_among(histories, self.base.users))
        keys = np.array(("", *self.base.item_keys), dtype=object)
        parts = [
            self._rows(bucket, keys, *chunk[:2], self.made.of(*chunk))
            for chunk in self.made.chunks(self.base.scorer(), histories)
        ]
        return pa.concat_tables(parts) if parts else _SCHEMA.empty_table()

    def _rows(
        self, bucket: int, keys: np.ndarray, some: Histories, relevance: np.ndarray, found: Lists
    ) -> pa.Table:
        user, slot = np.nonzero(found.items > 0)
        item = found.items[user, slot]
        effect, error = found.effect[user, slot], found.error[user, slot]
        half = half_width(self.confidence) * error
        effects, by_lot = self.made.effects, found.by_lot[user, slot]
        times = effects.times.sum(axis=0)[item] if effects is not None else np.zeros(len(item))
        said = [reason(*row) for row in zip(effect, half, times, by_lot, strict=True)]
        return pa.table(
            {
                "user_key": some.users[user],
                "rank": slot + 1,
                "item_key": keys[item],
                "score": found.score[user, slot],
                "reason": said,
                "relevance": relevance[user, item],
                "effect": pa.array(effect, from_pandas=True),
                "effect_lower": pa.array(effect - half, from_pandas=True),
                "effect_upper": pa.array(effect + half, from_pandas=True),
                "propensity": found.propensity[user, slot],
                "bucket": np.full(len(user), bucket),
            },
        ).cast(_SCHEMA)


def reason(effect: float, half: float, times: float, by_lot: bool) -> str:
    """Why an item stands where it stands, in numbers that a shop can read."""
    if not np.isfinite(effect):
        return "by lot, to learn" if by_lot else "sequence model"
    ends = f"{100 * (effect - half):+.1f} to {100 * (effect + half):+.1f}"
    seen = f"shown {times:,.0f} times" if times else "never shown: as its category"
    told = f"{100 * effect:+.1f} purchases in 100 lists ({ends}), {seen}"
    return f"by lot, to learn: {told}" if by_lot else told
