"""Options in sections, the learner as a union by its name, and the flat names of the last release."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import pytest
import yaml

from truelift.config import load_settings
from truelift.errors import ConfigError
from truelift.older_names import OlderName
from truelift.settings import EffectOptions, SequenceOptions, Settings
from truelift.settings.effect_sections import InferenceSection, NuisanceSection
from truelift.settings.layer_files import conf_directory
from truelift.typed import from_plain, to_plain

FLAT = {
    "treatment": "t",
    "outcomes": ("y",),
    "confidence": 0.9,
    "boosting": {"depth": 3},
    "propensity": {"a": "0.5", "b": "0.5"},
    "heterogeneity_learner": "boosting",
    "credibility": True,
}
NESTED = {
    "treatment": "t",
    "outcomes": ["y"],
    "inference": {"confidence": 0.9},
    "nuisances": {
        "learners": {"boosting": {"depth": 3}},
        "propensity": {"a": 0.5, "b": 0.5},
    },
    "heterogeneity": {"learner": "boosting"},
    "credibility": {"enabled": True},
}


def effects_of(*overrides: str, **given) -> EffectOptions:
    return load_settings(overrides=overrides, **given).effects


def layer(tmp_path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_keyword_arguments_by_their_older_names_are_the_options_in_their_sections():
    with pytest.warns(OlderName) as said:
        flat = EffectOptions(**FLAT)
    assert flat == from_plain(EffectOptions, NESTED)
    assert len(said) == 1 and said[0].filename == __file__
    text = str(said[0].message)
    for name in ("effects.confidence is effects.inference.confidence now",
                 "effects.boosting is effects.nuisances.learners.boosting now",
                 "effects.heterogeneity_learner is effects.heterogeneity.learner now"):  # fmt: skip
        assert name in text


def test_plain_values_by_older_names_are_the_options_in_their_sections():
    with pytest.warns(OlderName, match=r"effects\.confidence is effects\.inference\.confidence"):
        assert from_plain(EffectOptions, FLAT) == from_plain(EffectOptions, NESTED)


def test_a_layer_by_older_names_lies_over_the_newer_names_below_it(tmp_path):
    mine = layer(tmp_path, "effects: {confidence: 0.9, folds: 4, credibility: false}")
    with pytest.warns(OlderName) as said:
        found = effects_of("effects.folds=3", dataset=mine)
    assert (found.inference.confidence, found.nuisances.folds) == (0.9, 3)
    assert not found.credibility.enabled and found.heterogeneity.enabled  # as base.yaml has it
    assert len(said) == 1 and str(said[0].message).count("effects.nuisances.folds") == 1


def test_newer_names_say_nothing(recwarn):
    effects_of("effects.inference.confidence=0.9", "effects.credibility.placebos=0")
    EffectOptions(inference=InferenceSection(confidence=0.9), credibility=True)
    assert not recwarn.list


def test_one_setting_by_both_of_its_names_in_one_layer_is_refused(tmp_path):
    both = layer(tmp_path, "effects: {confidence: 0.9, inference: {confidence: 0.8}}")
    message = r"effects\.inference\.confidence: found 0.8, and 0.9 by its older name effects\.conf"
    with pytest.raises(ConfigError, match=message):
        load_settings(dataset=both)


def test_labels_by_older_names_stay_as_they_are_written(tmp_path):
    mine = layer(tmp_path, "effects: {propensity: {no: .5, yes: .5}}")
    assert set(effects_of(dataset=mine).nuisances.propensity) == {"no", "yes"}
    given = effects_of("effects.propensity={no: .5, yes: .5}")
    assert given.nuisances.propensity == {"no": ".5", "yes": ".5"}


def test_a_truth_value_in_a_sections_place_is_whether_it_is_asked_for():
    assert not effects_of("effects.heterogeneity=false").heterogeneity
    found = effects_of("effects.heterogeneity=true", "effects.heterogeneity.quantile_groups=3")
    assert found.heterogeneity.enabled and found.heterogeneity.quantile_groups == 3
    assert EffectOptions(credibility=True).credibility.enabled


def test_options_are_replaced_by_either_name():
    options = EffectOptions(nuisances=NuisanceSection(folds=3, ridge=0.1))
    flat = dataclasses.replace(options, confidence=0.8, folds=4)
    assert (flat.inference.confidence, flat.nuisances.folds, flat.nuisances.ridge) == (0.8, 4, 0.1)
    chances = dataclasses.replace(options, propensity={"a": "0.5", "b": "0.5"})
    other = dataclasses.replace(chances, propensity={"0": "0.3"}, boosting={"depth": 3})
    assert other.nuisances.propensity == {"0": "0.3"}
    both = dataclasses.replace(other, neural={"epochs": 3}).nuisances.learners
    assert both == {"boosting": {"depth": 3}, "neural": {"epochs": 3}}
    newer = dataclasses.replace(options, inference=InferenceSection(confidence=0.8))
    assert newer.inference.confidence == 0.8 and newer.nuisances == options.nuisances


def test_attributes_by_their_older_names_are_read_with_the_same_word():
    options = from_plain(EffectOptions, NESTED)
    with pytest.warns(OlderName, match=r"effects\.confidence is effects\.inference\.confidence"):
        assert options.confidence == 0.9
    assert (options.learner, options.heterogeneity_learner) == ("linear", "boosting")
    assert (options.boosting, options.neural) == ({"depth": 3}, {})
    with pytest.raises(AttributeError, match="'EffectOptions' object has no attribute 'confidenc'"):
        _ = options.confidenc


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("effects.fold=3", "'effects.fold'. Did you mean 'effects.nuisances.folds'?"),
        ("effects.inference.confidense=1", "Did you mean 'effects.inference.confidence'?"),
        ("effects.inference=5", "effects.inference: found 5, expected a mapping of keys"),
        ("effects.confidence=2", "effects.inference.confidence: found 2.0, expected a level"),
        ("effects.nuisances.folds=two", "effects.nuisances.folds: found 'two', expected int"),
        ("effects.nuisances.learner=[linear]", "found ['linear'], expected the name of a learner"),
        (
            "effects.nuisances.learner={name: boosting, dpth: 3}",
            "'effects.nuisances.learner.dpth'. Did you mean 'effects.nuisances.learner.depth'?",
        ),
        (
            "effects.heterogeneity.learner={name: boosting, depth: 0}",
            "effects.heterogeneity.learner.depth: found 0, expected 1 to",
        ),
        (
            "effects.nuisances.learner={name: linear, depth: 3}",
            "found {'depth': 3}, expected nothing: this learner has no options",
        ),
    ],
)
def test_a_mistake_in_a_section_is_named_with_its_whole_key(override, message):
    with pytest.raises(ConfigError) as error:
        load_settings(overrides=[override])
    assert message in str(error.value)


def test_a_learner_has_options_of_its_own_over_those_that_all_share():
    from truelift.registries import LEARNERS

    found = effects_of(
        "effects.nuisances.learners.boosting={depth: 3, trees: 50}",
        "effects.nuisances.learner={name: stack, depth: 4}",
        "effects.heterogeneity.learner={name: boosting, depth: 2}",
    )
    boosting = LEARNERS.row("boosting")
    of_nuisances, of_forecasts = found.of_learner(boosting), found.of_learner(boosting, True)
    assert (of_nuisances.depth, of_nuisances.trees) == (4, 50)
    assert (of_forecasts.depth, of_forecasts.trees) == (2, 50)


def test_a_layer_changes_a_learners_options_or_takes_another_learner(tmp_path):
    below = layer(tmp_path, "effects: {nuisances: {learner: {name: boosting, depth: 3}}}")
    kept = effects_of("effects.nuisances.learner.trees=9", dataset=below).nuisances.learner
    assert to_plain(kept) == {"name": "boosting", "depth": 3, "trees": 9}
    other = effects_of("effects.nuisances.learner.name=linear", dataset=below).nuisances.learner
    assert to_plain(other) == "linear"
    plain = layer(tmp_path, "effects: {nuisances: {learner: boosting}}")
    deeper = effects_of("effects.nuisances.learner.depth=3", dataset=plain).nuisances.learner
    assert to_plain(deeper) == {"name": "boosting", "depth": 3}


def test_settings_with_a_learners_options_survive_the_way_through_yaml_and_pickle():
    settings = load_settings(overrides=["effects.nuisances.learner={name: boosting, depth: 3}"])
    written = yaml.safe_load(yaml.safe_dump(to_plain(settings)))
    assert from_plain(Settings, written) == settings
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_process_that_reads_no_settings_does_not_load_pydantic():
    code = "import sys, truelift.settings, truelift.config; print('pydantic' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_every_layer_that_ships_has_the_newer_names(recwarn):
    names = sorted(path.stem for path in (conf_directory() / "datasets").glob("*.yaml"))
    for env in ("local", "staging", "prod"):
        load_settings(env)
    for name in names:
        load_settings(dataset=name)
    for recipe in sorted(path.stem for path in (conf_directory() / "models").glob("*.yaml")):
        load_settings(recipe=recipe)
    load_settings(spec="promotions")
    assert names and not recwarn.list


def test_options_of_cleaning_stand_in_sections_and_are_read_by_their_flat_names(tmp_path):
    mine = layer(tmp_path, "clean: {min_time: '2020-01-01', return_days: 3, lower: [user]}")
    with pytest.warns(OlderName, match=r"clean\.return_days is clean\.repeats\.return_days now"):
        found = load_settings(overrides=["clean.amounts.max_value=9"], dataset=mine).clean
    assert (found.times.min_time, found.repeats.return_days) == ("2020-01-01", 3.0)
    assert (found.keys.lower, found.amounts.max_value) == (("user",), 9.0)
    with pytest.raises(ConfigError, match=r"clean\.repeats\.return_days: found -1\.0, expected m"):
        load_settings(overrides=["clean.repeats.return_days=-1"])
    with pytest.raises(ConfigError, match=r"Unknown configuration key 'clean\.declared'"):
        load_settings(overrides=["clean.declared=false"])


def test_options_of_sequences_stand_in_sections_and_are_read_by_their_flat_names(tmp_path):
    mine = layer(tmp_path, "sequence: {model: gru, step: event, epochs: 3, split: by_user}")
    moved = r"sequence\.epochs is sequence\.training\.epochs now"
    given = ("sequence.processes=1", "sequence.network.units=16")
    with pytest.warns(OlderName, match=moved) as said:
        found = load_settings(overrides=given, dataset=mine).sequence
    assert len(said) == 1
    assert (found.histories.step, found.evaluation.split) == ("event", "by_user")
    assert (found.training.epochs, found.ranks.processes, found.network.units) == (3, 1, 16)
    flat = {"step": "event", "epochs": 3, "split": "by_user", "processes": 1, "units": 16}
    with pytest.warns(OlderName, match=moved):
        assert found == SequenceOptions(model="gru", **flat)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sequence.epochs=0", "sequence.training.epochs: found 0, expected at least 1"),
        ("sequence.epoch=1", "'sequence.epoch'. Did you mean 'sequence.training.epochs'?"),
        ("sequence.network.heads=3", "sequence.network.units: found 64, expected a multiple of"),
        (
            "sequence={model: next_action, evaluation: {positions: every}}",
            "sequence.evaluation.positions: found 'every', expected 'next' with sequence.model",
        ),
    ],
)
def test_a_mistake_in_the_options_of_sequences_is_named_with_its_whole_key(override, message):
    with pytest.raises(ConfigError) as error:
        load_settings(overrides=[override])
    assert message in str(error.value)
