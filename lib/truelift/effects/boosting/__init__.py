"""Gradient-boosted nuisances: cross-fitted propensity and outcome models.

``fit_in_memory`` takes arrays, ``fit_on_plan`` a table's scan plan and Spark's barrier tasks;
both give :class:`BoostingNuisances`, whose ``predict`` serves the score kernels.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from truelift.effects.boosting.nuisances import BoostingNuisances
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Block, PanelReader

if TYPE_CHECKING:
    from truelift.effects.boosting.barrier import fit_on_plan
    from truelift.effects.boosting.memory import fit_in_memory

__all__ = [
    "Block",
    "BoostingNuisances",
    "BoostingOptions",
    "PanelReader",
    "fit_in_memory",
    "fit_on_plan",
]

# What trains loads Numba, which those who only name an option need not wait for.
_LATER = {"fit_in_memory": "memory", "fit_on_plan": "barrier"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
