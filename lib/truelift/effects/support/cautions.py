"""What weakens or stops a conclusion: said by the check that found it, kept with the result.

A check is a function that returns cautions; :func:`with_cautions` adds them to a result. One that
*stops* takes the word "supported" away from the estimands, arms and outcomes that it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from truelift.effects.results import Caution, EffectsResult
from truelift.effects.support.supported import Support, verdict


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
    stopping = [c for c in cautions if c.stops]
    support = tuple(_stopped(judged, stopping, outcomes) for judged in result.support)
    changed = support != result.support
    return replace(
        result,
        cautions=cautions,
        support=support,
        verdict=verdict(support, result.asked) if changed else result.verdict,
    )


def _stopped(judged: Support, stopping: list[Caution], outcomes: set[str]) -> Support:
    """The verdict on an estimand (of an arm) after what stops it for every outcome."""
    mine = [c for c in stopping if c.concerns(judged.estimand, judged.arm, None)]
    if not mine or not all(
        any(c.concerns(judged.estimand, judged.arm, outcome) for c in mine) for outcome in outcomes
    ):
        return judged
    return judged.stopped([c.text for c in mine])
