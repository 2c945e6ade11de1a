"""The GRU over sessions: causal, blind to padding, and one function in training and serving."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.models.sequence.test_histories import histories
from truelift.errors import DataError
from truelift.models.runtime import start_tensorflow
from truelift.models.sequence.package import ModelPackage, assign_weights, named_weights

ITEMS = 6


@pytest.fixture(scope="module")
def model():
    start_tensorflow()
    import keras

    from truelift.models.sequence.basket_gru import BasketGRU
    from truelift.models.sequence.small_options import BasketGRUOptions

    keras.utils.set_random_seed(1)
    made = BasketGRU(BasketGRUOptions(ITEMS, units=4, layers=2, half_lives=(2.0, math.inf)))
    made.build()
    generator = np.random.default_rng(0)
    for variable in made.trainable_variables:
        variable.assign(generator.normal(size=variable.shape).astype(np.float32))
    return made


def sessions(users: int = 3, length: int = 5) -> np.ndarray:
    dense = (np.random.default_rng(2).random((users, length, ITEMS + 1)) < 0.4).astype(np.float32)
    dense[..., 0] = 0
    return dense


def test_a_position_does_not_see_later_sessions(model):
    first = sessions()
    changed = first.copy()
    changed[:, 3:] = 1 - changed[:, 3:]
    changed[..., 0] = 0
    np.testing.assert_allclose(
        model(first).numpy()[:, :3], model(changed).numpy()[:, :3], rtol=1e-5, atol=1e-5
    )


def test_serving_gives_the_scores_of_training_at_the_last_position(model):
    dense, lengths = sessions(), np.array([5, 2, 3], dtype=np.int32)
    at_all = model(dense).numpy()
    served = model.score_next(dense, lengths).numpy()
    for user, length in enumerate(lengths):
        np.testing.assert_allclose(served[user], at_all[user, length - 1], rtol=1e-4, atol=1e-4)


def test_padding_is_never_the_best_item(model):
    assert (model(sessions()).numpy().argmax(axis=-1) > 0).all()


def test_repetition_fades_by_half_in_its_half_life(model):
    from truelift.models.sequence.basket_gru import _fading

    weights = np.asarray(_fading(4, 0.5 ** (1 / 2.0)))
    np.testing.assert_allclose(weights[3], [0.5**1.5, 0.5, 0.5**0.5, 1.0], rtol=1e-6)
    assert weights[0].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert np.asarray(_fading(3, 1.0))[2].tolist() == [1.0, 1.0, 1.0]


def test_scores_do_not_depend_on_who_shares_the_batch(model):
    from truelift.models.sequence.scoring import SequenceRanker

    ranker = SequenceRanker(model, ITEMS, 3, "session")
    users = ([(1, 0, 0), (2, 1, 1), (3, 2, 2), (4, 3, 3)], [], [(5, 0, 0), (6, 0, 0)])
    together = ranker.scores(histories(*users))
    alone = np.concatenate([ranker.scores(histories(u)) for u in users])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)


def test_popular_items_lead_for_a_user_without_history():
    from truelift.models.sequence.basket_gru import BasketGRU
    from truelift.models.sequence.small_options import BasketGRUOptions

    fresh = BasketGRU(BasketGRUOptions(ITEMS, units=4))
    fresh.build()
    fresh.start_from_popularity(np.array([0.0, 1, 2, 90, 3, 4, 5]))
    empty = np.zeros((1, 1, ITEMS + 1), dtype=np.float32)
    assert int(fresh(empty).numpy()[0, 0].argmax()) == 3


def test_weights_survive_the_package(model):
    options = {"items": ITEMS, "units": 4, "layers": 2, "half_lives": [2.0, math.inf]}
    package = ModelPackage(
        "basket_gru", options, 5, "session", tuple("abcdef"), named_weights(model)
    )
    again = ModelPackage.from_bytes(package.to_bytes()).build()
    np.testing.assert_allclose(again(sessions()).numpy(), model(sessions()).numpy(), rtol=1e-5)


def test_a_missing_or_misshapen_weight_is_an_error_not_skipped(model):
    weights = named_weights(model)
    name = next(n for n in weights if "item_bias" in n)
    with pytest.raises(DataError, match="item_bias has shape"):
        assign_weights(model, {**weights, name: np.zeros(3)})
    del weights[name]
    with pytest.raises(DataError, match=r"missing \['.*item_bias'\]"):
        assign_weights(model, weights)
