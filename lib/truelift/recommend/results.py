"""What the recommendation step leaves behind: its size and a few examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RecommendationExample:
    """One user's recent items and the items recommended.

    Parameters
    ----------
    user_key : str
    recent : tuple of str
        Names of the latest items, the most recent first.
    recommended : tuple of str
        Names of the recommended items, best first.
    times_as_likely : tuple of float
        For each of ``recent``: how many times as likely the first recommendation is because of
        it (:mod:`truelift.recommend.attribution`).
    """

    user_key: str
    recent: tuple[str, ...]
    recommended: tuple[str, ...]
    times_as_likely: tuple[float, ...] = ()


@dataclass(frozen=True)
class ListedItem:
    """An item on a list: how likely it comes next, and what showing it first would add.

    Parameters
    ----------
    name : str
    relevance : float
        A chance by the sequence model.
    effect, lower, upper : float
        Purchases a list.
    times : int
        How often it was shown.
    """

    name: str
    relevance: float
    effect: float
    lower: float
    upper: float
    times: int


@dataclass(frozen=True)
class TwoLists:
    """One user's list by relevance beside that by effect."""

    user_key: str
    relevance: tuple[ListedItem, ...]
    effect: tuple[ListedItem, ...]


@dataclass(frozen=True)
class WhatIf:
    """What lists by effect would bring in place of lists by relevance.

    Parameters
    ----------
    lists, purchases : int
        Of the past, that effects were learnt from: lists, and categories bought from after them.
    users : int
        Whose lists were compared.
    by_relevance, by_effect : float
        What a list adds, in purchases.
    gain, lower, upper : float
        The difference, chosen by one half of the users and valued by the other, with its interval.
    confidence : float
    shared : float
        Share of the items of a list by relevance that are on the one by effect too.
    clustering : float
        By how much users who come again widen variances.
    examples : tuple of TwoLists
    by : str
        ``effect``, ``value`` or ``mixture``: what the lists in the table are made by.
    explore : float
        Share of each slot that is drawn by lot.
    """

    lists: int
    purchases: int
    users: int
    by_relevance: float
    by_effect: float
    gain: float
    lower: float
    upper: float
    confidence: float
    shared: float
    clustering: float
    examples: tuple[TwoLists, ...] = ()
    by: str = "effect"
    explore: float = 0.0


@dataclass(frozen=True)
class LimitKept:
    """A limit, and what the lists make of it.

    Parameters
    ----------
    name : str
    used, limit : float
        Costs, units or shares.
    kind : str
        ``most`` or ``least``.
    """

    name: str
    used: float
    limit: float
    kind: str


@dataclass(frozen=True)
class RecommendResult:
    """Size of ``gold.recommendations`` and examples out of it.

    Parameters
    ----------
    users, rows : int
        Users with recommendations, and rows of the table.
    seen_items : str
        ``'keep'`` or ``'drop'``: whether items of the user's history may come again.
    examples : tuple of RecommendationExample
    model_version : str
        Registered version of the model that ranked.
    catalogue : int
        Items of ``gold.items``.
    unknown_items : int
        Those of them that the model has never seen, so that they are offered to nobody.
    notes : tuple of str
        What whoever reads the table ought to know.
    by : str
        ``relevance``, ``effect``, ``value`` or ``mixture``.
    explore : float
        Share of each slot that was drawn by lot.
    limits : tuple of LimitKept
    rounds : int
        In which users asked for what is limited; 0 without shared limits.
    """

    users: int
    rows: int
    seen_items: str
    examples: tuple[RecommendationExample, ...]
    model_version: str
    catalogue: int = 0
    unknown_items: int = 0
    notes: tuple[str, ...] = ()
    by: str = "relevance"
    explore: float = 0.0
    limits: tuple[LimitKept, ...] = ()
    rounds: int = 0

    def __repr__(self) -> str:
        never = f", {self.unknown_items:,} items never offered" if self.unknown_items else ""
        by = f" by {self.by}" if self.by != "relevance" else ""
        return (
            f"RecommendResult({self.rows:,} rows{by} for {self.users:,} users, seen items "
            f"{self.seen_items}, model version {self.model_version}{never})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """The examples, one row a user and rank."""
        import pandas as pd

        rows = [
            (e.user_key, rank, item)
            for e in self.examples
            for rank, item in enumerate(e.recommended, start=1)
        ]
        return pd.DataFrame(rows, columns=["user_key", "rank", "item"])
