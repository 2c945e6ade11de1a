"""How effects vary, for every arm and outcome, in three passes together.

:func:`~truelift.effects.heterogeneity.explore` takes three passes for one contrast of one outcome.
Here all explorations share them: the batches are read and scored once a pass, and each exploration is
advanced with its own sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.heterogeneity.blocks import Forecast, PassKernel, PassSums, ScoredBlock
from truelift.effects.heterogeneity.explore import HeterogeneityOptions, exploration
from truelift.effects.heterogeneity.results import Heterogeneity, Term
from truelift.effects.heterogeneity.scored_contrasts import Contrast, ScoredContrasts
from truelift.effects.heterogeneity.varying import VaryingEffect
from truelift.effects.look import Pass, Passes
from truelift.effects.panel.source import State
from truelift.effects.scores.sums import Scoring
from truelift.errors import DataError
from truelift.inference.bands import simultaneous_bands
from truelift.settings import EffectOptions

_SLASH = "/"
#: Contrasts of one run that are explored: each holds sums of its own in every task.
MOST_EXPLORED = 24


@dataclass(frozen=True, eq=False)
class OneContrast:
    """``read(batch, fold) -> ScoredBlock`` of one of several contrasts."""

    scored: ScoredContrasts
    place: int

    def __call__(self, batch: pa.RecordBatch, fold: int) -> ScoredBlock:
        """The contrast's block."""
        return self.scored(batch, fold)[self.place]


@dataclass(frozen=True, eq=False)
class SharedPass:
    """The passes of several contrasts as one kernel; keys are ``'<place>/<key of the pass>'``.

    Parameters
    ----------
    scored : ScoredContrasts
    kernels : dict of int to PassKernel
        By place of the contrast.
    """

    scored: ScoredContrasts
    kernels: dict[int, PassKernel]

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The states of one bucket."""
        fold = bucket % self.scored.scoring.folds
        running = {place: PassSums(kernel, fold) for place, kernel in self.kernels.items()}
        for batch in batches:
            if not batch.num_rows:
                continue
            blocks = self.scored(batch, fold)
            for place, one in running.items():
                one.add(blocks[place])
        return {
            f"{place}{_SLASH}{key}": value
            for place, one in running.items()
            for key, value in one.finish().items()
        }


def explore_together(
    scored: ScoredContrasts,
    options: HeterogeneityOptions,
    forecasts: Sequence[Forecast] | None = None,
) -> Passes[list[Heterogeneity | DataError]]:
    """Explore every contrast; as many passes as one exploration takes.

    Parameters
    ----------
    scored : ScoredContrasts
    options : HeterogeneityOptions
    forecasts : sequence of Forecast, optional
        A CATE model a contrast; linear DR-learners without them.

    Returns
    -------
    list of Heterogeneity or DataError
        By contrast; an error where its data cannot be explored.
    """
    places = range(len(scored.contrasts))
    names, folds = scored.scoring.design.names, scored.scoring.folds
    found: dict[int, Heterogeneity | DataError] = {}
    wanted: dict[int, PassKernel] = {}
    running = {
        place: exploration(
            OneContrast(scored, place), folds, names, options,
            None if forecasts is None else forecasts[place],
        )
        for place in places
    }  # fmt: skip

    def advance(place: int, state: State | None) -> None:
        try:
            one = running[place]
            wanted[place] = next(one) if state is None else one.send(state)
        except StopIteration as end:
            found[place] = end.value
        except DataError as error:
            found[place] = error

    for place in places:
        advance(place, None)
    while wanted:
        kernels = dict(wanted)
        wanted.clear()
        state = yield Pass(SharedPass(scored, kernels))
        for place in kernels:
            start = f"{place}{_SLASH}"
            mine = {k[len(start) :]: v for k, v in state.items() if k.startswith(start)}
            advance(place, mine)
    return [found[place] for place in places]


def varying_effect(
    found: Heterogeneity, outcome: str, arm: str, versus: str, options: EffectOptions
) -> VaryingEffect:
    """An exploration without its covariance matrices, but with the bands that they give."""
    groups, targeting = found.quantile_groups, found.targeting
    toc = [row.against_average for row in targeting.rows]
    f = len(toc)
    group_band = _band(groups.groups, groups.covariance, groups.clusters, options)
    toc_band = _band(toc, targeting.covariance[f:, f:], targeting.clusters, options)
    return VaryingEffect(
        outcome=outcome,
        arm=arm,
        versus=versus,
        learner=options.heterogeneity.learner.name,
        groups=groups.groups,
        shares=tuple(float(s) for s in groups.shares),
        band_lower=group_band[0],
        band_upper=group_band[1],
        difference=groups.difference,
        equal=groups.equal,
        calibration=found.calibration,
        best_linear=found.best_linear.terms,
        joint=found.best_linear.joint,
        classification=found.classification,
        autoc=targeting.autoc,
        qini=targeting.qini,
        auuc=targeting.auuc,
        targeting=targeting.rows,
        toc_lower=toc_band[0],
        toc_upper=toc_band[1],
        clusters=int(groups.clusters),
        confidence=options.inference.confidence,
        sequential=targeting.sequential,
    )


def _band(
    terms: Sequence[Term], covariance: np.ndarray, clusters: int, options: EffectOptions
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    values = np.array([t.estimate for t in terms])
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    # The whole population is no better than itself: rounding there is not a variance.
    certain = errors <= 1e-9 * errors.max(initial=0.0)
    kept = np.where(certain[:, None] | certain[None], 0.0, covariance)
    bands = simultaneous_bands(
        values, kept, max(clusters - 1, 1), options.inference.confidence,
        draws=options.inference.band_draws, seed=options.seed,
    )  # fmt: skip
    return tuple(bands.lower.tolist()), tuple(bands.upper.tolist())


def explored_effects(
    scoring: Scoring,
    options: EffectOptions,
    forecasts_of: Callable[[ScoredContrasts], Sequence[Forecast] | None] = lambda scored: None,
) -> Passes[tuple[tuple[VaryingEffect, ...], dict[str, str]]]:
    """Every arm against the control on every outcome, and what could not be explored, with why.

    Parameters
    ----------
    scoring : Scoring
    options : EffectOptions
    forecasts_of : callable, optional
        Fits a CATE model a contrast; see :func:`~.forecasts.fit_forecasts`. Linear ones without it.
    """
    if not len(scoring.design):
        return (), {"heterogeneity": "there is no covariate that effects could vary with."}
    labels, outcomes = scoring.columns.arms.labels, scoring.outcomes.names
    contrasts = tuple(Contrast(a, j) for j in range(len(outcomes)) for a in range(1, len(labels)))
    failed: dict[str, str] = {}
    if len(contrasts) > MOST_EXPLORED:
        failed[f"heterogeneity of {len(contrasts) - MOST_EXPLORED} more arms and outcomes"] = (
            f"the first {MOST_EXPLORED} are explored; name those of interest first, or fewer."
        )
        contrasts = contrasts[:MOST_EXPLORED]
    asked = HeterogeneityOptions(
        groups=options.heterogeneity.quantile_groups,
        fractions=options.heterogeneity.top_fractions,
        confidence=options.inference.confidence,
        ridge=None,
    )
    scored = ScoredContrasts(scoring, contrasts)
    try:
        forecasts = forecasts_of(scored)
    except DataError as error:  # the effects themselves stand
        return (), failed | {"heterogeneity": str(error)}
    made = []
    explored = yield from explore_together(scored, asked, forecasts)
    for contrast, found in zip(contrasts, explored, strict=True):
        outcome, arm = outcomes[contrast.outcome], labels[contrast.arm]
        try:
            if isinstance(found, DataError):
                raise found
            made.append(varying_effect(found, outcome, arm, labels[0], options))
        except DataError as error:
            failed[f"heterogeneity of {arm} on {outcome}"] = str(error)
    return tuple(made), failed
