"""What the feature step leaves behind: sizes of the gold tables and what was left out."""

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
    panel_units, panel_treated : int
        Rows of ``gold.panel``, and those whose unit was treated.
    campaigns : int
        Campaigns in the panel.
    item_level : str
        What counts as one item in sequences and recommendations.
    panel_skipped_reason : str or None
        Why there is no panel; None where there is one.
    excluded_campaigns : dict of str to str
        Campaigns left out of the panel, with the reason.
    """

    items: int
    users: int
    sequences: int
    sequence_events: int
    panel_units: int
    panel_treated: int
    campaigns: int
    item_level: str
    panel_skipped_reason: str | None
    excluded_campaigns: dict[str, str]

    def __repr__(self) -> str:
        panel = (
            f"no panel: {self.panel_skipped_reason}"
            if self.panel_skipped_reason
            else f"panel of {self.panel_units:,} units ({self.panel_treated:,} treated) "
            f"in {self.campaigns:,} campaigns"
        )
        return (
            f"FeaturesResult({self.sequences:,} sequences of {self.sequence_events:,} events over "
            f"{self.items:,} items ({self.item_level}); {panel})"
        )
