"""Which column of a table plays which part, checked against the columns that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.errors import DataError, TableError
from truelift.settings import EffectOptions

# A block of this many numbers stays in the cache of a core and costs 16 MB.
_BLOCK_NUMBERS = 2_000_000


@dataclass(frozen=True)
class PanelColumns:
    """Names of the columns of a panel by the part they play.

    Parameters
    ----------
    treatment : str
        0 or 1 in every row.
    outcomes, covariates : tuple of str
        Numeric columns.
    cluster : str
        Rows that share it may be dependent.
    unit : str
        Names the row; the cluster column where the table has no unit column.
    """

    treatment: str
    outcomes: tuple[str, ...]
    covariates: tuple[str, ...]
    cluster: str
    unit: str

    def of_scores(self) -> tuple[str, ...]:
        """Every column that a unit's scores need, the numeric ones first."""
        return tuple(dict.fromkeys([*self.numeric(), self.cluster, self.unit]))

    def numeric(self) -> tuple[str, ...]:
        """Covariates, outcomes, treatment."""
        return (*self.covariates, *self.outcomes, self.treatment)

    def of_propensity(self) -> tuple[str, ...]:
        """Covariates and treatment."""
        return (*self.covariates, self.treatment)

    def keeping(self, covariates: tuple[str, ...]) -> PanelColumns:
        """The same columns with other covariates."""
        return replace(self, covariates=covariates)

    def batch_rows(self) -> int:
        """Rows a block, so that its numbers take about 16 MB whatever the width."""
        width = 1 + len(self.numeric())
        return int(np.clip(_BLOCK_NUMBERS // width, 2048, 65536))


def panel_columns(schema: pa.Schema, options: EffectOptions, table: str) -> PanelColumns:
    """The columns that ``options`` names, found in ``schema``.

    Covariates are all numeric columns that begin with ``x_`` unless the options list others.

    Raises
    ------
    TableError
        If a column is missing or is not numeric where a number is needed.
    DataError
        If one column plays two parts, for example an outcome that is also a covariate.
    """
    covariates = options.covariates or tuple(n for n in schema.names if n.startswith("x_"))
    unit = options.unit if options.unit in schema.names else options.cluster
    columns = PanelColumns(options.treatment, options.outcomes, covariates, options.cluster, unit)
    missing = [n for n in columns.of_scores() if n not in schema.names]
    if missing:
        raise TableError(
            f"{table} has no column {', '.join(repr(n) for n in missing)}; its columns are "
            f"{', '.join(schema.names)}. Set effects.treatment, effects.outcomes, "
            "effects.covariates or effects.cluster."
        )
    if not covariates:
        raise TableError(
            f"{table} has no covariates: no column begins with 'x_' and effects.covariates is "
            f"empty. Its columns are {', '.join(schema.names)}."
        )
    _check_parts(columns, table)
    for name in columns.numeric():
        if not _is_number(schema.field(name).type):
            raise TableError(
                f"{table}, column {name!r}: found type {schema.field(name).type}, expected a "
                "number. Encode it as numeric columns, or leave it out of the effect options."
            )
    return columns


def _check_parts(columns: PanelColumns, table: str) -> None:
    parts: dict[str, str] = {}
    named = [("treatment", columns.treatment), ("cluster", columns.cluster)]
    named += [("outcome", n) for n in columns.outcomes]
    named += [("covariate", n) for n in columns.covariates]
    for part, name in named:
        if name in parts:
            raise DataError(
                f"{table}: column {name!r} is both {parts[name]} and {part}; each column may "
                "play one part. An outcome or the treatment among the covariates would explain "
                "itself: take it out of effects.covariates."
            )
        parts[name] = part


def _is_number(found: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(kind(found) for kind in kinds)


def number_column(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """One column as float64; a null is NaN."""
    column = batch.column(batch.schema.get_field_index(name))
    if column.type != pa.float64():
        column = column.cast(pa.float64(), safe=False)
    return column.to_numpy(zero_copy_only=False)


@dataclass(frozen=True, eq=False)
class Scale:
    """Fixed centres and scales of numeric columns: kernels work on ``(x - centre) / scale``.

    They only keep sums small. What is estimated does not depend on them.
    """

    names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray

    def rows(self, batch: pa.RecordBatch, into: np.ndarray) -> np.ndarray:
        """Standardised columns as the rows of ``into`` (columns x rows)."""
        for j, name in enumerate(self.names):
            np.subtract(number_column(batch, name), self.centre[j], out=into[j])
            into[j] /= self.scale[j]
        return into

    def keeping(self, names: tuple[str, ...]) -> Scale:
        """Centres and scales of some of the columns."""
        index = [self.names.index(n) for n in names]
        return Scale(names, self.centre[index], self.scale[index])

    def __iter__(self) -> Iterator[tuple[str, float, float]]:
        yield from zip(self.names, self.centre.tolist(), self.scale.tolist(), strict=True)


def design(batch: pa.RecordBatch, scale: Scale) -> np.ndarray:
    """Intercept and standardised columns, as (1 + columns) x rows."""
    block = np.empty((1 + len(scale.names), batch.num_rows))
    block[0] = 1.0
    scale.rows(batch, block[1:])
    return block
