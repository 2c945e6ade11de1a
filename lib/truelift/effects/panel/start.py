"""The start rows: a small draw that does not depend on how the rows lie.

Centres, scales and the first propensity coefficients come from it. They are a matter of speed
only: the passes over all rows correct them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys, mix
from truelift.effects.nuisances.propensity import fit_start
from truelift.effects.panel.columns import PanelColumns, Scale, number_column
from truelift.effects.panel.design import Category, Design
from truelift.inference.normal_equations import centred, dependent_columns, ridge_per_unit
from truelift.settings import EffectOptions

#: Beside the columns of a user, who has no name that begins like this.
ORDER = pa.field("__truelift_order__", pa.int64())


@dataclass(frozen=True)
class StartBuckets:
    """Buckets that give start rows, and how many each gives."""

    buckets: tuple[int, ...]
    rows_each: int


def start_buckets(rows: Mapping[int, int], wanted: int) -> StartBuckets:
    """Buckets with about twice the rows wanted, in an order fixed by their numbers alone."""
    order = sorted(rows, key=lambda b: int(mix(np.array([b], np.uint64))[0]))
    chosen: list[int] = []
    reached = 0
    for bucket in order:
        if reached >= 2 * wanted:
            break
        chosen.append(bucket)
        reached += rows[bucket]
    return StartBuckets(tuple(sorted(chosen)), -(-wanted // max(len(chosen), 1)))


@dataclass(frozen=True)
class StartKernel:
    """The rows of a bucket whose unit hashes lowest, and the hash as :data:`ORDER`."""

    columns: PanelColumns
    start: StartBuckets

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """:data:`ORDER` (the hash, as a signed integer), and the columns of the first pass."""
        table = tables["panel"]
        if bucket not in self.start.buckets:
            table = table.slice(0, 0)
        hashes = hash_keys(table[self.columns.unit])
        limit = self.start.rows_each
        lowest = np.arange(len(hashes))
        if len(hashes) > limit:  # ties at the limit all come, so that no order decides
            lowest = np.flatnonzero(hashes <= np.partition(hashes, limit - 1)[limit - 1])
        taken = table.take(pa.array(lowest)).combine_chunks()
        named = {name: plain(taken[name]) for name in self.columns.of_moments()}
        return pa.table({ORDER.name: pa.array(hashes[lowest].view(np.int64)), **named})


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dictionaries as their values, decimals as doubles: types that Spark hands on unchanged."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column


@dataclass(frozen=True, eq=False)
class Start:
    """The features, scales for the kernels and the propensity's first coefficients.

    Parameters
    ----------
    design : Design
    outcomes : Scale
    coefficients : ndarray, (A - 1) x (1 + p)
    """

    design: Design
    outcomes: Scale
    coefficients: np.ndarray


def make_start(
    rows: pa.Table,
    columns: PanelColumns,
    options: EffectOptions,
    missing: tuple[str, ...] = (),
    categories: Mapping[str, tuple[Category, ...]] | None = None,
) -> Start:
    """Features, scales and start coefficients from the start rows.

    Rows with a value that is not finite are left out here; the first pass over the data
    counts and refuses them.

    Parameters
    ----------
    rows : pyarrow.Table
        Of :class:`StartKernel`.
    columns : PanelColumns
    options : EffectOptions
    missing : tuple of str
        Numeric covariates known to have nulls, besides those that have them in these rows.
    categories : mapping of str to tuple of Category, optional
        The features of every category; see :func:`~.categories.categories_of`.
    """
    batch = _batch(rows, columns)
    numbers = _scale(columns.covariates, _values(batch, columns.covariates))
    outcomes = _scale(columns.outcomes, _values(batch, columns.outcomes))
    absent = [
        name
        for name in columns.covariates
        if name in missing or np.isnan(number_column(batch, name)).any()
    ]
    design = Design(
        numbers,
        tuple(absent) if options.features.missing == "indicator" else (),
        tuple(c for name in columns.categories for c in (categories or {})[name]),
        options.features.expansion,
    )
    # Where Newton's steps start is no matter of folds: all of them encode these rows.
    block, arm = design.block(batch, None), columns.arms.codes(batch)
    usable_rows = np.isfinite(block).all(axis=0) & (arm >= 0)
    block, arm = block[:, usable_rows], arm[usable_rows]
    arms, p = len(columns.arms.values), len(design)
    coefficients = np.zeros((arms - 1, 1 + p))
    if block.shape[1] > 1 and not columns.propensity:
        _, covariance = centred(block @ block.T)
        usable = np.concatenate([[True], np.diag(covariance) > 0])
        usable[1 + np.array(dependent_columns(covariance), dtype=int)] = False
        ridge = float(ridge_per_unit(options.nuisances.ridge, p, np.array(block.shape[1])))
        penalty = np.concatenate([[0.0], np.full(p, ridge)])
        coefficients = fit_start(block, arm, arms, penalty, usable)
    return Start(design, outcomes, coefficients)


def outcome_scale(rows: pa.Table, columns: PanelColumns) -> Scale:
    """Centres and scales of the outcomes, as :func:`make_start` finds them."""
    return _scale(columns.outcomes, _values(_batch(rows, columns), columns.outcomes))


def covariate_scale(rows: pa.Table, columns: PanelColumns) -> Scale:
    """The same of the numeric covariates."""
    return _scale(columns.covariates, _values(_batch(rows, columns), columns.covariates))


def _batch(rows: pa.Table, columns: PanelColumns) -> pa.RecordBatch:
    rows = rows.sort_by(ORDER.name).combine_chunks()
    return pa.RecordBatch.from_arrays(
        [_whole(rows[name]) for name in columns.of_moments()], columns.of_moments()
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _values(batch: pa.RecordBatch, names: tuple[str, ...]) -> np.ndarray:
    return np.array([number_column(batch, name) for name in names]).reshape(
        len(names), batch.num_rows
    )


def _scale(names: tuple[str, ...], values: np.ndarray) -> Scale:
    """Mean and standard deviation of the finite values of each column."""
    centre, spread = np.zeros(len(names)), np.ones(len(names))
    for j, line in enumerate(values):
        finite = line[np.isfinite(line)]
        if len(finite):
            centre[j], found = finite.mean(), finite.std()
            spread[j] = found if found > 1e-12 * abs(centre[j]) else 1.0
    return Scale(names, centre, spread)
