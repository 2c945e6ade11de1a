"""Where to be careful: warnings out of overlap, balance and size, and what is assumed."""

from __future__ import annotations

from truelift.effects.results import EffectsResult
from truelift.effects.support.summaries import OverlapSummary
from truelift.effects.telling.decision import BY_DESIGN
from truelift.effects.telling.names import clusters_of, sentence_case, units_with, with_article
from truelift.effects.telling.names import in_words as named
from truelift.report.estimates import control_of, judged, nouns
from truelift.report.numbers import count, covariate_name, in_words, joined, plural, share
from truelift.report.plots.overlap import BALANCE_LIMIT

CLIPPED_LIMIT = 0.01
EFFECTIVE_LIMIT = 0.25
CLUSTER_LIMIT = 100
NAMED_COVARIATES = 5


def caution(result: EffectsResult) -> str | None:
    """How many warnings go with the headline; None where there are none, or no finding."""
    found = len(warnings(result))
    carried = [
        judged(result, kind, arm) for kind in ("ATT", "ATE") for arm in result.overlaps
    ]  # fmt: skip
    if not found or not any(carried):
        return None
    return f"{plural(found, 'warning')} below {'weakens' if found == 1 else 'weaken'} this finding."


def warnings(result: EffectsResult) -> list[str]:
    """What weakens the conclusions: what checks of the data found, overlap, balance, size.

    Every arm is looked at beside the control. An estimand of an arm that is not supported at all
    needs no warning: the verdict has its reasons.
    """
    result = named(result)
    found = [in_words(c.text) for c in result.cautions]
    several = len(result.overlaps) > 1
    for arm, overlap in result.overlaps.items():
        of = f" of {arm}" if several else ""
        balance = overlap.balance
        att = [(b.covariate, b.smd_after_att) for b in balance if b.smd_after_att is not None]
        told = (
            _clipping(result, arm, overlap)
            + _thinness(result, arm, overlap)
            + _imbalance("ATE", [(b.covariate, b.smd_after) for b in balance])
            + _imbalance("ATT", att)
        )
        found += [f"{name}{of}: {text}" for name, text in told if judged(result, name, arm)]
    # Errors of a synthetic control are placebos', not clusters'.
    if result.clusters < CLUSTER_LIMIT and not result.synthetic:
        found.append(
            f"Only {count(result.clusters)} {clusters_of(result)}: clustered standard errors tend "
            "to be too small with so few."
        )
    return found


def _clipping(
    result: EffectsResult, arm: str, overlap: OverlapSummary
) -> list[tuple[str, str]]:  # fmt: skip
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
                f"{share(overlap.treated_clipped_share)} of {units_with(arm)} have hardly any "
                f"{control_of(result)} unit like them.",
            )
        )
    return found


def _thinness(
    result: EffectsResult, arm: str, overlap: OverlapSummary
) -> list[tuple[str, str]]:  # fmt: skip
    found = []
    control = control_of(result)
    treated, untreated = result.arms[arm], result.arms[control]
    arms = [
        ("ATE", arm, overlap.effective_sample_size_treated, treated, treated),
        ("ATE", control, overlap.effective_sample_size_control, untreated, untreated),
    ]
    if overlap.effective_sample_size_control_att is not None:
        # For the ATT the controls stand in for the treated; more of them than that is a gift.
        needed = min(treated, untreated)
        effective = overlap.effective_sample_size_control_att
        arms.append(("ATT", control, effective, untreated, needed))
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


Assumption = tuple[str, str]


def assumptions(result: EffectsResult) -> list[Assumption]:
    """What has to hold, by how the treatment came about: a name and a sentence each.

    Where chances are known, nothing unmeasured can have driven the assignment, and the estimate
    is right whatever the outcome models are.
    """
    if believed := BY_DESIGN.get(result.design.assignment):
        return [("The design.", f"It is assumed that {believed}.")]
    told = nouns(result)
    if told is not None and result.design.assignment == "observed":
        one, subject = with_article(told.treatment), told.subject
        return [
            _confounding(f"the {told.treatment}"),
            (
                "Overlap.",
                f"Every kind of {subject} could have received {one} or not. The next section shows "
                "how far this holds.",
            ),
            (
                "No interference.",
                f"{sentence_case(one)} sent to one {subject} does not change what another {subject} "
                f"does, nor what a simultaneous {told.treatment} does.",
            ),
            _one_model(result),
        ]
    noun = clusters_of(result)
    interference = (
        "No interference.",
        f"What one of the {noun} gets does not change the outcome of another."
        if noun != "clusters"
        else "What one unit gets does not change the outcome of a unit of another cluster.",
    )
    if result.design.assignment == "observed":
        named = result.design.treatment or "the treatment"
        return [
            _confounding(named),
            (
                "Overlap.",
                "Every kind of unit could have been in every arm. The next section shows how far "
                "this holds.",
            ),
            interference,
            _one_model(result),
        ]
    how = (
        "Arms were drawn at random with the chances that the specification gives"
        if result.design.assignment == "randomised"
        else "Every unit's arm was drawn with the chances that its columns hold"
    )
    chances = "; ".join(f"{arm}: {told}" for arm, told in result.design.chances.items())
    return [
        (
            "Known chances.",
            f"{how} ({chances}). Nothing else decided who got what, so no model has to be right "
            "and nothing unmeasured can drive both arm and outcome.",
        ),
        interference,
        (
            "Nobody is lost.",
            "Outcomes are recorded alike in every arm, also of those who left.",
        ),
    ]


def _confounding(treatment: str) -> Assumption:
    return (
        "No unmeasured confounding.",
        f"Whatever drove both {treatment} and the outcome is among the covariates, all measured "
        f"before {treatment}. The data cannot prove this.",
    )


_MODELS = {
    "linear": "a linear model",
    "boosting": "boosted trees",
    "neural": "a neural network",
    "stack": "a combination of linear models and trees",
}


def _one_model(result: EffectsResult) -> Assumption:
    kind = next((told for name, told in _MODELS.items() if name in result.learner), "the learner")
    return (
        "One right model of two.",
        f"The propensity or the outcome regression is right, as far as {kind} can be (the "
        "estimate is doubly robust).",
    )
