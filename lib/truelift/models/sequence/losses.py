"""Losses over a catalogue: exact softmax in flat memory, and losses on sampled negatives.

All take ``states`` (tokens, units), ``table`` (rows, units), ``bias`` (rows,) and ``targets``
(tokens,), whose 0 means that a token has no target, and return the sum of the losses and the
number of targets. Row 0 of the table is padding and never a candidate. With ``weights`` (tokens,) each loss counts
so many times in the sum; the number of targets stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Low enough that softmax gives zero, finite so that 0 * score stays a number.
NEVER = -1e9


def full_softmax(
    states: Any, table: Any, bias: Any, targets: Any, slice_tokens: int = 512, weights: Any = None
) -> tuple[Any, Any]:
    """Cross-entropy against the softmax over all items, a slice of tokens at a time.

    The scores of all tokens would take ``tokens * rows`` floats, twice with their gradient.
    The upstream gradient is one number, so the gradient of each slice is taken along in the
    forward pass, and only ``slice_tokens * rows`` floats live at once.
    """
    targets = tf.cast(targets, tf.int32)
    states, table, bias = _float(states), _float(table), _float(bias)
    counted = _counted(targets > 0, weights)

    @tf.custom_gradient
    def summed(states: Any, table: Any, bias: Any) -> tuple[Any, Callable[..., Any]]:
        loss, *gradients = _softmax_slices(states, table, bias, targets, counted, slice_tokens)
        return loss, lambda upstream: tuple(upstream * g for g in gradients)

    return summed(states, table, bias), _count(targets > 0)


def _softmax_slices(
    states: Any, table: Any, bias: Any, targets: Any, counted: Any, slice_tokens: int
) -> tuple[Any, Any, Any, Any]:
    """Loss and its gradients, with few passes over the scores: they are what costs.

    With ``e`` the exponentials of a slice and ``z`` their sums, the error of the softmax is
    ``e / z`` less one at the target. It is never laid out: ``1 / z`` is applied to states, the
    targets' part is a scatter over rows, the bias and ``z`` are one more column of the products.
    """
    tokens, units, rows = tf.shape(states)[0], states.shape[-1], tf.shape(table)[0]
    # Nearly equal slices: a stump would cost the overhead of a whole one.
    slices = tf.maximum((tokens + slice_tokens - 1) // slice_tokens, 1)
    bounds = tokens * tf.range(slices + 1) // slices
    masked = bias + tf.one_hot(0, rows, on_value=NEVER, off_value=0.0)
    scoring = tf.transpose(tf.concat([table, masked[:, None]], axis=1))
    summing = tf.concat([table, tf.ones([rows, 1])], axis=1)
    weight = counted[:, None]
    states = tf.concat([states, tf.ones([tokens, 1])], axis=1)

    def one_slice(i: Any, peaks: Any, sums: Any, to_scoring: Any) -> tuple[Any, ...]:
        some = states[bounds[i] : bounds[i + 1]]
        scores = tf.matmul(some, scoring)
        peak = tf.reduce_max(scores, axis=1, keepdims=True)
        e = tf.exp(scores - peak)
        weighted = tf.matmul(e, summing)
        scaled = some * (weight[bounds[i] : bounds[i + 1]] / weighted[:, units:])
        to_scoring += tf.matmul(scaled, e, transpose_a=True)
        return i + 1, peaks.write(i, peak), sums.write(i, weighted), to_scoring

    def growing(columns: int) -> Any:
        return tf.TensorArray(tf.float32, slices, element_shape=[None, columns], infer_shape=False)

    start = (0, growing(1), growing(units + 1), tf.zeros_like(scoring))
    _, peaks, sums, to_scoring = tf.while_loop(
        lambda i, *_: i < slices, one_slice, start, parallel_iterations=1
    )
    peak = tf.ensure_shape(peaks.concat(), [None, 1])
    weighted = tf.ensure_shape(sums.concat(), [None, units + 1])
    z = weighted[:, units:]
    own = tf.gather(table, targets)
    own_score = tf.reduce_sum(states[:, :units] * own, axis=1) + tf.gather(masked, targets)
    loss = tf.reduce_sum(weight[:, 0] * (tf.math.log(z) + peak)[:, 0] - weight[:, 0] * own_score)
    to_states = weight * (weighted[:, :units] / z - own)
    to_both = tf.transpose(to_scoring) - tf.math.unsorted_segment_sum(
        states * weight, targets, rows
    )
    return loss, to_states, to_both[:, :units], to_both[:, units]


def sampled_softmax(
    states: Any, table: Any, bias: Any, targets: Any, negatives: Any, log_expected: Any,
    weights: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Cross-entropy against the target and negatives that all tokens share.

    The score of a negative is lowered by the log of the expected number of its draws (logQ
    correction, Bengio & Senecal 2008), so that the sum of exponentials has the expectation of
    the sum over all items. The target is there for certain and is not lowered; a negative that
    is the token's own target is left out.

    Parameters
    ----------
    negatives : tensor of int, shape (negatives,)
    log_expected : tensor of float, shape (negatives,)
        Log of ``len(negatives)`` times the probability of each drawn item.
    """
    own, others, real = _pair_scores(states, table, bias, targets, negatives)
    others = tf.where(_is_own_target(targets, negatives), NEVER, others - log_expected)
    scores = tf.concat([own[:, None], others], axis=1)
    each = tf.reduce_logsumexp(scores, axis=1) - own
    return tf.reduce_sum(_counted(real, weights) * each), _count(real)


def binary_cross_entropy(
    states: Any,
    table: Any,
    bias: Any,
    targets: Any,
    negatives: Any,
    sampling_rate: Any = 1.0,
    calibration: float = 0.0,
    weights: Any = None,
) -> tuple[Any, Any]:
    """BCE of the target against shared negatives, generalised by ``calibration``.

    gBCE (Petrov & Macdonald 2023, "gSASRec"): the positive's probability is raised to
    ``beta = a * (t * (1 - 1/a) + 1/a)`` with ``a`` the share of other items that is sampled and
    ``t`` the calibration; ``t = 0`` gives ``beta = 1``, which is BCE. The loss of a token is
    ``-beta log p(target)`` minus the sum over the negatives of ``log(1 - p)``, divided by
    ``1 + negatives`` as the paper's mean over candidates is.
    """
    own, others, real = _pair_scores(states, table, bias, targets, negatives)
    beta = gbce_power(sampling_rate, calibration)
    against = tf.where(_is_own_target(targets, negatives), 0.0, tf.nn.softplus(others))
    each = beta * tf.nn.softplus(-own) + tf.reduce_sum(against, axis=1)
    each /= 1.0 + tf.cast(tf.shape(negatives)[0], tf.float32)
    return tf.reduce_sum(_counted(real, weights) * each), _count(real)


def gbce_power(sampling_rate: Any, calibration: float) -> Any:
    """``beta`` of gBCE: 1 at calibration 0, the sampling rate at calibration 1."""
    return sampling_rate * (calibration * (1.0 - 1.0 / sampling_rate) + 1.0 / sampling_rate)


def _pair_scores(
    states: Any, table: Any, bias: Any, targets: Any, negatives: Any
) -> tuple[Any, Any, Any]:
    states, bias = _float(states), _float(bias)
    own = tf.reduce_sum(states * _float(tf.gather(table, targets)), axis=1)
    own += tf.gather(bias, targets)
    drawn = _float(tf.gather(table, negatives))
    others = tf.matmul(states, drawn, transpose_b=True) + tf.gather(bias, negatives)
    return own, others, targets > 0


def _is_own_target(targets: Any, negatives: Any) -> Any:
    return targets[:, None] == negatives[None, :]


def _counted(real: Any, weights: Any) -> Any:
    """How many times each token's loss counts; 0 without a target."""
    ones = tf.cast(real, tf.float32)
    return ones if weights is None else ones * _float(weights)


def _count(real: Any) -> Any:
    return tf.reduce_sum(tf.cast(real, tf.float32))


def _float(values: Any) -> Any:
    return tf.cast(values, tf.float32)
