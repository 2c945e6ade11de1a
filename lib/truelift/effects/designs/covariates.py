"""Covariates as features for estimators that fit no folds: numbers, holes, few levels."""

from __future__ import annotations

from truelift.effects.designs.ranges import Ranges
from truelift.effects.panel.arms import Levels
from truelift.effects.panel.design import Design, OneHot
from truelift.effects.panel.source import PanelSource
from truelift.errors import DataError
from truelift.settings import EffectOptions


def plain_design(
    source: PanelSource, covariates: tuple[str, ...], ranges: Ranges, options: EffectOptions
) -> Design:
    """Features of covariates: scaled numbers, an indicator where some are missing, one a level.

    Raises
    ------
    DataError
        For a category of more levels than ``effects.features.one_hot_levels``.
    """
    gaps = {n: int(ranges.missing[ranges.names.index(n)]) for n in covariates}
    holes = tuple(n for n, missing in gaps.items() if 0 < missing < ranges.rows)
    # Of a column with one value and holes, such as a flag of 1 or nothing, the holes say everything.
    varying = tuple(n for n in covariates if n in holes or not (gaps[n] or ranges.constant(n)))
    categories = tuple(options.features.categorical)
    levels = source.distinct(categories) if categories else {}
    most = options.features.one_hot_levels
    for name, found in levels.items():
        if len(found) > most:
            raise DataError(
                f"{source.name}: the category {name!r} has {len(found):,} values or more; this design takes "
                f"indicators of at most {most} (effects.features.one_hot_levels). Raise that, merge "
                "levels, or leave it out."
            )
    # All levels: the intercept stands for rows without one, and where there are none of them a level is
    # a combination of the others, which normal equations leave out.
    coded = tuple(OneHot(Levels(name, tuple(sorted(levels[name], key=str)))) for name in categories)
    return Design(ranges.scale(varying), holes, coded, options.features.expansion)
