"""Everything that a specification asks of a panel: a design's estimates, or scores and further looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from truelift.effects.designs.differences.run import difference_effects
from truelift.effects.designs.instrument.run import instrument_effects
from truelift.effects.designs.synthetic.run import synthetic_effects
from truelift.effects.designs.through.front_door import front_door_effects
from truelift.effects.estimate import Estimation, estimate_panel
from truelift.effects.look import look_further
from truelift.effects.panel.parts import check_parts
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult
from truelift.lake.conditions import condition_of
from truelift.progress import Tell
from truelift.settings import EffectOptions

DESIGNS: dict[str, Callable[[PanelSource, EffectOptions, Tell], EffectsResult]] = {
    "instrument": instrument_effects,
    "did": difference_effects,
    "synthetic": synthetic_effects,
    "front_door": front_door_effects,
}


@dataclass(frozen=True, eq=False)
class Effects:
    """A result, the seconds of its parts, and what it was made of where units were scored.

    Parameters
    ----------
    result : EffectsResult
    seconds : dict of str to float
    estimation : Estimation, optional
        None for a design that scores no units.
    """

    result: EffectsResult
    seconds: dict[str, float] = field(default_factory=dict)
    estimation: Estimation | None = None


def estimate_all(
    source: PanelSource, options: EffectOptions, progress: Tell = lambda text: None
) -> Effects:
    """Estimate what the options ask for.

    Raises
    ------
    TrueliftError
        As :func:`~truelift.effects.estimate.estimate_panel` and the designs.
    """
    started = time.perf_counter()
    if options.design_name:
        check_parts(source.schema, options, source.name)
        taken = _rows(source, options)
        result = DESIGNS[options.design_name](taken, options, progress)
        if options.filter:
            found, rows = (sum(panel.bucket_rows().values()) for panel in (taken, source))
            said = f"{found:,} of {rows:,} rows are looked at: those with {options.filter}."
            result = replace(result, selection=said)
        return Effects(result, {"estimation": time.perf_counter() - started})
    estimation = estimate_panel(source, options, progress)
    seconds = {"estimation": time.perf_counter() - started}
    further = look_further(source, estimation, options, progress)
    return Effects(further.result, seconds | further.seconds, estimation)


def _rows(source: PanelSource, options: EffectOptions) -> PanelSource:
    if not options.filter:
        return source
    condition_of(options.filter, "effects.filter").check(
        source.schema, "effects.filter", source.name
    )
    return source.where(options.filter)
