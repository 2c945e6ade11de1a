"""Beyond the average: along the distribution, through mediators, over many groups, beside a mix of others."""

from __future__ import annotations

from truelift.effects.designs.synthetic.results import SyntheticCheck
from truelift.effects.results import EffectsResult, Estimate
from truelift.report.content import ReportContent
from truelift.report.estimates import decimals
from truelift.report.markup import Html, bullets, element, fragment, section
from truelift.report.numbers import in_words, interval, number, outcome_name
from truelift.report.plots.beyond import before_and_after, quantile_effects
from truelift.report.plots.paths import paths_beside
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block

HEADING = "Beyond the average"
#: Outcomes and arms that are drawn.
_DRAWN = 4
#: Whose findings stand here.
_LOOKS = ("mediators", "shrink", "bounds")

Family = tuple[str, str, str]


def beyond(content: ReportContent) -> Html | None:
    """What was asked for beside averages; None where nothing was."""
    result = content.effects
    if result is None:
        return None
    parts = [
        *(_quantiles(key, group, i) for i, (key, group) in enumerate(_along(result).items())),
        *(_shrunken(pair, i) for i, pair in enumerate(_pairs(result))),
        *(_beside(check, i) for i, check in enumerate(result.synthetic)),
    ][:_DRAWN]
    said = [
        in_words(text)
        for finding in result.findings
        if finding.look in _LOOKS
        for text in finding.sentences
    ]
    said += [in_words(check.sentence()) for check in result.synthetic]
    if not parts and not said:
        return None
    return section("beyond", HEADING, bullets(said) if said else None, *parts)


def _along(result: EffectsResult) -> dict[Family, list[Estimate]]:
    """Effects on quantiles, by outcome and arm, where there are several levels."""
    found: dict[Family, list[Estimate]] = {}
    for e in result.estimates:
        if e.estimand == "quantile effect":
            found.setdefault((e.outcome, e.arm, e.versus), []).append(e)
    return {key: group for key, group in found.items() if len(group) > 1}


def _pairs(result: EffectsResult) -> list[tuple[list[Estimate], list[Estimate]]]:
    """Effects before and after shrinking: of groups by outcome and arm, of arms by outcome."""
    before = {
        (e.outcome, e.arm, e.versus, e.population): e
        for e in result.estimates
        if e.estimand in ("GATE", "ATE")
    }
    found: dict[tuple[str, ...], tuple[list[Estimate], list[Estimate]]] = {}
    for e in result.estimates:
        if e.estimand != "shrunken effect":
            continue
        of_arms = e.population == "all units"
        key = (e.outcome,) if of_arms else (e.outcome, e.arm, e.versus)
        own = before.get((e.outcome, e.arm, e.versus, e.population))
        if own is not None:
            pair = found.setdefault(key, ([], []))
            pair[0].append(own)
            pair[1].append(e)
    return list(found.values())


def _told(e: Estimate) -> str:
    places = decimals(e)
    return f"{number(e.estimate, places, signed=True)} ({interval(e.ci_lower, e.ci_upper, places)})"


def _quantiles(key: Family, group: list[Estimate], place: int) -> Html:
    outcome, arm, versus = key
    return fragment(
        element("h3", f"{outcome_name(outcome).capitalize()} along its distribution: {arm} against {versus}"),
        figure_block(
            lambda width: quantile_effects(group, width),
            f"quantile-effects-{place + 1}",
            "The difference of two distributions' quantiles, level by level: how the low, the middle and the "
            "high outcomes would change, not what happens to one who stands there.",
            "Effects: " + "; ".join(f"{e.population}: {_told(e)}" for e in group) + ".",
        ),
    )  # fmt: skip


def _shrunken(pair: tuple[list[Estimate], list[Estimate]], place: int) -> Html:
    before, after = pair
    return fragment(
        element("h3", f"{outcome_name(after[0].outcome).capitalize()}: effects drawn towards each other"),
        figure_block(
            lambda width: before_and_after(before, after, width),
            f"shrunken-{place + 1}",
            "Square: the effect as estimated; dot: after shrinking, by how much noise its estimate has beside the "
            "spread of all effects. The largest of many estimates is large by luck too; shrinking takes that back.",
            "After shrinking: "
            + "; ".join(f"{e.arm}, {e.population}: {_told(e)}" for e in after)
            + ".",
        ),
    )  # fmt: skip


def _beside(check: SyntheticCheck, place: int) -> Html:
    last = f"{check.periods[-1]}: {check.treated_path[-1]:.4g} and {check.mixed_path[-1]:.4g}"
    return fragment(
        element("h3", f"{outcome_name(check.outcome).capitalize()}: the treated beside a mix of others"),
        figure_block(
            lambda width: paths_beside(check, width),
            f"synthetic-{place + 1}",
            f"Before the dotted line nobody was treated: there the mix ({check.method}) should go with the treated. What is "
            "apart after it is the effect.",
            f"From {check.periods[0]} to {last} in the end.",
        ),
    )  # fmt: skip


def _figures(content: ReportContent) -> Figures:
    result = content.effects
    if result is None:
        return {}
    drawn = {
        f"quantile_effects_{i + 1}": (lambda group=group: quantile_effects(group))
        for i, group in enumerate(_along(result).values())
    }
    return (
        drawn
        | {
            f"shrunken_{i + 1}": (lambda pair=pair: before_and_after(*pair))
            for i, pair in enumerate(_pairs(result))
        }
        | {
            f"synthetic_{i + 1}": (lambda check=check: paths_beside(check))
            for i, check in enumerate(result.synthetic)
        }
    )


BEYOND = Section("beyond", HEADING, 25, beyond, _figures, (EffectsResult,))
