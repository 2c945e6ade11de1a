"""What was shown to whom, with which chance, and what came of it: a round of lists as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError


@dataclass(frozen=True, eq=False)
class ShownLog:
    """One round.

    Parameters
    ----------
    shown, bought : ndarray of bool, (users, items)
    chance : ndarray, (users, items)
        Of being shown, within (0, 1).
    """

    shown: np.ndarray
    bought: np.ndarray
    chance: np.ndarray

    def __post_init__(self) -> None:
        shapes = {self.shown.shape, self.bought.shape, self.chance.shape}
        if len(shapes) > 1:
            raise DataError(f"shown, bought, chance: found shapes {shapes}, expected one.")
        if self.chance.size and not (self.chance.min() > 0 and self.chance.max() < 1):
            raise DataError(
                f"chance: found {self.chance.min():g} to {self.chance.max():g}, expected chances "
                "above 0 and below 1: what is always or never shown tells no effect."
            )
