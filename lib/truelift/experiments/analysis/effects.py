"""Effects of every arm on every metric, from the experiment's sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import special

from truelift.errors import DataError
from truelift.experiments.analysis.layout import Layout, Scaling
from truelift.experiments.analysis.looks import LookRule
from truelift.experiments.analysis.results import GuardrailCheck, MetricEffect, that_counts
from truelift.experiments.metrics import ROWS, Metric
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.delta import relative_lift
from truelift.inference.experiment_estimates import ExperimentResult, ratio_of_sums
from truelift.inference.experiments import ExperimentSums
from truelift.inference.hypotheses import non_inferiority_test, one_sided_test, two_sided_test


def metric_effects(
    spec: ExperimentSpec,
    sums: ExperimentSums,
    layout: Layout,
    scaling: Scaling,
    rule: LookRule,
    caps: dict[str, float],
) -> tuple[tuple[MetricEffect, ...], dict[str, str]]:
    """Effects on means, proportions and ratios, and why some could not be made.

    Parameters
    ----------
    spec : ExperimentSpec
    sums : ExperimentSums
        In the scale of ``scaling``.
    layout : Layout
    scaling : Scaling
    rule : LookRule
    caps : dict of str to float
        Of winsorised metrics.
    """
    found: list[MetricEffect] = []
    failed: dict[str, str] = {}
    for name in spec.metrics:
        metric = spec.metric(name)
        if metric.kind in ("quantile", "answer"):
            continue
        place = layout.places[name]
        factor, centre = scaling.ratio(place.ratio)
        for method, before in (("difference", ()), ("CUPED", place.before)):
            if method == "CUPED":
                if not before:
                    continue
                before = _that_vary(sums, before)
                if before_p_value(sums, before) < spec.decision.sample_ratio_level:
                    failed[f"CUPED on {name}"] = differ_before(metric)
                    continue
            try:
                result = ratio_of_sums(sums, place.ratio, before, confidence=1 - spec.level)
            except DataError as error:
                failed[f"{method} on {name}"] = str(error)
                continue
            means = factor * result.means + centre
            covariance = factor**2 * result.covariance
            estimand = estimand_of(metric, caps.get(name))
            degrees = [contrast.degrees_of_freedom for contrast in result.contrasts]
            found += effects_of(spec, name, method, estimand, means, covariance, degrees, rule)
    return tuple(found), failed


def before_p_value(sums: ExperimentSums, before: tuple[tuple[int, int], ...]) -> float:
    """P-value that the arms are alike in what is from before the assignment, with Bonferroni's factor.

    Lots make no other difference; where it is larger, the column was measured after the assignment,
    and CUPED would take the effect away, or the assignment was not by lot.
    """
    p_values: list[float] = []
    for place in before:
        try:
            p_values += [c.p_value for c in ratio_of_sums(sums, place).contrasts]
        except DataError:  # it does not vary within the arms
            upper, lower = place
            values = sums.total[:, upper] / np.maximum(sums.total[:, lower], 1e-300)
            p_values += [0.0] if np.ptp(values) > 1e-9 * np.abs(values).max() else []
    return min(1.0, len(p_values) * min(p_values)) if p_values else 1.0


def differ_before(metric: Metric) -> str:
    """That the arms were not alike, in words."""
    return (
        f"the arms differ in {metric.before!r}, or in who misses it, which is said to be from before "
        "the assignment: either it was measured after, or the assignment was not by lot."
    )


def _that_vary(
    sums: ExperimentSums, before: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Without an indicator of missing values where none is missing."""
    spread = np.abs(sums.cross).reshape(sums.arms, sums.total.shape[1], sums.arms, -1)
    kept = tuple(
        (upper, lower) for upper, lower in before if spread[:, upper, :, upper].any() or lower
    )
    return kept or before[:1]


def effects_of(
    spec: ExperimentSpec,
    name: str,
    method: str,
    estimand: str,
    means: np.ndarray,
    covariance: np.ndarray,
    degrees: list[float],
    rule: LookRule,
) -> list[MetricEffect]:
    """Each arm against the control, from the arms' values and their covariance.

    Parameters
    ----------
    spec : ExperimentSpec
    name, method, estimand : str
    means, covariance : ndarray, A and A x A
    degrees : list of float
        Of each difference.
    rule : LookRule
    """
    metric, labels = spec.metric(name), spec.labels
    found = []
    for arm, free in enumerate(degrees, start=1):
        weights = np.zeros(len(labels))
        weights[arm], weights[0] = 1.0, -1.0
        estimate = float(means[arm] - means[0])
        error = float(np.sqrt(max(weights @ covariance @ weights, 0.0)))
        alone, critical = rule.alone(free) * error, rule.critical(free) * error
        signed = metric.sign * estimate / error if error > 0 else 0.0
        if spec.two_sided:
            test = two_sided_test(estimate, error, free, level=spec.level)
            lower, upper = estimate - critical, estimate + critical
        else:
            side = "greater" if metric.sign > 0 else "less"
            test = one_sided_test(estimate, error, free, side, level=spec.level)
            lower = estimate - critical if metric.sign > 0 else -np.inf
            upper = np.inf if metric.sign > 0 else estimate + critical
        lift = (float("nan"),) * 3
        if means[0] != 0:
            relative = relative_lift(
                means, covariance, free, arm, 0, confidence=1 - rule.level(free)
            )
            lift = (relative.lift, relative.lower, relative.upper)
        found.append(
            MetricEffect(
                metric=name, kind=metric.kind, measured_in=metric.measured_in, method=method,
                estimand=estimand, arm=labels[arm], versus=labels[0],
                control=float(means[0]), treated=float(means[arm]),
                estimate=estimate, standard_error=error,
                ci_lower=estimate - alone, ci_upper=estimate + alone, p_value=test.p_value,
                degrees_of_freedom=free, lower=float(lower), upper=float(upper),
                p_value_of_looks=rule.p_value(signed, (), free),
                lift=lift[0], lift_lower=lift[1], lift_upper=lift[2], better=metric.sign,
            )
        )  # fmt: skip
    return found


def estimand_of(metric: Metric, cap: float | None = None) -> str:
    """What is compared, in words."""
    if metric.kind == "quantile":
        return f"quantile {metric.quantile:g} of {metric.column} over rows"
    if metric.kind == "answer":
        return f"mean over rows of {metric.column}, as if all had answered"
    if metric.kind == "ratio":
        per = "rows" if metric.per == ROWS else metric.per
        return f"{metric.column} by {per}, over all units"
    if metric.kind == "proportion":
        return f"share of the units with {metric.column} above 0"
    if cap is not None:
        return (
            f"mean over units of {metric.column}, capped at {cap:.4g} (its quantile "
            f"{metric.winsorise:g}): not the mean of all of it"
        )
    return f"mean over units of {metric.column}"


def quantile_effects(
    spec: ExperimentSpec,
    name: str,
    values: np.ndarray,
    indicator: ExperimentResult,
    slopes: np.ndarray,
    rule: LookRule,
) -> list[MetricEffect]:
    """Differences of the arms' quantiles.

    Parameters
    ----------
    spec : ExperimentSpec
    name : str
    values : ndarray, A
        The arms' quantiles.
    indicator : ExperimentResult
        Of the share of the rows that are at most the arm's quantile, with its clustered covariance.
    slopes : ndarray, A
        How far a quantile moves with that share: one by the density, from the distance of the two
        quantiles that are 1.96 standard errors of the share away (Deng, Knoblich & Lu 2018).
    rule : LookRule
    """
    covariance = indicator.covariance * np.outer(slopes, slopes)
    degrees = [contrast.degrees_of_freedom for contrast in indicator.contrasts]
    estimand = estimand_of(spec.metric(name))
    return effects_of(spec, name, "difference", estimand, values, covariance, degrees, rule)


def with_looks(
    effect: MetricEffect, rule: LookRule, earlier: tuple[float, ...]
) -> MetricEffect:  # fmt: skip
    """The primary effect with the p-value of all looks, earlier statistics at hand."""
    if not earlier or effect.standard_error <= 0:
        return effect
    signed = effect.better * effect.estimate / effect.standard_error
    found = rule.p_value(signed, earlier, effect.degrees_of_freedom)
    return replace(effect, p_value_of_looks=found)


def guardrail_checks(
    spec: ExperimentSpec, effects: tuple[MetricEffect, ...], rule: LookRule
) -> tuple[GuardrailCheck, ...]:
    """Every arm and guardrail, by the interval that holds for all looks so far."""
    found = []
    for name, guardrail in spec.guardrails.items():
        for arm in spec.labels[1:]:
            of_arm = [e for e in effects if e.metric == name and e.arm == arm]
            if not of_arm:
                found.append(GuardrailCheck(name, arm, guardrail.margin or 0.0, "open", 1.0))
                continue
            effect = that_counts(of_arm)
            margin = guardrail.margin
            if margin is None:
                assert guardrail.relative_margin is not None
                margin = abs(effect.control) * guardrail.relative_margin
            free = effect.degrees_of_freedom
            # Both ends count for a guardrail, whatever the primary metric is tested for.
            reach = _both_sides(rule, free) * effect.standard_error
            gain = effect.better * effect.estimate
            state = "open"
            if gain - reach > -margin:
                state = "kept"
            elif gain + reach < -margin:
                state = "harmed"
            p_value = 1.0
            if margin > 0:
                test = non_inferiority_test(
                    effect.estimate, effect.standard_error, free, margin, effect.better > 0
                )
                p_value = test.p_value
            found.append(GuardrailCheck(name, arm, float(margin), state, p_value))
    return tuple(found)


def _both_sides(rule: LookRule, degrees: float) -> float:
    two_sided = replace(rule, spec=replace(rule.spec, alternative="two-sided"))
    found = two_sided.critical(degrees)
    return found if np.isfinite(found) else float(special.stdtrit(degrees, 0.975))
