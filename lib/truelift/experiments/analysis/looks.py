"""How far an interval reaches at this look, for all arms and all looks so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from truelift.experiments.spec import ExperimentSpec
from truelift.inference.anytime import (
    any_look_p_values,
    boundary,
    mixture_scale,
    one_sided_boundary,
)
from truelift.inference.group_sequential import repeated_p_value, spending_bounds
from truelift.inference.many_to_one import level_of_each


@dataclass(frozen=True)
class LookRule:
    """What a statistic is compared with at a look.

    Parameters
    ----------
    spec : ExperimentSpec
    clusters : int
    fractions : tuple of float
        Shares of the planned units at the looks so far, this one last; empty where no number of units
        is planned.
    planned_clusters : float
        About how many clusters there will be, for intervals at any time.
    """

    spec: ExperimentSpec
    clusters: int
    fractions: tuple[float, ...]
    planned_clusters: float

    def level(self, degrees: float) -> float:
        """Level of one arm's comparison."""
        spec = self.spec
        return level_of_each(spec.shares, degrees, spec.level, spec.two_sided, spec.correction)

    def alone(self, degrees: float) -> float:
        """Standard errors of the two-sided interval at this look alone."""
        return -float(special.stdtrit(degrees, self.level(degrees) / 2))

    def critical(self, degrees: float) -> float:
        """Standard errors of the interval that decides, on each side that is tested."""
        spec, level = self.spec, self.level(degrees)
        if spec.looks.method == "anytime":
            rho = mixture_scale(1 - level, self.planned_clusters)
            bound = boundary if spec.two_sided else one_sided_boundary
            return float(bound(np.array(float(self.clusters)), rho, 1 - level))
        tail = level / 2 if spec.two_sided else level
        if spec.looks.grouped:
            bounds = spending_bounds(self.fractions, spec.looks.method, level, spec.two_sided)
            tail = float(special.ndtr(-bounds.critical[-1]))
        # As improbable for Student's t as the bound is for the normal distribution.
        return -float(special.stdtrit(degrees, tail))

    def p_value(self, statistic: float, earlier: Sequence[float], degrees: float) -> float:
        """Of all looks so far, for the good direction or both; ``statistic`` is in the good one.

        Earlier statistics that are not known count as zeros, with which p is larger, if anything.
        """
        spec = self.spec
        tail = special.stdtr(degrees, -abs(statistic))
        if spec.looks.method == "anytime":
            mixture = self.clusters * mixture_scale(1 - spec.level, self.planned_clusters) ** 2
            found = any_look_p_values(mixture, np.array([statistic]), not spec.two_sided)
            return float(found[0])
        if spec.looks.grouped:
            normal = float(np.sign(statistic) * -special.ndtri(max(tail, 1e-300)))
            before = len(self.fractions) - 1
            looked = [*(earlier if len(earlier) == before else [0.0] * before), normal]
            return repeated_p_value(looked, self.fractions, spec.looks.method, spec.two_sided)
        if spec.two_sided:
            return float(min(2 * tail, 1.0))
        return float(tail if statistic > 0 else 1 - tail)
