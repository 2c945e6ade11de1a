"""How each category becomes features, once a light pass has counted its levels.

Few levels are indicators. Beyond ``one_hot_levels`` indicators would leave out all but the most
frequent, and hashed slots are shared by levels that have nothing in common; so the levels are
target encoded: in place of indicators, and beside hashed slots that are shared.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.effects.panel.arms import Levels
from truelift.effects.panel.columns import PanelColumns, Scale
from truelift.effects.panel.design import Category, Hashed, OneHot
from truelift.effects.panel.level_table import LevelKernel, LevelSums, level_hashes, level_sums
from truelift.effects.panel.source import PanelSource
from truelift.effects.panel.target_encoding import TargetEncoded, encoded
from truelift.progress import Tell
from truelift.settings import EffectOptions

# A table has this many slots for every level that the start rows show, within these bounds.
_SLOTS_A_LEVEL, _FEWEST = 32, 2**12
# Numbers of a state: 128 MB.
_NUMBERS = 2**24
# Share of the units whose level is lost in the tables, beyond which larger ones are taken.
_LOST = 0.002
# Share of the units whose level the start rows did not show, up to which indicators are enough.
_UNSEEN = 0.001


def categories_of(
    source: PanelSource,
    drawn: pa.Table,
    columns: PanelColumns,
    outcomes: Scale,
    covariates: Scale,
    options: EffectOptions,
    progress: Tell,
) -> dict[str, tuple[Category, ...]]:
    """The features of every category.

    Parameters
    ----------
    source : PanelSource
    drawn : pyarrow.Table
        The start rows.
    columns : PanelColumns
    outcomes, covariates : Scale
        Of the outcomes and the numeric covariates.
    options : EffectOptions
        ``categorical``, ``one_hot_levels``, ``hash_size``, ``target_size``, ``target_prior``.
    progress : callable
    """
    if not columns.categories:
        return {}
    shown = {name: _shown(drawn[name]) for name in columns.categories}
    found = _counted(source, shown, columns, outcomes, covariates, options, progress)
    labels = columns.arms.labels

    def target(name: str) -> TargetEncoded:
        return encoded(
            name,
            found[name],
            labels,
            outcomes.names,
            covariates.names,
            options.features.target_prior,
        )

    made: dict[str, tuple[Category, ...]] = {}
    for name, levels in shown.items():
        coding = options.features.categorical[name]
        if coding == "hash":
            hashed = Hashed(name, options.features.hash_size)
            shared = _share_slots(found[name].keys, options.features.hash_size)
            made[name] = (hashed, target(name)) if shared else (hashed,)
        elif coding == "one_hot" and _few(levels, found[name], options.features.one_hot_levels):
            values = tuple(sorted(levels.to_pylist(), key=str))
            made[name] = (OneHot(Levels(name, values)),)
        else:
            made[name] = (target(name),)
    return made


def _counted(
    source: PanelSource, shown: dict[str, pa.Array], columns: PanelColumns, outcomes: Scale,
    covariates: Scale, options: EffectOptions, progress: Tell,
) -> dict[str, LevelSums]:  # fmt: skip
    """A pass over the levels; again with larger tables where levels were lost."""
    names = tuple(shown)
    kernel = LevelKernel(columns, outcomes, covariates, names, 1, options.nuisances.folds)
    width = 2 * len(names) * (options.nuisances.folds * kernel.lines + len(covariates.names) + 2)
    most = max(min(options.features.target_size, _power(_NUMBERS // width)), 2)
    wanted = _SLOTS_A_LEVEL * max(len(levels) for levels in shown.values())
    size = min(max(2 * _power(wanted), _FEWEST), most)
    while True:
        progress("a light pass: outcomes and arms by level of the categories")
        kernel = LevelKernel(columns, outcomes, covariates, names, size, options.nuisances.folds)
        state = source.sum(kernel, columns.of_moments(), columns.batch_rows())
        found = {name: level_sums(state, kernel, place) for place, name in enumerate(names)}
        if size >= most or max(sums.lost for sums in found.values()) <= _LOST:
            return found
        size = min(16 * size, most)


def _power(number: int) -> int:
    """The largest power of two up to a number."""
    return 1 << max(number.bit_length() - 1, 0)


def _shown(column: pa.ChunkedArray) -> pa.Array:
    """The levels that the start rows have, without null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pc.unique(column).drop_null()


def _few(levels: pa.Array, found: LevelSums, most: int) -> bool:
    """Whether indicators of these levels are enough; nulls are those without any."""
    if len(levels) > most:
        return False
    absent = pa.nulls(1, levels.type)
    hashes = np.concatenate([level_hashes(levels), level_hashes(absent)])
    return found.covered(hashes) >= 1.0 - _UNSEEN


def _share_slots(keys: np.ndarray, size: int) -> bool:
    return len(np.unique(keys % np.uint64(size))) < len(keys)
