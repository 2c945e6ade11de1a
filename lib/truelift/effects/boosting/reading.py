"""From record batches to blocks of arrays, and from blocks to a worker's training rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.distributed.collective import Collective
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.panel.arms import Levels
from truelift.effects.panel.columns import Scale, number_column
from truelift.errors import DataError
from truelift.models.trees.binning import Bins, drawn, make_bins, row_hashes, sample_columns

_VALIDATION = 2


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows as arrays.

    Parameters
    ----------
    covariates : ndarray, (p, n)
        NaN where missing.
    arm : ndarray of int, n
    outcome : ndarray, (J, n)
    cluster : ndarray of uint64, n
        Hashes of the clusters.
    fold : ndarray of int, n
    weight : ndarray, n, optional
        Positive; all 1 by default.
    """

    covariates: np.ndarray
    arm: np.ndarray
    outcome: np.ndarray
    cluster: np.ndarray
    fold: np.ndarray
    weight: np.ndarray | None = None

    def weights(self) -> np.ndarray:
        """The weights, spelled out."""
        return np.ones(len(self.arm)) if self.weight is None else self.weight


@dataclass(frozen=True, eq=False)
class PanelReader:
    """Blocks of a panel.

    Any picklable object with these attributes and this method may stand in its place, for
    example one that encodes texts.

    Parameters
    ----------
    covariates : tuple of str
    outcomes : Scale
        Names, centres and scales; models predict ``(y - centre) / scale``.
    treatment : Levels
        The treatment's column and its arms, the control first.
    cluster : str
    weight : str, optional
    """

    covariates: tuple[str, ...]
    outcomes: Scale
    treatment: Levels
    cluster: str
    weight: str | None = None

    @property
    def arms(self) -> int:
        """A."""
        return len(self.treatment.values)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns to read."""
        names = [*self.covariates, *self.outcomes.names, self.treatment.column, self.cluster]
        names += [self.weight] if self.weight else []
        return tuple(dict.fromkeys(names))

    @property
    def outcome_count(self) -> int:
        """J."""
        return len(self.outcomes.names)

    def __call__(self, batch: pa.RecordBatch, fold: int | np.ndarray) -> Block:
        """The batch's rows as arrays; the fold is one for all rows, or one for each."""
        n = batch.num_rows
        x = np.empty((len(self.covariates), n), np.float32)
        for j, name in enumerate(self.covariates):
            x[j] = number_column(batch, name)
        outcome = self.outcomes.rows(batch, np.empty((self.outcome_count, n)))
        cluster = hash_keys(batch.column(batch.schema.get_field_index(self.cluster)))
        weight = number_column(batch, self.weight) if self.weight else None
        return Block(x, self.treatment.codes(batch), outcome, cluster, np.full(n, fold), weight)


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """One worker's rows, covariates binned: by arm, fold and part, then by the rows' hashes.

    Parameters
    ----------
    codes : ndarray of uint8, (n, p)
    raw : tuple of ndarray of float32
        The covariates of the linear models, each n long.
    arm, fold : ndarray of int, n
    outcome : ndarray, (J, n)
    weight : ndarray, n
        With mean 1 over all workers.
    validation : ndarray of bool, n
    hashes : ndarray of uint64, n
    segments : dict of (int, int, int) to slice
        Rows of each arm, fold and part (0 training, 1 validation) that has any.
    """

    codes: np.ndarray
    raw: tuple[np.ndarray, ...]
    arm: np.ndarray
    fold: np.ndarray
    outcome: np.ndarray
    weight: np.ndarray
    validation: np.ndarray
    hashes: np.ndarray
    segments: dict[tuple[int, int, int], slice]

    def segment(self, arm: int, fold: int, part: int) -> slice:
        """Rows of an arm, fold and part; perhaps none."""
        return self.segments.get((arm, fold, part), slice(0, 0))

    def segments_within(self, here: slice) -> Iterator[tuple[tuple[int, int, int], slice]]:
        """Arm, fold and part of the rows of a slice, and which rows those are."""
        for key, own in self.segments.items():
            low, high = max(own.start, here.start), min(own.stop, here.stop)
            if low < high:
                yield key, slice(low, high)

    def arm_rows(self, arm: int) -> slice:
        """Rows of an arm; perhaps none."""
        own = [s for (a, _, _), s in self.segments.items() if a == arm]
        return slice(min(s.start for s in own), max(s.stop for s in own)) if own else slice(0, 0)


@dataclass(frozen=True, eq=False)
class Preparation:
    """What all workers know alike before the first model is fitted.

    Parameters
    ----------
    bins : Bins
    linear : tuple of int
        Covariates of the linear models.
    centre, scale : ndarray
        Of those covariates, from the sample.
    degree : int
        2 where the linear models have squares and products too.
    """

    bins: Bins
    linear: tuple[int, ...]
    centre: np.ndarray
    scale: np.ndarray
    degree: int

    @property
    def width(self) -> int:
        """Coefficients of a linear model, the intercept first."""
        q = len(self.linear)
        return 1 + q + (q * (q + 1) // 2 if self.degree == 2 else 0)


def prepare(
    blocks: Iterator[Block], covariates: tuple[str, ...], outcomes: int, arms: int,
    options: BoostingOptions, workers: Collective, table: str,
) -> tuple[TrainingRows, Preparation]:  # fmt: skip
    """Take up a worker's blocks: one look at each, then bytes in place of covariates.

    Memory is one byte a covariate and row, and four more for the linear models where trees
    grow on top of them.

    Raises
    ------
    DataError
        On any worker, if any worker's rows hold an infinite covariate, an outcome that is not
        finite or an unknown arm.
    """
    parts: list[list[np.ndarray]] = [[] for _ in covariates]
    rest: list[Block] = []
    nothing = np.zeros((0, 0))
    for block in blocks:
        for j, part in enumerate(parts):
            part.append(np.array(block.covariates[j], np.float32))
        rest.append(replace(block, covariates=nothing))
    columns = [_joined(part, np.float32) for part in parts]
    del parts
    arm = _joined([b.arm for b in rest], np.int64)
    fold = _joined([b.fold for b in rest], np.int64)
    cluster = _joined([b.cluster for b in rest], np.uint64)
    outcome = np.concatenate([np.zeros((outcomes, 0)), *(b.outcome for b in rest)], axis=1)
    weight = _joined([b.weights() for b in rest], np.float64)
    _check(columns, arm, outcome, weight, covariates, arms, workers, table)
    mass = workers.sum(np.array([weight.sum(), float(len(weight))]))
    hashes = row_hashes(columns, cluster)
    validation = np.zeros(len(hashes), bool)
    if options.early_stopping_rounds:
        validation = drawn(cluster, options.validation_share, salt=_VALIDATION + options.seed)
    order = np.lexsort((hashes, validation, fold, arm))
    for j, column in enumerate(columns):
        columns[j] = column[order]
    hashes, arm, fold, validation = hashes[order], arm[order], fold[order], validation[order]
    sample = sample_columns(columns, hashes, workers)
    categorical = tuple(name in options.categorical for name in covariates)
    bins = make_bins(sample, categorical, options.max_bins)
    linear = tuple(j for j, c in enumerate(categorical) if options.on_top_of_linear and not c)
    kept = [sample[j][~np.isnan(sample[j])].astype(np.float64) for j in linear]
    centre = np.array([values.mean() if len(values) else 0.0 for values in kept])
    spread = np.array([values.std() if len(values) else 0.0 for values in kept])
    codes = np.empty((len(hashes), len(columns)), np.uint8)
    for j, column in enumerate(columns):
        codes[:, j] = bins.codes_of(j, column)
    rows = TrainingRows(
        codes=codes,
        raw=tuple(columns[j] for j in linear),
        arm=arm,
        fold=fold,
        outcome=outcome[:, order],
        weight=weight[order] * (mass[1] / mass[0] if mass[0] else 1.0),
        validation=validation,
        hashes=hashes,
        segments=_segments(arm, fold, validation),
    )
    flat = spread <= 1e-6 * np.abs(centre)
    return rows, Preparation(
        bins, linear, centre, np.where(flat, np.inf, spread), options.start_degree
    )


def _segments(
    arm: np.ndarray, fold: np.ndarray, validation: np.ndarray
) -> dict[tuple[int, int, int], slice]:
    """Where each arm, fold and part begins and ends, in rows that are sorted by them."""
    if not len(arm):
        return {}
    keys = np.stack([arm, fold, validation.astype(np.int64)])
    begins = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
    ends = np.append(begins[1:], len(arm))
    return {
        (int(a), int(k), int(part)): slice(int(low), int(high))
        for (a, k, part), low, high in zip(keys[:, begins].T, begins, ends, strict=True)
    }


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind, copy=False)


def _check(
    columns: list[np.ndarray], arm: np.ndarray, outcome: np.ndarray, weight: np.ndarray,
    covariates: tuple[str, ...], arms: int, workers: Collective, table: str,
) -> None:  # fmt: skip
    infinite = np.array([float(np.isinf(column).sum()) for column in columns])
    odd = [float(((arm < 0) | (arm >= arms)).sum()), float((~(weight > 0)).sum())]
    odd[1] += float(np.isinf(weight).sum())
    missing = (~np.isfinite(outcome)).sum(axis=1).astype(float)
    # Every worker sees every count, so that all stop together and none waits for another.
    counts = workers.sum(np.concatenate([infinite, odd, missing]))
    p = len(covariates)
    if counts[:p].any():
        found = {n: int(c) for n, c in zip(covariates, counts[:p], strict=True) if c}
        raise DataError(
            f"{table}: infinite covariates (rows): {found}; expected a number or a missing value."
        )
    if counts[p]:
        raise DataError(
            f"{table}: {int(counts[p]):,} rows have a treatment that is none of the {arms} arms."
        )
    if counts[p + 1]:
        raise DataError(
            f"{table}: {int(counts[p + 1]):,} rows have a weight that is no positive number."
        )
    if counts[p + 2 :].any():
        found_rows = [int(c) for c in counts[p + 2 :]]
        raise DataError(
            f"{table}: outcomes are missing or not finite in {found_rows} rows (outcome by "
            "outcome); expected a number in every row."
        )
