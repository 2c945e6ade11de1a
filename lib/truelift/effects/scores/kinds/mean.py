"""The mean under an arm, had every unit had it (average potential outcome), and lifts of two of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from truelift.effects.scores.kinds.kind import LEVEL, EstimandKind
from truelift.effects.scores.ratios import UNIT, Estimand, Ratio

if TYPE_CHECKING:
    from truelift.effects.panel.columns import PanelColumns
    from truelift.settings import EffectOptions


def build(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:  # noqa: ARG001
    """One mean an arm."""
    for a, label in enumerate(columns.arms.labels):
        ratio = Ratio(((("apo", a, j), 1.0),), UNIT)
        yield Estimand("APO", j, (ratio,), arm=label, level=True)


#: Made of the means beside the estimates (:mod:`truelift.effects.experiment.lift`).
RELATIVE_LIFT = EstimandKind(
    "relative lift",
    "relative_lift",
    "relative lift",
    order=30,
    priority=50,
    share=True,
    reading=(
        "Relative lift: {arm} changes the mean of {outcome} under {versus} by {change}, over "
        "{population}."
    ),
)
APO = EstimandKind(
    "APO",
    "mean",
    "Mean under",
    build,
    also=(RELATIVE_LIFT,),
    short="Mean",
    order=80,
    priority=90,
    reading=LEVEL,
    level=True,
    names_arms=True,
)
