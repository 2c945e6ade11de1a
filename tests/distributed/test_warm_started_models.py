"""Models of every kind that begin with the weights of one with another vocabulary."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.models.runtime import start_tensorflow
from truelift.models.sequence import registry
from truelift.models.sequence.package import ModelPackage, named_weights
from truelift.settings import SequenceOptions
from truelift.training.warm_start import ITEM_AXES, begin

RANKING = [name for name, entry in registry.MODELS.items() if entry.task == registry.RANKING]


def built(name: str, items: int):
    start_tensorflow()
    entry = registry.entry(name)
    options = entry.options(items, SequenceOptions(model=name, step=entry.step, units=8))
    return entry.build(options), options


@pytest.mark.parametrize("name", RANKING)
def test_all_that_is_kept_an_item_is_carried_by_key_and_all_else_as_it_is(name):
    old, options = built(name, 6)
    keys = tuple("abcdef")
    package = ModelPackage(name, options, 100, "event", keys, named_weights(old))
    index = np.array([0, 6, 0, 2, 3, 4, 5, 1], dtype=np.int32)  # f, new, b, c, d, e, a
    new, _ = built(name, 7)
    arrays = {
        "warm_start": np.frombuffer(package.to_bytes(), dtype=np.uint8), "warm_start_index": index
    }  # fmt: skip
    assert begin(new, arrays) and not begin(new, {})
    for weight, value in named_weights(new).items():
        axis = ITEM_AXES.get(weight.rpartition("/")[2])
        earlier = package.weights[weight]
        if axis is None:
            np.testing.assert_array_equal(value, earlier)
            continue
        for item, before in enumerate(index):
            if before:
                np.testing.assert_array_equal(
                    np.take(value, item, axis), np.take(earlier, before, axis)
                )
