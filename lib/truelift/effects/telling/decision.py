"""The closing sentence, for the one who decides: what to do with these numbers, and what not.

It follows from the verdict, the cautions and the intervals alone. Whether a change is worth its
price is not in the data; the sentence says the price up to which it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.telling.figures import figure, places_of
from truelift.effects.telling.names import joined, nouns_of, with_article

if TYPE_CHECKING:
    from truelift.effects.results import EffectsResult, Estimate


#: What a design asks one to believe, by its name.
BY_DESIGN = {
    "instrument": (
        "the instrument is as good as drawn by lot given the covariates, changes the outcome through the "
        "treatment alone, and moves nobody the other way"
    ),
    "front_door": (
        "the mediators carry all of the effect, and nothing unmeasured moves them with the treatment, or with "
        "the outcome but through it"
    ),
    "did": (
        "without the treatment the treated and those they are compared with would have moved alike, and "
        "nobody acted on it before it began"
    ),
    "synthetic": (
        "without the treatment the treated would have stayed beside the mix of others that was like them before, "
        "nothing else befell them alone, and they were not chosen for how their outcome moved"
    ),
}


def decisive(result: EffectsResult) -> list[Estimate]:
    """Of the first outcome, the first estimand that the data support of an arm, for all arms.

    Where none is supported, that of the first estimand that was made.
    """
    first = result.estimates[0].outcome if result.estimates else ""
    control = next(iter(result.arms), None)
    mine = [
        e
        for e in result.estimates
        if e.outcome == first
        and kind_of(e.estimand).decides_over
        and (control is None or e.versus in (control, ""))
    ]
    kinds = sorted({e.estimand for e in mine}, key=lambda name: kind_of(name).priority)
    for kind in kinds:
        of_kind = [e for e in mine if e.estimand == kind]
        if any(result.supports(e) for e in of_kind):
            return of_kind
    return [e for e in mine if kinds and e.estimand == kinds[0]]


def decision(result: EffectsResult) -> str:
    """What the numbers mean for a decision, in one or two sentences.

    Parameters
    ----------
    result : EffectsResult
        In words (:func:`~.names.in_words`).
    """
    found = decisive(result)
    if not found:
        return "no adjusted effect was estimated; a difference between groups decides nothing."
    if len(found) == 1:  # a band over outcomes is no band over arms to choose from
        found = [replace(found[0], band_lower=None, band_upper=None)]
    carried = [e for e in found if result.supports(e)]
    if not carried:
        return (
            f"do not act on these numbers: the data cannot tell what {_arms(result, found)} changed. "
            f"{_instead(result)}"
        )
    experiment = result.experiment
    if experiment is not None and experiment.sample_ratio.mismatch:
        return (
            "find out first why the arms do not have the sizes that were promised; until then no "
            "number of this experiment decides anything."
        )
    shown = [e for e in carried if _lower(e) > 0 or _upper(e) < 0]
    rest = "" if len(carried) == len(found) else _uncarried(found, carried)
    return f"{_several(result, shown, carried) if shown else _none(result, carried)}{rest}{_if(result, carried[0].outcome)}"


def _several(result: EffectsResult, shown: list[Estimate], carried: list[Estimate]) -> str:
    if len(shown) == 1:
        said = _one(result, shown[0])
    else:
        first = shown[0]
        changes = joined([f"{e.arm} by {_range(e)}" for e in shown])
        said = (
            f"against {first.versus}, {kind_of(first.estimand).decides_over}, these arms change "
            f"{first.outcome} ({_unit(result, first)}{_at_once(first)}): {changes}. Act on one if the end of its "
            f"range nearer to zero is worth what treating one unit costs. {_best(result, shown)}"
        )
    silent = [e.arm for e in carried if e not in shown]
    return f"{said} No effect is shown of {joined(silent)}." if silent else said


def _at_once(e: Estimate) -> str:
    return "" if e.band_lower is None else "; the ranges hold for all arms at once"


def _best(result: EffectsResult, shown: list[Estimate]) -> str:
    """Whether the arm with the largest change is shown to be ahead of the others."""
    first = max(shown, key=lambda e: e.estimate)
    others = [e.arm for e in shown if e is not first]
    pairs = {
        frozenset((e.arm, e.versus)): e
        for e in result.estimates
        if (e.estimand, e.outcome) == (first.estimand, first.outcome)
    }
    known = {arm: pairs.get(frozenset((first.arm, arm))) for arm in others}
    if not all(known.values()):
        return (
            "Which of them is best is told by the differences between them (contrasts: all), not "
            "by their order here."
        )
    behind = [arm for arm, e in known.items() if e and (_lower(e) > 0 or _upper(e) < 0)]
    level = [arm for arm in others if arm not in behind]
    ahead = f"{first.arm} changes it by more than {joined(behind)}" if behind else ""
    equal = f"no difference between {first.arm} and {joined(level, 'or')} is shown" if level else ""
    text = "; ".join(part for part in (ahead, equal) if part)
    return f"Of these, {text}."


def _one(result: EffectsResult, e: Estimate) -> str:
    places = places_of(e.standard_error, e.ci_lower, e.ci_upper)
    low, high = (figure(b, places) for b in sorted((abs(_lower(e)), abs(_upper(e)))))
    unit = f"{_unit(result, e)}{_of_band(e)}"
    if e.estimate > 0:
        return (
            f"{_name(result, e.arm)} raised {e.outcome} {kind_of(e.estimand).decides_over} by {low} to {high} {unit}. "
            f"Act if {low} more is worth what treating one unit costs; if it takes more than "
            f"{high} to pay for that, do not."
        )
    return (
        f"{_name(result, e.arm)} lowered {e.outcome} {kind_of(e.estimand).decides_over} by {low} to {high} {unit}. If "
        f"less {e.outcome} is what you want, act if {low} less is worth what treating one unit "
        "costs; if it is not what you want, stop."
    )


def _of_band(e: Estimate) -> str:
    """That a range is wider than the interval of the estimate alone, where it is."""
    return "" if e.band_lower is None else " (a range that holds for all arms at once)"


def _range(e: Estimate) -> str:
    places = places_of(e.standard_error, e.ci_lower, e.ci_upper)
    return f"{figure(_lower(e), places, signed=True)} to {figure(_upper(e), places, signed=True)}"


def _unit(result: EffectsResult, e: Estimate) -> str:
    nouns = nouns_of(result)
    return result.design.measured_in.get(e.outcome, nouns.over if nouns else "per unit")


def _name(result: EffectsResult, arm: str) -> str:
    if arm not in ("", "treated"):
        return arm
    nouns = nouns_of(result)
    return with_article(nouns.treatment) if nouns else "the treatment"


def _none(result: EffectsResult, carried: list[Estimate]) -> str:
    widest = max(carried, key=lambda e: _upper(e) - _lower(e))
    return (
        f"no effect of {_arms(result, carried)} on {widest.outcome} is shown, and none between "
        f"{_range(widest).replace(' to ', ' and ')} {_unit(result, widest)}{_of_band(widest)} is ruled "
        "out. If a "
        "change within that range would matter to you, collect more data before you decide; if "
        "none would, leave things as they are."
    )


def _uncarried(found: list[Estimate], carried: list[Estimate]) -> str:
    left = [e.arm for e in found if e not in carried]
    return f" The data do not support a decision on {joined(left)}."


def _arms(result: EffectsResult, found: list[Estimate]) -> str:
    return joined(list(dict.fromkeys(_name(result, e.arm) for e in found)))


def _instead(result: EffectsResult) -> str:
    if result.design.assignment == "instrument":
        if any(check.anderson_rubin.empty for check in result.instruments):
            return "Leave out the instrument that acts by another way, or find another."
        return "Find an instrument that moves more of them, or more units."
    if result.design.assignment == "randomised":
        return "Mend what the verdict names, then estimate again."
    return "Assign it at random to a part, or compare groups that overlap."


def _if(result: EffectsResult, outcome: str) -> str:
    if told := BY_DESIGN.get(result.design.assignment):
        weak = [c for c in result.instruments if c.weak and c.outcome == outcome]
        sets = (
            f" The instruments are weak: decide on {weak[0].anderson_rubin.words()}."
            if weak
            else ""
        )
        return f"{sets} All this holds only if {told}."
    if result.design.assignment != "observed":
        return ""
    return " All this holds only if nothing unmeasured drove both who was treated and the outcome."


def _lower(e: Estimate) -> float:
    """The bound that holds for all arms at once, where there are several."""
    return e.ci_lower if e.band_lower is None else e.band_lower


def _upper(e: Estimate) -> float:
    return e.ci_upper if e.band_upper is None else e.band_upper
