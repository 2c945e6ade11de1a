"""The panel of the pipeline: a specification, changes of it, and its keys of before."""

from __future__ import annotations

import re
import warnings

import pytest

from truelift.config import load_panel_spec, load_settings, panel_of_pipeline
from truelift.errors import ConfigError
from truelift.features.panels.step import READS
from truelift.older_names import OlderName
from truelift.settings.panel_choice import changed, with_spans
from truelift.step_graph import step_named


def panel(*overrides: str):
    return panel_of_pipeline(load_settings(overrides=overrides))


def test_a_length_is_named_with_its_sign_and_in_parts():
    plain = {
        "spans": {"lookback": 14, "past": 3},
        "covariates": {"x": {"source": "s", "window": ["-lookback / 2", "-past"]}},
        "occasions": {"observed": "s", "history": "lookback"},
        "eligible": {"x": "past"},
    }
    found = with_spans(plain)
    assert found["covariates"]["x"]["window"] == [-7.0, -3.0]
    assert (found["occasions"]["history"], found["eligible"]) == (14.0, {"x": 3.0})
    assert "spans" not in found
    assert plain["covariates"]["x"]["window"] == ["-lookback / 2", "-past"], "left as it was"


def test_words_that_name_no_length_are_left_to_the_specification():
    plain = {"spans": {}, "outcomes": {"y": {"window": [0, "end"]}, "z": {"window": ["evr", 0]}}}
    assert [m["window"] for m in with_spans(plain)["outcomes"].values()] == [[0, "end"], ["evr", 0]]


@pytest.mark.parametrize("length", [-1, "long", True])
def test_a_length_is_a_number_from_zero_on(length):
    with pytest.raises(ConfigError, match=r"spans\.lookback: found .* expected a number from 0 on"):
        with_spans({"spans": {"lookback": length}})


def test_a_change_replaces_one_key_and_a_change_to_nothing_takes_it_out():
    below = {"a": {"b": 1, "c": 2}, "d": 3}
    assert changed(below, {"a": {"b": 5}, "d": None}) == {"a": {"b": 5, "c": 2}}


def test_a_data_set_changes_the_specification():
    spec = panel("panel.changes={spans: {lookback: 14}, outcomes: {y_visits: null}}")
    assert list(spec.outcomes) == ["y_spend"]
    assert spec.covariates["x_spend_lookback"].window == (-14.0, 0.0)
    assert spec.covariates["spend_half"].window == (-7.0, 0.0)
    assert spec.occasions.history == 14.0
    # What the default data set's layer says of its own stays.
    assert spec.measured_in["y_spend"] == "dollars per household and campaign"


def test_days_are_those_of_the_sources_zone_unless_the_specification_names_one():
    assert panel("source.time_zone=Europe/Zurich").time_zone == "Europe/Zurich"
    assert panel("panel.changes={time_zone: UTC}", "source.time_zone=Asia/Tokyo").time_zone == "UTC"
    assert load_panel_spec("promotions").time_zone == "UTC"


@pytest.mark.parametrize(
    ("override", "change", "told"),
    [
        ("panel.lookback_days=14", "spans: {lookback: 14}",
         lambda s: s.occasions.history == 14.0),
        ("panel.min_history_days=7", "spans: {min_history: 7}",
         lambda s: s.eligible == {"x_tenure_days": 7.0}),
        ("panel.require_complete_window=false", "occasions: {complete: false}",
         lambda s: not s.occasions.complete),
        ("panel.outcomes=[spend]", "outcomes: {y_visits: null}",
         lambda s: list(s.outcomes) == ["y_spend"]),
        ("panel.measured_in={spend: francs}", "measured_in: {y_spend: francs}",
         lambda s: s.measured_in["y_spend"] == "francs"),
        ("features.top_categories=4", "shares: {x_share: {most: 4}}",
         lambda s: s.shares["x_share"].most == 4),
    ],
)  # fmt: skip
def test_a_key_of_before_is_still_taken_and_what_to_write_instead_is_said(override, change, told):
    key = override.partition("=")[0]
    with pytest.warns(OlderName, match=re.escape(f"{key} is panel.changes: {{{change}}} now")):
        assert told(panel(override))
    with warnings.catch_warnings():
        warnings.simplefilter("error", OlderName)
        assert told(panel(f"panel.changes={{{change}}}"))


def test_an_unknown_panel_names_the_key_that_asks_for_it():
    with pytest.raises(ConfigError, match=r"panel\.spec: unknown panel 'campains'"):
        panel("panel.spec=campains")


def test_the_step_pins_the_tables_that_its_module_knows():
    assert tuple(name.rstrip("?") for name in step_named("build_panel").reads) == READS
