"""The networks as nuisances: what a fold's model says of the rows that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.nuisances.fitted import Predictions
from truelift.models.causal.forward import CausalNetworks


@dataclass(frozen=True, eq=False)
class NeuralNuisances(CausalNetworks):
    """Networks as :class:`~truelift.effects.nuisances.fitted.Nuisances`."""

    @property
    def name(self) -> str:
        """The kind of network."""
        return self.options.kind

    def predict(self, block: np.ndarray, fold: int) -> Predictions:
        """See :class:`~truelift.effects.nuisances.fitted.Nuisances`."""
        chances, outcome = self.chances_and_outcomes(block[1:], fold)
        return Predictions(chances.T, np.moveaxis(outcome, -1, 1))
