"""Which arms are compared."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from truelift.effects.panel.columns import PanelColumns
    from truelift.settings import EffectOptions


def pairs_of(columns: PanelColumns, options: EffectOptions) -> list[tuple[int, int]]:
    """Pairs (arm, versus): every arm with the control, or every two."""
    arms = len(columns.arms.values)
    if options.contrasts == "all":
        return [(b, a) for a, b in combinations(range(arms), 2)]
    return [(a, 0) for a in range(1, arms)]
