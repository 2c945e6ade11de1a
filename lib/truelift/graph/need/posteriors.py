"""What each user needs at each step: the filter, the smoother, and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.stats import norm
from scipy.stats import t as student

from truelift.arrays.texts import whole
from truelift.graph.need.columns import Coding, as_texts
from truelift.graph.need.effects import need_names
from truelift.lake.tables import table_spec
from truelift.models.need.coordinates import Model
from truelift.models.need.linear import LinearModel
from truelift.models.need.rows import NeedRows

TABLE = "gold.needs"


@dataclass(frozen=True, eq=False)
class PosteriorKernel:
    """A row kernel: a row a user, step and need.

    ``filtered`` is P(need | what was seen up to the step), ``smoothed`` P(need | all that was seen of the user). The interval of
    the filter is that of the model's errors; needs that are numbers have their means, and an interval that holds the need; ``likely`` marks the smallest set of needs that holds the true one with the
    chance of ``posterior``.

    Parameters
    ----------
    coding : Coding
    model : Model
    drawn : tuple of Model
    source, version : str
    """

    coding: Coding
    model: Model
    drawn: tuple[Model, ...]
    source: str
    version: str

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Rows of one bucket."""
        table = tables["rows"]
        schema = table_spec(TABLE).arrow
        if not table.num_rows:
            return schema.empty_table()
        steps, spec = self.coding.steps(table), self.coding.spec
        if isinstance(self.model, LinearModel):
            filtered, spread, smoothed, _ = self.model.moments(steps.rows)
            own = np.diagonal(spread, axis1=1, axis2=2)
            lower, upper = number_intervals(filtered, own, self.drawn, steps.rows, spec.posterior)
            likely = pa.nulls(filtered.size, pa.bool_())
        else:
            filtered, smoothed = self.model.posteriors(steps.rows)
            lower, upper = intervals(filtered, self.drawn, steps.rows, spec.posterior)
            likely = pa.array(likely_sets(filtered, spec.posterior).ravel())
        needs, n = self.model.needs, len(steps.rows)
        places = pa.array(np.repeat(steps.order, needs))
        sizes = np.diff(steps.rows.starts)
        step = np.arange(n) - np.repeat(steps.rows.starts[:-1], sizes) + 1
        when = whole(table[spec.time])
        is_time = pa.types.is_timestamp(when.type) or pa.types.is_date(when.type)
        moment = (
            when.cast(pa.timestamp("us", "UTC"))
            if is_time
            else pa.nulls(len(when), pa.timestamp("us", "UTC"))
        )
        columns = {
            "source": pa.repeat(pa.scalar(self.source), n * needs),
            "source_version": pa.repeat(pa.scalar(self.version), n * needs),
            "user_key": as_texts(whole(table[spec.user])).take(places),
            "time": moment.take(places),
            "step": pa.array(np.repeat(step, needs), pa.int32()),
            "need": pa.array(need_names(self.model) * n),
            "filtered": pa.array(filtered.ravel()),
            "filtered_lower": pa.array(lower.ravel()),
            "filtered_upper": pa.array(upper.ravel()),
            "smoothed": pa.array(smoothed.ravel()),
            "likely": likely,
            "bucket": pa.repeat(pa.scalar(bucket, pa.int32()), n * needs),
        }  # fmt: skip
        arrays = [
            c.cast(f.type) if not isinstance(c, pa.ChunkedArray) else c
            for f, c in zip(schema, (columns[f.name] for f in schema), strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=schema)


def intervals(
    filtered: np.ndarray, drawn: tuple[Model, ...], rows: NeedRows, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of the filter by models as likely as the errors say.

    So few draws tell their spread with an error of its own, which the quantile of Student's distribution answers for.
    """
    half = np.sqrt(_of_the_model(filtered, drawn, rows, level))
    return np.clip(filtered - half, 0, 1), np.clip(filtered + half, 0, 1)


def number_intervals(
    filtered: np.ndarray, spread: np.ndarray, drawn: tuple[Model, ...], rows: NeedRows, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals that hold a need itself, a number: of what its filter leaves open and of the model's errors.

    Parameters
    ----------
    filtered, spread : ndarray, n x K
        Mean and variance of the filter.
    drawn : tuple of StateModel or LinearModel
    rows : NeedRows
    level : float
    """
    own = float(norm.ppf((1 + level) / 2)) ** 2 * spread
    half = np.sqrt(own + _of_the_model(filtered, drawn, rows, level))
    return filtered - half, filtered + half


def _of_the_model(
    filtered: np.ndarray, drawn: tuple[Model, ...], rows: NeedRows, level: float
) -> np.ndarray:
    """Squares of half the width that the model's errors alone ask for."""
    squares = np.zeros_like(filtered)
    for model in drawn:
        squares += (model.posteriors(rows)[0] - filtered) ** 2
    quantile = float(student.ppf((1 + level) / 2, max(len(drawn), 1)))
    found: np.ndarray = quantile**2 * squares / max(len(drawn), 1)
    return found


def likely_sets(chances: np.ndarray, level: float) -> np.ndarray:
    """The needs of the smallest set whose chances add up to the level, by step."""
    order = np.argsort(-chances, axis=1, kind="stable")
    ranked = np.take_along_axis(chances, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    found = np.empty(chances.shape, bool)
    np.put_along_axis(found, order, before < level, axis=1)
    return found
