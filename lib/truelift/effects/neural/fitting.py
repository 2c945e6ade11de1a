"""Training of the folds' networks, alone or together with other Horovod ranks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from truelift.distributed.collective import TensorCollective
from truelift.effects.neural.batches import RankRows
from truelift.effects.neural.nuisances import NeuralNuisances
from truelift.effects.neural.results import NeuralFit
from truelift.effects.panel.training_folds import training_folds
from truelift.errors import DataError
from truelift.models.causal.network import FoldNetworks
from truelift.models.causal.options import NeuralOptions
from truelift.models.causal.rows import Rows
from truelift.models.causal.tempering import FACTORS, entropies, log_shares, tempered
from truelift.models.schedules import WarmupCosine

# Steps an epoch should have, and rows a step where the data are few.
_LEAST_STEPS, _LEAST_BATCH = 50, 32
# Weight decay is so many units' worth, and no more than the latter: found on IHDP's 750 units.
_PRIOR_UNITS, _MOST_DECAY = 1000.0, 2.0

Report = Callable[[str, int, int], None]


def fit_networks(
    rows: RankRows, options: NeuralOptions, folds: int, features: int, arms: int, outcomes: int,
    ranks: TensorCollective, report: Report = lambda text, done, total: None, *, sequential: bool = False,
) -> NeuralFit:  # fmt: skip
    """Train K networks; every model's epoch is chosen by validation rows outside its fold.

    Parameters
    ----------
    rows : RankRows
        This rank's share.
    options : NeuralOptions
    folds, features, arms, outcomes : int
        K, p, A, J.
    ranks : TensorCollective
    report : callable, optional
        Told a line, steps done and steps in all.
    sequential : bool
        See :func:`~truelift.effects.panel.training_folds.training_folds`.

    Returns
    -------
    NeuralFit
        Equal on all ranks.

    Raises
    ------
    DataError
        If there is nothing to train on or to choose with, or the loss is no number.
    """
    started = time.perf_counter()
    train_rows, choosing, arm_weight = rows.counts(folds, arms)
    totals = ranks.sum(np.array([train_rows, choosing], np.float64), "rows")
    if totals.min() == 0:
        raise DataError(
            f"Neural nuisances: found {totals[0]:,.0f} rows to train on and {totals[1]:,.0f} for "
            "validation, expected some of both; raise effects.nuisances.learners.neural.validation or use more units."
        )
    # One entry a rank: all take as many steps as the one with the most rows.
    own = np.zeros(ranks.size)
    rows = replace(rows, batch_size=_batch_of_rank(options.batch_size, totals[0], ranks.size))
    own[ranks.rank] = rows.steps(train_rows)
    steps = int(ranks.sum(own, "steps").max())
    uses = training_folds(folds, sequential)
    network = FoldNetworks(options, uses, features, arms, outcomes)
    epochs, patience = _schedule(options, steps)
    total = steps * epochs
    optimizer = keras.optimizers.AdamW(
        WarmupCosine(options.learning_rate, min(100, total // 10), total),
        weight_decay=_weight_decay(options, float(totals[0])),
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "linear", "epsilon"])
    optimizer.build(network.trainable_variables)
    ranks.share([*network.trainable_variables, *optimizer.variables])
    step = _compiled_step(network, optimizer, ranks)
    judge = _compiled_losses(network)
    nothing = Rows.none(features, outcomes)
    best = {name: np.array(value) for name, value in network.arrays().items()}
    best_loss, best_epoch = np.full(folds, np.inf), np.zeros(folds, np.int64)
    curve = []
    for epoch in range(1, epochs + 1):
        sums = np.zeros((2, folds))
        batches = rows.epoch(epoch)
        for number in range(1, steps + 1):
            sums += np.array(step(*_tensors(next(batches, nothing))))
            report(
                f"epoch {epoch}/{epochs}, step {number}/{steps}",
                (epoch - 1) * steps + number,
                total,
            )
        held = np.zeros((2, folds))
        for some in rows.choosing():
            held += np.array(judge(*_tensors(some)))
        (trained, loss) = (
            s[0] / np.maximum(s[1], 1e-12)
            for s in ranks.sum(np.stack([sums, held]), "losses")
        )  # fmt: skip
        if not np.isfinite(loss).all():
            raise DataError(
                "Neural nuisances: the validation loss is no number; the training diverged. Lower "
                "effects.nuisances.learners.neural.learning_rate."
            )
        curve.append((trained.mean(), loss.mean()))
        better = loss < best_loss
        best_loss[better], best_epoch[better] = loss[better], epoch
        for name, values in network.arrays().items():
            best[name][better] = values[better]
        if epoch - best_epoch.max() >= patience:
            break
    factor, weights = np.ones(folds), best
    if options.tempered and arms > 1:
        report("chances of treatment by the validation rows", total, total)
        shares = log_shares(ranks.sum(arm_weight, "arms"), uses)
        factor = _factors(NeuralNuisances(options, best), rows, shares, uses, ranks)
        weights = tempered(best, factor, shares)
    return NeuralFit(
        NeuralNuisances(options, weights),
        factor,
        best_epoch,
        best_loss,
        np.array(curve),
        int(totals[0]),
        int(totals[1]),
        time.perf_counter() - started,
        ranks.size,
    )


def _factors(
    nuisances: NeuralNuisances, rows: RankRows, shares: np.ndarray, uses: np.ndarray,
    ranks: TensorCollective,
) -> np.ndarray:  # fmt: skip
    sums = np.zeros((len(uses), len(FACTORS)))
    for some in rows.choosing():
        sums += entropies(nuisances, some, shares, uses)
    return np.asarray(FACTORS[ranks.sum(sums, "entropies").argmin(axis=1)])


def _batch_of_rank(most: int, rows: float, size: int) -> int:
    """Rows of one rank a step."""
    return -(-max(min(most, int(rows) // _LEAST_STEPS), min(most, _LEAST_BATCH)) // size)


def _weight_decay(options: NeuralOptions, rows: float) -> float:
    if options.weight_decay is not None:
        return options.weight_decay
    return min(_MOST_DECAY, _PRIOR_UNITS / rows)


def _schedule(options: NeuralOptions, steps: int) -> tuple[int, int]:
    """Epochs, and how many without progress end the training, for so many steps an epoch."""
    epochs = max(options.epochs, -(-options.least_steps // max(steps, 1)))
    return epochs, -(-options.patience * epochs // options.epochs)


def _tensors(rows: Rows) -> tuple[Any, ...]:
    return tuple(
        tf.constant(values) for values in (rows.x, rows.arm, rows.outcome, rows.fold, rows.weight)
    )


def _signature(network: FoldNetworks) -> list[Any]:
    features, outcomes = (
        network.by_name["outcome.linear"].shape[i] for i in (2, 3)
    )  # fmt: skip
    return [
        tf.TensorSpec([None, features], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None, outcomes], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None], tf.float32),
    ]


def _compiled_step(network: FoldNetworks, optimizer: Any, ranks: TensorCollective) -> Any:
    def step(x: Any, arm: Any, outcome: Any, fold: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            sums, weights = network.losses_by_fold(x, arm, outcome, fold, weight, own=False)
            loss = tf.reduce_sum(sums)
        variables = network.trainable_variables
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
        *summed, total = ranks.sum_tensors([*gradients, weights])
        # Each model's gradient is of the mean over the rows that it may see.
        scale = 1.0 / tf.maximum(total, 1e-6)
        means = [g * tf.reshape(scale, [-1] + [1] * (len(g.shape) - 1)) for g in summed]
        optimizer.apply(means, variables)
        return tf.stack([sums, weights])

    return tf.function(step, input_signature=_signature(network))


def _compiled_losses(network: FoldNetworks) -> Any:
    def losses(x: Any, arm: Any, outcome: Any, fold: Any, weight: Any) -> Any:
        return tf.stack(network.losses_by_fold(x, arm, outcome, fold, weight, own=False))

    return tf.function(losses, input_signature=_signature(network))
