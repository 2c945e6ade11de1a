"""Covariates that adjust for less than they seem to: with one value, with holes, with marks for holes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.columns import PanelColumns, number_column
from truelift.effects.results import Caution
from truelift.errors import DataError

#: Numbers beyond this, and spreads below its inverse, cannot be squared and added up.
LARGEST = 1e100
#: Share of missing values from which it is said.
NOTED_MISSING = 0.05
# A mark for a missing value: this often, and this many middle halves away from the median.
_OFTEN, _TIMES_AWAY = 0.005, 10.0
_MARK = re.compile(r"-?9{2,}|-1|-9")
_MOST_NAMED = 8


def check_range(drawn: pa.Table, columns: PanelColumns, table: str) -> None:
    """Refuse numbers whose squares are not.

    Parameters
    ----------
    drawn : pyarrow.Table
        The start rows.
    columns : PanelColumns
    table : str
        Its name, for messages.

    Raises
    ------
    DataError
        If a column's values, or what it varies by, lie out of range.
    """
    for name in columns.numbers():
        values = _finite(drawn, name)
        most = float(np.abs(values).max(initial=0.0))
        if most > LARGEST or 0.0 < most < 1.0 / LARGEST:
            do = "Divide" if most > 1.0 else "Multiply"
            raise DataError(
                f"{table}, column {name!r}: found values up to {most:.3g}, expected numbers between "
                f"{1 / LARGEST:.0e} and {LARGEST:.0e} in size, or zero, for their squares are added up. "
                f"{do} the column by a power of ten."
            )


def covariate_cautions(drawn: pa.Table, moments: Moments) -> Iterator[Caution]:
    """What weakens an adjustment; nothing where chances are known.

    Parameters
    ----------
    drawn : pyarrow.Table
        The start rows.
    moments : Moments
    """
    columns = moments.columns
    if columns.propensity:
        return
    named = [*columns.covariates, *columns.categories]
    if named and not len(moments.design):
        yield Caution(
            f"Nothing is adjusted for: no covariate ({_some(named)}) varies. The differences are "
            "effects only where the treatment was randomised; then give the chances under "
            "effects.nuisances.propensity."
        )
        return
    missing = {name: float(np.mean(_absent(drawn, name))) for name in named}
    if said := {n: share for n, share in missing.items() if NOTED_MISSING <= share < 1.0}:
        listed = _some([f"{name!r} of {share:.0%}" for name, share in said.items()])
        yield Caution(
            f"Values are missing: {listed} of the units. Those that miss one are compared as if they "
            "were alike in it. Where they are not, fill it in, or leave them out with effects.filter."
        )
    for name in columns.covariates:
        if mark := mark_of_missing(_finite(drawn, name)):
            yield Caution(
                f"Covariate {name!r} is {mark} in many rows, unlike all other values: if that stands for "
                "a missing value, make it null; as a number it spoils the adjustment."
            )


def mark_of_missing(values: np.ndarray) -> str:
    """A value like -1 or 999 that is often there and far from all others; empty if there is none.

    Parameters
    ----------
    values : ndarray
        Finite numbers.
    """
    if not len(values):
        return ""
    found, counts = np.unique(values, return_counts=True)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    for place in {0, len(found) - 1}:
        value, share = float(found[place]), counts[place] / len(values)
        if value != round(value) or not _MARK.fullmatch(str(int(value))):
            continue
        others = np.delete(found, place)
        if _OFTEN <= share < 0.5 and len(others) > 2:
            away = np.abs(others - value).min()
            wide = abs(value - middle) > _TIMES_AWAY * max(high - low, 1e-12)
            only_negative = value < 0 and bool((others >= 0).all()) and away >= 1
            if away > 0 and (wide or only_negative):
                return str(int(value))
    return ""


def _finite(drawn: pa.Table, name: str) -> np.ndarray:
    values = number_column(drawn.select([name]).combine_chunks().to_batches()[0], name)
    return values[np.isfinite(values)]


def _absent(drawn: pa.Table, name: str) -> np.ndarray:
    column = drawn[name]
    found: np.ndarray = column.is_null(nan_is_null=pa.types.is_floating(column.type)).to_numpy()
    return found


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
