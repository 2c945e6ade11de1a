"""What an estimand is: a row of the registry that estimation, job, sentences and report read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from truelift.registries import ESTIMANDS

if TYPE_CHECKING:
    from truelift.effects.panel.columns import PanelColumns
    from truelift.effects.scores.layout import OwnSums
    from truelift.effects.scores.ratios import Estimand
    from truelift.settings import EffectOptions

#: How a change is read out, and how a level is.
CHANGE = "{estimand}: {arm} against {versus} changes {outcome} by {change}, over {population}."
LEVEL = "The mean of {outcome} under {arm} is {change}, over {population}."
_LAST = 1000


@dataclass(frozen=True)
class EstimandKind:
    """One name of ``effects.estimands``: what it is made of, and how people read it.

    Parameters
    ----------
    name : str
        Such as ``'ATE'``.
    metric_key : str
        What metrics call it, such as ``'ate'``.
    title : str
        On axes and in legends; what follows a colon is left out where there is no room.
    build : callable, optional
        ``(columns, options, outcome) -> iterable of Estimand``: ratios of sums, for the outcome of
        that position. None for one that comes with another.
    sums : OwnSums, optional
        Summands of a unit that no other estimand has.
    also : tuple of EstimandKind
        What comes with it, under a name of its own.
    order, priority : int
        Where it stands among others in tables and drawings; which is read out first where not all
        fit (both ascending; ours take tens to 90).
    short : str
        The title of narrow drawings; by default the title.
    reading : str
        A sentence with the fields ``estimand``, ``arm``, ``versus``, ``outcome``, ``change`` and
        ``population``.
    asks : mapping of str to str
        Options that must be set for it, with what is expected there.
    judged_as : str
        The estimand whose verdict (:mod:`truelift.effects.support.verdict`) it takes; empty for what is no
        effect, so that there is nothing to judge.
    level, share : bool
        Whether it is a level and no change; whether its numbers are shares, not in the outcome's
        units.
    names_arms, names_population : bool
        Whether arms are named even where there are two; whether the population tells it from others.
    of_policy : bool
        Whether its arm is the name of a policy, so that it hangs on all arms.
    logged : bool
        Whether it stands among the metrics of a run.
    decides_over : str
        Of an effect that a decision may rest on: over whom, such as ``'among those who got it'``.
    """

    name: str
    metric_key: str
    title: str
    build: Callable[[PanelColumns, EffectOptions, int], Iterable[Estimand]] | None = None
    sums: OwnSums | None = None
    also: tuple[EstimandKind, ...] = ()
    order: int = 100
    priority: int = 100
    short: str = ""
    reading: str = CHANGE
    asks: Mapping[str, str] = field(default_factory=dict)
    judged_as: str = "ATE"
    level: bool = False
    share: bool = False
    names_arms: bool = False
    names_population: bool = False
    of_policy: bool = False
    logged: bool = True
    decides_over: str = ""


def asked_of(options: EffectOptions) -> Iterator[EstimandKind]:
    """The kinds that the options ask for, in the registry's order."""
    return (ESTIMANDS.row(name) for name in ESTIMANDS.names if name in options.estimands)


def kind_of(name: str) -> EstimandKind:
    """The row of an estimate's name; a plain one for a name that nothing here knows.

    A result may be read where the package that brought an estimand is not installed.
    """
    if name in ESTIMANDS:
        return ESTIMANDS.row(name)
    if name in (found := _along(ESTIMANDS.names)):
        return found[name]
    key = re.sub(r"\W+", "_", name.lower()).strip("_")
    return EstimandKind(name, key, name, order=_LAST, priority=_LAST)


@cache
def _along(names: tuple[str, ...]) -> dict[str, EstimandKind]:
    return {kind.name: kind for name in names for kind in ESTIMANDS.row(name).also}
