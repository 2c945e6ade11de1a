"""Estimations of effects on an experiment's rows, told with the intervals of its looks and arms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.effects.panel.any_table import memory_panel
from truelift.effects.panel.parts import is_number
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult
from truelift.effects.whole import estimate_all
from truelift.errors import DataError
from truelift.experiments.analysis.effects import effects_of
from truelift.experiments.analysis.looks import LookRule
from truelift.experiments.analysis.results import MetricEffect
from truelift.experiments.analysis.units import Rows, rows_of
from truelift.experiments.answers import estimate_of
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.foreign import frame_table
from truelift.settings import EffectOptions, Settings
from truelift.settings.effect_sections import FeatureSection, NuisanceSection
from truelift.settings.learner_choice import LearnerChoice


def all_rows(source: PanelSource, spec: ExperimentSpec, columns: Sequence[str]) -> Rows:
    """The rows of all buckets whose arm is known, in this process, in one batch."""
    parts = [rows_of(batch, spec) for batch in source.blocks(lambda b, _: b, list(columns), 1)]
    (batch,) = pa.Table.from_batches([part.batch for part in parts]).combine_chunks().to_batches()
    return Rows(
        np.concatenate([part.unit for part in parts]),
        np.concatenate([part.cluster for part in parts]),
        np.concatenate([part.arm for part in parts]),
        batch,
    )


def estimation(
    rows: pa.Table, table: str, treatment: str, outcome: str, covariates: Sequence[str],
    cluster: str, arms: Sequence[str], learner: str, propensity: dict[str, str] | None = None,
    groups: Sequence[str] = (),
) -> EffectsResult:  # fmt: skip
    """Means of the arms (APO) and their differences to the first (ATE), as ``estimate_effects`` makes them.

    Parameters
    ----------
    rows : pyarrow.Table
    table : str
        Its name, for messages.
    treatment, outcome, cluster : str
        Columns.
    covariates : sequence of str
        Numbers, and texts that become indicators.
    arms : sequence of str
        The control first.
    learner : str
    propensity : dict of str to str, optional
        By arm, where the chances are known.
    groups : sequence of str
        Columns by whose levels differences are told, too (GATE).

    Raises
    ------
    DataError
        For an arm of too few clusters.
    """
    coded = [name for name in covariates if not is_number(rows.schema.field(name).type)]
    options = EffectOptions(
        treatment=treatment, outcomes=(outcome,), cluster=cluster, arms=tuple(arms), control=arms[0],
        covariates=tuple(name for name in covariates if name not in coded), estimands=("APO", "ATE", *(("GATE",) if groups else ())), groups=tuple(groups),
        features=FeatureSection(categorical=dict.fromkeys(coded, "one_hot")),
        nuisances=NuisanceSection(learner=LearnerChoice(learner), propensity=propensity or {}),
    )  # fmt: skip
    least = options.support.min_clusters_per_arm
    for arm in arms:
        found = pc.count_distinct(rows.filter(pc.equal(rows[treatment], arm))[cluster]).as_py()
        if found < least:
            raise DataError(
                f"{table}: the arm {arm} has {found:,} clusters ({cluster!r}) with what a regression takes, expected at "
                f"least {least}. Wait for more of them, or leave covariates out."
            )
    panel = memory_panel(frame_table(rows, table), options, Settings.buckets)
    return estimate_all(panel, options).result


def with_intervals_of_looks(
    spec: ExperimentSpec, name: str, method: str, estimand: str, found: EffectsResult, rule: LookRule
) -> list[MetricEffect]:  # fmt: skip
    """The estimates with the looks' intervals.

    What two arms' means have in common follows from the errors of the means and of their difference.
    """
    levels = [estimate_of(found, "APO", arm) for arm in spec.labels]
    gaps = [estimate_of(found, "ATE", arm) for arm in spec.labels[1:]]
    covariance = np.diag([level.standard_error**2 for level in levels])
    for arm, gap in enumerate(gaps, start=1):
        shared = covariance[0, 0] + covariance[arm, arm] - gap.standard_error**2
        covariance[0, arm] = covariance[arm, 0] = shared / 2
    means = np.array([level.estimate for level in levels])
    degrees = [gap.degrees_of_freedom or float(gap.clusters - 1) for gap in gaps]
    return effects_of(spec, name, method, estimand, means, covariance, degrees, rule)
