"""What a loop is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.settings.checks import needs


@dataclass(frozen=True)
class LoopOptions:
    """How rounds are played and learnt from; the same for all strategies.

    Parameters
    ----------
    rounds : int
        The first is the operator's, by lot, for everyone to learn from.
    explore : float
        Share of each slot's chance that is spread over all items: what a strategy pays to learn.
    memory : float
        What a round's evidence still weighs a round later: people change.
    propensities : bool
        Whether the chances of the lists are in the logs; without them the operator's lists are taken
        for lots.
    confidence : float
        Of intervals.
    margin, placement, budget : float
        Of the strategy ``value``: profit on an item as a share of its price; what a slot costs, as a
        share of the price of its item; the most that a list may cost on average.
    """

    rounds: int = 10
    explore: float = 0.1
    memory: float = 0.9
    propensities: bool = True
    confidence: float = 0.95
    margin: float = 0.3
    placement: float = 0.005
    budget: float = 0.15

    def __post_init__(self) -> None:
        need = needs("loop", self)
        need("rounds", self.rounds >= 1, "at least 1")
        need(
            "explore",
            0 < self.explore <= 1,
            "above 0 and at most 1: what is never shown is not learnt",
        )
        need("memory", 0 < self.memory <= 1, "above 0 and at most 1")
        need("confidence", 0 < self.confidence < 1, "between 0 and 1")
        need("placement", self.placement >= 0, "0 or more")
        need("budget", self.budget > 0, "more than 0")
