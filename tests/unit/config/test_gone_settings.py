"""Keys that are no more are told apart from misspelt ones, wherever they are written."""

from __future__ import annotations

import dataclasses

import pytest

from truelift.config import load_settings
from truelift.errors import ConfigError
from truelift.settings import Settings
from truelift.settings.gone import GONE


@pytest.mark.parametrize(
    ("key", "value", "figure"),
    [
        ("average", "0.99", r"\.0003"),
        ("xla", "true", "a fourteenth"),
        ("gated", "false", r"\.1200 beside \.1170"),
        ("compression", "fp16", r"22\.6 steps a second beside 25\.3"),
    ],
)
def test_an_option_that_went_is_refused_with_what_was_measured(key, value, figure):
    with pytest.raises(ConfigError, match=rf"sequence\.{key} is no longer an option: .*{figure}"):
        load_settings(overrides=[f"sequence.{key}={value}"])


def test_all_that_a_file_still_has_is_named_at_once(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("sequence: {average: 0.99, units: 8, xla: true}\n")
    with pytest.raises(ConfigError, match=r"sequence\.average .*; sequence\.xla .*Leave the key"):
        load_settings(dataset=str(mine))


def test_no_option_is_both_known_and_gone():
    for key in GONE:
        section, _, name = key.rpartition(".")
        known = {f.name: f for f in dataclasses.fields(Settings)}
        assert section in known
        assert not hasattr(getattr(Settings(dataset="shop"), section), name)
