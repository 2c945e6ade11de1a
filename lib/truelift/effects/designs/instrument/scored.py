"""Doubly robust effects of instruments on treatment and outcomes, all in one covariance.

Each instrument is the treatment of an estimation of its own, of the same engine: cross-fitted propensities
of the instrument, and regressions of the treatment and the outcomes on covariates by its values. A last pass
adds up the contrasts of all instruments' scores by cluster. The effect on outcomes over that on the treatment
is the effect on those whom the instrument moves (Imbens & Angrist 1994; scores as in Chernozhukov et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.effects.designs.instrument.linear import refuse_few_clusters
from truelift.effects.designs.ranges import BATCH_ROWS
from truelift.effects.estimate import Estimation, estimate_panel
from truelift.effects.panel.source import PanelSource, State
from truelift.effects.results import Caution
from truelift.effects.scores.quantities import arm_scores, clipped
from truelift.effects.scores.sums import Scoring
from truelift.effects.support.supported import Support
from truelift.errors import DataError
from truelift.inference.clusters import ClusterSums
from truelift.inference.weak_instruments import ReducedForms, stacked_forms
from truelift.progress import Tell
from truelift.settings import EffectOptions


@dataclass(frozen=True, eq=False)
class ContrastKernel:
    """``total`` and ``cross``: weights, and contrasts of scores, instrument after instrument.

    Of each instrument the treatment comes first, then the outcomes.
    """

    scorings: tuple[Scoring, ...]
    responses: tuple[str, ...]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        m = len(self.responses)
        sums = ClusterSums(1 + m * len(self.scorings))
        for batch in batches:
            lines = [np.ones((1, batch.num_rows))]
            weight = None
            for scoring in self.scorings:
                _, units = scoring.units(batch, bucket)
                scores = arm_scores(units, clipped(units.propensity, scoring.clip))
                places = [scoring.outcomes.names.index(name) for name in self.responses]
                scale = scoring.outcomes.scale[places, None]
                lines.append((scores[1] - scores[0])[places] * scale)
                weight = units.weight
            values = np.concatenate(lines)
            values = values if weight is None else values * weight
            sums.add(self.scorings[0].clusters(batch), values)
        return sums.state()


@dataclass(frozen=True, eq=False)
class ScoredInstruments:
    """Reduced forms by outcome, and what the instruments' own estimations found.

    Parameters
    ----------
    forms : sequence of ReducedForms
    estimations : tuple of Estimation
        By instrument.
    clusters : int
    """

    forms: Sequence[ReducedForms]
    estimations: tuple[Estimation, ...]
    clusters: int

    def reasons(self) -> list[str]:
        """Why the data do not support comparing the instruments' values."""
        return [
            f"{e.scoring.columns.arms.column}: {judged.reason}"
            for e in self.estimations
            for judged in _refused(e)
        ]

    def cautions(self, treatment: str) -> list[Caution]:
        """What checks of the instruments' estimations found, on the outcomes that they concern.

        What stops the effect on the treatment stops everything. What :meth:`reasons` has is not told again.
        """
        found = []
        for e in self.estimations:
            known = " ".join(judged.reason for judged in _refused(e))
            for caution in e.result.cautions:
                if caution.stops and (
                    caution.text in known or not caution.concerns("ATE", "", None)
                ):
                    continue
                everything = treatment in caution.outcomes
                found.append(
                    Caution(
                        f"Of the instrument {e.scoring.columns.arms.column!r}: {caution.text}",
                        stops=caution.stops,
                        outcomes=() if everything else caution.outcomes,
                    )
                )
        return found


def _refused(estimation: Estimation) -> list[Support]:
    return [s for s in estimation.result.support if s.estimand == "ATE" and not s.supported]


def scored_instruments(
    source: PanelSource, options: EffectOptions, progress: Tell
) -> ScoredInstruments:
    """An estimation an instrument, then one pass for all contrasts.

    Raises
    ------
    DataError
        For an instrument whose values cannot be compared; see :func:`~truelift.effects.estimate.estimate_panel`.
    """
    responses = (options.treatment, *options.outcomes)
    estimations = tuple(
        estimate_panel(source, as_treatment(options, name), _named(progress, name))
        for name in options.instrument
    )
    scorings = tuple(e.scoring for e in estimations)
    for scoring in scorings:
        if gone := [n for n in responses if n not in scoring.columns.outcomes]:
            raise DataError(
                f"{source.name}: {', '.join(gone)} is missing in some rows; leave them out."
            )
    progress("a pass for all instruments' scores together")
    names = tuple(dict.fromkeys(name for s in scorings for name in s.columns.of_scores()))
    sums = source.sum(ContrastKernel(scorings, responses), names, BATCH_ROWS)
    clusters, units = int(sums["clusters"][0]), sums["total"][0]
    refuse_few_clusters(clusters, len(scorings), options.cluster, source.name)
    means = sums["total"][1:] / units
    rows = np.hstack([-means[:, None], np.eye(len(means))]) / units
    spread = rows @ sums["cross"] @ rows.T * clusters / (clusters - 1)
    m, k = len(responses), len(scorings)
    order = np.arange(k * m).reshape(k, m).T.ravel()  # response after response
    forms = stacked_forms(
        means[order].reshape(m, k), spread[np.ix_(order, order)], m - 1, clusters - 1.0
    )
    return ScoredInstruments(forms, estimations, clusters)


def as_treatment(options: EffectOptions, instrument: str) -> EffectOptions:
    """The options of an instrument's own estimation: what it does to the treatment and to the outcomes."""
    return replace(
        options,
        instrument=(),
        treatment=instrument,
        arms=(),
        control=None,
        outcomes=(options.treatment, *options.outcomes),
        estimands=("ATE",),
        groups=(),
        policies={},
        looks=(),
        inference=replace(options.inference, simultaneous=False, anytime=False),
    )


def _named(progress: Tell, instrument: str) -> Tell:
    return lambda text: progress(f"{instrument}: {text}")
