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
    """

    users: int
    rows: int
    seen_items: str
    examples: tuple[RecommendationExample, ...]
    model_version: str
    catalogue: int = 0
    unknown_items: int = 0
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        never = f", {self.unknown_items:,} items never offered" if self.unknown_items else ""
        return (
            f"RecommendResult({self.rows:,} rows for {self.users:,} users, seen items "
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
