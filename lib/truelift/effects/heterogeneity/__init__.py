"""How an effect varies: CATE models, calibration, sorted groups, and whom to treat."""

from truelift.effects.heterogeneity.blocks import (
    CateModel,
    Forecast,
    PassKernel,
    ScoredBlock,
    part_of,
)
from truelift.effects.heterogeneity.dr_learner import LinearCate, fit_linear
from truelift.effects.heterogeneity.explore import HeterogeneityOptions, explore
from truelift.effects.heterogeneity.results import Heterogeneity

__all__ = [
    "CateModel",
    "Forecast",
    "Heterogeneity",
    "HeterogeneityOptions",
    "LinearCate",
    "PassKernel",
    "ScoredBlock",
    "explore",
    "fit_linear",
    "part_of",
]
