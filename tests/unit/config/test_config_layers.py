"""YAML layers, overrides and the errors of a mistaken configuration."""

from __future__ import annotations

import dataclasses

import pytest

from truelift.config import describe, load_settings
from truelift.errors import ConfigError
from truelift.evaluation.registered import registered_name
from truelift.settings import Settings
from truelift.typed import from_plain, to_plain


def test_overrides_win_over_the_data_set_over_the_environment_over_base(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("sessions: {timeout_seconds: 600}\nbuckets: 20\n")
    settings = load_settings(dataset=str(mine), overrides=["buckets=10"])
    assert (settings.dataset, settings.sessions.timeout_seconds, settings.buckets) == (
        "mine",
        600,
        10,
    )
    assert settings.spark.master == "local[*]"  # from local.yaml
    assert settings.effects.folds == 5  # from base.yaml


def test_a_sample_gets_a_lake_and_a_report_of_its_own():
    full, sample = load_settings(), load_settings(overrides=["sample=0.05"])
    assert full.lake != sample.lake
    assert sample.lake.endswith("-sample-0.05")
    assert full.report.path != sample.report.path


@pytest.mark.parametrize("env", ["local", "staging", "prod"])
@pytest.mark.parametrize(
    "names",
    [
        [],
        ["tracking.model_name=main.ml.shop-sequence", "tracking.experiment=/Shared/shop"],
        ["tracking.model_name=shop", "tracking.experiment=shop"],
        ["tracking.model_name=shop-{env}{scale}", "tracking.experiment=shop{scale}"],
    ],
)
def test_a_sample_shares_no_experiment_and_no_registered_model_with_the_full_run(env, names):
    scales = ("1", "0.05", "0.5", "0.005")
    found = [load_settings(env, overrides=[*names, f"sample={share}"]) for share in scales]
    for name in ("experiment", "model_name"):
        assert len({getattr(s.tracking, name) for s in found}) == len(scales)
    for model in (registered_name(s) for s in found[1:]):
        assert "sample-0_" in model
        assert model.count(".") == found[0].tracking.model_name.count(".")


def test_a_sample_says_so_once_in_each_name():
    tracking = load_settings(overrides=["sample=0.05"]).tracking
    assert tracking.experiment == "truelift/complete_journey-sample-0.05"
    assert tracking.model_name == "truelift-complete_journey-sample-0_05-sequence"


def test_names_of_the_full_run_stay_as_they_were():
    tracking = load_settings().tracking
    assert tracking.experiment == "truelift/complete_journey"
    assert tracking.model_name == "truelift-complete_journey-sequence"


def test_staging_and_production_share_no_registered_model():
    assert load_settings("staging").tracking.model_name != load_settings("prod").tracking.model_name


def test_the_lake_of_the_command_line_is_taken_as_it_is():
    assert load_settings(lake="s3a://bucket/lake/").lake == "s3a://bucket/lake"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sesions.timeout_seconds=3", "Did you mean 'sessions'?"),
        ("sessions.timeout_second=3", "Did you mean 'sessions.timeout_seconds'?"),
        ("source.mapping.usr=a", "Did you mean 'source.mapping.user'?"),
        ("seed=seven", "seed: found 'seven', expected int"),
        ("effects.nuisances.folds=true", "effects.nuisances.folds: found True, expected int"),
        ("sample=0", "sample: found 0.0, expected a share of users in (0, 1]"),
        ("sessions=5", "sessions: found 5, expected a mapping of keys"),
        ("panel.outcomes=spend", "panel.outcomes: found 'spend', expected a list, such as [spend]"),
        (
            "effects.covariates=none",
            "effects.covariates: found 'none', expected a list; [] is an empty",
        ),
        ("panel.outcomes=[money]", "panel.outcomes: found 'money'"),
        ("recommend.seen_items=maybe", "expected 'keep' or 'drop'"),
        ("buckets=3", "at least effects.nuisances.folds (5)"),
        ("novalue", "expected key=value"),
        ("lake='{nowhere}'", "unknown placeholder"),
    ],
)
def test_a_mistaken_setting_is_named_with_what_was_expected(override, message):
    with pytest.raises(ConfigError) as error:
        load_settings(overrides=[override])
    assert message in str(error.value)
    assert error.value.exit_code == 2


def test_an_unknown_data_set_or_environment_lists_the_known():
    with pytest.raises(ConfigError, match="complete_journey"):
        load_settings(dataset="nope")
    with pytest.raises(ConfigError, match="local, staging, prod"):
        load_settings(env="production")
    with pytest.raises(ConfigError, match=r"there is no file nope\.yaml"):
        load_settings(dataset="nope.yaml")


def test_what_to_estimate_is_a_file_or_a_name(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("effects:\n  treatment: mailed\n")
    assert load_settings(spec=str(file)).effects.treatment == "mailed"
    assert load_settings(spec="promotions").effects.cluster == "product_id"
    with pytest.raises(ConfigError, match=r"no file nope, nor a nope\.yaml in conf/effects"):
        load_settings(spec="nope")


def test_an_unreadable_yaml_file_is_named(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("source: [unclosed\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_settings(dataset=str(bad))


@pytest.mark.parametrize("env", ["local", "staging", "prod"])
def test_every_environment_resolves(env):
    assert load_settings(env).env == env


def test_settings_survive_the_way_through_plain_values():
    settings = load_settings(overrides=["source.mapping.context=[store_id]"])
    assert from_plain(Settings, to_plain(settings)) == settings


def test_settings_cannot_be_changed_after_they_are_resolved():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_settings().seed = 3  # type: ignore[misc]


def test_the_logged_configuration_has_one_flat_key_a_value():
    flat = describe(load_settings(overrides=["sessions.timeout_seconds=60"]))
    assert flat["sessions.timeout_seconds"] == 60
    assert all(not isinstance(v, dict) or not v for v in flat.values())


def test_a_recipe_lies_over_the_data_set_and_under_the_command_line():
    recipe = load_settings("local", "interactions", ("sequence.training.epochs=3",), recipe="gru")
    assert (recipe.sequence.model, recipe.sequence.training.epochs) == ("gru", 3)
    assert load_settings("local", "interactions", ()).sequence.model == "sasrec"
    with pytest.raises(ConfigError, match=r"--recipe: unknown recipe 'bert'\. Known: .*sasrec"):
        load_settings("local", recipe="bert")


def test_a_file_of_interactions_is_a_data_set_by_its_own_name(tmp_path):
    one, other = (
        load_settings("local", interactions=str(tmp_path / name)) for name in ("a.txt", "b.txt.gz")
    )
    assert one.source.format == "interactions" and one.source.path == str(tmp_path / "a.txt")
    assert one.dataset != other.dataset and one.lake != other.lake
    assert other.sequence.evaluation.split == "leave_one_out"


def interactions_of(path, *overrides):
    return load_settings("local", overrides=overrides, interactions=str(path))


def test_interaction_files_of_one_name_and_a_corrected_one_have_a_lake_each(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ratings.txt").write_text("ann x 1\n")
    one, other = (interactions_of(tmp_path / folder / "ratings.txt") for folder in "ab")
    (tmp_path / "a" / "ratings.txt").write_text("ann y 1\n")
    corrected = interactions_of(tmp_path / "a" / "ratings.txt")
    for names in ("lake", "dataset"):
        assert len({getattr(s, names) for s in (one, other, corrected)}) == 3
    assert len({s.tracking.model_name for s in (one, other, corrected)}) == 3
    assert interactions_of(tmp_path / "b" / "ratings.txt") == other


def test_a_file_whose_columns_are_called_something_else_is_another_data_set(tmp_path):
    (tmp_path / "u.data").write_text("1 2 3\n")
    path = tmp_path / "u.data"
    names = ("source.columns=[user, item, rating]", "source.columns=[user, item, time]")
    lakes = {interactions_of(path, *given).lake for given in ((), names[:1], names[1:])}
    assert len(lakes) == 3
    # What is asked of the same rows does not make other rows.
    assert interactions_of(path, "clean.amounts.min_value=4").lake == interactions_of(path).lake


def test_a_path_set_by_its_key_is_the_same_data_set_as_the_option(tmp_path):
    (tmp_path / "ratings.txt").write_text("ann x 1\n")
    path = tmp_path / "ratings.txt"
    by_key = load_settings("local", "interactions", (f"source.path={path}",))
    assert by_key == interactions_of(path)


def test_the_short_options_of_interaction_files_stand_for_keys(tmp_path):
    from truelift.cli import parsed

    given = ["train_sequence", "--interactions", "u.data", "--columns", "user,item,rating,-"]
    settings = interactions_of("u.data", *parsed(given).overrides())
    assert settings.source.columns == ("user", "item", "rating", "-")
    assert settings.clean.min_value is None
    rated = parsed([*given, "--min-rating", "4"]).overrides()
    assert interactions_of("u.data", *rated).clean.min_value == 4.0


def test_tables_of_one_name_in_two_folders_have_a_lake_each(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    first, other = (load_settings(table=f"{tmp_path}/{d}/mail.csv") for d in ("a", "b"))
    assert first.dataset.startswith("table-mail-csv-") and first.dataset != other.dataset
    assert load_settings(table=f"{tmp_path}/a/mail.csv@3").dataset == first.dataset
    monkeypatch.chdir(tmp_path / "a")
    assert load_settings(table="mail.csv").dataset == first.dataset
    assert load_settings(table="gold.panel").dataset == "table-gold-panel"
    assert load_settings(table="s3a://b/mail.csv").dataset != first.dataset
