"""What a panel over time says of parallel trends, beside its effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.telling.figures import figure, p_text, places_of
from truelift.inference.parallel_trends import PreTrend


@dataclass(frozen=True)
class TrendCheck:
    """Differences before the treatment, and how much trends may differ before an effect is gone.

    Parameters
    ----------
    outcome : str
    pre_trend : PreTrend or None
        None where nothing tests it.
    first_effect, first_lower, first_upper : float
        The effect in the first treated period, with the interval where trends may differ by as much as the
        largest difference before.
    breakdown : float
        How many times as much it takes until the interval holds zero; 0 where it always does.
    confidence : float
    untested : str
        Why nothing tests it; empty where there is a test.
    """

    outcome: str
    pre_trend: PreTrend | None
    first_effect: float
    first_lower: float
    first_upper: float
    breakdown: float
    confidence: float
    untested: str = ""

    @property
    def apart(self) -> bool:
        """Whether trends are seen to have moved apart."""
        return self.pre_trend is not None and self.pre_trend.p_value < 0.05

    def sentence(self) -> str:
        """The check in two sentences."""
        test = self.pre_trend
        if test is None:
            return f"Trends of {self.outcome}: {self.untested}, so nothing tests them."
        found = "moved apart" if self.apart else "show no difference"
        places = places_of(test.drift if 0 < test.drift < np.inf else abs(self.first_effect))
        power = (
            f"a steady drift of {figure(test.drift, places)} a period would have been found four times out of five"
            if test.drift < np.inf
            else "no steady drift would have been found"
        )
        said = f"Trends of {self.outcome} before the treatment {found} ({p_text(test.p_value)}); {power}."
        low, high = figure(self.first_lower, places), figure(self.first_upper, places)
        held = (
            f"it is told from zero up to {self.breakdown:.2g} times as much"
            if self.breakdown > 0
            else "it is not told from zero even with equal trends"
        )
        return (
            f"{said} If trends then differ by no more a period than they did before, the effect in the first treated period "
            f"is {low} to {high} ({self.confidence:.0%}); {held}."
        )

    def __repr__(self) -> str:
        return f"TrendCheck({self.sentence()})"
