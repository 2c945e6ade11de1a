"""Rows of ``gold.recommendations`` that know effects: relevance, effect with interval, and the chance of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.evaluation import champion, lists
from truelift.lake.tables import table_spec
from truelift.models.sequence.histories import Histories
from truelift.recommend.limits.bounds import BUDGET, FLOOR, RULE, STOCK, Bounds
from truelift.recommend.limits.limits import Cutoffs, Limits
from truelift.recommend.relevance import whole_users
from truelift.recommend.shown.effects import ShownEffects, half_width
from truelift.recommend.shown.ranking import Lists, RankBy, context_shares, ranked_lists
from truelift.serving.ranking import drop_seen
from truelift.serving.scorer import CHUNK, Scorer

_SCHEMA = table_spec("gold.recommendations").arrow
_QUEUE = ("item_index", "cost", "stock_queue", "budget_queue")
#: Rows that say what they take of what is limited, costs in whole parts.
QUEUED = pa.schema(
    [
        *_SCHEMA,
        pa.field(_QUEUE[0], pa.int32()),
        *(pa.field(name, pa.int64()) for name in _QUEUE[1:]),
    ]
)


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
    limits : Limits, optional
    cutoffs : Cutoffs, optional
        What others' lists leave of what is limited.
    after : Cutoffs, optional
        What they leave once lists are made: items beyond it are taken off again.
    """

    how: RankBy
    count: int
    seen_items: str
    category: np.ndarray
    effects: ShownEffects | None = None
    price: np.ndarray | None = None
    limits: Limits | None = None
    cutoffs: Cutoffs | None = None
    after: Cutoffs | None = None

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
        users, bounds = hash_keys(pa.array(some.users)), None
        if self.limits is not None:
            cutoffs = self.cutoffs or Cutoffs.open(self.limits)
            bounds = Bounds(
                self.limits, cutoffs, some.users, users, usable, self.count, self.how.seed
            )
        found = ranked_lists(
            self.how, self.effects, self.category, shares, users, self.count, usable, relevance,
            self.price, bounds,
        )  # fmt: skip
        if bounds is None:
            return found
        return replace(found, items=np.where(bounds.kept(found.items, self.after), found.items, 0))


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
    queued : bool
        Whether rows say what they take of what is limited, and where they stand for it (:data:`QUEUED`).
    """

    base: Ranks
    made: EffectLists
    confidence: float
    queued: bool = False

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
        schema = QUEUED if self.queued else _SCHEMA
        return pa.concat_tables(parts) if parts else schema.empty_table()

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
        if found.bounds is not None:
            said = _with_limits(said, found.bounds, user, slot, item)
        rows = pa.table(
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
        if not self.queued or found.bounds is None:
            return rows
        bounds = found.bounds
        more = (
            item.astype(np.int32), bounds.limits.micro[item], bounds.stock_places(user, item),
            bounds.budget_queue[user, slot],
        )  # fmt: skip
        for name, values in zip(_QUEUE, more, strict=True):
            rows = rows.append_column(name, pa.array(values))
        return rows.cast(QUEUED)


_WHY = {
    RULE: "what ranks higher is not allowed here",
    STOCK: "what ranks higher has run out",
    BUDGET: "what ranks higher is beyond the budget",
}


def _with_limits(
    said: list[str], bounds: Bounds, user: np.ndarray, slot: np.ndarray, item: np.ndarray
) -> list[str]:
    limits, told = bounds.limits, []
    why = bounds.slots[user, slot].tolist()
    for text, one, code in zip(said, item.tolist(), why, strict=True):
        parts = [text]
        if limits.stock[one] >= 0:
            parts.append(f"{limits.stock[one]:,} in stock")
        provider = limits.provider[one]
        if code == FLOOR and provider:
            share = limits.floors[provider - 1]
            parts.append(f"a place kept for {limits.names[provider - 1]} (at least {share:.0%})")
        elif code in _WHY:
            parts.append(_WHY[code])
        told.append("; ".join(parts))
    return told


def reason(effect: float, half: float, times: float, by_lot: bool) -> str:
    """Why an item stands where it stands, in numbers that a shop can read."""
    if not np.isfinite(effect):
        return "by lot, to learn" if by_lot else "sequence model"
    ends = f"{100 * (effect - half):+.1f} to {100 * (effect + half):+.1f}"
    seen = f"shown {times:,.0f} times" if times else "never shown: as its category"
    told = f"{100 * effect:+.1f} purchases in 100 lists ({ends}), {seen}"
    return f"by lot, to learn: {told}" if by_lot else told
