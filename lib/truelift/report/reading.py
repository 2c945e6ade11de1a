"""What the estimates say in plain language.

Sentences are chosen by the numbers alone. The difference between the naive difference and the
ATT is the estimated selection bias: E[Y|D=1] - E[Y|D=0] = ATT + E[Y(0)|D=1] - E[Y(0)|D=0].
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from truelift.effects.results import EffectsResult, Estimate
from truelift.report.estimates import (
    LIFT,
    NAIVE,
    about_campaigns,
    by_outcome,
    decimals,
    excludes_zero,
    find,
    is_supported,
    supports,
)
from truelift.report.numbers import (
    covariate_name,
    decimals_for,
    interval,
    level,
    number,
    outcome_name,
    p_value,
)

# Of the naive difference: with a larger standard error, "hardly moves" would be a guess.
PRECISE = 0.25


@dataclass(frozen=True)
class Reading:
    """What the estimates of one outcome say, one sentence an estimand."""

    outcome: str
    sentences: tuple[str, ...]


def _shown(e: Estimate) -> str:
    places = decimals(e)
    return f"{number(e.estimate, places, signed=True)} ({_interval(e)})"


def _interval(e: Estimate) -> str:
    places = decimals(e)
    return f"{level(e.confidence)} interval {interval(e.ci_lower, e.ci_upper, places)}"


def headline(result: EffectsResult) -> str:
    """The finding in a sentence: the ATT (or, without it, the ATE) of the first outcome.

    An estimand that overlap or balance do not support is no finding; where neither is
    supported, that is the finding.
    """
    groups = by_outcome(result)
    if not groups:
        return "No effect was estimated."
    if not about_campaigns(result):
        return _of_any_table(result, next(iter(groups.values())))
    outcome = next(iter(groups))
    name = outcome_name(outcome)
    adjusted = [e for kind in ("ATT", "ATE") if (e := find(result, kind, outcome)) is not None]
    if not adjusted:
        e = groups[outcome][0]
        return (
            f"Users with and without a campaign differ in {name} by {_shown(e)}; no adjusted "
            "effect was estimated."
        )
    e = next((a for a in adjusted if is_supported(result, a)), adjusted[0])
    among = " among users who received one" if e.estimand == "ATT" else ""
    if not is_supported(result, e):
        return (
            f"The data cannot tell the effect of the campaigns: users with and without them are "
            f"too different to compare safely. The adjusted change in {name} per user and "
            f"campaign{among}, {_shown(e)}, is not to be relied on."
        )
    if not excludes_zero(e):
        return (
            f"No clear effect of the campaigns on {name}{among}: the estimated change per user "
            f"and campaign is {_shown(e)}, which includes zero."
        )
    places = decimals(e)
    direction = "raised" if e.estimate > 0 else "lowered"
    lower, upper = sorted((abs(e.ci_lower), abs(e.ci_upper)))
    return (
        f"Receiving a campaign {direction} {name} by {number(abs(e.estimate), places)} per user "
        f"and campaign ({level(e.confidence)} interval {interval(lower, upper, places)}){among}, "
        f"if the assumptions below hold."
    )


def _of_any_table(result: EffectsResult, group: list[Estimate]) -> str:
    causal = [e for e in group if e.versus and e.estimand not in (NAIVE, LIFT, "GATE")]
    carried = [e for e in causal if is_supported(result, e)]
    if not carried:
        return "The data support no effect: the arms are too different to compare safely."
    e = min(carried, key=lambda c: c.p_value if c.p_value is not None else 1.0)
    if not excludes_zero(e):
        return f"No clear effect: {e.sentence()} The interval includes zero."
    return f"{e.sentence()} This holds if the assumptions below do."


def verdicts(result: EffectsResult) -> list[tuple[str, str]]:
    """The verdict on each estimand, or the one on all of them under an empty name."""
    if len(set(result.support.values())) < 2:
        return [("", _sentence(result.verdict))]
    return [(name, _sentence(text)) for name, text in result.support.items()]


def _sentence(text: str) -> str:
    named = re.sub(r"\bx_\w+", lambda found: covariate_name(found.group()), text)
    return named[:1].upper() + named[1:]


def readings(result: EffectsResult) -> list[Reading]:
    """For each outcome: the naive difference, what adjusting does to it, and what is left."""
    found = []
    for outcome, group in by_outcome(result).items():
        name = outcome_name(outcome)
        if not about_campaigns(result):
            told = [f"{e.sentence()}{_doubt(result, e)}" for e in group]
            found.append(Reading(name, tuple(told)))
            continue
        naive, att, ate = (find(result, estimand, outcome) for estimand in (NAIVE, "ATT", "ATE"))
        sentences = []
        if naive is not None:
            reliable = att is not None and supports(result, "ATT")
            bias = f" {_selection(naive, att, name)}" if att is not None and reliable else ""
            sentences.append(
                f"As they are, units with a campaign differ from those without by "
                f"{_shown(naive)}.{bias}"
            )
        if att is not None:
            sentences.append(
                f"For those who received a campaign (ATT), the campaign itself changed {name} by "
                f"{_shown(att)}: {_strength(att)}.{_doubt(result, att)}"
            )
        if ate is not None:
            sentences.append(
                f"Sending every campaign to everyone rather than to no one (ATE) would change "
                f"{name} by {_shown(ate)} per user and campaign: {_strength(ate)}."
                f"{_doubt(result, ate)}"
            )
        ato = find(result, "ATO", outcome)
        if ato is not None:
            sentences.append(
                f"Among users of whom it was open whether a campaign would come to them (ATO), it "
                f"changed {name} by {_shown(ato)}: {_strength(ato)}.{_doubt(result, ato)}"
            )
        known = {id(e) for e in (naive, att, ate, ato)}
        sentences += [
            e.sentence() if e.estimand == LIFT else f"{e.estimand}: {_shown(e)}: {_strength(e)}."
            for e in group
            if id(e) not in known
        ]
        found.append(Reading(name, tuple(sentences)))
    return found


def _doubt(result: EffectsResult, e: Estimate) -> str:
    if is_supported(result, e):
        return ""
    return f" The data do not support the {e.estimand}: do not rely on this number."


def _selection(naive: Estimate, att: Estimate, name: str) -> str:
    bias = naive.estimate - att.estimate
    larger = max(naive.standard_error, att.standard_error)
    if abs(bias) <= larger:
        if larger > PRECISE * abs(naive.estimate):
            return "How much of this is selection cannot be told: the adjusted change is too vague."
        return "Adjusting for earlier behaviour hardly moves this."
    kind = "higher" if bias > 0 else "lower"
    return (
        f"Of this, {number(bias, decimals_for(larger), signed=True)} is not the campaign's doing: "
        f"judging by earlier behaviour, campaigns went to users whose {name} would have been "
        f"{kind} anyway."
    )


def _strength(e: Estimate) -> str:
    if e.p_value is None:
        return "a level, not a change"
    text = p_value(e.p_value)
    p = f"p {text}" if text.startswith("<") else f"p = {text}"
    p = p if e.alternative == "two-sided" else f"one-sided {p}"
    if excludes_zero(e):
        return f"the interval excludes zero ({p})"
    return f"the data agree with no effect at all ({p}), as with anything in the interval"
