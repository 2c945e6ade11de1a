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
    varying = tuple(name for name in covariates if not ranges.constant(name))
    missing = tuple(n for n in varying if ranges.missing[ranges.names.index(n)])
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
    # The first level is what the intercept stands for.
    coded = tuple(
        OneHot(Levels(name, tuple(sorted(levels[name], key=str))[1:])) for name in categories
    )
    return Design(ranges.scale(varying), missing, coded, options.features.expansion)
