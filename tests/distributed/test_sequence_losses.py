"""Losses over a catalogue against NumPy and against gradients of the plain formula."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.models.runtime import start_tensorflow

ITEMS, UNITS, TOKENS = 11, 4, 9


@pytest.fixture(scope="module")
def tf():
    start_tensorflow()
    import tensorflow

    return tensorflow


@pytest.fixture
def given():
    draw = np.random.default_rng(0)
    states = draw.normal(size=(TOKENS, UNITS)).astype(np.float32)
    table = draw.normal(size=(ITEMS + 1, UNITS)).astype(np.float32)
    bias = draw.normal(size=ITEMS + 1).astype(np.float32)
    targets = draw.integers(0, ITEMS + 1, TOKENS).astype(np.int32)
    targets[3] = 0  # a token without a target
    return states, table, bias, targets


def softmax_by_hand(states, table, bias, targets) -> float:
    scores = (states @ table.T + bias).astype(np.float64)[:, 1:]
    return sum(
        np.log(np.exp(row).sum()) - row[y - 1] for row, y in zip(scores, targets, strict=True) if y
    )


def gradients(tf, loss, *arguments):
    tensors = [tf.constant(a) for a in arguments[:3]]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = 3.0 * loss(*tensors, *arguments[3:])[0]
    return [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(value, tensors)]


@pytest.mark.parametrize("slice_tokens", [1, 4, 100])
def test_softmax_in_slices_is_softmax(tf, given, slice_tokens):
    from truelift.models.sequence.losses import full_softmax

    loss, weight = full_softmax(*given, slice_tokens)
    assert float(weight) == (given[3] > 0).sum()
    assert float(loss) == pytest.approx(softmax_by_hand(*given), rel=1e-5)


def all_at_once(tf, states, table, bias, targets):
    """The loss with all scores laid out; column 0 is padding."""
    scores = tf.matmul(states, table, transpose_b=True) + bias
    real = tf.where(targets > 0)[:, 0]
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.gather(targets, real) - 1, logits=tf.gather(scores[:, 1:], real)
    )
    return (tf.reduce_sum(each),)


@pytest.mark.parametrize("slice_tokens", [1, 4, 100])
def test_gradients_in_slices_are_those_of_the_plain_formula(tf, given, slice_tokens):
    from truelift.models.sequence.losses import full_softmax

    sliced = gradients(tf, lambda *a: full_softmax(*a, slice_tokens), *given)
    for found, expected in zip(
        sliced, gradients(tf, lambda *a: all_at_once(tf, *a), *given), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_large_scores_do_not_overflow(tf, given):
    from truelift.models.sequence.losses import full_softmax

    states, table, bias, targets = given
    loss, _ = full_softmax(states * 100, table, bias, targets)
    assert float(loss) == pytest.approx(
        _stable(states.astype(np.float64) * 100, table, bias, targets), rel=1e-5
    )


def _stable(states, table, bias, targets) -> float:
    from scipy.special import logsumexp

    scores = (states @ table.T + bias)[:, 1:]
    return sum(logsumexp(r) - r[y - 1] for r, y in zip(scores, targets, strict=True) if y)


def test_no_target_at_all_gives_zero_loss_and_gradient(tf, given):
    from truelift.models.sequence.losses import full_softmax

    states, table, bias, _ = given
    for tokens in (0, 3):
        nothing = (states[:tokens], table, bias, np.zeros(tokens, np.int32))
        assert [float(v) for v in full_softmax(*nothing)] == [0.0, 0.0]
        assert all((g == 0).all() for g in gradients(tf, full_softmax, *nothing))


def test_sampled_softmax_with_every_item_drawn_once_is_full_softmax(tf, given):
    from truelift.models.sequence.losses import sampled_softmax

    everything = np.arange(1, ITEMS + 1, dtype=np.int32)
    loss, _ = sampled_softmax(*given, everything, np.zeros(ITEMS, np.float32))
    assert float(loss) == pytest.approx(softmax_by_hand(*given), rel=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.75])
def test_drawn_negatives_estimate_the_sum_over_all_items(tf, power):
    from truelift.models.sequence.chance import Draws, NegativeSampler

    counts = np.arange(ITEMS + 1) ** 2.0
    sampler = NegativeSampler(counts, power)
    drawn, log_expected = sampler.draw(200_000, Draws(tf.constant([5, 6])))
    scores = np.random.default_rng(1).normal(size=ITEMS + 1)
    estimate = np.exp(scores[drawn.numpy()] - log_expected.numpy()).sum()
    assert estimate == pytest.approx(np.exp(scores[1:]).sum(), rel=0.02)
    expected = (counts[1:] + 1) ** power / ((counts[1:] + 1) ** power).sum()
    shares = np.bincount(drawn.numpy(), minlength=ITEMS + 1)[1:] / 200_000
    np.testing.assert_allclose(shares, expected, atol=0.005)


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce_raises_the_positive_to_beta_and_leaves_out_the_own_target(tf, given, calibration):
    from truelift.models.sequence.losses import binary_cross_entropy

    states, table, bias, targets = given
    negatives = np.array([2, 7, 7, int(targets[0])], np.int32)
    rate = 4 / (ITEMS - 1)
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    likely = 1 / (1 + np.exp(-(states @ table.T + bias).astype(np.float64)))
    expected = 0.0
    for p, y in zip(likely, targets, strict=True):
        if y:
            against = sum(np.log(1 - p[j]) for j in negatives if j != y)
            expected -= (beta * np.log(p[y]) + against) / (1 + len(negatives))
    loss, weight = binary_cross_entropy(*given, negatives, rate, calibration)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(weight) == (targets > 0).sum()


def test_dropout_keeps_the_mean_and_repeats_from_a_seed(tf):
    from truelift.models.sequence.chance import Draws

    ones = tf.ones([500, 33])
    dropped = Draws(tf.constant([1, 2])).drop(ones, 0.2).numpy()
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert dropped.mean() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_array_equal(dropped, Draws(tf.constant([1, 2])).drop(ones, 0.2).numpy())
    draws = Draws(tf.constant([1, 2]))
    assert (draws.drop(ones, 0.2).numpy() != draws.drop(ones, 0.2).numpy()).any()


@pytest.mark.parametrize("kind", ["full", "sampled", "gbce"])
def test_a_weight_counts_a_target_so_many_times(tf, given, kind):
    """Loss and gradients of whole weights are those of a batch that has each token so often."""
    from truelift.models.sequence import losses

    negatives, log_expected = np.array([2, 5, 7, 7], np.int32), np.full(4, -0.3, np.float32)

    def loss(states, table, bias, targets, weights=None):
        if kind == "full":
            return losses.full_softmax(states, table, bias, targets, 4, weights)
        if kind == "sampled":
            return losses.sampled_softmax(
                states, table, bias, targets, negatives, log_expected, weights
            )
        return losses.binary_cross_entropy(
            states, table, bias, targets, negatives, 0.4, 0.75, weights
        )

    states, table, bias, targets = given
    times = np.array([1, 3, 0, 2, 1, 1, 4, 0, 2])
    weighed = gradients(tf, loss, *given, times.astype(np.float32))
    often = (np.repeat(states, times, axis=0), table, bias, np.repeat(targets, times))
    repeated = gradients(tf, loss, *often)
    by_token = np.zeros_like(states)
    np.add.at(by_token, np.repeat(np.arange(TOKENS), times), repeated[0])
    for ours, theirs in zip(weighed, (by_token, *repeated[1:]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert float(loss(*given, times)[0]) == pytest.approx(float(loss(*often)[0]), rel=1e-5)
    assert float(loss(*given, times)[1]) == (targets > 0).sum()
