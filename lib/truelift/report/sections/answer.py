"""The answer: effects with intervals, in words, with warnings and assumptions."""

from __future__ import annotations

from truelift.effects.results import EffectsResult, Estimate
from truelift.report.cautions import ASSUMPTIONS, warnings
from truelift.report.content import ReportContent
from truelift.report.estimates import by_outcome, decimals, is_supported, qualified
from truelift.report.markup import Html, bullets, element, fragment, missing, note, section, table
from truelift.report.numbers import (
    count,
    interval,
    level,
    number,
    outcome_name,
    p_value,
    plural,
)
from truelift.report.plots import effects_forest
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
    )


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
        places = decimals(e)
        rows.append(
            (
                outcome_name(e.outcome),
                ", ".join(part for part in (e.estimand, qualified(result, e)) if part),
                number(e.estimate, places, signed=True),
                interval(e.ci_lower, e.ci_upper, places),
                number(e.standard_error, places),
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


def _method(result: EffectsResult) -> str:
    return (
        f"From {result.table} version {result.table_version}: {count(result.n)} units of "
        f"{count(result.clusters)} users, {count(result.treated)} treated; "
        f"{result.folds}-fold cross-fitting with a user's units in one fold. Intervals are for "
        "each number on its own: of many intervals, some miss."
    )


def _methods(result: EffectsResult) -> list[str]:
    methods: dict[str, list[str]] = {}
    for e in _ordered(result):
        names = methods.setdefault(e.method, [])
        if e.estimand not in names:
            names.append(e.estimand)
    return [f"{', '.join(names)}: {method}" for method, names in methods.items()]
