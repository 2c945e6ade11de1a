"""The units of a small panel over time as a matrix, brought here: a few hundred units, one outcome a period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.designs.ranges import ranges_of
from truelift.effects.panel.arms import label_of
from truelift.effects.panel.columns import number_column
from truelift.effects.panel.source import PanelSource
from truelift.errors import DataError
from truelift.settings import EffectOptions

#: Units and periods that are brought here.
MOST_CELLS, MOST_UNITS = 200_000, 1000


@dataclass(frozen=True, eq=False)
class SmallPanel:
    """Outcomes of n units in T periods.

    Parameters
    ----------
    units : tuple of str
        In ascending order.
    periods : ndarray, T
    begins : ndarray of int, n
        Position of the period in which the treatment begins; T for never.
    outcomes : ndarray, J x n x T
    """

    units: tuple[str, ...]
    periods: np.ndarray
    begins: np.ndarray
    outcomes: np.ndarray


def small_panel(source: PanelSource, options: EffectOptions) -> SmallPanel:
    """Bring it.

    Raises
    ------
    DataError
        For too many rows or units, repeated rows, holes, units whose treatment begins at several times.
    """
    time, unit = str(options.differences.time), options.unit
    keys = {
        time: "effects.differences.time",
        **dict.fromkeys(options.outcomes, "effects.outcomes"),
    }
    rows = sum(source.bucket_rows().values())
    if rows > MOST_CELLS:
        raise DataError(
            f"{source.name}: {rows:,} rows; `design: synthetic` takes at most {MOST_CELLS:,}, for it is made for few "
            "treated among some hundred units. Add units up (stores, regions), or take `design: did`."
        )
    ranges_of(source, keys, options.cluster)
    columns = tuple(dict.fromkeys([unit, *keys, options.treatment]))

    def made(batch: pa.RecordBatch, fold: int) -> tuple[list[str], np.ndarray]:  # noqa: ARG001
        named = batch.column(batch.schema.get_field_index(unit)).cast(pa.string())
        if named.null_count:
            raise DataError(
                f"{source.name}, unit {unit!r} (effects.unit): {named.null_count:,} rows have none."
            )
        numbers = [number_column(batch, name) for name in (time, options.treatment)]
        numbers += [number_column(batch, name) for name in options.outcomes]
        return named.to_pylist(), np.array(numbers)

    parts = list(source.blocks(made, columns, options.nuisances.folds))
    names = np.array([name for named, _ in parts for name in named])
    numbers = np.concatenate([values for _, values in parts], axis=1)
    units, place = np.unique(names, return_inverse=True)
    if len(units) > MOST_UNITS:
        raise DataError(
            f"{source.name}: {len(units):,} values of {unit!r} (effects.unit); `design: synthetic` takes at most "
            f"{MOST_UNITS:,}. Add units up, or take `design: did`."
        )
    periods, when = np.unique(numbers[0], return_inverse=True)
    seen = np.zeros((len(units), len(periods)), int)
    np.add.at(seen, (place, when), 1)
    if (seen > 1).any():
        raise DataError(
            f"{source.name}: {int(np.sum(seen[seen > 1] - 1)):,} rows repeat a unit ({unit!r}) and period ({time!r}); "
            "expected one row each."
        )
    if (seen == 0).any():
        unit_at, period_at = np.argwhere(seen == 0)[0]
        raise DataError(
            f"{source.name}: {int(np.sum(seen == 0)):,} periods of units are missing, such as {label_of(periods[period_at])} of "
            f"{str(units[unit_at])!r}; a synthetic control needs every unit in every period. Leave such units or periods out "
            "with effects.filter."
        )
    outcomes = np.zeros((len(options.outcomes), len(units), len(periods)))
    outcomes[:, place, when] = numbers[2:]
    return SmallPanel(
        tuple(units.tolist()),
        periods,
        _begins(numbers[1], place, periods, source, options),
        outcomes,
    )


def _begins(
    told: np.ndarray, place: np.ndarray, periods: np.ndarray, source: PanelSource,
    options: EffectOptions,
) -> np.ndarray:  # fmt: skip
    # Zero says never where no period is 0 or before, as in `design: did`.
    zero_is_never = periods[0] > 0
    never = ~np.isfinite(told) | (told > periods[-1]) | (zero_is_never & (told <= 0))
    at = np.where(never, len(periods), np.searchsorted(periods, np.where(never, 0.0, told)))
    absent = ~never & ~np.isin(told, periods) & (told >= periods[0])
    if absent.any():
        raise DataError(
            f"{source.name}: {options.treatment!r} (effects.treatment) has {label_of(told[absent][0])}, which is no period. "
            "Expected the period in which a treatment begins, and null where it never does."
        )
    units = place.max() + 1
    low, high = np.full(units, len(periods) + 1), np.full(units, -1)
    np.minimum.at(low, place, at)
    np.maximum.at(high, place, at)
    if (low != high).any():
        raise DataError(
            f"{source.name}: the period in which the treatment begins ({options.treatment!r}) changes within "
            f"{int(np.sum(low != high)):,} unit(s) of {options.unit!r}; expected one of each unit in all of its rows."
        )
    return low
