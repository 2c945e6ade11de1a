"""The start rows: a small draw that does not depend on how the rows lie.

Centres, scales and the first propensity coefficients come from it. They are a matter of speed
only: the passes over all rows correct them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.columns import PanelColumns, Scale, number_column
from truelift.effects.keys import hash_keys, mix
from truelift.effects.normal_equations import centred, dependent_columns
from truelift.effects.propensity import fit_start


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
    """The rows of a bucket whose unit hashes lowest, as a table of numbers and the hash."""

    columns: PanelColumns
    start: StartBuckets

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Columns ``order`` (the hash, as a signed integer) and the numeric columns."""
        table = tables["panel"]
        if bucket not in self.start.buckets:
            table = table.slice(0, 0)
        hashes = hash_keys(table[self.columns.unit])
        limit = self.start.rows_each
        lowest = np.arange(len(hashes))
        if len(hashes) > limit:  # ties at the limit all come, so that no order decides
            lowest = np.flatnonzero(hashes <= np.partition(hashes, limit - 1)[limit - 1])
        taken = table.take(pa.array(lowest)).combine_chunks()
        numbers = {
            name: taken[name].cast(pa.float64(), safe=False) for name in self.columns.numeric()
        }
        return pa.table({"order": pa.array(hashes[lowest].view(np.int64)), **numbers})


@dataclass(frozen=True, eq=False)
class Start:
    """Scales for the kernels and the propensity's first coefficients."""

    covariates: Scale
    outcomes: Scale
    coefficients: np.ndarray
    treatment_values: tuple[float, ...]


def make_start(rows: pa.Table, columns: PanelColumns, ridge: float) -> Start:
    """Scales and start coefficients from the start rows.

    Rows with a value that is not finite are left out here; the first pass over the data
    counts and refuses them.
    """
    rows = rows.sort_by("order").combine_chunks()
    batches = rows.select(columns.numeric()).to_batches()
    values = np.array([_column(batches, name) for name in columns.numeric()])
    treatment_values = tuple(np.unique(values[-1])[:5].tolist())
    values = values[:, np.isfinite(values).all(axis=0)]
    p = len(columns.covariates)
    covariates = _scale(columns.covariates, values[:p])
    outcomes = _scale(columns.outcomes, values[p:-1])
    block = np.vstack([np.ones(values.shape[1]), _standard(covariates, values[:p])])
    treated = values[-1]
    coefficients = np.zeros(1 + p)
    if block.shape[1] > 1 and np.isin(treated, (0.0, 1.0)).all():
        _, covariance = centred(block @ block.T)
        usable = np.concatenate([[True], np.diag(covariance) > 0])
        usable[1 + np.array(dependent_columns(covariance), dtype=int)] = False
        penalty = np.concatenate([[0.0], np.full(p, ridge)])
        coefficients = fit_start(block, treated, penalty, usable)
    return Start(covariates, outcomes, coefficients, treatment_values)


def _column(batches: list[pa.RecordBatch], name: str) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(number_column(batch, name) for batch in batches)])


def _scale(names: tuple[str, ...], values: np.ndarray) -> Scale:
    if values.shape[1] == 0:
        return Scale(names, np.zeros(len(names)), np.ones(len(names)))
    centre, spread = values.mean(axis=1), values.std(axis=1)
    constant = spread <= 1e-12 * np.abs(centre)
    return Scale(names, centre, np.where(constant, 1.0, spread))


def _standard(scale: Scale, values: np.ndarray) -> np.ndarray:
    return (values - scale.centre[:, None]) / scale.scale[:, None]
