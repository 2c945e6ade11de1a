"""What following a policy would bring: its mean, and how far that is from treating nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from truelift.effects.scores.kinds.kind import LEVEL, EstimandKind
from truelift.effects.scores.ratios import UNIT, Estimand, Ratio, contrast

if TYPE_CHECKING:
    from truelift.effects.panel.columns import PanelColumns
    from truelift.settings import EffectOptions


def build(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:  # noqa: ARG001
    """A value and a gain over the control a policy."""
    for s, (name, _) in enumerate(columns.policies):
        ratio = Ratio(((("policy", s, j), 1.0),), UNIT)
        yield Estimand("policy value", j, (ratio,), arm=name, level=True)
        keys = ((("policy", s, j), 1.0), (("apo", 0, j), -1.0))
        yield contrast("policy gain", keys, UNIT, j, arm=name, versus=columns.arms.labels[0])


POLICY_GAIN = EstimandKind(
    "policy gain",
    "policy_gain",
    "Gain of the policy",
    short="Gain",
    order=60,
    priority=30,
    names_arms=True,
    of_policy=True,
)
POLICY_VALUE = EstimandKind(
    "policy value",
    "policy_value",
    "Value of the policy",
    build,
    also=(POLICY_GAIN,),
    short="Value",
    order=90,
    priority=80,
    reading=LEVEL,
    asks={"policies": "a policy"},
    level=True,
    names_arms=True,
    of_policy=True,
)
