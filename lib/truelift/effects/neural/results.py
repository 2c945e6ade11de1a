"""What fitting the networks gives; holds arrays only, so reading it back needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.neural.nuisances import NeuralNuisances


@dataclass(frozen=True, eq=False)
class NeuralFit:
    """Networks and how the fitting went.

    Parameters
    ----------
    nuisances : NeuralNuisances
    propensity_factor : ndarray, K
        What log odds of the arms were multiplied by; see :mod:`~.tempering`.
    best_epoch : ndarray of int, K
        The epoch that validation chose, for the model of each fold.
    validation_loss : ndarray, K
        At that epoch, before the factor.
    curve : ndarray, (epochs, 2)
        Mean training and validation loss over the models, by epoch.
    rows, validation_rows : int
    seconds : float
    processes : int
    """

    nuisances: NeuralNuisances
    propensity_factor: np.ndarray
    best_epoch: np.ndarray
    validation_loss: np.ndarray
    curve: np.ndarray
    rows: int
    validation_rows: int
    seconds: float
    processes: int
