"""A result as text: the verdict, then at most a screen of sentences, then what to make of it.

The sentences are chosen by kind: the effect of everyone before that of the treated, changes
before levels. What does not fit on a screen is counted, and stands in the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.support.supported import NOT_SUPPORTED, decisive
from truelift.effects.telling.decision import decision
from truelift.effects.telling.figures import figure, p_text, percent, places_of
from truelift.effects.telling.names import clusters_of, counted, in_words, joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truelift.effects.experiment.results import ExperimentEstimate
    from truelift.effects.results import EffectsResult, Estimate
    from truelift.effects.support.supported import Support

NAIVE = "naive difference"
#: Sentences on estimates that fit on a screen beside verdict, cautions and checks.
MOST_ESTIMATES = 8
_MOST_CHECKS = 6
_MOST_CAUTIONS = 6
_LAST = 1000


def summary(result: EffectsResult) -> str:
    """Verdict, cautions, estimates, further looks and a closing sentence, a line each."""
    told = in_words(result)
    verdict = f"Verdict: {verdict_text(told)}"
    lines = [verdict, *_cautions(told), *estimate_sentences(told)]
    checks = check_sentences(told)
    lines += checks[:_MOST_CHECKS]
    left = len(checks) - _MOST_CHECKS
    lines += [f"{left} more checks are in the result's tables."] if left > 0 else []
    lines += [f"Not made, {what}: {why}" for what, why in told.not_made.items()]
    return "\n".join([*lines, source_sentence(told), f"For the one who decides: {decision(told)}"])


def source_sentence(result: EffectsResult) -> str:
    """What the numbers were made from, and how."""
    units = f"{result.n:,} units"
    noun = clusters_of(result)
    of = f" of {counted(result.clusters, noun)}" if result.clusters != result.n else ""
    arms = joined([f"{n:,} {arm}" for arm, n in result.arms.items()])
    told = f" ({arms})" if arms else ""
    source = f"From {units}{of}{told} of {result.table} version {result.table_version}"
    if result.learner:
        source += f"; {result.learner} nuisances with {counted(result.covariates, 'features')}"
    folds = f", cross-fitted in {result.folds} folds" if result.folds else ""
    return f"{source}{folds}. {result.selection}".strip()


def verdict_text(result: EffectsResult) -> str:
    """The verdict; of several arms with different ones, the arms of each and the first reason."""
    asked = [s for s in decisive(result.support, result.asked) if s.arm]
    if len({s.arm for s in asked}) < 2 or len({s.text for s in asked}) == 1:
        return result.verdict
    good = _named([s for s in asked if s.supported])
    bad = _named([s for s in asked if not s.supported])
    if not bad:
        return f"supported for {good}. {_first_reason(s for s in asked if s.careful)}".strip()
    because = _first_reason(s for s in asked if not s.supported)
    if not good:
        return f"{NOT_SUPPORTED} for {bad}. {because}"
    return f"supported for {good}. It is {NOT_SUPPORTED} for {bad}. {because}"


def _named(found: Iterable[Support]) -> str:
    """Arms with their estimands; arms with the same estimands together."""
    by_arm: dict[str, list[str]] = {}
    for judged in found:
        by_arm.setdefault(judged.arm, []).append(judged.estimand)
    groups: dict[tuple[str, ...], list[str]] = {}
    for arm, kinds in by_arm.items():
        groups.setdefault(tuple(kinds), []).append(arm)
    return "; ".join(f"{joined(arms)} ({', '.join(kinds)})" for kinds, arms in groups.items())


def _first_reason(found: Iterable[Support]) -> str:
    return next((f"{s.name}: {s.reason or s.text}" for s in found), "")


def _cautions(result: EffectsResult) -> list[str]:
    said = [f"Caution: {caution.text}" for caution in result.cautions[:_MOST_CAUTIONS]]
    left = len(result.cautions) - _MOST_CAUTIONS
    return said + ([f"{left} more cautions are in result.cautions."] if left > 0 else [])


def chosen(result: EffectsResult, most: int = MOST_ESTIMATES) -> list[Estimate]:
    """The estimates that are read out: the first of every kind and outcome, in reading order."""
    randomised = result.experiment is not None
    wanted = [e for e in result.estimates if not (randomised and e.estimand == NAIVE)]
    by_rank = sorted(wanted, key=lambda e: _rank(e, randomised))[:most]
    outcomes = list(dict.fromkeys(e.outcome for e in result.estimates))
    return sorted(by_rank, key=lambda e: outcomes.index(e.outcome))


def _rank(e: Estimate, randomised: bool) -> int:
    if randomised and e.estimand in ("ATT", "ATO"):
        return _LAST  # the same effect as the ATE: lots know nobody
    return kind_of(e.estimand).priority


def estimate_sentences(result: EffectsResult, most: int = MOST_ESTIMATES) -> list[str]:
    """One sentence an estimate, with the experiment's own methods beside the ATE.

    Parameters
    ----------
    result : EffectsResult
        In words.
    most : int
        How many are read out; the rest is counted.
    """
    read = chosen(result, most)
    said = [estimate_sentence(result, e) for e in read]
    if result.experiment is not None and not any(e.estimand == "ATE" for e in read):
        said += _methods_alone(result)[:most]
    left = len(result.estimates) - len(read)
    if result.experiment is not None:
        left -= sum(e.estimand == NAIVE for e in result.estimates)
    if left > 0:
        said.append(
            f"{left} more {'estimate is' if left == 1 else 'estimates are'} in the table of the "
            "estimates (to_pandas() in Python)."
        )
    return said


def estimate_sentence(result: EffectsResult, e: Estimate) -> str:
    """One estimate with its unit, what stands beside it, and whether to rely on it."""
    return f"{e.sentence(measured_in(result, e))}{_beside(result, e)}{doubt(result, e)}"


def measured_in(result: EffectsResult, e: Estimate) -> str:
    """What a change is counted in, as far as the specification says it; empty for shares."""
    shares = kind_of(e.estimand).share
    return "" if shares else result.design.measured_in.get(e.outcome, "")


def doubt(result: EffectsResult, e: Estimate) -> str:
    """What is added to an estimate that the data do not support."""
    if result.supports(e) is False:
        return " The data do not support it: do not rely on this number."
    return ""


def _beside(result: EffectsResult, e: Estimate) -> str:
    """The plain difference and CUPED beside the adjusted estimate of the same contrast."""
    if result.experiment is None or e.estimand != "ATE":
        return ""
    mine = [
        f"{method_name(x.method)} {_experiment_figures(x, e.confidence if i == 0 else None)}"
        for i, x in enumerate(
            x
            for x in result.experiment.estimates
            if (x.outcome, x.arm, x.versus) == (e.outcome, e.arm, e.versus)
            and x.method != "learner-adjusted"
        )
    ]
    return f" Beside it: {'; '.join(mine)}." if mine else ""


def method_name(method: str) -> str:
    """A method of an experiment as it is read out."""
    return {"difference in means": "plain difference in means"}.get(method, method)


def _experiment_figures(x: ExperimentEstimate, confidence: float | None) -> str:
    places = places_of(x.standard_error, x.ci_lower, x.ci_upper)
    level = "" if confidence is None else f"{confidence:.0%} interval "
    return (
        f"{figure(x.estimate, places, signed=True)} ({level}{figure(x.ci_lower, places)} to "
        f"{figure(x.ci_upper, places)})"
    )


def _methods_alone(result: EffectsResult) -> list[str]:
    assert result.experiment is not None
    level = result.estimates[0].confidence if result.estimates else None
    return [
        f"{x.arm} against {x.versus} on {x.outcome}, {method_name(x.method)}: "
        f"{_experiment_figures(x, level)}."
        for x in result.experiment.estimates
    ]


def check_sentences(result: EffectsResult) -> list[str]:
    """What tests, the experiment's sizes, heterogeneity and credibility found; alarms first."""
    said = [test.sentence() for test in result.tests]
    said += [check.sentence() for check in result.instruments]
    said += [check.sentence() for check in result.trends]
    said += [check.sentence() for check in result.synthetic]
    said += [text for finding in result.findings for text in finding.sentences]
    if result.experiment is not None:
        said.append(result.experiment.sentence(list(result.arms)))
    found = result.credibility
    if found is not None:
        alarms = [c for c in found.negative_controls if c.verdict == "effect found"]
        said += [repr(control) for control in alarms]
        said += [repr(placebo) for placebo in found.placebos if not placebo.passed]
    said += [
        f"{varying.sentence()}{average_doubt(result, varying.arm)}"
        for varying in result.heterogeneity
    ]
    if found is not None:
        # Where chances are known no confounder can hide.
        if result.design.assignment == "observed":
            said += [repr(bounds) for bounds in found.omitted_variables]
        said += [repr(c) for c in found.negative_controls if c.verdict != "effect found"]
        said += [repr(placebo) for placebo in found.placebos if placebo.passed]
    return said


def average_doubt(result: EffectsResult, arm: str) -> str:
    """Parts of an average that the data do not support are no better supported."""
    if result.judged("ATE", arm):
        return ""
    return " The data do not support the ATE: take this as a hint where to look."


def sentence(e: Estimate, unit: str = "") -> str:
    """One estimate as a sentence, as its row says; ``unit`` says what its numbers count."""
    kind = kind_of(e.estimand)
    looks = "; at every look" if e.anytime else ""
    level = f"{e.confidence:.0%} interval"
    if kind.share:
        change = (
            f"{percent(e.estimate, signed=True)} ({level} {percent(e.ci_lower, signed=True)} to "
            f"{percent(e.ci_upper, signed=True)}{looks})"
        )
    else:
        places = places_of(e.standard_error, e.ci_lower, e.ci_upper)
        of = f" {unit}" if unit else ""
        change = (
            f"{figure(e.estimate, places, signed=not kind.level)}{of} ({level} "
            f"{figure(e.ci_lower, places)} to {figure(e.ci_upper, places)}{looks}{_tested(e)})"
        )
    said = kind.reading.format(
        estimand=e.estimand, arm=e.arm, versus=e.versus, outcome=e.outcome, change=change,
        population=e.population,
    )  # fmt: skip
    return f"{said}{_one_sided(e)}"


def _tested(e: Estimate) -> str:
    if e.p_value is None or e.alternative != "two-sided":
        return ""
    return f", {p_text(e.p_value)}"


def one_sided(e: Estimate) -> str:
    """The bound of a one-sided test in words; empty where none was asked for."""
    if e.bound is None or e.p_value is None:
        return ""
    places = places_of(e.standard_error, e.bound)
    shares = kind_of(e.estimand).share
    bound = percent(e.bound, signed=True) if shares else figure(e.bound, places)
    side, other = ("least", "<=") if e.alternative == "greater" else ("most", ">=")
    return (
        f"at {side} {bound} with {e.confidence:.0%} confidence (one-sided {p_text(e.p_value)} "
        f"against an effect {other} 0)"
    )


def _one_sided(e: Estimate) -> str:
    text = one_sided(e)
    return f" It is {text}." if text else ""
