"""Randomised experiments: difference in means, CUPED and the learner's estimate side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.effects.experiment.results import Experiment, ExperimentEstimate
from truelift.effects.look import Pass, Passes
from truelift.effects.panel.columns import PanelColumns, Scale
from truelift.effects.panel.source import State
from truelift.effects.panel.units import units_of
from truelift.effects.results import Caution, Estimate
from truelift.effects.support.pre_period import pre_period_caution, pre_period_p_value
from truelift.errors import DataError
from truelift.inference.contrasts import many_to_one
from truelift.inference.experiment_estimates import (
    ExperimentResult,
    cuped,
    difference_in_means,
)
from truelift.inference.experiments import ExperimentCounter, ExperimentSums
from truelift.inference.power import minimum_detectable_effect
from truelift.inference.sample_ratio import SampleRatio, ratio_of_counts, sample_ratio
from truelift.settings import EffectOptions

# Beyond this share of clusters with units in several arms, units were assigned and not clusters.
_MIXED = 0.1
_LEVEL = 0.001
# Mean squares of an earlier outcome, in the outcome's scale, beyond which sums lose digits.
_FAR = 1e4


@dataclass(frozen=True, eq=False)
class ExperimentKernel:
    """Sums of an experiment's arms and clusters, one bucket of whole clusters at a time.

    Parameters
    ----------
    columns : PanelColumns
    outcomes : Scale
    before : Scale
        The outcomes' columns from before the assignment. Each gives two covariates: its values,
        and whether they are missing. With the second one beside it, what stands for a missing
        value is of no consequence: units without it get a mean of their own.
    """

    columns: PanelColumns
    outcomes: Scale
    before: Scale

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        arms = len(self.columns.arms.values)
        width, count = len(self.before.names), len(self.outcomes.names)
        counter = ExperimentCounter(arms, 2 * width, count)
        for batch in batches:
            earlier = np.empty((2 * width, batch.num_rows))
            self.before.rows(batch, earlier[:width])
            missing = ~np.isfinite(earlier[:width])
            earlier[:width][missing] = 0.0
            earlier[width:] = missing
            units = units_of(batch, bucket, self.columns, outcomes=self.outcomes)
            cluster = hash_keys(batch.column(batch.schema.get_field_index(self.columns.cluster)))
            counter.add(cluster, units.arm, earlier, units.outcome)
        return counter.finish().to_state()


def before_scale(outcomes: Scale, options: EffectOptions) -> Scale:
    """Earlier outcomes in the scales of the outcomes that they precede."""
    index = [outcomes.names.index(name) for name in options.experiment.pre_outcomes]
    return Scale(
        tuple(options.experiment.pre_outcomes.values()),
        outcomes.centre[index],
        outcomes.scale[index],
    )


def run_experiment(
    columns: PanelColumns,
    outcomes: Scale,
    estimates: tuple[Estimate, ...],
    options: EffectOptions,
) -> Passes[tuple[Experiment, dict[str, str], list[Caution]]]:
    """One light pass: the experiment's own estimates beside the learner-adjusted ATE.

    The second part names the estimates that could not be made, and why; the third says where the arms
    were not alike before.

    Parameters
    ----------
    columns : PanelColumns
    outcomes : Scale
    estimates : tuple of Estimate
        Those of the learner.
    options : EffectOptions
        ``pre_outcomes``, ``confidence``.
    """
    before = before_scale(outcomes, options)

    def counted(scale: Scale) -> Passes[ExperimentSums]:
        state = yield Pass(ExperimentKernel(columns, outcomes, scale), before.names)
        return ExperimentSums.from_state(state, 2 * len(before.names))

    sums = yield from counted(before)
    own_scale = _own_scale(sums, before)
    if own_scale is not before:
        sums = yield from counted(own_scale)
    labels = columns.arms.labels
    contrasts = many_to_one(labels)
    earlier = list(options.experiment.pre_outcomes)
    made: list[ExperimentEstimate] = []
    failed: dict[str, str] = {}
    cautions: list[Caution] = []
    for j, (name, _, scale) in enumerate(outcomes):
        plain = _with_covariates(sums, [])
        methods = {"difference in means": (difference_in_means, plain)}
        if name in earlier:
            places = _with_missing(sums, earlier.index(name))
            unlike = pre_period_caution(
                name, options.experiment.pre_outcomes[name], pre_period_p_value(sums, places)
            )
            if unlike is not None:
                cautions.append(unlike)
                failed[f"CUPED on {name}"] = unlike.text
            else:
                methods["CUPED"] = (cuped, _with_covariates(sums, places))
        for method, (estimated, its) in methods.items():
            try:
                result = estimated(its, j, contrasts, options.inference.confidence)
            except DataError as error:  # the other outcomes, and the learner's estimates, stand
                failed[f"{method} on {name}"] = str(error)
                continue
            made += _rows(method, result, name, scale, labels, options.inference.confidence)
        made += [
            _of_learner(e)
            for e in estimates
            if e.estimand == "ATE" and e.outcome == name and e.versus == labels[0]
        ]
    ratio, assigned = _ratio(sums, _shares(columns))
    return Experiment(tuple(made), ratio, assigned), failed, cautions


def _own_scale(sums: ExperimentSums, before: Scale) -> Scale:
    """The scale of the earlier values that are there, where the outcomes' loses digits.

    An earlier period may be of another level than the outcome, which is told by the sums.
    """
    width = len(before.names)
    gram = sums.gram.sum(axis=0)
    here = gram[0, 0] - gram[0, 1 + width : 1 + 2 * width]
    there = np.maximum(here, 1.0)
    mean = gram[0, 1 : 1 + width] / there
    square = np.diag(gram)[1 : 1 + width] / there
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    far = (here > 0) & ((square > _FAR) | ((square > 0) & (square < 1.0 / _FAR)))
    if not far.any():
        return before
    # Where the level hides the spread altogether, the level is the next measure.
    unit = np.where(spread > 1e-7 * np.abs(mean), spread, np.maximum(np.abs(mean), 1e-300))
    return Scale(
        before.names,
        np.where(far, before.centre + before.scale * mean, before.centre),
        np.where(far, before.scale * unit, before.scale),
    )


def _with_missing(sums: ExperimentSums, place: int) -> list[int]:
    """An earlier outcome, and where some units miss it, that they do."""
    missing = sums.covariates // 2 + place
    some = float(sums.total[:, 1 + missing].sum()) > 0
    return [place, missing] if some else [place]


def _with_covariates(sums: ExperimentSums, chosen: list[int]) -> ExperimentSums:
    """The sums with some of their covariates only."""
    p, arms, width = sums.covariates, *sums.total.shape
    kept = np.array([0, *(1 + c for c in chosen), *range(1 + p, width)])
    flat = (np.arange(arms)[:, None] * width + kept).ravel()
    return replace(
        sums,
        total=sums.total[:, kept],
        cross=sums.cross[np.ix_(flat, flat)],
        gram=sums.gram[:, kept[:, None], kept[None]],
        covariates=len(chosen),
    )


def _rows(
    method: str, result: ExperimentResult, outcome: str, scale: float, labels: tuple[str, ...],
    confidence: float,
) -> list[ExperimentEstimate]:  # fmt: skip
    return [
        ExperimentEstimate(
            method=method,
            outcome=outcome,
            arm=arm,
            versus=labels[0],
            estimate=scale * c.estimate,
            standard_error=scale * c.standard_error,
            ci_lower=scale * c.ci_lower,
            ci_upper=scale * c.ci_upper,
            p_value=c.p_value,
            degrees_of_freedom=c.degrees_of_freedom,
            minimum_detectable_effect=_detectable(
                scale * c.standard_error, c.degrees_of_freedom, confidence
            ),
            design_effect=float(c.design_effect),
        )
        for arm, c in zip(labels[1:], result.contrasts, strict=True)
    ]


def _of_learner(e: Estimate) -> ExperimentEstimate:
    degrees = float(max(e.clusters - 1, 1))
    return ExperimentEstimate(
        method="learner-adjusted",
        outcome=e.outcome,
        arm=e.arm,
        versus=e.versus,
        estimate=e.estimate,
        standard_error=e.standard_error,
        ci_lower=e.ci_lower,
        ci_upper=e.ci_upper,
        p_value=1.0 if e.p_value is None else e.p_value,
        degrees_of_freedom=degrees,
        minimum_detectable_effect=_detectable(e.standard_error, degrees, e.confidence),
    )


def _detectable(error: float, degrees: float, confidence: float) -> float:
    return float(minimum_detectable_effect(error, degrees, level=1.0 - confidence))


def _shares(columns: PanelColumns) -> np.ndarray:
    """What was promised, as it was promised: that the chances add up has been checked."""
    stated = sum(p for p in columns.propensity if isinstance(p, float))
    return np.array([p if isinstance(p, float) else 1.0 - stated for p in columns.propensity])


def _ratio(sums: ExperimentSums, shares: np.ndarray) -> tuple[SampleRatio, str]:
    """Pearson's test of what was assigned: clusters, or units where arms share most clusters."""
    if sums.clusters_in_several_arms <= _MIXED * sums.cluster_count:
        return sample_ratio(sums, shares, _LEVEL), "clusters"
    ratio = ratio_of_counts(np.rint(sums.units), shares, _LEVEL)
    return ratio, "units"
