"""Whole numbers that are not what a straight line makes of them, categories that work together.

A shop's number is a name: a line through it adjusts for nothing. An age may do its work in a curve. Both
show where units that share a value also share what neither the propensity nor the outcome model foresaw;
the bias that comes of it is measured as for levels of categories (:mod:`~.level_balance`), by pairs of
units of one value and different clusters. The same is asked of units that share the levels of two
categories, whose effects the models add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pyarrow as pa

from truelift.effects.panel.columns import PanelColumns, number_column
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import Caution, EffectsResult
from truelift.effects.scores.sums import Scoring
from truelift.effects.support.level_balance import BEYOND_CHANCE, MAX_BIAS, least_error
from truelift.effects.support.repeated_units import rows_of_clusters
from truelift.effects.support.shared_surprises import shared_surprise, surprises_of

# Fewer values are as good as categories to most models' eyes; units a value, for there to be pairs.
_FEWEST_VALUES, _UNITS_A_VALUE = 6, 2
# Pairs of categories that are looked at.
_MOST_PAIRS = 10


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
    if columns.propensity:
        return []
    names = list(whole_numbers(drawn, columns))
    pairs = list(combinations(columns.categories, 2))[:_MOST_PAIRS]
    if not names and not pairs:
        return []
    batch = rows_of_clusters(source, columns)
    cluster = batch.column(batch.schema.get_field_index(columns.cluster))
    first = np.sort(np.unique(_text(cluster), return_index=True)[1])
    batch = batch.take(pa.array(first))
    lines = surprises_of(batch, scoring)
    found: list[Caution] = []
    for name in names:
        values = number_column(batch, name)
        here = np.isfinite(values)
        said = (
            f"a value of {name!r}",
            "If its numbers are codes, name it under effects.features.categorical; if its effect bends, set "
            "effects.features.expansion to squares or effects.nuisances.learner to boosting.",
        )
        codes = np.unique(values[here], return_inverse=True)[1]
        found += _of_codes(codes, lines[:, here], said, scoring, result)
    # Levels are known from the other folds' units: pairs lie in one fold, whose models know neither.
    fold = batch.column(0).to_numpy() % scoring.folds
    for first_of, second_of in pairs:
        own = [_text(batch.column(batch.schema.get_field_index(n))) for n in (first_of, second_of)]
        both = np.stack([fold, *own], axis=1)
        said = (
            f"both {first_of!r} and {second_of!r}",
            "Make one category of both columns, or set effects.nuisances.learner to boosting.",
        )
        codes = np.unique(both, axis=0, return_inverse=True)[1].ravel()
        found += _of_codes(codes, lines, said, scoring, result)
    return found


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


def _of_codes(
    codes: np.ndarray, lines: np.ndarray, said: tuple[str, str], scoring: Scoring,
    result: EffectsResult,
) -> Iterator[Caution]:  # fmt: skip
    """What units of one code share, in a difference of any arm; ``said`` names it and a way on."""
    if not len(codes):
        return
    what, way = said
    arms, outcomes = scoring.layout.arms, scoring.layout.outcomes
    for a, label in enumerate(scoring.columns.arms.labels):
        for j, (outcome, _, scale) in enumerate(scoring.outcomes):
            least = least_error(result, label, outcome)
            if not a or not least:
                continue
            pairs = [(lines[b], lines[arms + b * outcomes + j]) for b in (a, 0)]
            bias, error = shared_surprise(codes, *pairs)
            if abs(bias) > BEYOND_CHANCE * error and scale * abs(bias) > MAX_BIAS * least:
                yield Caution(
                    f"Units that share {what} share what neither model foresaw, which moves the "
                    f"effect of {label} on {outcome} by about {scale * bias:.3g}; its standard error "
                    f"is {least:.2g}. {way}",
                    stops=scale * (abs(bias) - 2 * error) > MAX_BIAS * least,
                    arms=(label,),
                    outcomes=(outcome,),
                )


def _text(column: pa.Array) -> np.ndarray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False)
