"""Whom does it help? Sorted groups, targeting curve and table, who they are."""

from __future__ import annotations

from truelift.effects.heterogeneity.results import TargetingRow, Term
from truelift.effects.heterogeneity.varying import VaryingEffect
from truelift.effects.results import EffectsResult
from truelift.effects.telling.names import clusters_of
from truelift.report.content import ReportContent
from truelift.report.estimates import of_pipeline, supports
from truelift.report.markup import Html, element, fragment, missing, note, section, table
from truelift.report.numbers import (
    covariate_name,
    decimals_for,
    interval,
    level,
    number,
    outcome_name,
    p_value,
)
from truelift.report.plots import sorted_groups, targeting_curve
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block

HEADING = "Whom does it help?"
DRAWN = 2
DESCRIBED = 10


def whom(content: ReportContent) -> Html | None:
    """With whom the effect is larger, for every arm and outcome."""
    result = content.effects
    if result is None:
        return None
    if not result.heterogeneity:
        why = why_not(result, "heterogeneity")
        if why is None and not of_pipeline(result):
            return None  # it was not asked for
        why = why or "Set effects.heterogeneity to true for it."
        return section("whom", HEADING, missing("How the effect varies", why))
    parts = [_part(result, v, i) for i, v in enumerate(result.heterogeneity[:DRAWN])]
    others = [element("p", _named(result, v)) for v in result.heterogeneity[DRAWN:]]
    return section("whom", HEADING, _doubt(result), *parts, *others, _reading(result))


def why_not(result: EffectsResult, what: str) -> str | None:
    """Why a further look could not be made, if one was asked for."""
    found = [why for name, why in result.not_made.items() if name.startswith(what)]
    return " ".join(dict.fromkeys(found)) or None


def _doubt(result: EffectsResult) -> Html | None:
    if supports(result, "ATE"):
        return None
    return note(
        "warning",
        "The data do not support the average effect of everyone",
        element(
            "p",
            "Groups in which the arms hardly overlap are no better supported than the average: "
            "read what follows as a hint where to look.",
        ),
    )


def _part(result: EffectsResult, v: VaryingEffect, place: int) -> Html:
    name = outcome_name(v.outcome).capitalize()
    if len(result.arms) > 2:
        name = f"{name}: {v.arm} against {v.versus}"
    suffix = f"{place + 1}"
    gap = v.difference
    return fragment(
        element("h3", name),
        element("p", _sentence(v)),
        figure_block(
            lambda width: sorted_groups(v, width),
            f"sorted-groups-{suffix}",
            "Units sorted by the effect that a model forecasts for them, which had not seen "
            "them. Thick line: interval of each group by itself; thin: for all groups at once. "
            "Dotted: average effect.",
            f"Effects of {len(v.groups)} groups: "
            + "; ".join(f"group {i + 1}: {_shown(t)}" for i, t in enumerate(v.groups))
            + f". Highest less lowest: {_shown(gap)}.",
        ),
        figure_block(
            lambda width: targeting_curve(v, width),
            f"targeting-curve-{suffix}",
            "How much larger the effect is among the share with the highest forecasts than among "
            "all. A flat line at zero: choosing by forecast gains nothing.",
            "Effect among the top share less the average: "
            + "; ".join(
                f"{100 * r.fraction:g}%: {_beside(r, r.against_average)}" for r in v.targeting
            )
            + ".",
        ),
        _targeting(v),
        _who(v),
    )


def _named(result: EffectsResult, v: VaryingEffect) -> str:
    several = len(result.arms) > 2
    return (f"{v.arm} against {v.versus}: " if several else "") + _sentence(v)


def _sentence(v: VaryingEffect) -> str:
    name, test = outcome_name(v.outcome), v.sequential or v.equal
    places = decimals_for(v.difference.standard_error)
    high, low = v.groups[-1].estimate, v.groups[0].estimate
    gap = (
        f"The group with the highest forecasts has an effect of {number(high, places)} on {name}, "
        f"the one with the lowest {number(low, places)}; the difference is "
        f"{number(v.difference.estimate, places)} ({level(v.confidence)} interval "
        f"{interval(v.difference.ci_lower, v.difference.ci_upper, places)})."
    )
    p = p_value(test.p_value)
    if v.varies or v.outer_groups_differ:
        return f"The effect {v.finding()}. {gap}"
    return (
        f"It is not shown that anyone gains more than others (p {p}): treating by forecast may do "
        f"no better than treating at random. {gap}"
    )


def _shown(term: Term) -> str:
    places = decimals_for(term.standard_error)
    return f"{number(term.estimate, places)} ({interval(term.ci_lower, term.ci_upper, places)})"


def _beside(row: TargetingRow, term: Term) -> str:
    """Treating all is no better than treating all: what is left there is rounding."""
    return "0" if row.fraction == 1 else _shown(term)


def _targeting(v: VaryingEffect) -> Html:
    rows = [
        (f"{100 * r.fraction:g}%", _shown(r.effect), _shown(r.value), _beside(r, r.against_random))
        for r in v.targeting
    ]
    return table(
        f"If only the units with the highest forecasts are treated, with {level(v.confidence)} "
        "intervals; gains are per unit of the whole population",
        ("Treated", "Effect among them", "Gain", "More than at random"),
        rows,
        numeric=frozenset({1, 2, 3}),
    )


def _who(v: VaryingEffect) -> Html | None:
    found = v.classification
    triples = list(zip(found.most, found.least, found.difference, strict=True))
    triples.sort(key=lambda t: -abs(t[2].estimate))
    rows = [
        (
            covariate_name(d.name),
            number(m.estimate, 2, signed=True),
            number(s.estimate, 2, signed=True),
            f"{number(d.estimate, 2, signed=True)} ({interval(d.ci_lower, d.ci_upper, 2)})",
            p_value(d.p_value),
        )
        for m, s, d in triples
    ]
    if not rows:
        return None
    header = ("Covariate", "Most affected", "Least affected", "Difference", "p")
    caption = (
        "Who they are: mean of each covariate in the outer groups, in standard deviations from "
        "about the mean of all"
    )
    numeric = frozenset({1, 2, 3, 4})
    first = table(caption, header, rows[:DESCRIBED], numeric)
    if len(rows) <= DESCRIBED:
        return first
    rest = table(f"{caption} (the others)", header, rows[DESCRIBED:], numeric)
    return fragment(
        first, element("details", element("summary", f"The other {len(rows) - DESCRIBED}"), rest)
    )


def _reading(result: EffectsResult) -> Html:
    return element(
        "p",
        f"Forecasts are judged on {clusters_of(result)} they were not fitted on. That the groups differ in a "
        "covariate does not say that the covariate makes the difference.",
        class_="small",
    )


def figures(content: ReportContent) -> Figures:
    """Of the first outcome and arm; a run's page is no place for all."""
    effects = content.effects
    if effects is None or not effects.estimates or not effects.heterogeneity:
        return {}
    varying = effects.heterogeneity[0]
    return {
        "sorted_groups": lambda: sorted_groups(varying),
        "targeting_curve": lambda: targeting_curve(varying),
    }


WHOM = Section("whom", "Whom does it help?", 30, whom, figures, (EffectsResult,))
