"""What the feature step leaves behind: sizes of the gold tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FeaturesResult:
    """Sizes of the gold tables that feed training and effects.

    Parameters
    ----------
    items, users, sequences : int
        Rows of ``gold.items``, ``gold.users`` and ``gold.sequences``.
    sequence_events : int
        Events in all sequences together.
    item_level : str
        What counts as one item in sequences and recommendations.
    exposures : int
        Rows of ``gold.exposures``; 0 where the data set has none.
    """

    items: int
    users: int
    sequences: int
    sequence_events: int
    item_level: str
    exposures: int = 0

    def __repr__(self) -> str:
        return (
            f"FeaturesResult({self.sequences:,} sequences of {self.sequence_events:,} events over "
            f"{self.items:,} items ({self.item_level}); {self.exposures:,} exposures)"
        )
