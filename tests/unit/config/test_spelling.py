"""Labels and names of a spec stay what was written; all else is YAML."""

from __future__ import annotations

import pytest

from truelift.config import load_panel_spec, load_settings
from truelift.errors import ConfigError
from truelift.settings import EffectOptions
from truelift.spelling import load_as_written


def effects(tmp_path, text: str, *overrides: str) -> EffectOptions:
    (tmp_path / "spec.yaml").write_text(text)
    return load_settings(spec=str(tmp_path / "spec.yaml"), overrides=overrides).effects


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("control: no", "no"), ("control: off", "off"), ("control: True", "True"),
        ("control: 012", "012"), ("control: 1.0", "1.0"), ("control: 1e3", "1e3"),
        ("control: 12:30", "12:30"), ("control: 2024-01-01", "2024-01-01"),
        ("control: 'no'", "no"), ("control: null", None), ("control: ~", None), ("control:", None),
        ("effects: {control: no}", "no"),
    ],
)  # fmt: skip
def test_a_label_is_the_text_that_stands_in_the_file(tmp_path, text, found):
    assert effects(tmp_path, text).control == found


def test_keys_and_items_that_are_labels_or_names_are_texts_too(tmp_path):
    spec = """
        arms: [yes, no, 012]
        propensity: {yes: .5, no: 4e-1}
        policies: {off: on}
        outcomes: [y, 2024-01-01]
        categorical: {no: one_hot}
        cluster: on
        non_inferiority_margin: {y: 1}
    """
    found = effects(tmp_path, spec)
    assert found.arms == ("yes", "no", "012")
    assert found.propensity == {"yes": ".5", "no": "4e-1"}
    assert found.policies == {"off": "on"}
    assert found.outcomes == ("y", "2024-01-01")
    assert found.categorical == {"no": "one_hot"}
    assert (found.cluster, found.non_inferiority_margin) == ("on", {"y": 1.0})


def test_truth_values_and_numbers_stay_what_they_are_where_these_are_wanted(tmp_path):
    found = effects(tmp_path, "{calibration: yes, ridge: 1e-8, folds: 010, learner: stack}")
    assert (found.calibration, found.ridge, found.folds) == (True, 1e-8, 8)


def test_overrides_and_layers_follow_the_same_rule(tmp_path):
    found = effects(tmp_path, "{}", "effects.control=no", "effects.nuisances.propensity.yes=.3",
                    "effects.arms=[no, yes]", "effects.nuisances.calibration=no")  # fmt: skip
    assert (found.control, found.propensity, found.arms) == ("no", {"yes": ".3"}, ("no", "yes"))
    assert found.calibration is False
    layer = "source: {format: csv, path: x.csv}\neffects: {control: no}\n"
    (tmp_path / "shop.yaml").write_text(layer)
    assert load_settings(dataset=str(tmp_path / "shop.yaml")).effects.control == "no"


def test_no_covariates_are_not_the_same_as_no_word_of_them(tmp_path):
    assert effects(tmp_path, "covariates: []").covariates == ()
    assert effects(tmp_path, "control: a").covariates is None


def test_arms_of_a_panel_are_labels_too(tmp_path):
    panel = load_panel_spec_text().replace("arms: {", "arms: {no: 'false', ", 1)
    (tmp_path / "p.yaml").write_text(panel)
    assert "no" in load_panel_spec(str(tmp_path / "p.yaml")).treatment.arms


def load_panel_spec_text() -> str:
    from truelift.settings.layer_files import conf_directory

    return (conf_directory() / "panels" / "promotions.yaml").read_text()


def test_what_yaml_refuses_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not YAML"):
        effects(tmp_path, "control: [a")
    assert load_as_written("", EffectOptions) is None


@pytest.mark.parametrize(
    "text", ["treatment: a\noutcomes: [y]\ntreatment: b", "propensity: {yes: .5, no: .2, yes: .3}"]
)
def test_a_key_that_is_there_twice_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"the key '(treatment|yes)' is there twice"):
        effects(tmp_path, text)
