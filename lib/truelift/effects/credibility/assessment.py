"""From the summed state of the one pass to every credibility result, on the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from truelift.arrays.distributions import stats
from truelift.effects.credibility.e_value import e_value_of_difference
from truelift.effects.credibility.groups import leave_one_group_out
from truelift.effects.credibility.kernel import CredibilityOptions
from truelift.effects.credibility.omitted_variables import (
    SensitivityElements,
    covariate_benchmark,
    omitted_variable_bounds,
    sensitivity_elements,
)
from truelift.effects.credibility.placebo import placebo_treatments
from truelift.effects.credibility.random_cause import random_common_cause
from truelift.effects.credibility.refutation import negative_control
from truelift.effects.credibility.results import (
    CovariateBenchmark,
    EValue,
    FoldStability,
    HalfStability,
    LeaveOneGroupOut,
    NegativeControl,
    OmittedVariableBounds,
    PlaceboTreatments,
    RandomCommonCause,
)
from truelift.effects.credibility.subsets import fold_stability, half_stability
from truelift.effects.credibility.target import Target
from truelift.errors import DataError

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class AssessmentOptions:
    """What the driver makes of the state.

    Parameters
    ----------
    outcomes : tuple of str
        Names of the J outcomes.
    scales : tuple of float
        Units of each outcome for one unit of the kernels' scale.
    arms : tuple of str
        Names of the A arms.
    group_levels : tuple of tuple of str
        Names of the levels of each group column.
    groups, benchmarks : tuple of str
        Names of the group columns and of the benchmarks' covariates.
    negative_controls : mapping of str to float
        Outcomes that must show no effect, and their margins in the outcome's units; 0 stands for
        a tenth of the outcome's standard deviation.
    cf_y, cf_d, rho, confidence : float
        See :func:`~.omitted_variables.omitted_variable_bounds`.
    """

    outcomes: tuple[str, ...]
    scales: tuple[float, ...]
    arms: tuple[str, ...] = ("control", "treated")
    groups: tuple[str, ...] = ()
    group_levels: tuple[tuple[str, ...], ...] = ()
    benchmarks: tuple[str, ...] = ()
    negative_controls: Mapping[str, float] = field(default_factory=dict)
    cf_y: float = 0.03
    cf_d: float = 0.03
    rho: float = 1.0
    confidence: float = 0.95


@dataclass(frozen=True)
class Credibility:
    """Every check of every contrast and outcome, as far as it was asked for."""

    omitted_variables: tuple[OmittedVariableBounds, ...]
    benchmarks: tuple[CovariateBenchmark, ...]
    e_values: tuple[EValue, ...]
    placebos: tuple[PlaceboTreatments, ...]
    random_causes: tuple[RandomCommonCause, ...]
    halves: tuple[HalfStability, ...]
    folds: tuple[FoldStability, ...]
    groups: tuple[LeaveOneGroupOut, ...]
    negative_controls: tuple[NegativeControl, ...]

    def __repr__(self) -> str:
        parts = [
            *self.omitted_variables, *self.benchmarks, *self.e_values, *self.negative_controls,
            *self.placebos, *self.random_causes, *self.halves, *self.folds, *self.groups,
        ]  # fmt: skip
        return "\n".join(repr(part) for part in parts)


def assess(state: State, kernel: CredibilityOptions, options: AssessmentOptions) -> Credibility:
    """All results of the summed state.

    Parameters
    ----------
    state : dict of str to ndarray
        Of :func:`~.kernel.credibility_state`, added over buckets.
    kernel : CredibilityOptions
        Those that the state was made with.
    options : AssessmentOptions

    Raises
    ------
    DataError
        If there are no rows, too few clusters, or a negative control is not among the outcomes.
    """
    if not state or state["total"][0] == 0:
        raise DataError("Credibility checks: the pass found no rows, so nothing can be checked.")
    if unknown := [name for name in options.negative_controls if name not in options.outcomes]:
        raise DataError(
            f"Credibility checks, negative controls: {', '.join(map(repr, unknown))} not among the "
            f"outcomes {', '.join(options.outcomes)}. Add it to the outcomes of the estimation."
        )
    found: dict[str, list] = {name: [] for name in Credibility.__dataclass_fields__}
    for estimand, contrast, outcome in kernel.lines.estimates():
        target = Target(
            estimand=estimand,
            contrast=contrast,
            outcome=outcome,
            scale=options.scales[outcome],
            outcome_name=options.outcomes[outcome],
            contrast_name=f"{options.arms[contrast]} against {options.arms[0]}",
        )
        elements = _assess_estimate(found, state, kernel, options, target)
        if estimand == "ATE":
            _assess_ate(found, state, kernel, options, elements, target)
    return Credibility(**{name: tuple(parts) for name, parts in found.items()})


def _assess_estimate(
    found: dict[str, list], state: State, kernel: CredibilityOptions, options: AssessmentOptions,
    target: Target,
) -> SensitivityElements:  # fmt: skip
    """What is asked of the ATE and of the ATT alike."""
    lines, total, cross = kernel.lines, state["total"], state["cross"]
    clusters = int(state["clusters"][0])
    elements = sensitivity_elements(total, cross, clusters, lines, target)
    bounds = omitted_variable_bounds(
        elements, options.cf_y, options.cf_d, options.rho,
        confidence=options.confidence, target=target,
    )  # fmt: skip
    found["omitted_variables"].append(bounds)
    if kernel.halves:
        halves = half_stability(
            state["half_total"], total, lines, elements.bound_error(0.0, 1), target
        )
        found["halves"].append(halves)
    folds = fold_stability(
        state["fold_total"], state["fold_products"], state["fold_clusters"], lines, target
    )
    found["folds"].append(folds)
    for g, (group, levels) in enumerate(zip(options.groups, options.group_levels, strict=True)):
        sums = {name: state[f"group{g}_{name}"] for name in ("total", "products", "whole")}
        left_out = leave_one_group_out(
            sums, total, cross, clusters, lines, target, options.confidence, levels, group
        )
        found["groups"].append(left_out)
    return elements


def _assess_ate(
    found: dict[str, list], state: State, kernel: CredibilityOptions, options: AssessmentOptions,
    elements: SensitivityElements, target: Target,
) -> None:  # fmt: skip
    error, clusters = elements.bound_error(0.0, 1), elements.clusters
    for b, group in enumerate(options.benchmarks):
        # Gains need no variance, so the sums without the covariates have no cross-products.
        no_cross = np.zeros_like(state["cross"])
        short = sensitivity_elements(
            state["short_total"][b], no_cross, clusters, kernel.lines, target
        )
        found["benchmarks"].append(covariate_benchmark(elements, short, group))
    deviation = target.scale * _deviation_within_arms(state["outcome_moments"], target)
    if deviation > 0:
        half = float(stats.t.ppf(0.5 + options.confidence / 2, clusters - 1)) * error
        ends = elements.estimate - half, elements.estimate + half
        value = e_value_of_difference(elements.estimate, *ends, deviation, target.outcome_name)
        found["e_values"].append(value)
    if kernel.placebo.replicates:
        placebo = placebo_treatments(state, kernel.placebo, target, options.confidence)
        found["placebos"].append(placebo)
    if kernel.random_covariates:
        cause = random_common_cause(state, elements.estimate, error, target)
        found["random_causes"].append(cause)
    name = target.outcome_name
    if name in options.negative_controls:
        margin = options.negative_controls[name] or 0.1 * deviation
        control = negative_control(
            name, elements.estimate, error, clusters, margin,
            1.0 - options.confidence, target.contrast_name,
        )  # fmt: skip
        found["negative_controls"].append(control)


def _deviation_within_arms(moments: np.ndarray, target: Target) -> float:
    """Pooled standard deviation of the outcome within the contrast's two arms."""
    units, sums, squares = moments[:, [0, target.contrast], target.outcome]
    within = squares - sums**2 / np.where(units > 0, units, 1.0)
    degrees = units.sum() - 2
    return float(np.sqrt(max(within.sum(), 0.0) / degrees)) if degrees > 0 else 0.0
