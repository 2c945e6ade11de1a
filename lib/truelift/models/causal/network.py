"""The K networks of the folds as one Keras model: one read of the data trains them all.

Every weight has a leading fold axis, a batched matrix product does the work of K, and each model
leaves its own fold out of its loss. Shapes: K folds, n units, p features, A arms, J outcomes.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from truelift.models.causal.forward import weight_shapes
from truelift.models.causal.options import NeuralOptions

# Chances nearer to zero than this count as this in the targeted term, which divides by them.
_LEAST_CHANCE = 0.02


class FoldNetworks(keras.Model):
    """TARNet or DragonNet for each fold.

    Parameters
    ----------
    options : NeuralOptions
    uses : ndarray of bool, (K, K)
        Whether the model of fold k (row) may see fold j (column).
    features, arms, outcomes : int
    """

    def __init__(
        self, options: NeuralOptions, uses: np.ndarray, features: int, arms: int, outcomes: int
    ) -> None:
        super().__init__(name=options.kind)
        self.options = options
        folds = len(uses)
        self.folds, self.arms = folds, arms
        self._uses = uses.astype(np.float32)
        generator = np.random.default_rng(options.seed)
        self.by_name: dict[str, Any] = {}
        for name, shape in weight_shapes(options, folds, features, arms, outcomes).items():
            start = np.zeros(shape, np.float32)
            if name.endswith(".kernel") and not name.startswith(("outcome", "propensity")):
                # The same start for every fold: they then differ by their data alone.
                one = generator.normal(size=shape[1:]) * np.sqrt(2.0 / shape[-2])
                start[:] = one
            variable = self.add_weight(
                shape=shape,
                name=name.replace(".", "_"),
                initializer=keras.initializers.Constant(start),
            )
            self.by_name[name] = variable
        self.built = True

    def call(self, x: Any) -> tuple[Any, Any]:
        """Log odds of the arms (K, n, A) and outcomes (K, A, n, J) from features (n, p)."""
        w = self.by_name
        shared = self._tower(x, "shared", len(self.options.shared))
        tower = shared
        if self.options.kind == "tarnet":
            tower = self._tower(x, "assignment", len(self.options.shared))
        odds = tower @ w["propensity.kernel"] + w["propensity.bias"] + x @ w["propensity.linear"]
        hidden = self._tower(tf.expand_dims(shared, 1), "head", len(self.options.head))
        outcome = hidden @ w["outcome.kernel"] + w["outcome.bias"] + x @ w["outcome.linear"]
        return odds, outcome

    def losses_by_fold(
        self, x: Any, arm: Any, outcome: Any, fold: Any, weight: Any, own: bool
    ) -> tuple[Any, Any]:
        """Weighted sums of each model's losses, and of its weights; both (K,).

        Parameters
        ----------
        x : tensor, (n, p)
        arm, fold : tensor of int32, n
        outcome : tensor, (n, J)
        weight : tensor, n
        own : bool
            False: over the rows of the folds that the model uses (training and validation). True:
            over its own fold (how good the cross-fitted predictions are).
        """
        odds, predicted = self(x)
        counted = np.eye(self.folds, dtype=np.float32) if own else self._uses
        mask = tf.gather(tf.constant(counted), fold, axis=1) * weight[None]
        labels = tf.broadcast_to(arm[None], tf.shape(odds)[:2])
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=odds)
        chosen = tf.one_hot(arm, self.arms, axis=0)[None, :, :, None]
        factual = tf.reduce_sum(predicted * chosen, axis=1)
        each = tf.reduce_sum(tf.square(outcome[None] - factual), axis=-1)
        each += self.options.propensity_weight * entropy
        if self.options.targeted > 0 and not own:
            each += self.options.targeted * self._targeted(odds, factual, chosen, outcome)
        return tf.reduce_sum(each * mask, axis=1), tf.reduce_sum(mask, axis=1)

    def _targeted(self, odds: Any, factual: Any, chosen: Any, outcome: Any) -> Any:
        """Squared error of the outcome nudged by epsilon over the chance of the arm received."""
        chance = tf.maximum(tf.nn.softmax(odds, axis=-1), _LEAST_CHANCE)
        received = tf.reduce_sum(tf.transpose(chance, [0, 2, 1])[..., None] * chosen, axis=1)
        epsilon = tf.reduce_sum(self.by_name["targeted.epsilon"] * chosen, axis=1)
        nudged = factual + epsilon / received
        return tf.reduce_sum(tf.square(outcome[None] - nudged), axis=-1)

    def _tower(self, x: Any, name: str, layers: int) -> Any:
        for i in range(layers):
            x = tf.nn.elu(x @ self.by_name[f"{name}_{i}.kernel"] + self.by_name[f"{name}_{i}.bias"])
        return x

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name."""
        return {name: variable.numpy() for name, variable in self.by_name.items()}
