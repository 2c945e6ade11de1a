"""The answer: effects with intervals, in words, with warnings and assumptions."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from truelift.effects.experiment.results import Experiment
from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.telling.decision import decision
from truelift.effects.telling.names import clusters_of, counted
from truelift.report.cautions import assumptions, warnings
from truelift.report.content import ReportContent
from truelift.report.estimates import (
    by_outcome,
    decimals,
    is_doubtful,
    nouns,
    of_pipeline,
    qualified,
)
from truelift.report.markup import Html, bullets, element, fragment, missing, note, section, table
from truelift.report.numbers import (
    EN_DASH,
    count,
    decimals_for,
    in_words,
    interval,
    joined,
    level,
    number,
    outcome_name,
    p_value,
    plural,
    share,
)
from truelift.report.plots import clip_path, effects_forest
from truelift.report.plots.effects import not_drawn
from truelift.report.reading import Reading, left_out, readings, verdicts
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block


def why_no_effects(content: ReportContent) -> str:
    """The reason why there are no effects, as far as the run knows it."""
    if content.panel is not None and content.panel.missing:
        return f"There is no panel to estimate on: {content.panel.missing}"
    return "The step estimate_effects has not run on this lake."


def answer(content: ReportContent) -> Html:
    """Did it help, and how sure are we?"""
    result = content.effects
    if result is None or not result.estimates:
        return section(
            "answer", "Did it help?", missing("Treatment effects", why_no_effects(content))
        )
    found = readings(result)
    return section(
        "answer",
        "Did it help?",
        _verdict(result),
        _warnings(result),
        *(_reading(reading) for reading in found),
        _more(result),
        deciding(result),
        figure_block(
            lambda width: effects_forest(result, width),
            "effects-forest",
            _legend(result),
            "Estimates with intervals. " + " ".join(_described(e) for e in _ordered(result)),
        ),
        element("h3", "The estimates"),
        *_estimates(result),
        *_experiment(result),
        *_tests(result),
        element("h3", "What is assumed"),
        bullets(fragment(element("strong", name), " ", text) for name, text in assumptions(result)),
        element("h3", "How it was estimated"),
        element("p", _method(result), class_="small"),
        bullets(_methods(result), class_="small"),
        _not_asked(result),
        *_followed(result),
    )


def deciding(result: EffectsResult) -> Html:
    """The sentence for the one who decides."""
    text = in_words(decision(result))
    return note("verdict", "For the one who decides", element("p", text[:1].upper() + text[1:]))


def _not_asked(result: EffectsResult) -> Html | None:
    """What a table's own page has no section on."""
    looks = (
        (result.heterogeneity, "heterogeneity", "whom it helps"),
        (result.credibility, "credibility", "how fragile it is"),
    )
    left = [
        f"{told} ({key}: true)"
        for found, key, told in looks
        if not found and not any(name.startswith(key) for name in result.not_made)
    ]
    if of_pipeline(result) or not left:
        return None
    return element("p", f"Not asked for: {joined(left)}.", class_="small")


def _more(result: EffectsResult) -> Html | None:
    left = left_out(result)
    return element("p", f"{plural(left, 'more estimate')} in the table below.") if left else None


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
        element("h3", "The experiment by each method"),
        note(
            "good" if fine else "warning",
            "The arms have their sizes" if fine else "The arms do not have their sizes",
            element("p", in_words(experiment.sentence(list(result.arms)))),
        ),
        _experiment_table(experiment),
    ]


def _experiment_table(experiment: Experiment) -> Html:
    rows = []
    contrasts = list(dict.fromkeys((e.outcome, e.arm) for e in experiment.estimates))
    for e in sorted(experiment.estimates, key=lambda e: contrasts.index((e.outcome, e.arm))):
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
    """The estimate along clip levels: one that moves hangs on few units with extreme chances.

    Arms that wander come first; where chances are known nothing is clipped, and nothing followed.
    """
    if not result.followed or result.design.assignment == "randomised":
        return []
    arms = list(dict.fromkeys(e.arm for e in result.followed))
    parts: list[Html] = [element("h3", "Does it hang on a few units?")]
    for place, arm in enumerate(arms):
        mine = [e for e in result.followed if e.arm == arm]
        of = f" of {arm} against {mine[0].versus}" if len(result.arms) > 2 else ""
        block = figure_block(
            lambda width, arm=arm: clip_path(result, width, arm),  # type: ignore[misc]
            "clip-path" if place == 0 else f"clip-path-{place + 1}",
            f"The ATE{of} with propensities clipped at several levels, and among the units whose "
            "chances lie within a range. An estimate that wanders leans on the few units that are "
            "almost sure to be in the one arm or the other.",
            " ".join(
                f"{outcome_name(e.outcome)}, {e.population}: "
                f"{number(e.estimate, decimals(e))} "
                f"({interval(e.ci_lower, e.ci_upper, decimals(e))})."
                for e in mine
            ),
        )
        if place == 0:
            parts.append(block)
        else:
            parts.append(element("details", element("summary", f"The same of {arm}"), block))
    return parts


def _reading(reading: Reading) -> Html:
    return fragment(element("h3", reading.outcome.capitalize()), bullets(reading.sentences))


def _verdict(result: EffectsResult) -> Html | None:
    """The verdicts, where there are several: one alone is on top of the page already."""
    if len(verdicts(result)) < 2:
        return None
    parts = [
        element("p", element("strong", f"{name}: ") if name else None, text)
        for name, text in verdicts(result)
    ]
    return note("warning" if _doubtful(result) else "verdict", "Do the data support it?", *parts)


def _doubtful(result: EffectsResult) -> bool:
    return any(is_doubtful(result, e) for e in result.estimates)


def _legend(result: EffectsResult) -> str:
    text = (
        f"Dot: estimate. Line: interval, with {_errors(result)}. "
        "Upright dashed line: no effect. The naive difference (square) compares the groups as "
        "they are."
    )
    if any(kind_of(e.estimand).level for e in result.estimates):
        text += " Means are levels, not changes: they have an axis of their own."
    if hidden := sum(not_drawn(result).values()):
        text += f" {plural(hidden, 'more estimate')} in the table below."
    if not _doubtful(result):
        return text
    return f"{text} Hollow dot on a broken line: the data do not support this estimate."


def _errors(result: EffectsResult) -> str:
    if result.synthetic:
        return "errors by placebos"
    one = _cluster(result)
    return (
        "clustered standard errors" if one == "cluster" else f"standard errors clustered by {one}"
    )


def _cluster(result: EffectsResult) -> str:
    return counted(1, clusters_of(result)).removeprefix("1 ")


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


def _estimates(result: EffectsResult) -> list[Html]:
    """Changes and levels each in a table of their own; the verdict stands beside the name."""
    changes = [e for e in _ordered(result) if not kind_of(e.estimand).level]
    levels = [e for e in _ordered(result) if kind_of(e.estimand).level]
    found = []
    if changes:
        found.append(_table(result, changes, f"Change in the outcome, {measured(result)}"))
    if levels:
        found.append(_table(result, levels, f"Means, not changes, {measured(result)}"))
    return found


def measured(result: EffectsResult) -> str:
    """What the numbers of the outcomes count, and over what."""
    told = [
        f"{outcome_name(outcome)} in {unit}"
        for outcome, unit in result.design.measured_in.items()
        if outcome in by_outcome(result)
    ]
    named = nouns(result)
    over = named.over if named else "per unit (a row of the table)"
    return "; ".join(told) if told else f"{over}, in the units of the outcome's own column"


def _table(result: EffectsResult, estimates: list[Estimate], caption: str) -> Html:
    levels = all(kind_of(e.estimand).level for e in estimates)  # of which nothing is tested
    rows = [
        (
            outcome_name(e.outcome),
            ", ".join(part for part in (e.estimand, qualified(result, e)) if part),
            _supported(result, e),
            *_numbers(e),
            *([] if levels else ["" if e.p_value is None else p_value(e.p_value)]),
        )
        for e in estimates
    ]
    confidence = level(result.estimates[0].confidence)
    header = (
        "Outcome", "Estimand", "Supported", "Estimate", f"{confidence} interval", "Std. error", "p",
    )  # fmt: skip
    return table(caption, header[: 6 if levels else 7], rows, numeric=frozenset({3, 4, 5, 6}))


def _supported(result: EffectsResult, e: Estimate) -> str:
    """A dash for the naive difference: it is no effect, so no verdict is made on it."""
    return {None: EN_DASH, True: "yes", False: "no"}[result.supports(e)]


def _numbers(e: Estimate) -> tuple[str, str, str]:
    """Estimate, interval and standard error; a lift is a percentage."""
    if kind_of(e.estimand).share:
        return (
            share(e.estimate), f"{share(e.ci_lower)} to {share(e.ci_upper)}",
            share(e.standard_error),
        )  # fmt: skip
    places = decimals(e)
    return (
        number(e.estimate, places, signed=not kind_of(e.estimand).level),
        interval(e.ci_lower, e.ci_upper, places),
        number(e.standard_error, places),
    )


def _method(result: EffectsResult) -> str:
    noun = clusters_of(result)
    of = f" of {count(result.clusters)} {noun}" if result.clusters != result.n else ""
    told = joined([f"{count(units)} {arm}" for arm, units in result.arms.items()])
    arms = f", {told}" if told else ""
    one = f"{result.folds}-fold cross-fitting with a {_cluster(result)}'s units in one fold"
    without = (
        "no folds: what is adjusted for is linear"
        if result.covariates
        else "nothing is adjusted for"
    )
    fitted = one if result.folds else without
    return (
        f"From {result.table} version {result.table_version}: {count(result.n)} units{of}{arms}; {fitted}. "
        f"Intervals are for each number on its own: of many intervals, some miss.{_looks(result)}"
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


def figures(content: ReportContent) -> Figures:
    """The estimates, and how they depend on clipping."""
    effects = content.effects
    if effects is None or not effects.estimates:
        return {}
    found: dict[str, Callable[[], Figure]] = {"effects_forest": lambda: effects_forest(effects)}
    if effects.followed:
        found["clip_path"] = lambda: clip_path(effects)
    return found


ANSWER = Section("answer", "Did it help?", 10, answer, figures, (EffectsResult,))
