"""Experiments: what was decided and why, on one screen, and what a statistician checks below it."""

from __future__ import annotations

import math

from truelift.experiments.analysis.results import (
    SHIP,
    Analysis,
    Breakdown,
    Experiments,
    MetricEffect,
)
from truelift.report.content import ReportContent
from truelift.report.markup import (
    Html,
    bullets,
    definitions,
    element,
    fragment,
    note,
    section,
    table,
)
from truelift.report.numbers import count, day, level, p_value, plural, share, short, significant
from truelift.report.plots.experiments import breakdown_forest, looks_path
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block

HEADING = "Experiments"
_WORDS = {"ship": "Ship", "hold": "Hold", "stop": "Stop"}


def experiments(content: ReportContent) -> Html | None:
    """A part for every experiment of the run; None where there is none."""
    found = content.result(Experiments)
    if found is None:
        return None
    parts = [_part(analysis, i) for i, analysis in enumerate(found.analyses)]
    index = _index(found) if len(parts) > 1 or len(found.conclusions) > 1 else None
    return section("experiments", HEADING, index, *parts)


def _part(analysis: Analysis, place: int) -> Html:
    return fragment(
        element("h3", analysis.name),
        _decision(analysis),
        _figures(analysis),
        _effects(analysis),
        _guardrails(analysis),
        *(_breakdown(analysis, b, f"{place}-{i}") for i, b in enumerate(analysis.breakdowns)),
        _looks(analysis, place),
        _to_check(analysis),
    )


def _decision(analysis: Analysis) -> Html:
    which = f" {analysis.arm}" if analysis.decision == SHIP else ""
    return note(
        "good" if analysis.decision == SHIP else "warning",
        f"{_WORDS[analysis.decision]}{which}",
        element("p", analysis.headline.sentence(), class_="finding"),
        bullets([*analysis.reasons, *analysis.cautions]),
    )


def _figures(analysis: Analysis) -> Html:
    own = analysis.headline
    unit = f" {own.measured_in}" if own.measured_in else ""
    pairs: list[tuple[str, Html | str]] = [
        ("Effect", f"{significant(own.estimate)}{unit}"),
        ("As a share, at this look", _lift(own)),
        ("Units", count(analysis.units)),
        ("Look", f"{analysis.look}"),
    ]
    if analysis.fraction is not None and analysis.planned_units is not None:
        planned = f"Of {count(analysis.planned_units)} planned units"
        pairs.append((planned, share(analysis.fraction)))
    return definitions(pairs, class_="figures")


def _lift(effect: MetricEffect) -> Html | str:
    if not math.isfinite(effect.lift):
        return "not available"
    span = f"{share(effect.lift_lower)} to {share(effect.lift_upper)}"
    return fragment(share(effect.lift), element("span", span, class_="beside"))


def _interval(lower: float, upper: float) -> str:
    if not math.isfinite(upper):
        return f"above {significant(lower)}"
    if not math.isfinite(lower):
        return f"below {significant(upper)}"
    return f"{significant(lower)} to {significant(upper)}"


def _effects(analysis: Analysis) -> Html:
    def row(e: MetricEffect) -> list[str]:
        return [
            f"{e.metric}, {e.arm}", e.method, significant(e.control), significant(e.treated),
            significant(e.estimate), _interval(e.lower, e.upper), p_value(e.p_value_of_looks),
        ]  # fmt: skip

    header = ("Metric and arm", "Method", "Control", "Treated", "Effect", "Interval", "p")
    rows = [row(effect) for effect in analysis.effects]
    return table("Every metric", header, rows, frozenset(range(2, 7)))


def _guardrails(analysis: Analysis) -> Html | None:
    if not analysis.guardrails:
        return None
    rows = [
        (f"{g.metric}, {g.arm}", g.state, significant(g.margin), p_value(g.p_value))
        for g in analysis.guardrails
    ]
    header = ("Guardrail and arm", "State", "Acceptable loss", "p (no worse)")
    return table("Guardrails", header, rows, frozenset({2, 3}))


def _breakdown(analysis: Analysis, found: Breakdown, place: str) -> Html:
    said = "; ".join(f"{c.cell}, {c.arm}: {significant(c.estimate)}" for c in found.cells)
    title = {"group": "By", "time": "Over", "since": "Since"}[found.kind]
    return fragment(
        element("h4", f"{title} {found.column}"),
        element("p", " ".join(found.finding)),
        figure_block(
            lambda width: breakdown_forest(found, analysis.primary, width),
            f"experiment-{place}",
            f"Effect on {analysis.primary} in each part; the intervals hold for all parts of an arm "
            "together.",
            f"Effects on {analysis.primary} by {found.column}: {said}.",
        ),
    )


def _looks(analysis: Analysis, place: int) -> Html:
    rows = [
        (
            f"{look.number}", f"{day(look.at)}, {look.at[11:16]} UTC", count(look.units), look.arm,
            f"{significant(look.estimate)} ({_interval(look.lower, look.upper)})", look.decision,
            look.reason,
        )
        for look in analysis.looks
    ]  # fmt: skip
    header = ("Look", "When", "Units", "Arm", "Effect", "Decision", "Why")
    parts = [table("What was decided when", header, rows, frozenset({2}))]
    if len(analysis.looks) > 1:
        parts.append(
            figure_block(
                lambda width: looks_path(analysis, width),
                f"experiment-looks-{place}",
                "The leading arm's effect at every look, with the interval that holds for all looks.",
                f"Effects at {plural(len(analysis.looks), 'look')}.",
            )
        )
    return fragment(*parts)


def _to_check(analysis: Analysis) -> Html:
    """What a statistician asks."""
    own = analysis.headline
    sizes = "; ".join(
        f"{a.arm} {count(a.units)}, expected {a.expected:,.1f}" for a in analysis.arms
    )
    critical = "" if analysis.critical is None else f", critical value {analysis.critical:.3f}"
    said = [
        f"Compared: {own.estimand}; {own.method}, errors clustered ({count(analysis.clusters)} clusters, "
        f"{own.degrees_of_freedom:,.1f} degrees of freedom), standard error "
        f"{significant(own.standard_error)}.",
        f"Intervals at {level(1 - analysis.level)} for all arms together; looks: {analysis.method}"
        f"{critical}. At this look alone: {_interval(own.ci_lower, own.ci_upper)}, "
        f"p {p_value(own.p_value)}.",
        f"Arms ({analysis.unit}): {sizes}; p of these sizes {p_value(analysis.sample_ratio_p_value)}. "
        f"Rows without an arm: {count(analysis.without_arm)}.",
        f"Fixed in advance: fingerprint {short(analysis.rule)}. Table {analysis.table} version "
        f"{analysis.table_version}.",
    ]
    return element("details", element("summary", "To check"), bullets(said))


def _index(found: Experiments) -> Html:
    """All experiments of the lake, or of the page, with what they came to."""
    if found.conclusions:
        rows = [
            (c.experiment, c.decision, day(c.at), f"{c.look}", c.reason) for c in found.conclusions
        ]
        header: tuple[str, ...] = ("Experiment", "Decision", "When", "Looks", "Why")
        return table("Where all experiments of the lake stand", header, rows)
    own = [(a.name, a.decision, f"{a.look}", a.reasons[0]) for a in found.analyses]
    return table("Where they stand", ("Experiment", "Decision", "Looks", "Why"), own)


def _plots(content: ReportContent) -> Figures:
    found = content.result(Experiments)
    if found is None:
        return {}
    return {
        f"{a.name}-{b.kind}-{b.column}": lambda a=a, b=b: breakdown_forest(b, a.primary)  # type: ignore[misc]
        for a in found.analyses
        for b in a.breakdowns
    }


EXPERIMENTS = Section("experiments", HEADING, 15, experiments, _plots, (Experiments,))
