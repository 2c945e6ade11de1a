"""Learning rates over the steps of a training."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a cosine down to ``final_rate`` of the peak.

    Keras' ``CosineDecay`` begins its warm-up at a rate of its first argument, ours at one step's
    share of the peak; no arguments of it give the same rates both below and above the warm-up.
    """

    def __init__(
        self, peak: float, warmup_steps: int, total_steps: int, final_rate: float = 0.02
    ) -> None:
        self.peak, self.warmup_steps, self.total_steps = peak, warmup_steps, total_steps
        self.final_rate = final_rate

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step."""
        step = tf.cast(step, tf.float32)
        warm = tf.minimum((step + 1.0) / max(self.warmup_steps, 1), 1.0)
        span = max(self.total_steps - self.warmup_steps, 1)
        done = tf.clip_by_value((step - self.warmup_steps) / span, 0.0, 1.0)
        cosine = 0.5 * (1.0 + tf.cos(math.pi * done))
        return self.peak * warm * (self.final_rate + (1.0 - self.final_rate) * cosine)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "final_rate": self.final_rate,
        }
