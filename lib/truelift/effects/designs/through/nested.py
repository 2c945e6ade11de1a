"""Two fits, one within the other: with the mediators, then of what that predicts without them.

With M the mediators and X the covariates, the first has the propensities p_a(M, X) and the regressions
mu_a(M, X) of the outcome; the second has p_a(X), and the regressions w_{a,b}(X) of mu_a(M, X) among units of arm
b: the mean outcome under arm a if the mediators were as under arm b. Both are cross-fitted in the same folds; the
second learns from predictions of models that have not seen the unit. No density of M is wanted, for it enters as
``f(M | b, X) / f(M | a, X) = p_b(M, X) p_a(X) / (p_a(M, X) p_b(X))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.effects.distribution.arm_means import ArmMeans, means_from_sums, options_of
from truelift.effects.nuisances.linear import variance_of_fitting
from truelift.effects.panel.columns import REST
from truelift.effects.panel.derived import DerivedPanel
from truelift.effects.panel.parts import covariates_of, is_number
from truelift.effects.panel.source import MOST_VALUES, PanelSource, State
from truelift.effects.prepared import Prepared, prepared
from truelift.effects.scores.quantities import UnitBlock, clipped
from truelift.effects.scores.sums import Scoring, assignment_surprise
from truelift.effects.support.leaks import NAMES, telling_treatment
from truelift.errors import DataError
from truelift.inference.clusters import ClusterSums
from truelift.progress import Tell
from truelift.settings import EffectOptions


@dataclass(frozen=True, eq=False)
class Predicted:
    """What the regressions with mediators predict of outcomes, as columns: arm after arm."""

    scoring: Scoring

    @property
    def names(self) -> tuple[str, ...]:
        """Numbered by arm and outcome; no user's column begins like this."""
        arms, outcomes = len(self.scoring.columns.arms.values), len(self.scoring.outcomes.names)
        return tuple(f"__truelift_{a}_{j}__" for a in range(arms) for j in range(outcomes))

    @property
    def reads(self) -> tuple[str, ...]:
        """All that the regressions read."""
        known = (p for p in self.scoring.columns.propensity if isinstance(p, str) and p != REST)
        return tuple(dict.fromkeys([*self.scoring.columns.of_moments(), *known]))

    def values(self, batch: pa.RecordBatch, bucket: int) -> np.ndarray:
        """In the outcomes' own units, (A J) x n."""
        _, units = self.scoring.units(batch, bucket)
        scale = self.scoring.outcomes
        own = scale.centre[None, :, None] + scale.scale[None, :, None] * units.outcome_regression
        return own.reshape(-1, batch.num_rows)


@dataclass(frozen=True, eq=False)
class NestedUnits:
    """Units with everything that both fits predict of them, in the outcomes' own units.

    Parameters
    ----------
    arm : ndarray of int, n
    outcome : ndarray, J x n
    propensity, with_mediators : ndarray, A x n
        p_a(X) and p_a(M, X), clipped.
    regression : ndarray, A x J x n
        mu_a(M, X).
    nested : ndarray, A x A x J x n
        w_{a,b}(X), by a, then b.
    """

    arm: np.ndarray
    outcome: np.ndarray
    propensity: np.ndarray
    with_mediators: np.ndarray
    regression: np.ndarray
    nested: np.ndarray

    def of_own_arm(self, table: np.ndarray) -> np.ndarray:
        """The line of each unit's own arm, of a table whose first axis are arms and whose last are units."""
        return np.take_along_axis(table, _index(self.arm, table.ndim), axis=0)[0]


def _index(arm: np.ndarray, dimensions: int) -> np.ndarray:
    return arm.reshape((1,) * (dimensions - 1) + (-1,)).astype(np.intp)


Scores = Callable[[NestedUnits], np.ndarray]


@dataclass(frozen=True, eq=False)
class NestedKernel:
    """``total`` and ``cross`` of weights and scores by cluster; ``clipped`` units of both fits.

    ``surprises`` are, by fit, squares of what its propensities did not foresee of the arms: of units, and of their
    sums by cluster.
    """

    inner: Scoring
    outer: Scoring
    scores: Scores
    lines: int

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        lines, arms = 1 + self.lines, self.inner.layout.arms
        sums, out, alone = ClusterSums(lines + 2 * arms), np.zeros(2), np.zeros(2)
        for batch in batches:
            _, inner = self.inner.units(batch, bucket)
            _, outer = self.outer.units(batch, bucket)
            found, beyond = self._units(inner, outer)
            values = np.concatenate([np.ones((1, batch.num_rows)), self.scores(found)])
            surprises = [assignment_surprise(inner), assignment_surprise(outer)]
            alone += [np.sum(s**2) for s in surprises]
            values = values if outer.weight is None else values * outer.weight
            sums.add(self.outer.clusters(batch), np.concatenate([values, *surprises]))
            out += beyond
        state = sums.state()
        together = np.diag(state["cross"])[lines:].reshape(2, arms).sum(axis=1)
        return {
            "total": state["total"][:lines],
            "cross": state["cross"][:lines, :lines],
            "clusters": state["clusters"],
            "clipped": out,
            "surprises": np.stack([alone, together], axis=1),
        }

    def _units(self, inner: UnitBlock, outer: UnitBlock) -> tuple[NestedUnits, np.ndarray]:
        j, arms = len(self.inner.outcomes.names), len(inner.propensity)
        own = self.inner.outcomes
        centre, scale = own.centre[:, None], own.scale[:, None]
        whole = self.outer.outcomes
        nested = whole.centre[None, :, None] + whole.scale[None, :, None] * outer.outcome_regression
        # By arm b, then by arm a and outcome, as the columns stand; turned to a, b.
        nested = nested.reshape(arms, arms, j, -1).swapaxes(0, 1)
        found = NestedUnits(
            arm=inner.arm,
            outcome=centre + scale * inner.outcome,
            propensity=clipped(outer.propensity, self.outer.clip),
            with_mediators=clipped(inner.propensity, self.inner.clip),
            regression=centre + scale * inner.outcome_regression,
            nested=nested,
        )
        beyond = [
            np.count_nonzero((p != q).any(axis=0))
            for p, q in (
                (found.propensity, outer.propensity),
                (found.with_mediators, inner.propensity),
            )
        ]
        return found, np.array(beyond, float)


@dataclass(frozen=True, eq=False)
class Nested:
    """Both fits.

    Parameters
    ----------
    panel : DerivedPanel
        The rows that count, with what the inner fit predicts.
    inner, outer : Prepared
    mediators : tuple of str
    """

    panel: DerivedPanel
    inner: Prepared
    outer: Prepared
    mediators: tuple[str, ...]

    @property
    def varying(self) -> bool:
        """Whether anything of the mediators is left beside what is constant or follows from the covariates."""
        return bool(set(self.inner.moments.design.names) - set(self.outer.moments.design.names))

    def settling(self) -> list[str]:
        """In words, mediators that tell the arm: beside them nobody is in another arm with the same."""
        told = telling_treatment(self.inner.drawn, self.inner.moments.columns)
        treatment = self.inner.moments.columns.arms.column
        return [f"{n!r} {told[n]} treatment {treatment!r}" for n in self.mediators if n in told]

    def gaps(self) -> list[str]:
        """Mediators of which some rows have no value."""
        design = self.inner.moments.design
        return [n for n in self.mediators if n in design.missing]

    def means(self, scores: Scores, lines: int, progress: Tell) -> tuple[ArmMeans, np.ndarray]:
        """Means of scores with their clustered covariance, and shares of units that are clipped.

        The covariance has what fitting linear models adds (:mod:`~truelift.inference.fitting_variance`), of both fits.

        Parameters
        ----------
        scores : callable
            From units to lines x n.
        lines : int
        progress : callable

        Returns
        -------
        ArmMeans
        ndarray, 2
            Of p_a(X) and of p_a(M, X).
        """
        progress("a pass for scores through mediators")
        inner, outer = self.inner.scoring, self.outer.scoring
        kernel = NestedKernel(inner, outer, scores, lines)
        columns = tuple(dict.fromkeys([*outer.columns.of_scores(), *inner.columns.of_scores()]))
        stored = tuple(n for n in columns if n not in self.panel.made.names)
        sums = self.panel.sum(kernel, (*stored, *self.panel.made.names), outer.columns.batch_rows())
        units = float(self.outer.moments.arm_units.sum())
        found = means_from_sums(sums["total"], sums["cross"], int(sums["clusters"][0]))
        added = 1.0 + sum(
            variance_of_fitting(
                {"surprise_squares": surprises[:1], "surprise_by_cluster": surprises[1:]},
                fit.moments,
                fit.options,
            )
            for fit, surprises in zip((self.inner, self.outer), sums["surprises"], strict=True)
        )
        return replace(found, covariance=found.covariance * added), sums["clipped"] / units


def nested_fits(
    source: PanelSource,
    options: EffectOptions,
    mediators: tuple[str, ...],
    key: str,
    progress: Tell,
) -> Nested:
    """Fit both.

    Parameters
    ----------
    source : PanelSource
        The rows that count.
    options : EffectOptions
    mediators : tuple of str
        Numbers, or texts as categories.
    key : str
        Of the specification, that names them.
    progress : callable

    Raises
    ------
    DataError
        For mediators that are names of units.
    """
    plain = options_of(options, options.outcomes)
    schema = source.schema
    texts = [n for n in mediators if not is_number(schema.field(n).type)]
    numbers = [n for n in mediators if n not in texts]
    covariates = covariates_of(schema, options)
    with_mediators = replace(
        plain,
        covariates=(*covariates, *numbers),
        features=replace(
            plain.features,
            categorical={**plain.features.categorical, **dict.fromkeys(texts, "one_hot")},
        ),
        # Known chances are those without mediators.
        nuisances=replace(plain.nuisances, propensity={}),
    )
    _refuse_names(source, texts, key)
    inner = prepared(source, with_mediators, _told(progress, "with mediators"))
    predicted = Predicted(inner.scoring)
    panel = DerivedPanel(source, predicted)
    without = replace(plain, covariates=covariates, outcomes=predicted.names)
    outer = prepared(panel, without, _told(progress, "without mediators"))
    return Nested(panel, inner, outer, mediators)


def _refuse_names(source: PanelSource, texts: list[str], key: str) -> None:
    """Refuse texts that name units: each has its own, so they carry everything and nothing."""
    if not texts:
        return
    rows = sum(source.bucket_rows().values())
    limit = min(MOST_VALUES, NAMES * rows)
    for name, levels in source.distinct(tuple(texts)).items():
        if len(levels) > limit:
            raise DataError(
                f"{source.name}: the mediator {name!r} ({key}) has {len(levels):,} values or more in {rows:,} rows; at most "
                f"{int(limit):,} are taken, for names of units tell nothing of what the treatment moves in them. Group them, "
                "or name what they say as a number."
            )


def _told(progress: Tell, fit: str) -> Tell:
    return lambda text: progress(f"{fit}: {text}")
