"""Whole numbers among the covariates that are not what a straight line makes of them.

A shop's number is a name: a line through it adjusts for nothing. An age may do its work in a curve. Both
show where units that share a value also share what neither the propensity nor the outcome model foresaw;
the bias that comes of it is measured as for levels of categories (:mod:`~.level_balance`), by pairs of
units of one value and different clusters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from truelift.effects.columns import PanelColumns, number_column
from truelift.effects.level_balance import BEYOND_CHANCE, MAX_BIAS, least_error
from truelift.effects.repeated_units import rows_of_clusters, shared_surprise, surprises_of
from truelift.effects.results import Caution, EffectsResult
from truelift.effects.scoring.sums import Scoring
from truelift.effects.source import PanelSource

# Fewer values are as good as categories to most models' eyes; units a value, for there to be pairs.
_FEWEST_VALUES, _UNITS_A_VALUE = 6, 2


def code_cautions(
    source: PanelSource, drawn: pa.Table, scoring: Scoring, result: EffectsResult
) -> list[Caution]:
    """Whole numbers whose values hold a bias, as cautions; a sample is read where there are any.

    Parameters
    ----------
    source : PanelSource
    drawn : pyarrow.Table
        The start rows.
    scoring : Scoring
    result : EffectsResult
        Whose standard errors are the measure.
    """
    columns = scoring.columns
    names = [] if columns.propensity else list(whole_numbers(drawn, columns))
    if not names:
        return []
    batch = rows_of_clusters(source, columns)
    cluster = batch.column(batch.schema.get_field_index(columns.cluster))
    first = np.sort(np.unique(_text(cluster), return_index=True)[1])
    batch = batch.take(pa.array(first))
    lines = surprises_of(batch, scoring)
    return [c for name in names for c in _of_values(batch, name, lines, scoring, result)]


def whole_numbers(drawn: pa.Table, columns: PanelColumns) -> Iterator[str]:
    """Covariates of whole numbers, of which many units share each value.

    Columns of integers, and of floats that are whole and have holes, as pandas makes of integers.
    """
    for name in columns.covariates:
        column = drawn[name]
        values = number_column(pa.table({name: column}).combine_chunks().to_batches()[0], name)
        present = values[np.isfinite(values)]
        holes = len(present) < len(values) and bool(np.all(present == np.round(present)))
        if not pa.types.is_integer(column.type) and not holes:
            continue
        found = len(np.unique(present))
        if _FEWEST_VALUES <= found <= len(present) / _UNITS_A_VALUE:
            yield name


def _of_values(
    batch: pa.RecordBatch, name: str, lines: np.ndarray, scoring: Scoring, result: EffectsResult
) -> Iterator[Caution]:
    values = number_column(batch, name)
    here = np.isfinite(values)
    codes = np.unique(values[here], return_inverse=True)[1]
    arms, outcomes = scoring.layout.arms, scoring.layout.outcomes
    for a, label in enumerate(scoring.columns.arms.labels):
        for j, (outcome, _, scale) in enumerate(scoring.outcomes):
            least = least_error(result, label, outcome)
            if not a or not least or not here.any():
                continue
            pairs = [(lines[b][here], lines[arms + b * outcomes + j][here]) for b in (a, 0)]
            bias, error = shared_surprise(codes, *pairs)
            if abs(bias) > BEYOND_CHANCE * error and scale * abs(bias) > MAX_BIAS * least:
                yield Caution(
                    f"Units that share a value of {name!r} share what neither model foresaw, which "
                    f"moves the effect of {label} on {outcome} by about {scale * bias:.3g}; its "
                    f"standard error is {least:.2g}. If its numbers are codes, name it under "
                    "effects.categorical; if its effect bends, set effects.expansion to squares or "
                    "effects.learner to boosting.",
                    stops=scale * (abs(bias) - 2 * error) > MAX_BIAS * least,
                    arms=(label,),
                    outcomes=(outcome,),
                )


def _text(column: pa.Array) -> np.ndarray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.dictionary_encode().indices.to_numpy(zero_copy_only=False)
