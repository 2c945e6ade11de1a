"""What a stranger sees in MLflow: descriptions, few parameters, each figure once; a real store."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.pyfunc.model import PythonModel

from truelift.config import describe, load_settings
from truelift.pipeline import STEPS
from truelift.run_notes import parameters, pipeline_note, step_note
from truelift.tracking import NOTE, job_run


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_steps_parameters_are_few_and_its_own(step):
    settings = load_settings()
    found = parameters(settings, step.sections)
    assert len(found) <= 40 < len(describe(settings))
    own = {key.partition(".")[0] for key in found}
    assert own <= {*step.sections, "dataset", "sample", "env", "lake", "seed"}
    assert found["lake"] == settings.lake  # forget_user goes by it


def test_what_somebody_changed_is_a_parameter_and_what_everybody_looks_for():
    settings = load_settings(overrides=["sequence.network.dropout=0.37"])
    found = parameters(settings, ["sequence", "seed"])
    assert found["sequence.network.dropout"] == "0.37"
    assert found["sequence.model"] == "basket_gru" and "sequence.training.epochs" in found
    assert "sequence.network.dropout" not in parameters(load_settings(), ["sequence"])


def test_secrets_are_no_parameters():
    settings = load_settings(overrides=["spark.conf={fs.s3a.secret.key: abc}"])
    assert "abc" not in str(parameters(settings, ["spark"]))


def test_the_note_of_a_sample_says_so():
    settings = load_settings(overrides=["sample=0.05"])
    assert "a sample of 0.05 of its users" in step_note("x", settings)
    assert "sample" not in step_note("x", load_settings())


def test_the_note_of_a_pipeline_tells_what_every_step_came_to():
    note = pipeline_note(load_settings(), [("ingest", False, {"files": 3}), ("clean", True, {})])
    assert "* **ingest**: files 3" in note and "* **clean** (unchanged, not run): done" in note


class Nothing(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    place = tmp_path_factory.mktemp("mlflow")
    return load_settings(
        overrides=[
            f"tracking.uri=sqlite:///{place}/runs.db", f"tracking.artifacts={place}/artifacts",
            "tracking.system_metrics=false", "sample=0.05",
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(settings):
    """A run as a step makes it, with a registered model."""
    with job_run(settings, "ingest", {}, sections=["source", "sample"], about="Raw files.") as made:
        made.log_headline({"files": 3, "frequent items ndcg": 0.25, "verdict": "fine"})
        made.log_headline({"files again": 3})
        model = made.models.register(
            settings.tracking.model_name,
            Nothing(),
            {},
            None,
            None,
            [],
            {"gain": "+0.01"},
            about="For all.",
            about_version="One.",
        )
        made.models.close_gate(model, True, "promoted: first model")
    return mlflow.get_run(made.run_id), model


def test_a_runs_page_says_what_it_is_and_of_which_share_of_the_users(run):
    tags = run[0].data.tags
    assert tags[NOTE] == "Raw files."
    assert (tags["truelift.dataset"], tags["truelift.sample"]) == ("complete_journey", "0.05")


def test_a_headline_is_logged_once_under_names_without_blanks(run):
    assert run[0].data.metrics == {"files": 3, "frequent_items_ndcg": 0.25}


def test_an_experiment_has_a_description_and_one_written_by_hand_stays(run, settings):
    experiment = mlflow.get_experiment(run[0].info.experiment_id)
    assert experiment.name.endswith("-sample-0.05")
    assert "a sample of 0.05 of its users" in experiment.tags[NOTE]
    mlflow.MlflowClient().set_experiment_tag(experiment.experiment_id, NOTE, "Ours.")
    with job_run(settings, "clean", {}):
        pass
    assert mlflow.get_experiment(experiment.experiment_id).tags[NOTE] == "Ours."


def test_a_registered_model_and_its_version_describe_themselves(run):
    _, model = run
    client = mlflow.MlflowClient()
    assert client.get_registered_model(model.name).description == "For all."
    version = client.get_model_version(model.name, model.version)
    assert version.description == "One.\n\nGate: promoted: first model."
    assert version.tags["truelift.sample"] == "0.05" and version.tags["gain"] == "+0.01"
    assert "sample-0_05" in model.name
