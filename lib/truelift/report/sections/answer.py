"""The answer: effects with intervals, in words, with warnings and assumptions."""

from __future__ import annotations

from truelift.effects.further.results import Experiment
from truelift.effects.results import EffectsResult, Estimate
from truelift.report.cautions import ASSUMPTIONS, warnings
from truelift.report.content import ReportContent
from truelift.report.estimates import LIFT, by_outcome, decimals, is_supported, qualified
from truelift.report.markup import Html, bullets, element, fragment, missing, note, section, table
from truelift.report.numbers import (
    count,
    decimals_for,
    in_words,
    interval,
    level,
    number,
    outcome_name,
    p_value,
    plural,
    share,
)
from truelift.report.plots import clip_path, effects_forest
from truelift.report.reading import Reading, readings, verdicts
from truelift.report.svg import figure_block


def why_no_effects(content: ReportContent) -> str:
    """The reason why there are no effects, as far as the run knows it."""
    if content.features is not None and content.features.panel_skipped_reason:
        return f"There is no panel to estimate on: {content.features.panel_skipped_reason}"
    return "The step estimate_effects has not run on this lake."


def answer(content: ReportContent) -> Html:
    """Did it help, and how sure are we?"""
    result = content.effects
    if result is None or not result.estimates:
        return section(
            "answer", "Did it help?", missing("Treatment effects", why_no_effects(content))
        )
    return section(
        "answer",
        "Did it help?",
        figure_block(
            lambda width: effects_forest(result, width),
            "effects-forest",
            _legend(result),
            "Estimates with intervals. " + " ".join(_described(e) for e in _ordered(result)),
        ),
        *(_reading(reading) for reading in readings(result)),
        _verdict(result),
        _warnings(result),
        element("h3", "What is assumed"),
        bullets(fragment(element("strong", name), " ", text) for name, text in ASSUMPTIONS),
        element("h3", "The estimates"),
        _estimates(result),
        element("p", _method(result), class_="small"),
        bullets(_methods(result), class_="small"),
        *_tests(result),
        *_experiment(result),
        *_followed(result),
    )


def _tests(result: EffectsResult) -> list[Html]:
    said = [in_words(test.sentence()) for test in result.tests]
    said += [in_words(f"{e.named}: {text}.") for e in _ordered(result) if (text := e.one_sided())]
    return [element("h3", "Tests"), bullets(said)] if said else []


def _experiment(result: EffectsResult) -> list[Html]:
    experiment = result.experiment
    if experiment is None:
        return []
    fine = not experiment.sample_ratio.mismatch
    return [
        element("h3", "The experiment, three ways"),
        note(
            "good" if fine else "warning",
            "The arms have their sizes" if fine else "The arms do not have their sizes",
            element("p", experiment.sentence()),
        ),
        _experiment_table(experiment),
    ]


def _experiment_table(experiment: Experiment) -> Html:
    rows = []
    for e in experiment.estimates:
        places = decimals_for(e.standard_error)
        rows.append(
            (
                f"{outcome_name(e.outcome)}: {e.arm} against {e.versus}",
                e.method,
                number(e.estimate, places, signed=True),
                interval(e.ci_lower, e.ci_upper, places),
                p_value(e.p_value),
                number(e.minimum_detectable_effect, places),
            )
        )
    return table(
        "The same contrast by each method; the last column is the smallest effect that such an "
        "experiment finds four times out of five",
        ("Contrast", "Method", "Estimate", "Interval", "p", "Detectable"),
        rows,
        numeric=frozenset({2, 3, 4, 5}),
    )


def _followed(result: EffectsResult) -> list[Html]:
    """The estimate along clip levels: one that moves hangs on few units with extreme chances."""
    if not result.followed:
        return []
    first = result.followed[0].arm
    arm = f" of {first} against {result.followed[0].versus}" if len(result.arms) > 2 else ""
    return [
        element("h3", "Does it hang on a few units?"),
        figure_block(
            lambda width: clip_path(result, width),
            "clip-path",
            f"The ATE{arm} with propensities clipped at several levels, and among the units whose "
            "chances lie within a range. An estimate that wanders leans on the few units that are "
            "almost sure to be treated, or not to be.",
            " ".join(
                f"{outcome_name(e.outcome)}, {e.population}: "
                f"{number(e.estimate, decimals(e))} "
                f"({interval(e.ci_lower, e.ci_upper, decimals(e))})."
                for e in result.followed
                if e.arm == first
            ),
        ),
    ]


def _reading(reading: Reading) -> Html:
    return fragment(element("h3", reading.outcome.capitalize()), bullets(reading.sentences))


def _verdict(result: EffectsResult) -> Html:
    parts = [
        element("p", element("strong", f"{name}: ") if name else None, text)
        for name, text in verdicts(result)
    ]
    return note("warning" if _doubtful(result) else "verdict", "Do the data support it?", *parts)


def _doubtful(result: EffectsResult) -> bool:
    return not all(is_supported(result, e) for e in result.estimates)


def _legend(result: EffectsResult) -> str:
    text = (
        "Dot: estimate. Line: interval, with standard errors clustered by user. Upright dashed "
        "line: no effect. The naive difference (square) compares the groups as they are."
    )
    if not _doubtful(result):
        return text
    return f"{text} Hollow dot on a broken line: the data do not support this estimate."


def _ordered(result: EffectsResult) -> list[Estimate]:
    return [e for group in by_outcome(result).values() for e in group]


def _described(e: Estimate) -> str:
    places = decimals(e)
    return (
        f"{e.estimand} on {outcome_name(e.outcome)}: {number(e.estimate, places)}, "
        f"{level(e.confidence)} interval {interval(e.ci_lower, e.ci_upper, places)}."
    )


def _warnings(result: EffectsResult) -> Html | None:
    found = warnings(result)
    if not found and _doubtful(result):
        return None  # the verdict says what is wrong
    if not found:
        return note(
            "good",
            "No warning from overlap, balance or sample size.",
            element("p", "The automatic checks found nothing; the assumptions below remain."),
        )
    title = plural(len(found), "warning")
    return note("warning", f"{title} to weigh before acting", bullets(found), id_="warnings")


def _estimates(result: EffectsResult) -> Html:
    rows = []
    for e in _ordered(result):
        rows.append(
            (
                outcome_name(e.outcome),
                ", ".join(part for part in (e.estimand, qualified(result, e)) if part),
                *_numbers(e),
                "" if e.p_value is None else p_value(e.p_value),
                "yes" if is_supported(result, e) else "no",
            )
        )
    header = (
        "Outcome",
        "Estimand",
        "Estimate",
        f"{level(result.estimates[0].confidence)} interval",
        "Std. error",
        "p",
        "Supported",
    )
    return table(
        "Change in the outcome per user and campaign, in the outcome's own units",
        header,
        rows,
        numeric=frozenset({2, 3, 4, 5}),
    )


def _numbers(e: Estimate) -> tuple[str, str, str]:
    """Estimate, interval and standard error; a lift is a percentage."""
    if e.estimand == LIFT:
        return (
            share(e.estimate), f"{share(e.ci_lower)} to {share(e.ci_upper)}",
            share(e.standard_error),
        )  # fmt: skip
    places = decimals(e)
    return (
        number(e.estimate, places, signed=True),
        interval(e.ci_lower, e.ci_upper, places),
        number(e.standard_error, places),
    )


def _method(result: EffectsResult) -> str:
    return (
        f"From {result.table} version {result.table_version}: {count(result.n)} units of "
        f"{count(result.clusters)} users, {count(result.treated)} treated; "
        f"{result.folds}-fold cross-fitting with a user's units in one fold. Intervals are for "
        "each number on its own: of many intervals, some miss."
        f"{_looks(result)}"
    )


def _looks(result: EffectsResult) -> str:
    if not any(e.anytime for e in result.estimates):
        return ""
    return " Each holds at every look, however often one looks while the data grow."


def _methods(result: EffectsResult) -> list[str]:
    methods: dict[str, list[str]] = {}
    for e in _ordered(result):
        names = methods.setdefault(e.method, [])
        if e.estimand not in names:
            names.append(e.estimand)
    return [f"{', '.join(names)}: {method}" for method, names in methods.items()]
