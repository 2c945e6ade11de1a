"""Estimates in the order they are read, and which of them the data can carry."""

from __future__ import annotations

from truelift.effects.results import EffectsResult, Estimate
from truelift.report.numbers import decimals_for

NAIVE = "naive difference"
ORDER = (NAIVE, "ATE", "ATT")


def by_outcome(result: EffectsResult) -> dict[str, list[Estimate]]:
    """Estimates grouped by outcome, the naive difference first in each."""
    groups: dict[str, list[Estimate]] = {}
    for estimate in result.estimates:
        groups.setdefault(estimate.outcome, []).append(estimate)
    for group in groups.values():
        group.sort(key=lambda e: ORDER.index(e.estimand) if e.estimand in ORDER else len(ORDER))
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
    places = decimals_for(estimate.standard_error)
    bounds = [abs(b) for b in (estimate.ci_lower, estimate.ci_upper) if b != 0]
    while places < 6 and any(round(b, places) == 0 for b in bounds):
        places += 1
    return places


def is_supported(result: EffectsResult, estimand: str) -> bool:
    """Whether the effect step judged that the data can carry this estimand.

    The naive difference is a plain description and always is.
    """
    if estimand == NAIVE:
        return True
    return result.support.get(estimand, result.verdict).startswith("supported")
