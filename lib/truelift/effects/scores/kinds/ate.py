"""The average effect over everyone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from truelift.effects.scores.kinds.kind import EstimandKind
from truelift.effects.scores.kinds.pairs import pairs_of
from truelift.effects.scores.ratios import UNIT, contrast

if TYPE_CHECKING:
    from truelift.effects.panel.columns import PanelColumns
    from truelift.effects.scores.ratios import Estimand
    from truelift.settings import EffectOptions


def build(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:
    """One contrast a pair of arms."""
    labels = columns.arms.labels
    for a, b in pairs_of(columns, options):
        keys = ((("apo", a, j), 1.0), (("apo", b, j), -1.0))
        yield contrast("ATE", keys, UNIT, j, arm=labels[a], versus=labels[b])


ATE = EstimandKind(
    "ATE",
    "ate",
    "ATE: everyone, against no one",
    build,
    short="ATE",
    order=20,
    priority=10,
    decides_over="on average over everyone",
)
