"""Estimates in the order they are read, and which of them the data can carry."""

from __future__ import annotations

from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.telling.figures import places_of
from truelift.effects.telling.names import Nouns, nouns_of
from truelift.effects.telling.sentences import NAIVE

__all__ = ["NAIVE"]


def by_outcome(result: EffectsResult) -> dict[str, list[Estimate]]:
    """Estimates grouped by outcome, the naive difference first in each."""
    groups: dict[str, list[Estimate]] = {}
    for estimate in result.estimates:
        groups.setdefault(estimate.outcome, []).append(estimate)
    for group in groups.values():
        group.sort(key=lambda e: kind_of(e.estimand).order)
    return groups


def find(result: EffectsResult, estimand: str, outcome: str) -> Estimate | None:
    """The estimate of one estimand and outcome, if it was made."""
    for estimate in result.estimates:
        if (estimate.estimand, estimate.outcome) == (estimand, outcome):
            return estimate
    return None


def excludes_zero(estimate: Estimate) -> bool:
    """Whether the interval lies on one side of zero."""
    return estimate.ci_lower > 0 or estimate.ci_upper < 0


def decimals(estimate: Estimate) -> int:
    """Decimals that show two digits of the standard error, and no bound as a false zero."""
    return places_of(estimate.standard_error, estimate.ci_lower, estimate.ci_upper)


def is_doubtful(result: EffectsResult, estimate: Estimate) -> bool:
    """Whether the data do not support it; nobody judges the naive difference, which is no effect."""
    return result.supports(estimate) is False


def judged(result: EffectsResult, estimand: str, arm: str = "") -> bool:
    """Whether the data support an estimand of an arm; of every arm where none is named."""
    return result.judged(estimand, *([arm] if arm else []))


def supports(result: EffectsResult, estimand: str) -> bool:
    """Whether the data carry an estimand, for every arm."""
    return judged(result, estimand)


def control_of(result: EffectsResult) -> str:
    """The first arm, which the others are compared with."""
    return next(iter(result.arms))


def of_pipeline(result: EffectsResult) -> bool:
    """Whether the table is the panel that the pipeline makes, or one that a user named."""
    return result.table == "gold.panel"


def nouns(result: EffectsResult) -> Nouns | None:
    """What subjects and treatment are called, where all can be told of who got one and who did not."""
    return nouns_of(result) if len(result.arms) == 2 else None


def qualified(result: EffectsResult, e: Estimate) -> str:
    """What tells an estimate from others of its name: arms, group, policy."""
    kind = kind_of(e.estimand)
    several = len(result.arms) > 2 or kind.names_arms
    parts = []
    if several:
        parts.append(f"{e.arm} against {e.versus}" if e.versus else e.arm)
    if kind.names_population:
        parts.append(e.population)
    return ", ".join(parts)
