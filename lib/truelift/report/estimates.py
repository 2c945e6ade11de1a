"""Estimates in the order they are read, and which of them the data can carry."""

from __future__ import annotations

from truelift.effects.results import EffectsResult, Estimate
from truelift.report.numbers import decimals_for

NAIVE = "naive difference"
#: A share, not in the outcome's units: it stands in tables and sentences, never on their axis.
LIFT = "relative lift"
ORDER = (NAIVE, "ATE", LIFT, "ATT", "ATO", "policy gain", "GATE", "APO", "policy value")


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


def is_supported(result: EffectsResult, estimate: Estimate) -> bool:
    """Whether the effect step judged that the data can carry this estimate.

    The naive difference is a plain description and always is. Means of arms, groups and policies
    ask of the data what the ATE does.
    """
    if estimate.estimand == NAIVE:
        return True
    kind = estimate.estimand if estimate.estimand in ("ATT", "ATO") else "ATE"
    of_kind = {name: text for name, text in result.support.items() if name.startswith(kind)}
    text = of_kind.get(f"{kind} of {estimate.arm}", of_kind.get(kind))
    if text is None:  # several arms, and the estimate is of none or of all of them
        return supports(result, kind)
    return text.startswith("supported")


def supports(result: EffectsResult, estimand: str) -> bool:
    """Whether the data carry an estimand, for every arm."""
    of_kind = [text for name, text in result.support.items() if name.startswith(estimand)]
    return all(t.startswith("supported") for t in of_kind or [result.verdict])


def about_campaigns(result: EffectsResult) -> bool:
    """Whether the panel is the one of campaigns, of which more can be said in words."""
    return result.table == "gold.panel" and len(result.arms) == 2


def qualified(result: EffectsResult, e: Estimate) -> str:
    """What tells an estimate from others of its name: arms, group, policy."""
    several = len(result.arms) > 2 or e.estimand in ("APO", "policy value", "policy gain")
    parts = []
    if several:
        parts.append(f"{e.arm} against {e.versus}" if e.versus else e.arm)
    if e.estimand == "GATE":
        parts.append(e.population)
    return ", ".join(parts)
