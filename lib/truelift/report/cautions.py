"""Where to be careful: warnings out of overlap, balance and size, and what is assumed."""

from __future__ import annotations

from truelift.effects.results import EffectsResult
from truelift.report.estimates import supports
from truelift.report.numbers import count, covariate_name, joined, plural, share
from truelift.report.plots.overlap import BALANCE_LIMIT

CLIPPED_LIMIT = 0.01
EFFECTIVE_LIMIT = 0.25
CLUSTER_LIMIT = 100
NAMED_COVARIATES = 5


def caution(result: EffectsResult) -> str | None:
    """How many warnings go with the headline; None where there are none, or no finding."""
    found = len(warnings(result))
    if not found or not any(supports(result, name) for name in ("ATT", "ATE")):
        return None
    return f"{plural(found, 'warning')} below {'weakens' if found == 1 else 'weaken'} this finding."


def warnings(result: EffectsResult) -> list[str]:
    """What in the overlap, the balance or the size of the data weakens the conclusions.

    An estimand that is not supported at all needs no warning: the verdict has its reasons.
    """
    balance = result.overlap.balance
    att = [(b.covariate, b.smd_after_att) for b in balance if b.smd_after_att is not None]
    of_estimands = (
        _clipping(result)
        + _thinness(result)
        + _imbalance("ATE", [(b.covariate, b.smd_after) for b in balance])
        + _imbalance("ATT", att)
    )
    found = [f"{name}: {text}" for name, text in of_estimands if supports(result, name)]
    if result.clusters < CLUSTER_LIMIT:
        found.append(
            f"Only {plural(result.clusters, 'user')}: clustered standard errors tend to be too "
            "small with so few."
        )
    return found


def _clipping(result: EffectsResult) -> list[tuple[str, str]]:
    overlap = result.overlap
    found = []
    if overlap.clipped_share > CLIPPED_LIMIT:
        found.append(
            (
                "ATE",
                f"{share(overlap.clipped_share)} of the units had a propensity so near 0 or 1 "
                "that it was clipped. For them there is hardly anyone to compare with, and the "
                "estimate leans on the outcome model.",
            )
        )
    if overlap.treated_clipped_share > CLIPPED_LIMIT:
        found.append(
            (
                "ATT",
                f"{share(overlap.treated_clipped_share)} of the treated units have hardly any "
                "untreated unit like them.",
            )
        )
    return found


def _thinness(result: EffectsResult) -> list[tuple[str, str]]:
    overlap = result.overlap
    found = []
    control = result.n - result.treated
    arms = [
        ("ATE", "treated", overlap.effective_sample_size_treated, result.treated, result.treated),
        ("ATE", "untreated", overlap.effective_sample_size_control, control, control),
    ]
    if overlap.effective_sample_size_control_att is not None:
        # For the ATT the controls stand in for the treated; more of them than that is a gift.
        needed = min(result.treated, control)
        effective = overlap.effective_sample_size_control_att
        arms.append(("ATT", "untreated", effective, control, needed))
    for estimand, name, effective, units, needed in arms:
        if effective < EFFECTIVE_LIMIT * needed:
            found.append(
                (
                    estimand,
                    f"after weighting, the {count(units)} {name} units carry the information of "
                    f"about {count(effective)}. A few units weigh much.",
                )
            )
    return found


def _imbalance(estimand: str, differences: list[tuple[str, float]]) -> list[tuple[str, str]]:
    uneven = sorted((d for d in differences if abs(d[1]) > BALANCE_LIMIT), key=lambda d: -abs(d[1]))
    if not uneven:
        return []
    names = [covariate_name(name) for name, _ in uneven[:NAMED_COVARIATES]]
    if len(uneven) > NAMED_COVARIATES:
        names.append(f"{len(uneven) - NAMED_COVARIATES} more")
    return [
        (
            estimand,
            f"after weighting, "
            f"{plural(len(uneven), 'covariate still differs', 'covariates still differ')} between "
            f"the arms by more than {BALANCE_LIMIT} standard deviations: {joined(names)}.",
        )
    ]


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
