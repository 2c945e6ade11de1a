"""What the numbers say in plain language, and where to be careful.

Sentences are chosen by the numbers alone. The difference between the naive difference and the
ATT is the estimated selection bias: E[Y|D=1] - E[Y|D=0] = ATT + E[Y(0)|D=1] - E[Y(0)|D=0].
"""

from __future__ import annotations

from dataclasses import dataclass

from truelift.effects.results import EffectsResult, Estimate
from truelift.report.numbers import (
    count,
    covariate_name,
    decimals_for,
    interval,
    joined,
    level,
    number,
    outcome_name,
    p_value,
    plural,
    share,
)
from truelift.report.plots.effects import BALANCE_LIMIT, by_outcome

CLIPPED_LIMIT = 0.01
EFFECTIVE_LIMIT = 0.25
CLUSTER_LIMIT = 100
NAMED_COVARIATES = 5


@dataclass(frozen=True)
class Reading:
    """What the estimates of one outcome say, one sentence an estimand."""

    outcome: str
    sentences: tuple[str, ...]


def excludes_zero(estimate: Estimate) -> bool:
    """Whether the interval lies on one side of zero."""
    return estimate.ci_lower > 0 or estimate.ci_upper < 0


def find(result: EffectsResult, estimand: str, outcome: str) -> Estimate | None:
    """The estimate of one estimand and outcome, if it was made."""
    for estimate in result.estimates:
        if (estimate.estimand, estimate.outcome) == (estimand, outcome):
            return estimate
    return None


def _shown(e: Estimate) -> str:
    places = decimals_for(e.standard_error)
    return f"{number(e.estimate, places, signed=True)} ({_interval(e)})"


def _interval(e: Estimate) -> str:
    places = decimals_for(e.standard_error)
    return f"{level(e.confidence)} interval {interval(e.ci_lower, e.ci_upper, places)}"


def is_supported(result: EffectsResult) -> bool:
    """Whether the effect step judged that the data can carry an effect."""
    return result.verdict.startswith("supported")


def headline(result: EffectsResult) -> str:
    """The finding in a sentence: the ATT (or, without it, the ATE) of the first outcome.

    Where overlap or balance do not support an effect, that is the finding.
    """
    groups = by_outcome(result)
    if not groups:
        return "No effect was estimated."
    outcome = next(iter(groups))
    e = find(result, "ATT", outcome) or find(result, "ATE", outcome) or groups[outcome][0]
    name = outcome_name(outcome)
    if e.estimand == "naive difference":
        return f"Treated units differ in {name} by {_shown(e)}; no adjusted effect was estimated."
    among = " among users who received one" if e.estimand == "ATT" else ""
    if not is_supported(result):
        return (
            f"The data cannot tell the effect of the campaigns: users with and without them are "
            f"too different to compare safely. The adjusted change in {name} per user and "
            f"campaign{among}, {_shown(e)}, is not to be relied on."
        )
    if not excludes_zero(e):
        return (
            f"No clear effect of the campaigns on {name}{among}: the estimated change per user "
            f"and campaign is {_shown(e)}, which includes zero."
        )
    places = decimals_for(e.standard_error)
    direction = "raised" if e.estimate > 0 else "lowered"
    lower, upper = sorted((abs(e.ci_lower), abs(e.ci_upper)))
    return (
        f"Receiving a campaign {direction} {name} by {number(abs(e.estimate), places)} per user "
        f"and campaign ({level(e.confidence)} interval {interval(lower, upper, places)}){among}, "
        f"if the assumptions below hold."
    )


def caution(result: EffectsResult) -> str | None:
    """How many warnings go with the headline; None where there are none."""
    found = len(warnings(result))
    if not found:
        return None
    return f"{plural(found, 'warning')} below {'weakens' if found == 1 else 'weaken'} this finding."


def readings(result: EffectsResult) -> list[Reading]:
    """For each outcome: the naive difference, what adjusting does to it, and what is left."""
    found = []
    for outcome, group in by_outcome(result).items():
        name = outcome_name(outcome)
        naive, att, ate = (
            find(result, estimand, outcome) for estimand in ("naive difference", "ATT", "ATE")
        )
        sentences = []
        if naive is not None:
            bias = "" if att is None else f" {_selection(naive, att, name)}"
            sentences.append(
                f"As they are, units with a campaign differ from those without by "
                f"{_shown(naive)}.{bias}"
            )
        if att is not None:
            sentences.append(
                f"For those who received a campaign, the campaign itself changed {name} by "
                f"{_shown(att)}: {_strength(att)}."
            )
        if ate is not None:
            sentences.append(
                f"Sending every campaign to everyone rather than to no one would change {name} "
                f"by {_shown(ate)} per user and campaign: {_strength(ate)}."
            )
        known = {id(e) for e in (naive, att, ate)}
        sentences += [
            f"{e.estimand}: {_shown(e)}: {_strength(e)}." for e in group if id(e) not in known
        ]
        found.append(Reading(name, tuple(sentences)))
    return found


def _selection(naive: Estimate, att: Estimate, name: str) -> str:
    bias = naive.estimate - att.estimate
    larger = max(naive.standard_error, att.standard_error)
    if abs(bias) <= larger:
        return "Adjusting for earlier behaviour hardly moves this."
    kind = "higher" if bias > 0 else "lower"
    return (
        f"Of this, {number(bias, decimals_for(larger), signed=True)} is not the campaign's doing: "
        f"judging by earlier behaviour, campaigns went to users whose {name} would have been "
        f"{kind} anyway."
    )


def _strength(e: Estimate) -> str:
    text = p_value(e.p_value)
    p = f"p {text}" if text.startswith("<") else f"p = {text}"
    if excludes_zero(e):
        return f"the interval excludes zero ({p})"
    return f"the data agree with no effect at all ({p}), as with anything in the interval"


def warnings(result: EffectsResult) -> list[str]:
    """What in the overlap, the balance or the size of the data weakens the conclusions."""
    overlap = result.overlap
    found = []
    if overlap.clipped_share > CLIPPED_LIMIT:
        found.append(
            f"{share(overlap.clipped_share)} of the units had a propensity so near 0 or 1 that it "
            "was clipped: for them there is hardly anyone to compare with, and the estimate "
            "leans on the outcome model."
        )
    arms = (
        ("treated", overlap.effective_sample_size_treated, result.treated),
        ("untreated", overlap.effective_sample_size_control, result.n - result.treated),
    )
    for name, effective, units in arms:
        if units and effective < EFFECTIVE_LIMIT * units:
            found.append(
                f"After weighting, the {count(units)} {name} units carry the information of "
                f"about {count(effective)}: a few units weigh much."
            )
    uneven = sorted(
        (b for b in overlap.balance if abs(b.smd_after) > BALANCE_LIMIT),
        key=lambda b: -abs(b.smd_after),
    )
    if uneven:
        names = [covariate_name(b.covariate) for b in uneven[:NAMED_COVARIATES]]
        if len(uneven) > NAMED_COVARIATES:
            names.append(f"{len(uneven) - NAMED_COVARIATES} more")
        found.append(
            f"{plural(len(uneven), 'covariate still differs', 'covariates still differ')} between "
            f"the arms by more than {BALANCE_LIMIT} standard deviations after weighting: "
            f"{joined(names)}."
        )
    if result.clusters < CLUSTER_LIMIT:
        found.append(
            f"Only {plural(result.clusters, 'user')}: clustered standard errors tend to be too "
            "small with so few."
        )
    return found


ASSUMPTIONS: tuple[tuple[str, str], ...] = (
    (
        "No unmeasured confounding.",
        "Whatever drove both the targeting and the outcome is among the covariates, all measured "
        "before the campaign. The data cannot prove this.",
    ),
    (
        "Overlap.",
        "Every kind of user could have received a campaign or not. The next section shows how "
        "far this holds.",
    ),
    (
        "No interference.",
        "A campaign sent to one user does not change what another user does, nor what a "
        "simultaneous campaign does.",
    ),
    (
        "One right model of two.",
        "The propensity or the outcome regression is right, as far as a linear model can be "
        "(the estimate is doubly robust).",
    ),
)
