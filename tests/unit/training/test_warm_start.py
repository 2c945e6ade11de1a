"""What a training begins with where it begins with an earlier model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from truelift.errors import ConfigError, DataError
from truelift.models.sequence.package import ModelPackage
from truelift.settings import SequenceOptions
from truelift.training.warm_start import as_arrays, carried

SPLIT = {"kind": "temporal", "validation_start": "2024-03-01", "test_start": "2024-04-01"}
OLD = ModelPackage("gru", {}, 10, "event", ("a", "b", "c"), {}, split=SPLIT)
NEW = replace(OLD, item_keys=("b", "new", "c", "a"), split={**SPLIT})
INDEX = np.array([0, 2, 0, 3, 1], dtype=np.int32)


def test_what_an_item_was_known_by_goes_with_its_key_and_a_new_one_begins_fresh():
    fresh = {
        "gru/item_embedding": np.full((5, 2), 9.0), "gru/item_bias": np.full(5, 9.0),
        "gru/item_repeat": np.full((3, 5), 9.0), "gru/cell/kernel": np.full((2, 6), 9.0),
    }  # fmt: skip
    old = {
        "gru/item_embedding": np.arange(8.0).reshape(4, 2), "gru/item_bias": np.arange(4.0),
        "gru/item_repeat": np.arange(12.0).reshape(3, 4), "gru/cell/kernel": np.ones((2, 6)),
    }  # fmt: skip
    found = carried(fresh, old, INDEX)
    assert found["gru/item_embedding"][:, 0].tolist() == [0, 4, 9, 6, 2]
    assert found["gru/item_bias"].tolist() == [0, 2, 9, 3, 1]
    assert found["gru/item_repeat"][1].tolist() == [4, 6, 9, 7, 5]
    assert found["gru/cell/kernel"].tolist() == old["gru/cell/kernel"].tolist()
    assert fresh["gru/item_bias"].tolist() == [9] * 5


@pytest.mark.parametrize("name", ["gru/item_embedding", "gru/cell/kernel"])
def test_a_model_of_other_units_is_refused_by_the_weights_name(name):
    with pytest.raises(DataError, match=rf"other options .*{name} has the shape \(4, 3\)"):
        carried({name: np.zeros((4, 2))}, {name: np.zeros((4, 3))}, np.arange(4))


def test_a_model_of_other_layers_is_refused():
    with pytest.raises(DataError, match=r"Only one of them has gru/second"):
        carried({}, {"gru/second": np.zeros(1)}, INDEX)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "lstm"}, "it is a lstm, not a gru"),
        ({"item_keys": ("x", "y", "a")}, "other vocabulary"),
        ({"split": {**SPLIT, "validation_start": "2024-05-01"}}, "learned from the test window"),
        (
            {"split": {**SPLIT, "validation_start": "2024-03-09"}},
            "where the validation part begins",
        ),
        ({"split": {"kind": "by_user"}}, "other split"),
        ({"options": {"side_features": [["category", 9]]}}, "other side features"),
    ],
)
def test_what_would_leak_or_cannot_be_carried_is_refused(change, reason):
    with pytest.raises(DataError, match=rf"version 3 cannot be begun with: .*{reason}"):
        as_arrays(replace(OLD, **change), "version 3", NEW)


def test_an_earlier_model_of_the_same_split_travels_with_its_items_places():
    assert as_arrays(OLD, "version 3", NEW)["warm_start_index"].tolist() == INDEX.tolist()


def test_a_search_has_no_one_model_to_begin_with():
    with pytest.raises(ConfigError, match=r"sequence\.training\.warm_start"):
        SequenceOptions(warm_start="champion", tune=4)
