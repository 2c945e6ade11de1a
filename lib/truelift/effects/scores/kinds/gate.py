"""The average effect in each level of a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from truelift.effects.scores.kinds.kind import EstimandKind
from truelift.effects.scores.kinds.pairs import pairs_of
from truelift.effects.scores.ratios import contrast

if TYPE_CHECKING:
    from truelift.effects.panel.columns import PanelColumns
    from truelift.effects.scores.ratios import Estimand
    from truelift.settings import EffectOptions


def build(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:
    """One contrast a group column, level and pair of arms."""
    labels = columns.arms.labels
    for g, levels in enumerate(columns.groups):
        for cell, name in enumerate(levels.labels):
            for a, b in pairs_of(columns, options):
                keys = ((("gate", g, cell, a, j), 1.0), (("gate", g, cell, b, j), -1.0))
                yield contrast(
                    "GATE", keys, ("cell", g, cell), j, arm=labels[a], versus=labels[b],
                    population=f"{levels.column} = {name.strip() or '(blank)'}",
                )  # fmt: skip


GATE = EstimandKind(
    "GATE",
    "gate",
    "GATE",
    build,
    order=70,
    priority=60,
    asks={"groups": "a column"},
    names_population=True,
    logged=False,
)

SHRUNKEN = EstimandKind(
    "shrunken effect",
    "shrunken_effect",
    "Shrunken",
    order=75,
    priority=62,
    asks={"shrink": "a group column, or the treatment"},
    reading="{estimand}: {arm} against {versus} changes {outcome} by {change}, over {population}, after shrinking.",
    names_arms=True,
    names_population=True,
    logged=False,
)
