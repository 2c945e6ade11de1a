"""Effects of many groups or arms drawn towards each other, as a look: robust empirical Bayes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from truelift.effects.look import Look, Sight, not_made
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.results import EffectsResult, Estimate, Finding
from truelift.effects.scores.catalogue import estimands_of
from truelift.effects.scores.estimands import covariance, influence_rows
from truelift.effects.telling.figures import figure, percent, places_of
from truelift.inference.robust_shrinkage import RobustShrunken, robust_shrinkage
from truelift.settings import EffectOptions

NAME = "shrunken effect"
#: With fewer there is no spread to learn.
FEWEST = 5
#: Of the least variance that may be common to all.
_MOST_COMMON = 0.95


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return options.shrink is not None


def _result(sight: Sight, found: None) -> EffectsResult:  # noqa: ARG001
    """The result with a shrunken estimate beside each of the column's effects."""
    column, control = str(sight.options.shrink), sight.estimation.scoring.columns.arms.labels[0]
    families: dict[tuple[str, ...], list[Estimate]] = {}
    for e in sight.result.estimates:
        # Of all pairs of arms (contrasts: all) those against the control say what the others do.
        of_arm = e.estimand == "ATE" and e.versus == control and e.population == "all units"
        if column == sight.options.treatment and of_arm:
            families.setdefault((e.outcome,), []).append(e)
        elif e.estimand == "GATE" and e.population.startswith(f"{column} = "):
            families.setdefault((e.outcome, e.arm, e.versus), []).append(e)
    estimates, sentences, failed = [], [], {}
    figures: dict[str, float] = {}
    for key, members in families.items():
        name = f"{NAME} of {column} on {', '.join(key)}"
        if len(members) < FEWEST:
            failed[name] = (
                f"{len(members)} of its effects could be made; the spread of effects is told from {FEWEST} or more."
            )
            continue
        made = shrunken(members, common_variance(sight, members))
        drawn, confidence = after(members, made), members[0].confidence
        estimates += drawn
        sentences.append(_sentence(column, key, members, made, confidence))
        figures |= {
            f"spread of effects, {name}": float(np.sqrt(made.second_moment)),
            f"kurtosis of effects, {name}": made.kurtosis,
        }
    finding = Finding("shrink", tuple(sentences), figures)
    result = replace(
        sight.result,
        estimates=(*sight.result.estimates, *estimates),
        findings=(*sight.result.findings, *([finding] if sentences else [])),
    )
    return not_made(result, failed)


def common_variance(sight: Sight, members: Sequence[Estimate]) -> float:
    """Variance of the error that estimates share, such as their control's: their mean covariance."""
    scoring, moments = sight.estimation.scoring, sight.estimation.cluster_moments
    names = scoring.columns.outcomes
    found = {
        (e.name, names[e.outcome], e.arm, e.versus, e.population): e
        for e in estimands_of(scoring.columns, sight.options)
    }
    asked = [found[e.estimand, e.outcome, e.arm, e.versus, e.population] for e in members]
    spread = covariance(influence_rows(moments.total, scoring.layout, asked)[1], moments)
    errors = np.array([e.standard_error for e in members])
    # In the estimates' units, and with their corrections for few clusters.
    scale = errors / np.sqrt(np.diag(spread))
    spread = spread * np.outer(scale, scale)
    mean = (spread.sum() - np.trace(spread)) / (len(members) * (len(members) - 1))
    return float(np.clip(mean, 0.0, _MOST_COMMON * (errors**2).min()))


def shrunken(members: Sequence[Estimate], common: float = 0.0) -> RobustShrunken:
    """Robust empirical Bayes over estimates of one row of effects."""
    values = np.array([e.estimate for e in members])
    # Of few clusters Student's t is wider than the normal: its error is what the interval says.
    confidence = members[0].confidence
    errors = np.array([e.standard_error for e in members])
    return robust_shrinkage(values, errors, confidence, common)


def after(members: Sequence[Estimate], made: RobustShrunken) -> list[Estimate]:
    """The estimates as they are after shrinking; nothing is tested, for intervals hold on average alone."""
    found = []
    rows = zip(members, made.values, made.half, made.errors, made.weights, strict=True)
    for e, value, half, error, kept in rows:
        # Few clusters widen the interval as they widened that of the estimate itself.
        wider = max((e.ci_upper - e.ci_lower) / (2.0 * _normal(e)), 1.0)
        found.append(
            replace(
                e, estimand=NAME, estimate=float(value), standard_error=float(error),
                ci_lower=float(value - wider * half), ci_upper=float(value + wider * half), p_value=None,
                band_lower=None, band_upper=None, adjusted_p_value=None, bound=None,
                method=f"robust empirical Bayes over {len(members)} effects ({kept:.0%} of the distance kept), {e.method}",
            )
        )  # fmt: skip
    return found


def _normal(e: Estimate) -> float:
    from scipy.stats import norm

    return float(norm.ppf(0.5 + e.confidence / 2.0)) * e.standard_error


def _sentence(
    column: str, key: Sequence[str], members: Sequence[Estimate], made: RobustShrunken,
    confidence: float,
) -> str:  # fmt: skip
    spread = float(np.sqrt(made.second_moment))
    places = places_of(members[0].standard_error, spread)
    arm = f" of {key[1]} against {key[2]}" if len(key) > 1 else ""
    return (
        f"Over {len(members)} of {column} the effects{arm} on {key[0]} lie about {figure(made.centre, places)}, with a "
        f"standard deviation of {figure(spread, places)} between them. Shrunken estimates keep "
        f"{percent(float(made.weights.min()))} to {percent(float(made.weights.max()))} of their distance from that; "
        f"{confidence:.0%} of their intervals hold the truth, over all of them and whatever the shape of the "
        "spread, not each with that chance."
    )


SHRINK = Look("shrink", _result, _asked)
