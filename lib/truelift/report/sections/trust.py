"""Can the arms be compared? Overlap of the propensities and balance of the covariates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from matplotlib.figure import Figure

from truelift.effects.results import EffectsResult
from truelift.effects.support.summaries import OverlapSummary
from truelift.effects.telling.names import clusters_of
from truelift.report.content import ReportContent
from truelift.report.estimates import control_of
from truelift.report.markup import Html, bullets, element, missing, section, table
from truelift.report.numbers import (
    count,
    covariate_name,
    number,
    outcome_name,
    plural,
    share,
    significant,
)
from truelift.report.plots import love_plot, overlap_histogram
from truelift.report.plots.overlap import BALANCE_LIMIT, LOVE_ROWS
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block

HEADING = "Can the groups be compared?"


def trust(content: ReportContent) -> Html | None:
    """Overlap and balance of every arm beside the control, and the helper models' quality."""
    result = content.effects
    if result is None or not result.overlaps:
        return None  # a design that compares no arms
    return section(
        "trust",
        HEADING,
        element("h3", "Overlap"),
        *_overlap(result),
        element("h3", "Balance"),
        *_balances(result),
        _nuisance(result),
    )


def _overlap(result: EffectsResult) -> list[Html]:
    """A histogram of every arm; where arms were drawn by lot there is nothing to draw."""
    weights = _weights_table(result)
    if result.design.assignment == "randomised":
        chances = "; ".join(f"{arm}: {told}" for arm, told in result.design.chances.items())
        return [element("p", f"Every unit had the same known chances ({chances})."), weights]
    drawn = [
        _histogram(result, arm, place) for place, arm in enumerate(result.overlaps)
    ]  # fmt: skip
    return [*drawn, weights]


def _suffix(place: int) -> str:
    return "" if place == 0 else f"-{place + 1}"


def _histogram(result: EffectsResult, arm: str, place: int) -> Html:
    overlap, control = result.overlaps[arm], control_of(result)
    if not sum(overlap.treated_counts) + sum(overlap.control_counts):
        return missing(f"Propensity histogram of {arm}", "No propensities were counted.")
    kind = "Estimated probability" if result.design.assignment == "observed" else "Known chance"
    return figure_block(
        lambda width: overlap_histogram(result, width, arm),
        f"overlap{_suffix(place)}",
        f"{kind} of {_having(arm)}: {arm} units upwards, {control} units downwards. Where only "
        "one side has bars, there is nobody to compare with.",
        f"Histogram of propensities of {plural(result.arms[arm], f'{arm} unit')} and "
        f"{plural(result.arms[control], f'{control} unit')} over {len(overlap.treated_counts)} "
        f"bins from {overlap.bin_edges[0]:g} to {overlap.bin_edges[-1]:g}.",
    )


def _having(arm: str) -> str:
    return "being treated" if arm == "treated" else f"having {arm}"


def _weights_table(result: EffectsResult) -> Html:
    control = control_of(result)
    rows = [
        (
            arm,
            share(overlap.clipped_share),
            share(overlap.treated_clipped_share),
            f"{count(overlap.effective_sample_size_treated)} of {count(result.arms[arm])}",
            f"{count(overlap.effective_sample_size_control)} of {count(result.arms[control])}",
            "not available"
            if overlap.effective_sample_size_control_att is None
            else count(overlap.effective_sample_size_control_att),
        )
        for arm, overlap in result.overlaps.items()
    ]
    return table(
        f"What is left of each arm and of {control} after weighting: clipped shares of all units "
        "(ATE) and of the arm's units (ATT), and the number of units that the weighted ones are "
        "worth",
        (
            "Arm", "Clipped, ATE", "Clipped, ATT", "Effective units of the arm",
            f"of {control}, ATE", f"of {control}, ATT",
        ),
        rows,
        numeric=frozenset({1, 2, 3, 4, 5}),
    )  # fmt: skip


def _uneven(values: Iterable[float | None]) -> int:
    return sum(v is not None and abs(v) > BALANCE_LIMIT for v in values)


def _worst(overlap: OverlapSummary) -> float:
    return max((abs(b.smd_after) for b in overlap.balance), default=0.0)


def _balances(result: EffectsResult) -> list[Html]:
    """The arm that is balanced worst is drawn, the others are folded below it."""
    arms = sorted(result.overlaps, key=lambda arm: -_worst(result.overlaps[arm]))
    if not result.overlaps[arms[0]].balance:
        return [missing("Balance of covariates", "The panel has no covariates.")]
    first, *others = [_balance(result, arm, place) for place, arm in enumerate(arms)]
    folded = [
        element("details", element("summary", f"The same of {arm}"), *parts)
        for arm, parts in zip(arms[1:], others, strict=True)
    ]
    return [*first, *folded]


def _balance(result: EffectsResult, arm: str, place: int) -> list[Html]:
    balance, control = result.overlaps[arm].balance, control_of(result)
    after = f"{count(_uneven(b.smd_after for b in balance))} with the weights of the ATE"
    if any(b.smd_after_att is not None for b in balance):
        after += f", {count(_uneven(b.smd_after_att for b in balance))} with those of the ATT"
    between = f"{arm} and {control}" if len(result.overlaps) > 1 else "the arms"
    reading = (
        f"Before weighting, {count(_uneven(b.smd_before for b in balance))} of "
        f"{plural(len(balance), 'covariate')} differed between {between} by more than "
        f"{BALANCE_LIMIT} standard deviations; after weighting, {after}."
    )
    caption = "Each line joins a covariate's difference before and after weighting."
    if len(balance) > LOVE_ROWS:
        caption += (
            f" The {LOVE_ROWS} that differed most before are drawn; all {count(len(balance))} "
            "are in the table."
        )
    plot = figure_block(
        lambda width: love_plot(result, width, arm), f"love-plot{_suffix(place)}", caption, reading
    )
    rows = [
        (
            covariate_name(b.covariate),
            number(b.smd_before, 3),
            number(b.smd_after, 3),
            "not available" if b.smd_after_att is None else number(b.smd_after_att, 3),
        )
        for b in sorted(balance, key=lambda b: -abs(b.smd_before))
    ]
    full = element(
        "details",
        element("summary", f"All {plural(len(balance), 'covariate')}"),
        table(
            f"Standardised mean difference, {arm} minus {control}",
            ("Covariate", "Before", "After, ATE", "After, ATT"),
            rows,
            numeric=frozenset({1, 2, 3}),
        ),
    )
    return [element("p", reading), plot, full]


NUISANCE_NAMES = {
    "propensity_log_loss": "Propensity: log loss",
    "propensity_log_loss_constant": "Propensity: log loss of the arms' shares alone",
    "propensity_newton_steps": "Propensity: Newton steps",
    "propensity_remaining": "Propensity: remaining Newton decrement",
    "passes": "Passes over the data",
}


def nuisance_name(key: str) -> str:
    """A measure of the nuisance models in words: ``r2_treated.y_sales`` names arm and outcome."""
    if key.startswith("r2_"):
        arm, _, outcome = key.removeprefix("r2_").partition(".")
        return f"Outcome model of {outcome_name(outcome)}, {arm} units: R\N{SUPERSCRIPT TWO}"
    return NUISANCE_NAMES.get(key, key.replace("_", " "))


def _nuisance(result: EffectsResult) -> list[Html]:
    if not result.nuisance:
        return []
    rows = [
        (nuisance_name(k), count(v) if v == round(v) else significant(v))
        for k, v in result.nuisance.items()
    ]
    parts = [
        element("h3", "Quality of the helper models"),
        element(
            "p",
            "The propensity model should beat the arms' shares alone (lower log loss), and the "
            "outcome models should explain part of the outcome (R\N{SUPERSCRIPT TWO} above 0). "
            f"All are judged on {clusters_of(result)} they were not fitted on.",
        ),
        table(
            "Out-of-fold quality of the propensity and outcome models",
            ("Measure", "Value"),
            rows,
            numeric=frozenset({1}),
        ),
    ]
    if result.dropped:
        items = [f"{covariate_name(name)}: {why}" for name, why in result.dropped.items()]
        summary = f"{plural(len(items), 'covariate')} left out of the models"
        parts.append(element("details", element("summary", summary), bullets(items)))
    return parts


def figures(content: ReportContent) -> Figures:
    """Overlap and balance of every arm; the first one's go by the plain names."""
    effects = content.effects
    if effects is None or not effects.estimates:
        return {}
    found: dict[str, Callable[[], Figure]] = {}
    for place, (arm, overlap) in enumerate(effects.overlaps.items()):
        suffix = "" if place == 0 else f"_{place + 1}"
        found[f"overlap_histogram{suffix}"] = partial(overlap_histogram, effects, arm=arm)
        if overlap.balance:
            found[f"love_plot{suffix}"] = partial(love_plot, effects, arm=arm)
    return found


TRUST = Section("trust", "Can the groups be compared?", 20, trust, figures, (EffectsResult,))
