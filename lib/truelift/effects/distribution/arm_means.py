"""Doubly robust means, under every arm, of functions of outcomes, with one clustered covariance.

With h a function of the outcome, the mean of h(Y(a)) is that of ``m + 1[D = a] (h(Y) - m) / e``, for m the
cross-fitted regression of h(Y) in the arm: the same nuisances, folds and clipping as for outcomes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.effects.look import Sight
from truelift.effects.panel.columns import PanelColumns, number_column
from truelift.effects.panel.derived import DerivedPanel
from truelift.effects.panel.source import State
from truelift.effects.prepared import prepared
from truelift.effects.scores.quantities import arm_scores, clipped
from truelift.effects.scores.sums import Scoring
from truelift.inference.clusters import ClusterSums
from truelift.settings import EffectOptions
from truelift.settings.effect_sections import (
    BoundsSection,
    CredibilitySection,
    ExperimentSection,
    HeterogeneitySection,
    RobustSection,
)


@dataclass(frozen=True)
class Below:
    """``1[Y <= at]``."""

    outcome: str
    at: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """By row."""
        return (values <= self.at).astype(float)


@dataclass(frozen=True)
class Beyond:
    """``at + max(Y - at, 0) / share``: its mean is that of the highest share, where ``at`` is the quantile."""

    outcome: str
    at: float
    share: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """By row."""
        return self.at + np.maximum(values - self.at, 0.0) / self.share


@dataclass(frozen=True)
class Between:
    """``min(max(Y, low), high)``."""

    outcome: str
    low: float
    high: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """By row."""
        return np.clip(values, self.low, self.high)


Function = Below | Beyond | Between


@dataclass(frozen=True)
class Functions:
    """Functions of outcomes as columns (:class:`~truelift.effects.panel.derived.Derivation`)."""

    functions: tuple[Function, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Numbered; no user's column begins like this."""
        return tuple(f"__truelift_{place}__" for place in range(len(self.functions)))

    @property
    def reads(self) -> tuple[str, ...]:
        """The outcomes."""
        return tuple(dict.fromkeys(f.outcome for f in self.functions))

    def values(self, batch: pa.RecordBatch, bucket: int) -> np.ndarray:
        """One line a function."""
        read = {name: number_column(batch, name) for name in self.reads}
        return np.array([f.of(read[f.outcome]) for f in self.functions])


@dataclass(frozen=True, eq=False)
class ArmMeans:
    """Means of functions under arms.

    Parameters
    ----------
    values : ndarray, m
    covariance : ndarray, m x m
        Clustered, with the factor G / (G - 1).
    clusters : int
    """

    values: np.ndarray
    covariance: np.ndarray
    clusters: int


@dataclass(frozen=True, eq=False)
class ArmMeansKernel:
    """``total`` and ``cross``: weights, then scores of arms and functions by cluster."""

    scoring: Scoring
    lines: tuple[tuple[int, int], ...]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        sums = ClusterSums(1 + len(self.lines))
        for batch in batches:
            _, units = self.scoring.units(batch, bucket)
            scores = arm_scores(units, clipped(units.propensity, self.scoring.clip))
            values = np.stack([np.ones(batch.num_rows), *(scores[a, j] for a, j in self.lines)])
            values = values if units.weight is None else values * units.weight
            sums.add(self.scoring.clusters(batch), values)
        return sums.state()


def means_from_sums(total: np.ndarray, cross: np.ndarray, clusters: int) -> ArmMeans:
    """Means with their covariance, from sums by cluster whose first line is the weight."""
    means = total[1:] / total[0]
    rows = np.hstack([-means[:, None], np.eye(len(means))]) / total[0]
    spread = rows @ cross @ rows.T * clusters / max(clusters - 1, 1)
    return ArmMeans(means, spread, clusters)


def arm_means(sight: Sight, asked: Sequence[tuple[int, Function]]) -> ArmMeans:
    """Means of functions under arms, in the functions' own units.

    Parameters
    ----------
    sight : Sight
    asked : sequence of (int, Function)
        An arm, and the function.
    """
    functions = Functions(tuple(dict.fromkeys(function for _, function in asked)))
    panel = DerivedPanel(sight.source, functions)
    made = prepared(panel, options_of(sight.options, functions.names), sight.progress)
    scoring, names = made.scoring, made.scoring.outcomes.names
    places = [names.index(functions.names[functions.functions.index(f)]) for _, f in asked]
    sight.progress("a pass for scores of functions of outcomes")
    kernel = ArmMeansKernel(
        scoring, tuple((arm, place) for (arm, _), place in zip(asked, places, strict=True))
    )
    columns = scoring.columns
    sums = panel.sum(kernel, columns.of_scores(), columns.batch_rows())
    found = means_from_sums(sums["total"], sums["cross"], int(sums["clusters"][0]))
    scale, centre = scoring.outcomes.scale[places], scoring.outcomes.centre[places]
    return ArmMeans(
        centre + scale * found.values, found.covariance * np.outer(scale, scale), found.clusters
    )


def arms_of_rows(rows: pa.Table, columns: PanelColumns) -> np.ndarray:
    """The arm of each of some rows, as a number."""
    column = rows[columns.arms.column].combine_chunks()
    return columns.arms.codes(pa.RecordBatch.from_arrays([column], [columns.arms.column]))


def options_of(options: EffectOptions, outcomes: tuple[str, ...]) -> EffectOptions:
    """The options of an estimation on other outcomes, with nothing beside it; its rows are chosen already."""
    return replace(
        options, filter=None, outcomes=outcomes, estimands=("ATE",), second_cluster=None, groups=(), policies={},
        looks=(), measured_in={}, shrink=None, robust=RobustSection(), bounds=BoundsSection(), quantiles=(), mediators=(), front_door=(), experiment=ExperimentSection(), credibility=CredibilitySection(),
        heterogeneity=HeterogeneitySection(), inference=replace(options.inference, anytime=False),
    )  # fmt: skip
