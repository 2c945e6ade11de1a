"""Can the arms be compared? Overlap of the propensities and balance of the covariates."""

from __future__ import annotations

from collections.abc import Iterable

from truelift.effects.results import EffectsResult
from truelift.report.content import ReportContent
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
from truelift.report.sections.answer import why_no_effects
from truelift.report.svg import figure_block

HEADING = "Can the two groups be compared?"


def trust(content: ReportContent) -> Html:
    """Overlap histogram, love plot, and the quality of the nuisance models."""
    result = content.effects
    if result is None:
        return section("trust", HEADING, missing("Overlap and balance", why_no_effects(content)))
    return section("trust", HEADING, _overlap(result), _balance(result), _nuisance(result))


def _overlap(result: EffectsResult) -> list[Html]:
    overlap = result.overlap
    control = result.n - result.treated
    figures = _weights_table(result)
    if not sum(overlap.treated_counts) + sum(overlap.control_counts):
        return [missing("Propensity histogram", "No propensities were counted."), figures]
    plot = figure_block(
        lambda width: overlap_histogram(result, width),
        "overlap",
        "Estimated probability of being treated: treated units upwards, untreated downwards. "
        "Where only one side has bars, there is nobody to compare with.",
        f"Histogram of propensities of {plural(result.treated, 'treated unit')} and "
        f"{plural(control, 'untreated unit')} over {len(overlap.treated_counts)} bins from "
        f"{overlap.bin_edges[0]:g} to {overlap.bin_edges[-1]:g}.",
    )
    return [element("h3", "Overlap"), plot, figures]


def _weights_table(result: EffectsResult) -> Html:
    overlap = result.overlap
    control = result.n - result.treated
    att = overlap.effective_sample_size_control_att
    rows = [
        ("Propensity clipped", share(overlap.clipped_share), share(overlap.treated_clipped_share)),
        (
            f"Effective treated units, of {count(result.treated)}",
            count(overlap.effective_sample_size_treated),
            count(result.treated),
        ),
        (
            f"Effective untreated units, of {count(control)}",
            count(overlap.effective_sample_size_control),
            "not available" if att is None else count(att),
        ),
    ]
    return table(
        "What is left after weighting; clipped shares are of all units (ATE) and of the treated "
        "units (ATT)",
        ("Measure", "For the ATE", "For the ATT"),
        rows,
        numeric=frozenset({1, 2}),
    )


def _uneven(values: Iterable[float | None]) -> int:
    return sum(v is not None and abs(v) > BALANCE_LIMIT for v in values)


def _balance(result: EffectsResult) -> list[Html]:
    balance = result.overlap.balance
    heading = element("h3", "Balance")
    if not balance:
        return [heading, missing("Balance of covariates", "The panel has no covariates.")]
    after = f"{count(_uneven(b.smd_after for b in balance))} with the weights of the ATE"
    if any(b.smd_after_att is not None for b in balance):
        after += f", {count(_uneven(b.smd_after_att for b in balance))} with those of the ATT"
    reading = (
        f"Before weighting, {count(_uneven(b.smd_before for b in balance))} of "
        f"{plural(len(balance), 'covariate')} differed between the arms by more than "
        f"{BALANCE_LIMIT} standard deviations; after weighting, {after}."
    )
    caption = "Each line joins a covariate's difference before and after weighting."
    if len(balance) > LOVE_ROWS:
        caption += (
            f" The {LOVE_ROWS} that differed most before are drawn; all {count(len(balance))} "
            "are in the table."
        )
    plot = figure_block(lambda width: love_plot(result, width), "love-plot", caption, reading)
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
            "Standardised mean difference, treated minus untreated",
            ("Covariate", "Before", "After, ATE", "After, ATT"),
            rows,
            numeric=frozenset({1, 2, 3}),
        ),
    )
    return [heading, element("p", reading), plot, full]


NUISANCE_NAMES = {
    "propensity_log_loss": "Propensity: log loss",
    "propensity_log_loss_constant": "Propensity: log loss of the treated share alone",
    "propensity_newton_steps": "Propensity: Newton steps",
    "propensity_remaining": "Propensity: remaining Newton decrement",
    "passes": "Passes over the data",
}


def nuisance_name(key: str) -> str:
    """A measure of the nuisance models in words: ``r2_treated.y_spend`` names arm and outcome."""
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
            "The propensity model should beat the treated share alone (lower log loss), and the "
            "outcome models should explain part of the outcome (R\N{SUPERSCRIPT TWO} above 0). "
            "All are judged on users they were not fitted on.",
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
