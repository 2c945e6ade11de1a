"""Two-stage least squares, LIML and the jackknife from clustered sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from truelift.effects.designs.covariates import plain_design
from truelift.effects.designs.instrument.linear_sums import (
    GramKernel,
    LinearColumns,
    LinearSumsKernel,
    Projections,
    projections,
)
from truelift.effects.designs.ranges import BATCH_ROWS, Ranges
from truelift.effects.panel.parts import covariates_of
from truelift.effects.panel.source import PanelSource, State
from truelift.effects.support.refusals import refuse_cut_clusters
from truelift.errors import DataError
from truelift.inference.normal_equations import dependent_columns
from truelift.inference.weak_instruments import NO_RESIDUAL, ReducedForms, stacked_forms
from truelift.progress import Tell
from truelift.settings import EffectOptions

# Share of a column's variance that covariates leave, below which they explain it wholly.
_EXPLAINED = 1e-9


@dataclass(frozen=True, eq=False)
class LinearInstruments:
    """Sums of the linear estimators, in the units of the table.

    Parameters
    ----------
    outcomes : tuple of str
    forms : sequence of ReducedForms
        By outcome.
    products : ndarray, k x k
        Q of the instruments, scaled.
    stage_covariance : ndarray, k x k
        Of the first stage's coefficients, by its residuals.
    responses : ndarray, (1 + J) x (1 + J)
        Products of treatment and outcomes, less covariates.
    moments : ndarray, (1 + J) x k
        ``z~ r~``.
    spread : ndarray, (1 + J) k square
        Products of these sums over clusters, times G / (G - 1) and (n - 1) / (n - L) for L coefficients.
    jackknife : ndarray, 1 + J
    jackknife_spread : ndarray, (1 + J) square
    residuals : ndarray, (1 + J) square
        Products of the reduced forms' residuals.
    clusters, rows, features : int
    """

    outcomes: tuple[str, ...]
    forms: Sequence[ReducedForms]
    products: np.ndarray
    stage_covariance: np.ndarray
    responses: np.ndarray
    moments: np.ndarray
    spread: np.ndarray
    jackknife: np.ndarray
    jackknife_spread: np.ndarray
    residuals: np.ndarray
    clusters: int
    rows: int
    features: int

    def homoskedastic(self, outcome: int) -> ReducedForms:
        """The forms of one outcome under independent errors of one variance: what textbooks print."""
        k = len(self.products)
        inverse = np.linalg.inv(self.products)
        variance = self.residuals / (self.rows - self.features - k)
        j = outcome + 1
        effects = self.moments @ inverse
        return ReducedForms(
            effects[j], effects[0], variance[j, j] * inverse, variance[0, 0] * inverse,
            variance[j, 0] * inverse,
        )  # fmt: skip

    def two_stage(self, outcome: int) -> tuple[float, float]:
        """Two-stage least squares and its clustered standard error."""
        return self._by(self.products @ self.forms[outcome].treatment, outcome, 1.0)

    def limited_information(self, outcome: int) -> tuple[float, float]:
        """LIML (Anderson & Rubin 1949), and its clustered standard error.

        kappa is the least root of ``|W - kappa E|`` with the products W of outcome and treatment and E of
        their reduced forms' residuals.
        """
        j = [outcome + 1, 0]
        whole, left = self.responses[np.ix_(j, j)], self.residuals[np.ix_(j, j)]
        kappa = float(linalg.eigh(whole, left, eigvals_only=True)[0])
        return self._by(self.products @ self.forms[outcome].treatment, outcome, kappa)

    def _by(self, weight: np.ndarray, outcome: int, kappa: float) -> tuple[float, float]:
        """The k-class estimator, its errors by the scores of the fitted first stage."""
        j, k = outcome + 1, len(self.products)
        classed = self.responses - kappa * self.residuals
        effect = float(classed[0, j] / classed[0, 0])
        parts = self.spread.reshape(len(self.moments), k, len(self.moments), k)
        cross = parts[j, :, 0] + parts[0, :, j]
        spread = parts[j, :, j] - effect * cross + effect**2 * parts[0, :, 0]
        stage = np.linalg.solve(self.products, weight)
        return effect, float(np.sqrt(stage @ spread @ stage) / classed[0, 0])

    def jackknifed(self, outcome: int) -> tuple[float, float]:
        """The estimator whose first stage leaves the row's own cluster out, and its standard error.

        Covariates are partialled out before (Ackerberg & Devereux 2009), clusters are left out as
        wholes (Frandsen, Leslie & McIntyre 2023).
        """
        j = outcome + 1
        effect = float(self.jackknife[j] / self.jackknife[0])
        direction = np.zeros(len(self.jackknife))
        direction[j], direction[0] = 1.0, -effect
        variance = direction @ self.jackknife_spread @ direction
        return effect, float(np.sqrt(variance) / abs(self.jackknife[0]))


def linear_instruments(
    source: PanelSource, options: EffectOptions, ranges: Ranges, progress: Tell
) -> LinearInstruments:
    """Two passes: the Gram matrix, then sums by cluster.

    Raises
    ------
    DataError
        For instruments, or a treatment, that covariates explain wholly; instruments that are
        combinations of others; fewer clusters than it takes.
    """
    covariates = covariates_of(source.schema, options)
    design = plain_design(source, covariates, ranges, options)
    responses = ranges.scale((options.treatment, *options.outcomes))
    columns = LinearColumns(
        design, ranges.scale(options.instrument), responses, options.cluster, options.weight
    )
    progress("a pass for the products of all columns")
    gram = source.sum(GramKernel(columns), columns.names(), BATCH_ROWS)["gram"]
    found = projections(gram, columns.sizes)
    _refuse(found, options, source.name)
    progress("a pass for sums by cluster")
    kernel = LinearSumsKernel(columns, found)
    sums = source.sum(kernel, columns.names(), BATCH_ROWS)
    refuse_cut_clusters(sums, options.cluster, source.name)
    return _in_units(sums, found, columns, options, ranges.rows, source.name)


def _in_units(
    sums: State, found: Projections, columns: LinearColumns, options: EffectOptions, rows: int,
    table: str,
) -> LinearInstruments:  # fmt: skip
    p, k, m = columns.sizes
    clusters = int(sums["clusters"][0])
    refuse_few_clusters(clusters, k, options.cluster, table)
    factor = clusters / (clusters - 1)

    def small(fitted: int) -> float:
        """What coefficients that were fitted took from residuals: of covariates, and further ones."""
        return factor * (rows - 1) / max(rows - fitted, 1)

    scale, lines = columns.responses.scale, k * m
    wide = np.repeat(scale, k)
    moments = sums["total"][:lines].reshape(m, k) * scale[:, None]
    inverse = np.linalg.inv(found.products)
    bread = np.kron(np.diag(scale), inverse)
    total, cross = sums["total"][:lines], sums["cross"][:lines, :lines]
    # About their means over clusters: with residuals of the reduced forms in their place, five instruments
    # and 120 clusters, the test rejects 8% of what is true, and this way 4.5%.
    about_means = (cross - np.outer(total, total) / clusters) * small(found.rank)
    effects = moments @ inverse
    forms = stacked_forms(
        effects, bread @ about_means @ bread.T, len(options.outcomes), clusters - 1.0
    )
    stage = scale[0] ** 2 * inverse @ sums["cross"][lines : lines + k, lines : lines + k] @ inverse
    both = np.outer(scale, scale)
    return LinearInstruments(
        options.outcomes,
        forms,
        found.products,
        stage * small(found.rank + k),
        found.responses * both,
        moments,
        cross * np.outer(wide, wide) * small(found.rank + 1),
        sums["jackknife"] * scale,
        sums["jackknife_cross"] * both * small(found.rank + 1),
        sums["residuals"] * both,
        clusters,
        rows,
        p,
    )


def refuse_few_clusters(clusters: int, instruments: int, cluster: str, table: str) -> None:
    """Refuse as many instruments as clusters, or one cluster alone.

    Raises
    ------
    DataError
    """
    if clusters < max(instruments + 1, 2):
        raise DataError(
            f"{table}: {clusters:,} values of the cluster column {cluster!r} and {instruments} instrument(s); "
            f"expected at least {max(instruments + 1, 2)} clusters, for errors cannot be told otherwise. "
            "Name the column of what rows may share as effects.cluster."
        )


def _refuse(found: Projections, options: EffectOptions, table: str) -> None:
    for name, left in zip(options.instrument, found.left.tolist(), strict=True):
        if left < _EXPLAINED:
            raise DataError(
                f"{table}: the instrument {name!r} (effects.instrument) is explained wholly by the "
                "covariates, so it moves nothing that they leave. Expected one that varies among units with "
                "the same covariates: take what it is made of out of effects.covariates, or name another."
            )
    if dependent := dependent_columns(found.products):
        names = ", ".join(repr(options.instrument[j]) for j in dependent)
        raise DataError(
            f"{table}: the instrument {names} (effects.instrument) is a combination of the covariates and "
            "the instruments before it. Leave it out."
        )
    if found.responses_left[0] < _EXPLAINED:
        raise DataError(
            f"{table}: the treatment {options.treatment!r} is explained wholly by the covariates, so nothing "
            "of it is left to be moved. Take what it is made of out of effects.covariates."
        )
    whole, left = np.diag(found.responses), found.residuals
    if left[0, 0] < _EXPLAINED * whole[0]:
        raise DataError(f"{table}: {NO_RESIDUAL}")
    for j, name in enumerate(options.outcomes, 1):
        if found.responses_left[j] < _EXPLAINED:
            raise DataError(
                f"{table}: the outcome {name!r} (effects.outcomes) is explained wholly by the covariates, so no effect "
                "on it is left. Take what it is made of out of effects.covariates."
            )
        alone = left[j, j] - left[0, j] ** 2 / left[0, 0]
        if alone < _EXPLAINED * whole[j]:
            raise DataError(
                f"{table}: the outcome {name!r} (effects.outcomes) is a combination of the treatment "
                f"{options.treatment!r}, the instruments and the covariates, so there is no error to tell an effect "
                "from. Expected another column as the outcome."
            )
