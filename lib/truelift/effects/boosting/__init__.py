"""Gradient-boosted nuisances: cross-fitted propensity and outcome models.

``fit_in_memory`` takes arrays, ``fit_on_plan`` a table's scan plan and Spark's barrier tasks;
both give :class:`BoostingNuisances`, whose ``predict`` serves the score kernels.
"""

from truelift.effects.boosting.barrier import fit_on_plan
from truelift.effects.boosting.memory import fit_in_memory
from truelift.effects.boosting.nuisances import BoostingNuisances
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Block, PanelReader

__all__ = [
    "Block",
    "BoostingNuisances",
    "BoostingOptions",
    "PanelReader",
    "fit_in_memory",
    "fit_on_plan",
]
