"""Weights of interactions by the chance of having been shown at all: ``1 / p`` by item, clipped.

What is shown often is taken often, so a loss over what was taken learns what is shown. Each interaction with item i counts ``1 / p_i``
times (Horvitz & Thompson 1952; for recommenders Schnabel et al., ICML 2016), with ``p_i`` in proportion to popularity to a power (Yang, Cui,
Xuan et al., RecSys 2018), which needs neither logged chances nor ratings by lot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from truelift.errors import ConfigError
from truelift.models.sequence.registry import CLASSIFICATION
from truelift.settings.sequence_sections import TrainingSection


@dataclass(frozen=True, eq=False)
class ExposureWeights:
    """How many times an interaction with each item counts.

    Parameters
    ----------
    weights : ndarray of float32, items + 1
        Their mean over the training part's interactions is 1.
    self_normalised : bool
        Whether a batch's losses are divided by the sum of its weights (Swaminathan & Joachims 2015), and not by their
        number.
    """

    weights: np.ndarray
    self_normalised: bool

    def tensor(self) -> Any:
        """As a constant of the step that is compiled."""
        import tensorflow as tf

        return tf.constant(self.weights, tf.float32)


def refuse_without_items(options: TrainingSection, task: str) -> None:
    """A correction is of items.

    Raises
    ------
    ConfigError
        If a model of next actions is asked for one.
    """
    if options.correction != "none" and task == CLASSIFICATION:
        raise ConfigError(
            f"sequence.training.correction: found {options.correction!r} beside a model of next actions, "
            "which learns no items; expected none, or a model that does (sequence.model)."
        )


def exposure_weights(counts: np.ndarray, options: TrainingSection) -> ExposureWeights:
    """Weights from how often each item was taken in the training part.

    Parameters
    ----------
    counts : ndarray, items + 1
        Of all processes together.
    options : TrainingSection
        Its ``correction``, ``correction_power`` and ``correction_clip``.
    """
    taken = np.asarray(counts, float)
    inverse = inverse_chances(taken, options.correction_power, options.correction_clip)
    return ExposureWeights(inverse.astype(np.float32), options.correction == "snips")


def inverse_chances(taken: np.ndarray, power: float, clip: float) -> np.ndarray:
    """``popularity ** -power``, none above ``clip`` times their mean, then with a mean of 1 over interactions (items + 1)."""
    total = max(taken[1:].sum(), 1.0)

    def with_mean_one(weights: np.ndarray) -> np.ndarray:
        mean = float((weights[1:] * taken[1:]).sum()) / total
        return weights / mean if mean > 0 else weights

    inverse = np.maximum(taken, 1.0) ** -power
    inverse[0] = 0.0
    return with_mean_one(np.minimum(with_mean_one(inverse), clip))
