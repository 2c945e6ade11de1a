"""Rows of ``gold.recommendations`` by what comes next, and what a history says about an item."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.evaluation import champion, lists
from truelift.lake.tables import table_spec
from truelift.models.sequence.histories import Histories
from truelift.serving.scorer import Scorer

_SCHEMA = table_spec("gold.recommendations").arrow
_EFFECT = ("effect", "effect_lower", "effect_upper")


@dataclass(frozen=True)
class RecommendKernel:
    """Rows of ``gold.recommendations`` for the users of one bucket.

    Parameters
    ----------
    package : bytes
        The model; it travels with the kernel, so a worker needs no access to the registry.
    item_keys : tuple of str
        Keys of the items of ``gold.items``, by index.
    index : numpy.ndarray of int32
        The model's index of each of them; see :func:`~truelift.evaluation.champion.item_index`.
    count : int
        Items a user.
    seen_items : str
        ``'keep'`` or ``'drop'``.
    allowed : numpy.ndarray of bool, shape (items + 1,), optional
        The items that may be offered; all, where not given.
    users : frozenset of str, optional
        Keys of the users to rank for; all, where not given.
    """

    package: bytes
    item_keys: tuple[str, ...]
    index: np.ndarray
    count: int
    seen_items: str
    allowed: np.ndarray | None = None
    users: frozenset[str] | None = None

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Score the bucket's users, by user key."""
        histories = whole_users(tables["sequences"])
        if self.users is not None:
            histories = histories.take(lists.users_among(histories, self.users))
        items, scores = self.scorer().top(histories, self.count, self.seen_items)
        keys = np.array(("", *self.item_keys), dtype=object)
        # An item that the model does not know is no recommendation.
        user, place = np.nonzero((items > 0) & (scores > champion.UNKNOWN))
        chosen = items[user, place]
        return pa.table(
            {
                "user_key": histories.users[user],
                "rank": place + 1,
                "item_key": keys[chosen],
                "score": scores[user, place],
                "reason": reasons(histories, user, chosen),
                "relevance": scores[user, place],
                **{name: pa.nulls(len(user), pa.float64()) for name in _EFFECT},
                "propensity": np.ones(len(user)),
                "bucket": np.full(len(user), bucket),
            },
        ).cast(_SCHEMA)

    def scorer(self) -> Scorer:
        """The model as it ranks the items of ``gold.items``; built once a process."""
        from truelift.serving.scorer import Scorer, loaded

        own = loaded(self.package)
        ranker = champion.Translated(own.ranker, self.index)
        if self.allowed is not None:
            return Scorer(
                lists.AllowedOnly(ranker, self.allowed), self.item_keys, own.side_features
            )
        return Scorer(ranker, self.item_keys, own.side_features)


def whole_users(sequences: pa.Table) -> Histories:
    """One history a user, by user key, also where the table has a row a session."""
    opens = pc.list_element(
        pc.if_else(
            pc.equal(pc.list_value_length(sequences["session_number"]), 0),
            pa.scalar([0], sequences.schema.field("session_number").type),
            sequences["session_number"],
        ),
        0,
    )
    ordered = sequences.append_column("opens", opens).sort_by(
        [("user_key", "ascending"), ("opens", "ascending")]
    )
    rows = Histories.from_arrow(ordered)
    first = np.ones(len(rows), dtype=bool)
    first[1:] = rows.users[1:] != rows.users[:-1]
    return replace(
        rows,
        users=rows.users[first],
        offsets=np.append(rows.offsets[:-1][first], rows.offsets[-1]),
    )


def reasons(histories: Histories, user: np.ndarray, item: np.ndarray) -> list[str]:
    """What the history says about each recommended item; the order itself is the model's."""
    span = int(max(item.max(initial=0), histories.items.max(initial=0))) + 1
    opens = histories.session_starts()
    sessions = np.bincount(histories.owner[opens], minlength=len(histories))
    # An item may come several times in a session (features.repeats), which is one session with it.
    within = np.unique((np.cumsum(opens) - 1) * span + histories.items)
    session, taken = np.divmod(within, span)
    owner = histories.owner[opens][session]
    cells, times = np.unique(owner * span + taken, return_counts=True)
    if len(cells) == 0:
        return ["no history: popular start of the sequence model"] * len(user)
    wanted = user * span + item
    place = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
    found = np.where(cells[place] == wanted, times[place], 0)
    return [_reason(int(n), int(sessions[u])) for n, u in zip(found, user, strict=True)]


def _reason(times: int, sessions: int) -> str:
    if sessions == 0:
        return "no history: popular start of the sequence model"
    if times == 0:
        return f"new to the user: sequence model on {sessions} sessions"
    return f"in {times} of the user's {sessions} sessions: sequence model"
