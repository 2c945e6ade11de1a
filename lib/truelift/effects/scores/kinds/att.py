"""The effect on those who had the arm.

For outcome Y, arm D, propensities e and outcome regressions m, the score of arm a against the control
has mean zero at theta of ``psi_b - 1[D = a] theta`` with
``psi_b = 1[D = a] (Y - m_0) - 1[D = 0] (Y - m_0) e_a / e_0`` (cross-fitted as in Chernozhukov et al.
2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from truelift.effects.scores.kinds.kind import EstimandKind
from truelift.effects.scores.layout import Key, OwnSums, ScoreLayout
from truelift.effects.scores.ratios import Estimand, contrast
from truelift.inference.clusters import Summands

if TYPE_CHECKING:
    from truelift.effects.panel.columns import PanelColumns
    from truelift.effects.scores.quantities import UnitBlock
    from truelift.settings import EffectOptions


def keys(layout: ScoreLayout) -> Iterator[Key]:
    """``('att', a, j)``, for a >= 1."""
    for a in range(1, layout.arms):
        yield from layout.over("att", a)


def att_numerators(units: UnitBlock, propensity: np.ndarray, a: int) -> np.ndarray:
    """The psi_b of arm a, J x n, with the propensities given."""
    share = (units.arm == a) - (units.arm == 0) * (propensity[a] / propensity[0])
    return share * (units.outcome - units.outcome_regression[0])


def summands(
    units: UnitBlock,
    layout: ScoreLayout,
    propensity: np.ndarray,
    scores: np.ndarray,  # noqa: ARG001
) -> Iterator[Summands]:
    """The psi_b of every arm."""
    for a in range(1, layout.arms):
        yield Summands(att_numerators(units, propensity, a), layout.lines(layout.over("att", a)))


def build(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:  # noqa: ARG001
    """One contrast with the control an arm."""
    labels = columns.arms.labels
    for a in range(1, len(labels)):
        yield contrast(
            "ATT", [(("att", a, j), 1.0)], ("arm", a), j, arm=labels[a], versus=labels[0],
            population=f"units of arm {labels[a]}",
        )  # fmt: skip


ATT = EstimandKind(
    "ATT",
    "att",
    "ATT: those who were treated",
    build,
    OwnSums(keys, summands),
    short="ATT",
    order=40,
    priority=20,
    judged_as="ATT",
    decides_over="among those who got it",
)
