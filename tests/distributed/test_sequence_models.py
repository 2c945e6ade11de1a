"""Event models: causal, blind to padding and to batch mates, one function in training and use."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.models.sequence.test_histories import histories
from tests.unit.models.sequence.test_tokens import packed, with_kinds
from truelift.errors import ConfigError
from truelift.models.runtime import start_tensorflow
from truelift.models.sequence import registry
from truelift.models.sequence.batches import filler
from truelift.models.sequence.package import ModelPackage, named_weights
from truelift.settings import SequenceOptions

ITEMS, KINDS, MINUTE = 7, 3, 60_000_000
NAMES = ("sasrec", "sasrec_in_time", "gru", "lstm", "pair_lstm")
USERS = (
    [(1, 0, 0), (2, MINUTE, 0), (3, 5 * MINUTE, 0), (4, 5 * MINUTE, 0), (5, 900 * MINUTE, 1)],
    [(6, MINUTE, 0)],
    [(7, 0, 0), (2, 2 * MINUTE, 0), (1, 3 * MINUTE, 0)],
)


def settings(name: str, **more) -> SequenceOptions:
    given = {"step": "event", "units": 8, "layers": 2, "max_length": 8, "negatives": 5}
    if name == "sasrec_in_time":
        given |= {"relative_time": True, "heads": 2, "expansion": 2}
    return SequenceOptions(model=name.removesuffix("_in_time"), **{**given, **more})


def make(name: str, **more):
    """A model whose every weight matters."""
    start_tensorflow()
    import keras

    keras.utils.set_random_seed(1)
    chosen = settings(name, **more)
    entry = registry.entry(chosen.model)
    options = entry.options(ITEMS, chosen, {"event_type": KINDS + 1})
    made = entry.build(options)
    draw = np.random.default_rng(0)
    for variable in made.trainable_variables:
        variable.assign(draw.normal(scale=0.5, size=variable.shape).astype(np.float32))
    return made, options


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    return make(request.param, side_features=("event_type",))[0]


def table(*users, kinds=None):
    size = sum(len(u) for u in users)
    return with_kinds(histories(*users), kinds or [1 + i % KINDS for i in range(size)])


def all_scores(model, given) -> np.ndarray:
    items, sides, seconds = model.training_inputs(packed(given))
    return np.asarray(model(items[:, :-1], sides[:, :-1], seconds[:, :-1]))


def ranker(model, max_length: int = 8):
    from truelift.models.sequence.scoring import SequenceRanker

    return SequenceRanker(model, ITEMS, max_length, "event")


def test_a_position_does_not_see_later_events(model):
    user = USERS[0]
    later = [*user[:3], (7, 50 * MINUTE, 3), (6, 60 * MINUTE, 3)]
    # Position p has seen p events, so positions 0..3 are blind to the change.
    first, changed = all_scores(model, table(user)), all_scores(model, table(later))
    np.testing.assert_allclose(first[:, :4], changed[:, :4], rtol=1e-4, atol=1e-5)
    assert np.abs(first[:, 4:] - changed[:, 4:])[..., 1:].max() > 1e-3


def test_padding_changes_nothing(model):
    alone = all_scores(model, table(USERS[1], kinds=[3]))[0]
    beside = all_scores(model, table(USERS[1], USERS[0], kinds=[3, 1, 1, 1, 1, 1]))[0]
    assert len(beside) > len(alone)
    np.testing.assert_allclose(beside[: len(alone)], alone, rtol=1e-4, atol=1e-5)


def test_scores_do_not_depend_on_who_shares_the_batch(model):
    users = (USERS[0], [], USERS[1], USERS[2])
    together = ranker(model).scores(table(*users, kinds=[2] * 9))
    alone = [ranker(model).scores(table(u, kinds=[2] * len(u))) for u in users]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-5)


def test_scores_in_use_are_those_of_trainings_last_position(model):
    user = USERS[0]
    served = ranker(model).scores(table(user))
    # Training with one event more has as its last position what the served history has seen.
    longer = table([*user, (1, 901 * MINUTE, 1)])
    np.testing.assert_allclose(served[0], all_scores(model, longer)[0, -1], rtol=1e-4, atol=1e-5)


def test_side_features_change_scores(model):
    one, other = (ranker(model).scores(table(USERS[1], kinds=[k])) for k in (1, 2))
    assert np.abs(one - other)[:, 1:].max() > 1e-3


def test_padding_is_never_the_best_item(model):
    assert (all_scores(model, table(*USERS)).argmax(axis=-1) > 0).all()


def test_a_batch_without_targets_gives_no_loss_and_no_gradient(model):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss, weight = model.loss(*model.training_inputs(filler(("event_type",))))
    assert (float(loss), float(weight)) == (0.0, 0.0)
    found = tape.gradient(loss, model.trainable_variables)
    assert not any(np.asarray(tf.convert_to_tensor(g)).any() for g in found if g is not None)


def test_the_loss_is_the_cross_entropy_of_every_event():
    from scipy.special import logsumexp

    model, _ = make("gru", dropout=0.0)
    given = table(*USERS)
    items, sides, seconds = model.training_inputs(packed(given))
    scores = all_scores(model, given)[..., 1:].astype(np.float64)
    targets = items.numpy()[:, 1:]
    each = logsumexp(scores, axis=-1) - np.take_along_axis(
        scores, np.maximum(targets - 1, 0)[..., None], axis=-1
    ).squeeze(-1)
    loss, weight = model.loss(items, sides, seconds)
    assert float(weight) == 9
    assert float(loss) == pytest.approx(each[targets > 0].sum(), rel=1e-5)


def test_attention_sees_the_time_between_events_only_where_it_is_told_to():
    slow = [(i, t * 100, s) for i, t, s in USERS[2]]
    for name, differs in (("sasrec", False), ("sasrec_in_time", True)):
        model = make(name)[0]
        change = ranker(model).scores(table(USERS[2])) - ranker(model).scores(table(slow))
        assert bool(np.abs(change)[:, 1:].max() > 1e-3) is differs


def test_time_buckets_are_powers_of_two():
    start_tensorflow()
    import tensorflow as tf

    from truelift.models.sequence.sasrec import TIME_BUCKETS, time_buckets

    gaps = np.array([0, 1, 2, 3, 6, 7, 2**20, 2**31 - 3])
    seconds = tf.constant(np.r_[0, 1 + gaps][None], tf.int32)
    found = time_buckets(seconds)[0, 1].numpy()
    expected = np.minimum(1 + np.floor(np.log2(1 + gaps)), TIME_BUCKETS - 1)
    assert found.tolist() == [0, *expected.astype(int)]


def test_gradient_of_the_time_bias_is_that_of_a_gather():
    start_tensorflow()
    import tensorflow as tf

    from truelift.models.sequence.sasrec import _looked_up

    buckets = tf.constant([[[0, 2], [2, 1]]])
    bias = tf.constant(np.random.default_rng(0).normal(size=(2, 4)), tf.float32)
    pull = tf.constant(np.random.default_rng(1).normal(size=(2, 1, 2, 2)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(bias)
        own = tf.reduce_sum(_looked_up(bias, buckets) * pull)
        plain = tf.reduce_sum(tf.gather(bias, buckets, axis=1) * pull)
    expected = tf.convert_to_tensor(tape.gradient(plain, bias))
    np.testing.assert_allclose(tape.gradient(own, bias), expected, rtol=1e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_written_out_recurrence_is_that_of_keras(cell):
    start_tensorflow()
    import tensorflow as tf

    from truelift.models.sequence import recurrent
    from truelift.models.sequence.recurrent_models import CELLS, _weights

    layer = CELLS[cell][0](6, return_sequences=True)
    layer.build((None, None, 6))
    draw = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(draw.normal(scale=0.5, size=variable.shape))
    x = tf.constant(draw.normal(size=(5, 3, 6)), tf.float32)
    found = []
    for run in (
        lambda x: getattr(recurrent, cell)(x, *_weights(layer.cell)),
        lambda x: tf.transpose(layer(tf.transpose(x, [1, 0, 2])), [1, 0, 2]),
    ):
        with tf.GradientTape() as tape:
            tape.watch(x)
            states = run(x)
            value = tf.reduce_sum(states**2)
        found.append([states, *tape.gradient(value, [x, *layer.trainable_variables])])
    for own, keras_own in zip(*found, strict=True):
        np.testing.assert_allclose(own, keras_own, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_weights_survive_the_package(name):
    model, options = make(name)
    keys = tuple("abcdefg")
    package = ModelPackage(
        name.removesuffix("_in_time"), options, 8, "event", keys, named_weights(model)
    )
    again = ModelPackage.from_bytes(package.to_bytes()).build()
    given = table(*USERS)
    np.testing.assert_allclose(
        ranker(again).scores(given), ranker(model).scores(given), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("loss", ["sampled_softmax", "bce", "gbce"])
@pytest.mark.parametrize("name", ["sasrec", "pair_lstm"])
def test_rows_in_use_give_the_gradient_of_the_whole_table(name, loss):
    from dataclasses import replace

    import tensorflow as tf

    from truelift.models.sequence.recurrent_models import PairLSTM
    from truelift.models.sequence.sasrec import SASRec

    model, _ = make(name, loss=loss, dropout=0.0)
    build = SASRec if name == "sasrec" else PairLSTM
    sparse = build(replace(model.options, sparse=True))
    sparse.build()
    for mine, yours in zip(sparse.trainable_variables, model.trainable_variables, strict=True):
        mine.assign(yours)
    inputs, seed = model.training_inputs(packed(table(*USERS))), tf.constant([3, 4])
    found = []
    for each in (model, sparse):
        with tf.GradientTape() as tape:
            value, _ = each._loss_of(seed, *inputs)
        found.append(tape.gradient(value, each.trainable_variables))
    for plain, own in zip(*found, strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(own), tf.convert_to_tensor(plain), rtol=1e-4, atol=1e-5
        )
    rows = {v.path: g for v, g in zip(sparse.trainable_variables, found[1], strict=True)}
    assert len(sparse.sparse_variables) == (2 if name == "sasrec" else 3)
    for variable in sparse.sparse_variables:
        ids = rows[variable.path].indices.numpy()
        assert len(set(ids)) == len(ids)


def test_a_pairs_score_is_the_candidates_column_of_all_scores():
    model, _ = make("pair_lstm")
    from truelift.models.sequence.batches import pack
    from truelift.models.sequence.windows import query_window

    windows = query_window(table(*USERS), 8, "event")
    lengths = np.array([w.length for w in windows])
    inputs = model.query_inputs(pack(windows), lengths)
    every = model.next_scores(*inputs).numpy()
    pairs = model.pair_scores(*inputs, np.array([2, 5, 1])).numpy()
    np.testing.assert_allclose(pairs, every[[0, 1, 2], [2, 5, 1]], rtol=1e-5, atol=1e-6)


def test_popular_items_lead_for_a_user_without_history():
    start_tensorflow()
    entry = registry.entry("sasrec")
    fresh = entry.build(entry.options(ITEMS, settings("sasrec")))
    fresh.embedding.assign(fresh.embedding * 0.01)
    fresh.start_from_popularity(np.array([0.0, 1, 2, 90, 3, 4, 5, 1]))
    assert ranker(fresh).scores(table([])).argmax() == 3


def test_a_model_of_events_refuses_sessions_as_steps():
    with pytest.raises(
        ConfigError, match=r"sequence\.histories\.step: found 'session', expected 'event'"
    ):
        registry.entry("gru").options(ITEMS, SequenceOptions(model="gru"))


def test_the_next_action_is_foretold_from_the_session_so_far():
    model, _ = make("next_action", dropout=0.0)
    given = table(*USERS, kinds=[1, 2, 3, 1, 2, 0, 3, 2, 1])
    features, actions = model.training_inputs(packed(given))
    assert sorted(actions.numpy()) == [1, 1, 1, 2, 2, 2, 3, 3]  # unknown kinds teach nothing
    scores = model(features).numpy()
    loss, weight = model.loss(features, actions)
    log = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    assert float(loss) == pytest.approx(-log[np.arange(8), actions.numpy()].sum(), rel=1e-5)
    hits, count = model.correct(features, actions)
    assert (float(hits), float(count)) == ((scores.argmax(1) == actions.numpy()).sum(), 8)
    assert float(weight) == 8
    none = model.loss(*model.training_inputs(filler(("event_type",))))
    assert [float(v) for v in none] == [0.0, 0.0]


def test_class_scores_of_a_history_are_those_of_training_with_one_event_more():
    model, _ = make("next_action")
    from truelift.models.sequence.scoring import SequenceRanker

    user, kinds = USERS[0], [1, 2, 3, 1, 2]
    served = SequenceRanker(model, KINDS, 8, "event").scores(table(user, [], kinds=kinds))
    longer = table([*user, (1, 901 * MINUTE, 1)], kinds=[*kinds, 3])
    trained = model(model.training_inputs(packed(longer))[0]).numpy()
    np.testing.assert_allclose(served[0], trained[-1], rtol=1e-5)
    np.testing.assert_allclose(served[1], trained[0], rtol=1e-5)  # nothing is known of either
    assert served.argmax(axis=1).min() > 0


def test_a_model_without_products_in_16_bits_says_so_where_they_are_asked_for():
    from truelift.training.session import precision_of

    ranker = make("gru", mixed_precision=True)[0]
    classifier, _ = make("next_action", side_features=("event_type",))
    assert precision_of(ranker, False) == ("float32", None)
    precision, said = precision_of(classifier, True)
    assert precision == "float32"
    assert said.startswith(
        "sequence.training.mixed_precision had no effect: next_action has no products"
    )
