"""The difference of the arms as they are: no effect, but what an effect is seen beside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from truelift.effects.scores.kinds.kind import EstimandKind
from truelift.effects.scores.kinds.pairs import pairs_of
from truelift.effects.scores.ratios import Estimand, Ratio

if TYPE_CHECKING:
    from truelift.effects.panel.columns import PanelColumns
    from truelift.settings import EffectOptions


def build(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:
    """One difference of means a pair of arms."""
    labels = columns.arms.labels
    for a, b in pairs_of(columns, options):
        terms = (
            Ratio(((("raw", a, j), 1.0),), ("arm", a)),
            Ratio(((("raw", b, j), 1.0),), ("arm", b), -1.0),
        )
        yield Estimand(
            "naive difference", j, terms, arm=labels[a], versus=labels[b],
            population="units as they are",
        )  # fmt: skip


NAIVE = EstimandKind(
    "naive difference",
    "naive",
    "Naive difference",
    build,
    short="Naive",
    order=10,
    priority=70,
    reading="As they are, {arm} and {versus} differ in {outcome} by {change}; that is no effect.",
    judged_as="",
)


def _bound(name: str, key: str, title: str, place: int) -> EstimandKind:
    return EstimandKind(
        name, key, title, order=place, priority=place, names_population=True, logged=False, judged_as="",
        asks={"bounds": "a range or assumptions"},
        reading="{estimand} of the effect of {arm} against {versus} on {outcome} ({population}): {change}.",
    )  # fmt: skip


LOWER_BOUND = _bound("lower bound", "lower_bound", "Lower bound", 92)
UPPER_BOUND = _bound("upper bound", "upper_bound", "Upper bound", 93)
