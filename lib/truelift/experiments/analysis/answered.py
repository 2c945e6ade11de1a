"""Effects on ratings and surveys that only some of the units answer, as metrics of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult
from truelift.errors import NotSupportedError, UserError
from truelift.experiments.analysis.effects import estimand_of
from truelift.experiments.analysis.estimated import (
    all_rows,
    estimation,
    with_intervals_of_looks,
)
from truelift.experiments.analysis.layout import surveys_of
from truelift.experiments.analysis.looks import LookRule
from truelift.experiments.analysis.results import MetricEffect
from truelift.experiments.answers import ANSWER, ARM, AnswersResult, answers_of
from truelift.experiments.metrics import Metric
from truelift.experiments.spec import ExperimentSpec
from truelift.progress import Tell

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
    held = all_rows(source, spec, columns)
    arms = np.array(spec.labels, dtype=object)[held.arm]
    rows = pa.Table.from_batches([held.batch])
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
        estimand = estimand_of(metric)
        effects += with_intervals_of_looks(spec, name, METHOD, estimand, found.effects, rule)
    return Answered(tuple(effects), failed, tuple(said), doubt)


def _answers(rows: pa.Table, spec: ExperimentSpec, metric: Metric, table: str) -> AnswersResult:
    cluster = spec.cluster or spec.units_of[0]
    kept = [_OF_ROW, metric.column, *metric.known, cluster]

    def estimate(made: pa.Table, arms: Sequence[str]) -> EffectsResult:
        return estimation(made, table, ARM, ANSWER, metric.known, cluster, arms, metric.learner)

    chosen = rows.select(list(dict.fromkeys(kept)))
    return answers_of(chosen, _OF_ROW, metric.column, spec.control, table, estimate)
