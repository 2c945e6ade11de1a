"""Shapes of the models with few options; apart from them, for who names a shape starts no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from truelift.settings.checks import require


@dataclass(frozen=True)
class BasketGRUOptions:
    """Shape of the model.

    Parameters
    ----------
    items : int
        Size of the vocabulary; item indices run from 1 to ``items``, 0 is padding.
    units : int
        Width of embeddings and states.
    layers : int
        Stacked GRU layers.
    dropout : float
        Share of embedding and state values dropped while training.
    half_lives : tuple of float
        In sessions: after so many sessions a past one counts half. Infinity counts all
        sessions alike.
    """

    items: int
    units: int = 64
    layers: int = 1
    dropout: float = 0.2
    half_lives: tuple[float, ...] = (3.0, 12.0, math.inf)


@dataclass(frozen=True)
class NextActionOptions:
    """Shape of the classifier.

    Parameters
    ----------
    items : int
        Number of actions; their codes run from 1 to ``items``, 0 is unknown and never foretold.
    units : int
        Width of each of the two hidden layers.
    dropout : float
        Share of hidden values dropped while training.
    """

    items: int
    units: int = 64
    dropout: float = 0.2

    def __post_init__(self) -> None:
        require(self.items >= 1, "NextActionOptions.items", self.items, "at least 1 action")

    @classmethod
    def from_settings(
        cls, items: int, sequence: Any, kinds: Mapping[str, int] | None = None
    ) -> Self:
        """From the number of actions: that of event type codes where it is known."""
        actions = kinds["event_type"] - 1 if kinds and "event_type" in kinds else items
        return cls(actions, sequence.network.units, sequence.network.dropout)

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)
