"""The effect where the arms overlap.

Li, Morgan & Zaslavsky (2018), Li & Li (2019) for several arms; weighted by
``h = e_a e_0 / (e_a + e_0)``. For outcome Y, arm D, propensities e and outcome regressions m, with
``s = e_a + e_0`` and ``q = 1[D = a] (e_0 / s)^2 + 1[D = 0] (e_a / s)^2``, its efficient score is
``q (m_a - m_0) + 1[D = a] (Y - m_a) e_0 / s - 1[D = 0] (Y - m_0) e_a / s - q theta``. It follows from
the efficient influence function of weighted effects whose weights are functions of the propensity
(Crump, Hotz, Imbens & Mitnik 2006, theorem A.1), and is robust to a propensity that converges slowly;
for two arms ``q = (D - e)^2``.
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
    """Denominators ``('ato weight', a)`` and numerators ``('ato', a, j)``, for a >= 1."""
    for a in range(1, layout.arms):
        yield ("ato weight", a)
    for a in range(1, layout.arms):
        yield from layout.over("ato", a)


def summands(
    units: UnitBlock,
    layout: ScoreLayout,
    propensity: np.ndarray,  # noqa: ARG001
    scores: np.ndarray,  # noqa: ARG001
) -> Iterator[Summands]:
    """The q and the score of every arm, with propensities as they were predicted."""
    regression = units.outcome_regression
    for a in range(1, layout.arms):
        both = units.propensity[a] + units.propensity[0]
        ours = units.propensity[a] / np.where(both > 0, both, 1.0)
        theirs = 1.0 - ours
        treated, control = (units.arm == a) * theirs, (units.arm == 0) * ours
        weight = treated * theirs + control * ours
        values = (
            weight * (regression[a] - regression[0])
            + treated * (units.outcome - regression[a])
            - control * (units.outcome - regression[0])
        )
        lines = layout.lines([("ato weight", a), *layout.over("ato", a)])
        yield Summands(np.concatenate([weight[None], values]), lines)


def build(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:  # noqa: ARG001
    """One contrast with the control an arm."""
    labels = columns.arms.labels
    for a in range(1, len(labels)):
        yield contrast(
            "ATO", [(("ato", a, j), 1.0)], ("ato weight", a), j, arm=labels[a], versus=labels[0],
            population="units weighted by overlap",
        )  # fmt: skip


ATO = EstimandKind(
    "ATO",
    "ato",
    "ATO: those who could go either way",
    build,
    OwnSums(keys, summands),
    short="ATO",
    order=50,
    priority=40,
    judged_as="ATO",
    decides_over="among those who could have gone either way",
)
