"""Effects on ratings and surveys that only some of the units answer, as metrics of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from scipy import special

from truelift.effects.panel.arms import label_of
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult
from truelift.errors import DataError, NotSupportedError, UserError
from truelift.experiments.analysis.breakdowns import equal_effects, groups_sentence
from truelift.experiments.analysis.cells import check_levels, thin_in_words
from truelift.experiments.analysis.effects import estimand_of
from truelift.experiments.analysis.estimated import (
    all_rows,
    estimation,
    with_intervals_of_looks,
)
from truelift.experiments.analysis.layout import surveys_of
from truelift.experiments.analysis.looks import LookRule
from truelift.experiments.analysis.results import Breakdown, CellEffect, MetricEffect
from truelift.experiments.answers import ANSWER, ARM, AnswersResult, answers_of
from truelift.experiments.history import given_answers
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
    breakdowns : tuple of Breakdown
        Of the primary metric, by dimension.
    thin : tuple of str
        Groups that have no effect.
    """

    effects: tuple[MetricEffect, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    doubt: str = ""
    breakdowns: tuple[Breakdown, ...] = ()
    thin: tuple[str, ...] = ()


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
    parts: list[Breakdown] = []
    thin: list[str] = []
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
        if name == spec.decides and not doubt:
            for column in spec.dimensions:
                made, bare = _by_group(rows, spec, metric, column, found.effects, source.name)
                parts += made
                thin += bare
    return Answered(tuple(effects), failed, tuple(said), doubt, tuple(parts), tuple(thin))


def _answers(rows: pa.Table, spec: ExperimentSpec, metric: Metric, table: str) -> AnswersResult:
    cluster = spec.cluster or spec.units_of[0]
    groups = spec.dimensions if metric == spec.metric(spec.decides) else ()
    kept = [_OF_ROW, metric.column, *metric.known, cluster, *groups]

    def estimate(made: pa.Table, arms: Sequence[str]) -> EffectsResult:
        return estimation(
            made, table, ARM, ANSWER, metric.known, cluster, arms, metric.learner, groups=groups
        )

    chosen = rows.select(list(dict.fromkeys(kept)))
    return answers_of(chosen, _OF_ROW, metric.column, spec.control, table, estimate)


def _by_group(
    rows: pa.Table,
    spec: ExperimentSpec,
    metric: Metric,
    column: str,
    found: EffectsResult,
    table: str,
) -> tuple[list[Breakdown], list[str]]:
    """Effects by the levels of a column, of which both arms have answers of two clusters; and those that have not.

    Whether they differ at all is tested where each cluster has one level: estimates of groups are then independent.
    """
    values = rows[column].to_pylist()
    labels = np.array([None if v is None else label_of(v) for v in values], dtype=object)
    levels = sorted(set(labels) - {None})
    check_levels(len(levels), column, table)
    names = {level: level.strip() or "(blank)" for level in levels}  # as effects call them
    if len(set(names.values())) < len(levels):
        raise DataError(
            f"{table}, column {column!r} (dimensions): found values that differ in blanks alone, expected groups with "
            "names of their own."
        )
    cluster = np.array(rows[spec.cluster or spec.units_of[0]].to_pylist(), dtype=object)
    _, answered = given_answers(rows, metric.column)
    arm = np.array(rows[_OF_ROW].to_pylist(), dtype=object)
    bare = [
        level
        for level in levels
        if any(
            len(set(cluster[answered & (arm == a) & (labels == level)])) < 2 for a in spec.labels
        )
    ]
    used = [level for level in levels if level not in bare]
    thin = [thin_in_words(column, bare, len(levels))] if bare else []
    if len(used) < 2:
        return [], thin
    apart = len(set(zip(cluster, labels, strict=True))) == len(set(cluster))
    cells: list[CellEffect] = []
    findings: list[str] = []
    p_values: list[float] = []
    for name in spec.labels[1:]:
        own = {
            e.population.removeprefix(f"{column} = "): e
            for e in found.estimates
            if (e.estimand, e.arm, e.versus) == ("GATE", name, spec.control)
            and e.population.startswith(f"{column} = ")
        }
        here = [own[names[level]] for level in used]
        for level, e in zip(used, here, strict=True):
            degrees = e.degrees_of_freedom or float(e.clusters - 1)
            reach = -special.stdtrit(degrees, spec.level / 2 / len(here)) * e.standard_error
            cells.append(
                CellEffect(level, name, e.estimate, e.estimate - reach, e.estimate + reach)
            )
        if apart and len(here) > 1:
            spread = np.diag([e.standard_error**2 for e in here])
            p_values.append(equal_effects(np.array([e.estimate for e in here]), spread))
            findings.append(groups_sentence(name, column, p_values[-1], spec.level))
    return [Breakdown(column, "group", tuple(cells), tuple(findings), tuple(p_values))], thin
