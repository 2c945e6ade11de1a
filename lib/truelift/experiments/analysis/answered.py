"""Effects on ratings and surveys that only some of the units answer, as metrics of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from truelift.effects.panel.any_table import memory_panel
from truelift.effects.panel.parts import is_number
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult
from truelift.effects.whole import estimate_all
from truelift.errors import NotSupportedError, UserError
from truelift.experiments.analysis.effects import effects_of, estimand_of
from truelift.experiments.analysis.layout import surveys_of
from truelift.experiments.analysis.looks import LookRule
from truelift.experiments.analysis.results import MetricEffect
from truelift.experiments.analysis.units import rows_of
from truelift.experiments.answers import ANSWER, ARM, AnswersResult, answers_of, estimate_of
from truelift.experiments.metrics import Metric
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.foreign import frame_table
from truelift.progress import Tell
from truelift.settings import EffectOptions, Settings
from truelift.settings.effect_sections import FeatureSection

METHOD = "if all answered"
_OF_ROW = "__arm_of_row__"


@dataclass(frozen=True)
class Answered:
    """Effects on answers, and what is to be said of them.

    Parameters
    ----------
    effects : tuple of MetricEffect
    failed : dict of str to str
        Metrics that have no effect, and why.
    said : tuple of str
        Who answered, a sentence an arm.
    doubt : str
        Why nothing is concluded of the primary metric; empty where it is supported.
    """

    effects: tuple[MetricEffect, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    doubt: str = ""


NO_ANSWERS = Answered()


def answer_effects(
    source: PanelSource,
    spec: ExperimentSpec,
    columns: Sequence[str],
    rule: LookRule,
    progress: Tell,
) -> Answered:
    """Effects on every metric of the kind ``answer``.

    The columns that the analysis reads come into this process; the estimates are those of
    :func:`truelift.compare_answers`, with the intervals of the experiment's looks and arms. A metric whose answers
    do not support an estimate has no effect; where it is the primary one, its effect is told and in doubt.

    Raises
    ------
    NotSupportedError
        If too few answered for any estimate of the primary metric.
    """
    parts = [rows_of(batch, spec) for batch in source.blocks(lambda b, _: b, list(columns), 1)]
    rows = pa.Table.from_batches([part.batch for part in parts])
    arms = np.array(spec.labels, dtype=object)[np.concatenate([part.arm for part in parts])]
    rows = rows.append_column(_OF_ROW, pa.array(arms, pa.string()))
    effects: list[MetricEffect] = []
    failed: dict[str, str] = {}
    said: list[str] = []
    doubt = ""
    for name, metric in surveys_of(spec).items():
        progress(f"answers: {name}")
        try:
            found = _answers(rows, spec, metric, source.name)
        except (UserError, NotSupportedError) as error:
            if name == spec.decides:
                raise
            failed[name] = str(error)
            continue
        said += [f"{name}: {line}" for line in found.summary().splitlines()]
        if not found.supported:
            if name != spec.decides:
                failed[name] = "not supported: " + " ".join(found.reasons)
                continue
            doubt = f"{name} is not supported: {' '.join(found.reasons)}"
        effects += _effects(spec, name, found, rule)
    return Answered(tuple(effects), failed, tuple(said), doubt)


def _answers(rows: pa.Table, spec: ExperimentSpec, metric: Metric, table: str) -> AnswersResult:
    cluster = spec.cluster or spec.units_of[0]
    kept = [_OF_ROW, metric.column, *metric.covariates, cluster]

    def estimate(made: pa.Table, arms: Sequence[str]) -> EffectsResult:
        coded = [n for n in metric.covariates if not is_number(made.schema.field(n).type)]
        options = EffectOptions(
            treatment=ARM, outcomes=(ANSWER,), cluster=cluster, arms=tuple(arms), control=arms[0],
            covariates=tuple(n for n in metric.covariates if n not in coded), estimands=("APO", "ATE"),
            features=FeatureSection(categorical=dict.fromkeys(coded, "one_hot")),
        )  # fmt: skip
        panel = memory_panel(frame_table(made, table), options, Settings.buckets)
        return estimate_all(panel, options).result

    chosen = rows.select(list(dict.fromkeys(kept)))
    return answers_of(chosen, _OF_ROW, metric.column, spec.control, table, estimate)


def _effects(
    spec: ExperimentSpec, name: str, found: AnswersResult, rule: LookRule
) -> list[MetricEffect]:
    """The estimates with the looks' intervals.

    What two arms' means have in common follows from the errors of the means and of their difference.
    """
    levels = [estimate_of(found.effects, "APO", arm) for arm in spec.labels]
    gaps = [estimate_of(found.effects, "ATE", arm) for arm in spec.labels[1:]]
    covariance = np.diag([level.standard_error**2 for level in levels])
    for arm, gap in enumerate(gaps, start=1):
        shared = covariance[0, 0] + covariance[arm, arm] - gap.standard_error**2
        covariance[0, arm] = covariance[arm, 0] = shared / 2
    means = np.array([level.estimate for level in levels])
    degrees = [gap.degrees_of_freedom or float(gap.clusters - 1) for gap in gaps]
    estimand = estimand_of(spec.metric(name))
    return effects_of(spec, name, METHOD, estimand, means, covariance, degrees, rule)
