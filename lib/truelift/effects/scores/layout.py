"""Which quantities are summed for every unit, and where each of them stands.

Every estimate of truelift is a combination of ratios of sums over units. The layout names the
summands (one line of a matrix each) once; the kernels fill them in, the estimands point at them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from truelift.errors import ConfigError

if TYPE_CHECKING:
    from truelift.effects.scores.quantities import UnitBlock
    from truelift.inference.clusters import Summands

#: Sums of squares and products are kept for every pair of quantities: 2,000 make 32 MB.
MOST_QUANTITIES = 2_000

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class OwnSums:
    """Summands that an estimand has for itself, in the scores pass of all.

    Parameters
    ----------
    keys : callable
        ``(layout) -> iterable of Key``: its lines.
    summands : callable
        ``(units, layout, propensity, scores) -> iterable of Summands`` of a block of units
        (:class:`~.quantities.UnitBlock`), before weights; the propensities are clipped, the scores
        those of the arms' means (A x J x n).
    """

    keys: Callable[[ScoreLayout], Iterable[Key]]
    summands: Callable[[UnitBlock, ScoreLayout, np.ndarray, np.ndarray], Iterable[Summands]]


@dataclass(frozen=True)
class ScoreLayout:
    """The summands of a unit.

    Parameters
    ----------
    arms, outcomes : int
        A and J; arm 0 is the control.
    cells : tuple of int
        Levels of each group column (GATE); unit cells are numbered from 0 in each.
    policies : int
        Policies whose value is estimated.
    clips : int
        Clip levels at which every contrast with the control is followed.
    trims : int
        Trimming thresholds at which every contrast with the control is followed.
    own : tuple of OwnSums
        Summands that single estimands have for themselves.

    Notes
    -----
    Keys, for arm a, outcome j, group column g with cell l, policy s, clip level c and trimming
    threshold t; all are multiplied by the unit's weight:

    ``('unit',)`` 1 · ``('arm', a)`` 1[D = a] · ``('raw', a, j)`` 1[D = a] Y ·
    ``('apo', a, j)`` the score of the arm's mean · those of single estimands, such as ``('att', a, j)`` ·
    ``('cell', g, l)`` 1[G = l] · ``('gate', g, l, a, j)`` the arm's score in the cell ·
    ``('policy', s, j)`` the score of the arm that the policy chooses ·
    ``('clipped', c, a, j)`` contrast scores at a clip level · ``('kept', t, a)`` and
    ``('trimmed', t, a, j)`` units and contrast scores within a trimming threshold.
    """

    arms: int
    outcomes: int
    cells: tuple[int, ...] = ()
    policies: int = 0
    clips: int = 0
    trims: int = 0
    own: tuple[OwnSums, ...] = ()

    def __post_init__(self) -> None:
        if len(self.keys) > MOST_QUANTITIES:
            raise ConfigError(
                f"effects: {self.arms} arms x {self.outcomes} outcomes x {sum(self.cells)} cells of "
                f"groups ask for {len(self.keys):,} sums a unit, at most {MOST_QUANTITIES:,} are "
                "possible in one pass. Name fewer outcomes or groups, or merge levels."
            )

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """All keys, in the order of the lines."""
        arms, treated, outcomes = range(self.arms), range(1, self.arms), range(self.outcomes)
        keys: list[Key] = [("unit",), *(("arm", a) for a in arms)]
        keys += [("raw", a, j) for a in arms for j in outcomes]
        keys += [("apo", a, j) for a in arms for j in outcomes]
        for own in self.own:
            keys += own.keys(self)
        for g, levels in enumerate(self.cells):
            keys += [("cell", g, level) for level in range(levels)]
            keys += [
                ("gate", g, level, a, j) for level in range(levels) for a in arms for j in outcomes
            ]
        keys += [("policy", s, j) for s in range(self.policies) for j in outcomes]
        keys += [("clipped", c, a, j) for c in range(self.clips) for a in treated for j in outcomes]
        for t in range(self.trims):
            keys += [("kept", t, a) for a in treated]
            keys += [("trimmed", t, a, j) for a in treated for j in outcomes]
        return tuple(keys)

    @cached_property
    def _places(self) -> dict[Key, int]:
        return {key: place for place, key in enumerate(self.keys)}

    def __len__(self) -> int:
        return len(self.keys)

    def place(self, *key: str | int) -> int:
        """The line of one key."""
        return self._places[key]

    def over(self, *key: str | int) -> list[Key]:
        """Keys of all outcomes, the last part of a key."""
        return [(*key, j) for j in range(self.outcomes)]

    def over_arms(self, *key: str | int) -> list[Key]:
        """Keys of all arms and outcomes, the last two parts of a key."""
        return [(*key, a, j) for a in range(self.arms) for j in range(self.outcomes)]

    def lines(self, *cells: Sequence[Key]) -> np.ndarray:
        """The lines of several cells with as many keys each (cells x keys)."""
        return np.array([[self._places[key] for key in keys] for keys in cells])
