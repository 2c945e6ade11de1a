"""How fragile is it? Confounders, placebos, negative controls, stability."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from truelift.effects.credibility.assessment import Credibility
from truelift.effects.credibility.confounding_results import (
    CovariateBenchmark,
    OmittedVariableBounds,
)
from truelift.effects.results import EffectsResult
from truelift.report.content import ReportContent
from truelift.report.estimates import of_pipeline, supports
from truelift.report.markup import Html, bullets, element, missing, note, section, table
from truelift.report.numbers import (
    count,
    decimals_for,
    in_words,
    interval,
    level,
    number,
    outcome_name,
    plural,
    share,
    significant,
)
from truelift.report.plots import confounder_contour, left_out, placebo_histogram
from truelift.report.plots.fragility import LEFT_OUT_ROWS
from truelift.report.section import Figures, Section
from truelift.report.sections.whom import why_not
from truelift.report.svg import figure_block

HEADING = "How fragile is it?"


def fragile(content: ReportContent) -> Html | None:
    """What it would take for the finding to be wrong, as far as that can be tried."""
    result, what = content.effects, "Checks of credibility"
    if result is None:
        return None
    found = result.credibility
    if found is None or not found.omitted_variables:
        why = why_not(result, "credibility")
        if why is None and not of_pipeline(result):
            return None  # they were not asked for
        why = why or "Set effects.credibility to true for them."
        return section("fragile", HEADING, missing(what, why))
    return section(
        "fragile",
        HEADING,
        _confounding(result, found),
        _controls(found),
        _placebos(found),
        _left_out(result, found),
        _others(result, found),
    )


def _main(result: EffectsResult, found: Credibility) -> OmittedVariableBounds:
    """The first outcome's bounds of the estimand that the headline is about."""
    wanted = "ATT" if supports(result, "ATT") else "ATE"
    return next(
        (b for b in found.omitted_variables if b.estimand == wanted), found.omitted_variables[0]
    )


def _confounding(result: EffectsResult, found: Credibility) -> list[Html]:
    if result.design.assignment != "observed":
        return [
            element("h3", "A confounder that nobody measured"),
            element("p", "There can be none: arms were drawn with known chances."),
        ]
    main = _main(result, found)
    name = outcome_name(main.outcome)
    sentence = (
        f"To bring the {main.estimand}{_of(result, main)} on {name} to zero, a confounder that nobody measured would "
        f"have to explain {share(main.robustness_value)} of what is left unexplained of both the "
        f"treatment and {name}"
    )
    confident = main.robustness_value_confident
    sentence += (
        f", and {share(confident)} to bring the {level(main.confidence)} bound there."
        if confident > 0
        else "; the interval holds zero as it is."
    )
    # Benchmarks come outcome by outcome for each arm: those of the first belong to the plot.
    names = list(dict.fromkeys(b.covariates for b in found.benchmarks))
    benchmarks = found.benchmarks[: len(names)]
    shown = benchmarks if main.estimand == "ATE" else ()
    plot = figure_block(
        lambda width: confounder_contour(main, shown, width),
        "confounder-contour",
        "Each point is a confounder, by how much more it explains. One that lies beyond a curve, up and to the right, would "
        "bring the estimate, or the end of its interval, to zero.",
        sentence,
    )
    rows = []
    e_values = {e.outcome: e for e in found.e_values} if len(result.arms) == 2 else {}
    for b in found.omitted_variables:
        places = decimals_for(b.standard_error)
        e_value = e_values.get(b.outcome) if b.estimand == "ATE" else None
        rows.append(
            (
                f"{b.estimand} on {outcome_name(b.outcome)}"
                + (f", {b.contrast}" if len(result.arms) > 2 else ""),
                number(b.estimate, places, signed=True),
                share(b.robustness_value),
                share(b.robustness_value_confident),
                _could_lie(result, b, places),
                "" if e_value is None else significant(e_value.point),
            )
        )
    first = found.omitted_variables[0]
    return [
        element("h3", "A confounder that nobody measured"),
        element("p", sentence),
        plot,
        table(
            "Robustness values; and where the effect could lie, by chance and with a confounder "
            f"that explains {share(first.cf_y)} of the outcome and {share(first.cf_d)} of the "
            "treatment",
            ("Estimate of", "Estimate", "Robustness", "Of the bound", "Could lie in", "E-value"),
            rows,
            numeric=frozenset({1, 2, 3, 4, 5}),
        ),
        *_benchmarks(first, benchmarks),
    ]


def _of(result: EffectsResult, b: OmittedVariableBounds) -> str:
    return f" of {b.contrast}" if len(result.arms) > 2 else ""


def _could_lie(result: EffectsResult, b: OmittedVariableBounds, places: int) -> str:
    """The sampling interval that stands beside it, widened by what a confounder may hide."""
    mine = [
        e
        for e in result.estimates
        if (e.estimand, e.outcome) == (b.estimand, b.outcome)
        and (not e.versus or b.contrast == f"{e.arm} against {e.versus}")
    ]
    lower, upper = (mine[0].ci_lower, mine[0].ci_upper) if mine else (b.estimate, b.estimate)
    return interval(*b.with_chance(lower, upper), places)


def _benchmarks(
    first: OmittedVariableBounds, benchmarks: tuple[CovariateBenchmark, ...]
) -> list[Html]:
    if not benchmarks:
        return []
    lead = f"Yardsticks, for the ATE on {outcome_name(first.outcome)}:"
    return [element("p", lead), bullets(in_words(repr(b)) for b in benchmarks)]


def _controls(found: Credibility) -> list[Html]:
    if not found.negative_controls:
        return []
    bad = [c for c in found.negative_controls if c.verdict == "effect found"]
    heading = (
        f"{plural(len(bad), 'outcome')} that must show no effect "
        f"{'does' if len(bad) == 1 else 'do'}"
        if bad
        else "No outcome that must show no effect is seen to show one"
    )
    return [
        element("h3", "Outcomes that the treatment cannot change"),
        note(
            "warning" if bad else "good",
            heading,
            bullets(in_words(repr(c)) for c in found.negative_controls),
        ),
    ]


def _placebos(found: Credibility) -> list[Html]:
    if not found.placebos:
        return []
    first = found.placebos[0]
    expected = first.expected_share * len(first.estimates)
    sentence = (
        f"Of {plural(len(first.estimates), 'treatment')} that were drawn at random, "
        f"{count(first.rejected)} look significant; {expected:.3g} should. "
        + (
            "The standard errors pass this test. "
            if first.passed
            else "The standard errors do not hold: do not rely on the intervals. "
        )
        + "Placebos test the inference; they cannot show confounding."
    )
    plot = figure_block(
        lambda width: placebo_histogram(first, width),
        "placebo-histogram",
        "Estimated effects of placebo treatments, which follow each unit's propensity but have no "
        "effect; and the real treatment, estimated in the same way.",
        sentence,
    )
    others = [in_words(repr(p)) for p in found.placebos[1:]]
    return [
        element("h3", "Placebo treatments"),
        element("p", sentence),
        plot,
        _folded(f"{plural(len(others), 'other effect')}", others),
    ]


def _folded(summary: str, items: list[str]) -> Html:
    if not items:
        return Html("")
    return element("details", element("summary", summary), bullets(items))


def _left_out(result: EffectsResult, found: Credibility) -> list[Html]:
    main = _main(result, found)
    mine = [
        g
        for g in found.groups
        if (g.estimand, g.outcome, g.contrast) == (main.estimand, main.outcome, main.contrast)
        and g.levels
    ]
    parts: list[Html] = []
    for place, group in enumerate(mine):
        caption = f"The {group.estimand} when one {group.group} is left out, largest change first."
        if len(group.levels) > LEFT_OUT_ROWS:
            caption += f" {LEFT_OUT_ROWS} of {count(len(group.levels))} are drawn."
        parts += [
            element("h3", f"Without one {group.group}"),
            element("p", in_words(repr(group))),
            figure_block(
                lambda width, group=group: left_out(group, width),  # type: ignore[misc]
                f"left-out-{place + 1}",
                caption,
                in_words(repr(group)),
            ),
        ]
    return parts


def _others(result: EffectsResult, found: Credibility) -> Html:
    main = _main(result, found)
    drawn = (main.estimand, main.outcome, main.contrast)
    undrawn = [g for g in found.groups if g.levels and (g.estimand, g.outcome, g.contrast) != drawn]
    rest = [*undrawn, *found.random_causes, *found.halves, *found.folds]
    return _folded(
        "Other effects without a group, random covariates, random halves, folds",
        [in_words(repr(check)) for check in rest],
    )


def figures(content: ReportContent) -> Figures:
    """Of the first outcome and arm, as in ``whom``."""
    effects = content.effects
    checks = effects.credibility if effects is not None and effects.estimates else None
    if checks is None:
        return {}
    found: dict[str, Callable[[], Figure]] = {}
    if checks.omitted_variables:
        bounds = checks.omitted_variables[0]
        found["confounder_contour"] = lambda: confounder_contour(bounds)
    if checks.placebos:
        placebo = checks.placebos[0]
        found["placebo_histogram"] = lambda: placebo_histogram(placebo)
    if groups := [group for group in checks.groups if group.levels]:
        found["left_out"] = lambda: left_out(groups[0])
    return found


FRAGILE = Section("fragile", "How fragile is it?", 40, fragile, figures, (EffectsResult,))
