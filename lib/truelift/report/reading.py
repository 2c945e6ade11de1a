"""What the estimates say in plain language.

Sentences are chosen by the numbers alone. The difference between the naive difference and the
ATT is the estimated selection bias: E[Y|D=1] - E[Y|D=0] = ATT + E[Y(0)|D=1] - E[Y(0)|D=0].
"""

from __future__ import annotations

from dataclasses import dataclass

from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.telling.decision import decisive
from truelift.effects.telling.names import Nouns, sentence_case, with_article
from truelift.effects.telling.names import in_words as named
from truelift.effects.telling.sentences import (
    chosen,
    estimate_sentence,
    measured_in,
    verdict_text,
)
from truelift.report.estimates import (
    NAIVE,
    by_outcome,
    decimals,
    excludes_zero,
    find,
    is_doubtful,
    nouns,
    supports,
)
from truelift.report.numbers import (
    decimals_for,
    in_words,
    interval,
    level,
    number,
    outcome_name,
    p_value,
)

# Of the naive difference: with a larger standard error, "hardly moves" would be a guess.
PRECISE = 0.25
#: Arms in the headline, and arms that have a verdict each.
MOST_ARMS = 7
MOST_VERDICTS = 2


@dataclass(frozen=True)
class Reading:
    """What the estimates of one outcome say, one sentence an estimand."""

    outcome: str
    sentences: tuple[str, ...]


def _shown(e: Estimate, unit: str = "") -> str:
    of = f" {unit}" if unit else ""
    return f"{number(e.estimate, decimals(e), signed=True)}{of} ({_interval(e)})"


def per(result: EffectsResult, outcome: str, told: Nouns) -> str:
    """What the changes count, and over what."""
    return result.design.measured_in.get(outcome, told.over)


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
    told = nouns(result)
    if told is None:
        return _of_any_table(result)
    outcome = next(iter(groups))
    name, unit = outcome_name(outcome), per(result, outcome, told)
    one = with_article(told.treatment)
    adjusted = [e for kind in ("ATT", "ATE") if (e := find(result, kind, outcome)) is not None]
    if not adjusted:
        e = groups[outcome][0]
        return (
            f"{sentence_case(told.subjects)} with and without {one} differ in {name} by {_shown(e, unit)}; no "
            "adjusted effect was estimated."
        )
    e = next((a for a in adjusted if not is_doubtful(result, a)), adjusted[0])
    among = f" among {told.subjects} who received one" if e.estimand == "ATT" else ""
    if is_doubtful(result, e):
        stopped = any(c.stops and c.concerns(e.estimand, e.arm, outcome) for c in result.cautions)
        why = (
            "see the verdict for what stands against it"
            if stopped
            else f"{told.subjects} with and without them are too different to compare safely"
        )
        return (
            f"The data cannot tell the effect of the {told.treatments}: {why}. The adjusted change in "
            f"{name}{among}, {_shown(e, unit)}, is not to be relied on."
        )
    if not excludes_zero(e):
        return (
            f"No clear effect of the {told.treatments} on {name}{among}: the estimated change is "
            f"{_shown(e, unit)}, which includes zero."
        )
    places = decimals(e)
    direction = "raised" if e.estimate > 0 else "lowered"
    lower, upper = sorted((abs(e.ci_lower), abs(e.ci_upper)))
    return (
        f"Receiving {one} {direction} {name} by {number(abs(e.estimate), places)} {unit} "
        f"({level(e.confidence)} interval {interval(lower, upper, places)}){among}, if the "
        "assumptions below hold."
    )


def _of_any_table(result: EffectsResult) -> str:
    """The decisive estimate of every arm on the first outcome, beside each other."""
    found = decisive(result)
    if not found:
        return "No adjusted effect was estimated; a difference between arms as they are is none."
    carried = [e for e in found if not is_doubtful(result, e)]
    if not carried:
        return (
            "The data support no effect: see the verdict for what stands against it. The "
            f"estimates on {outcome_name(found[0].outcome)} are not to be relied on."
        )
    holds = " This holds if the assumptions below do." if _assumes(result) else ""
    if len(found) == 1:
        e = found[0]
        clear = "" if excludes_zero(e) else "No clear effect: "
        tail = holds if excludes_zero(e) else " The interval includes zero."
        return f"{clear}{in_words(e.sentence(measured_in(result, e)))}{tail}"
    first = found[0]
    unit = measured_in(result, first)
    parts = [_of_arm(result, e) for e in found[:MOST_ARMS]]
    if len(found) > MOST_ARMS:
        parts.append(f"and {len(found) - MOST_ARMS} more arms")
    return (
        f"Against {first.versus}, {outcome_name(first.outcome)} changes "
        f"({first.estimand}{f', in {unit}' if unit else ''}): {'; '.join(parts)}.{holds}"
    )


def _of_arm(result: EffectsResult, e: Estimate) -> str:
    clear = "" if excludes_zero(e) else ", which includes zero"
    doubt = ", which the data do not support" if is_doubtful(result, e) else ""
    return f"{e.arm} {_shown(e)}{doubt or clear}"


def _assumes(result: EffectsResult) -> bool:
    """Whether more has to hold than that arms were drawn as the specification says."""
    return result.design.assignment == "observed"


def verdicts(result: EffectsResult) -> list[tuple[str, str]]:
    """The verdict on each estimand, or the one on all of them under an empty name.

    Of many arms one text says which are supported and which are not, with the first reason.
    """
    if len({s.text for s in result.support}) < 2 or len(result.overlaps) > MOST_VERDICTS:
        return [("", _sentence(verdict_text(result)))]
    return [(judged.name, _sentence(judged.text)) for judged in result.support]


def _sentence(text: str) -> str:
    named = in_words(text)
    return named[:1].upper() + named[1:]


def left_out(result: EffectsResult) -> int:
    """Estimates that are in the tables alone."""
    return 0 if nouns(result) else len(result.estimates) - len(chosen(result))


def readings(result: EffectsResult) -> list[Reading]:
    """For each outcome: the naive difference, what adjusting does to it, and what is left.

    Without labels of the specification at most a screen of sentences; the tables have the rest.
    """
    result = named(result)
    told = nouns(result)
    found = []
    read = chosen(result)
    for outcome, group in by_outcome(result).items():
        name = outcome_name(outcome)
        if told is None:
            if said := [in_words(estimate_sentence(result, e)) for e in read if e in group]:
                found.append(Reading(name, tuple(said)))
            continue
        unit, one = per(result, outcome, told), with_article(told.treatment)
        naive, att, ate = (find(result, estimand, outcome) for estimand in (NAIVE, "ATT", "ATE"))
        sentences = []
        if naive is not None:
            reliable = att is not None and supports(result, "ATT")
            bias = f" {_selection(naive, att, name, told)}" if att is not None and reliable else ""
            sentences.append(
                f"As they are, units with {one} differ from those without by "
                f"{_shown(naive, unit)}.{bias}"
            )
        if att is not None:
            sentences.append(
                f"For those who received {one} (ATT), the {told.treatment} itself changed {name} by "
                f"{_shown(att, unit)}: {_strength(att)}.{_doubt(result, att)}"
            )
        if ate is not None:
            sentences.append(
                f"Sending every {told.treatment} to everyone rather than to no one (ATE) would change "
                f"{name} by {_shown(ate, unit)}: {_strength(ate)}."
                f"{_doubt(result, ate)}"
            )
        ato = find(result, "ATO", outcome)
        if ato is not None:
            sentences.append(
                f"Among {told.subjects} of whom it was open whether {one} would come to them (ATO), "
                f"it changed {name} by {_shown(ato, unit)}: {_strength(ato)}.{_doubt(result, ato)}"
            )
        known = {id(e) for e in (naive, att, ate, ato)}
        sentences += [
            in_words(e.sentence())
            if kind_of(e.estimand).share
            else f"{e.estimand}: {_shown(e)}: {_strength(e)}."
            for e in group
            if id(e) not in known
        ]
        found.append(Reading(name, tuple(sentences)))
    return found


def _doubt(result: EffectsResult, e: Estimate) -> str:
    if not is_doubtful(result, e):
        return ""
    return f" The data do not support the {e.estimand}: do not rely on this number."


def _selection(naive: Estimate, att: Estimate, name: str, told: Nouns) -> str:
    bias = naive.estimate - att.estimate
    larger = max(naive.standard_error, att.standard_error)
    if abs(bias) <= larger:
        if larger > PRECISE * abs(naive.estimate):
            return "How much of this is selection cannot be told: the adjusted change is too vague."
        return "Adjusting for earlier behaviour hardly moves this."
    kind = "higher" if bias > 0 else "lower"
    return (
        f"Of this, {number(bias, decimals_for(larger), signed=True)} is not the {told.treatment}'s doing: "
        f"judging by earlier behaviour, {told.treatments} went to {told.subjects} whose {name} would "
        f"have been {kind} anyway."
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
