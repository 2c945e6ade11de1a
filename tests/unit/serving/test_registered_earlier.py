"""A registered model names its class by its module, so one of an earlier version must still find it."""

from __future__ import annotations

import pickle

import cloudpickle
import pytest

from truelift.effects.neural.pyfunc import CausalModel
from truelift.serving.pyfunc import SequenceModel


@pytest.mark.parametrize("module", ["truelift.recommend.pyfunc", "truelift.serving.pyfunc"])
def test_a_sequence_model_finds_its_class_where_it_was_and_where_it_is(module):
    assert type(pickle.loads(_named(module, "SequenceModel"))) is SequenceModel


def test_networks_of_effects_find_their_class():
    assert (
        type(pickle.loads(_named("truelift.effects.neural.pyfunc", "CausalModel"))) is CausalModel
    )


@pytest.mark.parametrize("kind", [SequenceModel, CausalModel])
def test_no_code_of_ours_is_kept_in_a_registered_model(kind):
    # What is pickled is a name: a class that was copied would stay what it was, with its faults.
    assert len(cloudpickle.dumps(kind())) < 300


def _named(module: str, name: str) -> bytes:
    """An object without state of a class, pickled as one that lies in the module."""
    return f"c{module}\n{name}\n)\x81.".encode("latin-1")
