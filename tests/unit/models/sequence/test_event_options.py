"""Options of event models as a registered model names them, also one of an earlier version."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from truelift.errors import DataError
from truelift.models.sequence.event_options import EventModelOptions, SASRecOptions


def test_options_survive_json():
    options = SASRecOptions(7, units=8, heads=2, side_features=(("category", 3),))
    assert SASRecOptions.from_plain(json.loads(json.dumps(options.plain()))) == options


@pytest.mark.parametrize("kind", [EventModelOptions, SASRecOptions])
def test_a_model_of_before_xla_and_gates_went_is_read_as_it_was(kind):
    options = kind(7, units=8)
    older = {**options.plain(), "xla": True, "gated": False}
    assert kind.from_plain(older) == options


def test_a_model_that_was_trained_with_gates_must_be_trained_again():
    with pytest.raises(DataError, match=r"sequence\.gated, .*train_sequence again"):
        SASRecOptions.from_plain({**SASRecOptions(7).plain(), "gated": True})


def test_shapes_of_all_models_are_named_without_starting_tensorflow():
    script = (
        "import sys\n"
        "from truelift.models.sequence.registry import MODELS\n"
        "from truelift.settings.sequence import SequenceOptions\n"
        "from truelift.settings.sequence_sections import HistorySection\n"
        "for name, found in MODELS.items():\n"
        "    own = SequenceOptions(model=name, histories=HistorySection(step=found.step))\n"
        "    print(name, found.options(7, own))\n"
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    *models, loaded = done.stdout.splitlines()
    assert len(models) == 6
    assert loaded == "[]"
