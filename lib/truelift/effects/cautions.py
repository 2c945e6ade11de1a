"""What weakens or stops a conclusion: said by the check that found it, kept with the result.

A check is a function that returns cautions; :func:`with_cautions` adds them to a result. One that
*stops* takes the word "supported" away from the estimands, arms and outcomes that it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from truelift.effects.results import Caution, EffectsResult
from truelift.effects.verdict import NOT_SUPPORTED, verdict


def with_cautions(result: EffectsResult, found: Iterable[Caution]) -> EffectsResult:
    """The result with these cautions, and without the support that they take away.

    Parameters
    ----------
    result : EffectsResult
    found : iterable of Caution
        A caution that is there already is not added again.
    """
    new = tuple(c for c in dict.fromkeys(found) if c not in result.cautions)
    if not new:
        return result
    outcomes = {e.outcome for e in result.estimates}
    cautions = result.cautions + new
    support = {
        name: _stopped(name, text, [c for c in cautions if c.stops], outcomes)
        for name, text in result.support.items()
    }
    changed = support != result.support
    return replace(
        result,
        cautions=cautions,
        support=support,
        verdict=verdict(support) if changed else result.verdict,
    )


def _stopped(name: str, text: str, stopping: list[Caution], outcomes: set[str]) -> str:
    """The verdict on an estimand (of an arm) after what stops it for every outcome."""
    estimand, _, arm = name.partition(" of ")
    mine = [c for c in stopping if c.concerns(estimand, arm, None)]
    if not mine or not all(
        any(c.concerns(estimand, arm, outcome) for c in mine) for outcome in outcomes
    ):
        return text
    reasons = " ".join(c.text for c in mine if c.text not in text)
    if text.startswith(NOT_SUPPORTED):
        return f"{text} {reasons}".strip()
    return f"{NOT_SUPPORTED}: {reasons}"
