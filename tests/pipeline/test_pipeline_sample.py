"""Two commands' worth of promises: it runs, it accounts for rows, and again changes nothing.

The first run and help are processes, as users start them. What runs after it runs here, on the
session that all tests share.
"""

from __future__ import annotations

import runpy
import shutil

import pytest

from tests.own_process import ROOT, environment_kept, in_a_process, in_this_process
from tests.pipeline.conftest import SMALL
from truelift.pipeline import STEPS

# The whole pipeline runs before the first test ends.
pytestmark = pytest.mark.timeout(1500)
NAMES = [step.name for step in STEPS]


@pytest.fixture(scope="session")
def after_first(first, workspace):
    """Table versions as the first run left them."""
    assert first.code == 0, first.err[-4000:]
    return workspace.versions()


def test_every_step_runs_and_prints_one_line_with_rows(first, steps):
    assert first.code == 0, first.err[-4000:]
    lines = steps(first.out)
    assert list(lines) == NAMES
    assert all("→" in line and "rows" in line for line in lines.values())


def test_the_closing_table_says_where_report_and_mlflow_are(first):
    closing = first.out.split("outcome")[-1]
    assert "index.html" in closing
    assert "mlflow ui --backend-store-uri sqlite:///" in closing


def test_every_table_of_the_design_has_rows(after_first, workspace):
    wanted = {
        *("bronze.events", "bronze.items", "bronze.users", "bronze.exposures"),
        *("silver.events", "silver.sessions", "gold.items", "gold.users", "gold.sequences"),
        *("gold.exposures", "gold.panel", "gold.scores", "gold.effects", "gold.recommendations"),
        "gold.rounds",
    }
    assert wanted <= set(after_first)
    assert all(len(workspace.table(name)) > 0 for name in wanted)


def test_bronze_is_silver_plus_quarantine_plus_duplicates(after_first, workspace):
    quarantine = workspace.table("silver.quarantine")
    silver, bronze = workspace.table("silver.events"), workspace.table("bronze.events")
    assert len(bronze) == len(silver) + len(quarantine)
    assert silver["event_id"].is_unique


def test_sessions_hold_every_event_once(after_first, workspace):
    sessions = workspace.table("silver.sessions")
    assert sessions["events"].sum() == len(workspace.table("silver.events"))
    assert sessions["session_id"].is_unique


def test_every_user_gets_ten_different_items(after_first, workspace):
    given = workspace.table("gold.recommendations").groupby("user_key")["item_key"]
    assert (given.nunique() == 10).all()
    assert set(workspace.table("gold.sequences")["user_key"]) == set(given.groups)


def test_effects_come_with_the_naive_difference_and_intervals(after_first, workspace):
    effects = workspace.table("gold.effects")
    assert {"ATE", "ATT", "ATO", "naive difference"} == set(effects["estimand"])
    assert (
        (effects["ci_lower"] < effects["estimate"]) & (effects["estimate"] < effects["ci_upper"])
    ).all()


def test_the_report_is_one_page_without_outside_parts(after_first, workspace):
    (page,) = workspace.folder.glob(".truelift/report/*/index.html")
    text = page.read_text()
    assert "<svg" in text
    assert 'src="http' not in text
    assert "<script src" not in text


def test_every_job_is_one_mlflow_run_under_the_pipelines(after_first, workspace):
    import mlflow

    store = f"sqlite:///{workspace.folder}/.truelift/mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=store)
    (experiment,) = [e for e in client.search_experiments() if e.name.startswith("truelift/")]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [r for r in runs if r.info.run_name == "pipeline"]
    rounds = [r for r in runs if r.info.run_name.startswith("round ")]
    jobs = {r.info.run_name: r for r in runs if r is not parent and r not in rounds}
    assert sorted(jobs) == sorted(NAMES)
    for run in jobs.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED"
        assert run.data.tags["truelift.code_version"]
        assert 4 <= len(run.data.params) <= 40
        assert run.data.tags["mlflow.note.content"]
        assert "rows_in" in run.data.metrics
        assert not any(" " in name for name in run.data.metrics)
    # The rounds of the loop are runs under its own.
    assert sorted(r.info.run_name for r in rounds) == ["round 1", "round 2"]
    played = workspace.table("gold.rounds").groupby(["strategy", "round"])["additional"].mean()
    for run in rounds:
        assert run.data.tags["mlflow.parentRunId"] == jobs["play_loop"].info.run_id
        assert run.info.status == "FINISHED"
        number = int(run.info.run_name.split()[1]) - 1
        added = played["effect", number]
        assert run.data.metrics["effect.additional"] == pytest.approx(added)
    # A run's parameters are those of its own step; the whole configuration is its resolved.yaml.
    assert jobs["sessionize"].data.params["sessions.timeout_seconds"] == "1800"
    assert "sessions.timeout_seconds" not in jobs["ingest"].data.params
    inputs = {i.dataset.name: i.dataset.digest for i in jobs["sessionize"].inputs.dataset_inputs}
    assert inputs["silver.events"] == "v0"


def test_the_model_is_registered_with_signature_and_alias(after_first, workspace):
    import mlflow

    store = f"sqlite:///{workspace.folder}/.truelift/mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=store)
    (model,) = client.search_registered_models()
    version = client.get_model_version_by_alias(model.name, "challenger")
    mlflow.set_tracking_uri(store)
    info = mlflow.models.get_model_info(f"models:/{model.name}/{version.version}")
    assert info.signature is not None
    assert info.saved_input_example_info is not None


def test_a_second_run_skips_every_step_and_changes_nothing(after_first, workspace, steps):
    again = workspace.pipeline()
    assert again.code == 0, again.err[-4000:]
    lines = steps(again.out)
    assert list(lines) == NAMES
    assert all("unchanged, skipped" in line for line in lines.values())
    assert workspace.versions() == after_first


def test_steps_run_again_on_request_write_the_same_tables(spark, after_first, workspace, steps):
    again = workspace.pipeline("--only", "sessionize")
    assert again.code == 0, again.err[-4000:]
    assert list(steps(again.out)) == ["sessionize"]
    assert workspace.versions() == after_first


def test_a_step_that_died_between_commit_and_record_changes_nothing(spark, after_first, workspace):
    # The process was killed after Delta's commit: the tables are there, the record is not.
    (workspace.folder / "lake" / "_truelift" / "steps" / "estimate_effects.json").unlink()
    again = workspace.pipeline()
    assert again.code == 0, again.err[-4000:]
    assert workspace.versions() == after_first


def test_a_changed_setting_reruns_its_step_and_those_that_read_it(
    spark, after_first, workspace, tmp_path
):
    shutil.copytree(workspace.folder, tmp_path / "copy")
    copy = type(workspace)(tmp_path / "copy")
    changed = copy.pipeline("--only", "sessionize", settings=("sessions.timeout_seconds=60",))
    assert changed.code == 0, changed.err[-4000:]
    versions = copy.versions()
    assert {n for n in versions if versions[n] != after_first[n]} == {"silver.sessions"}
    rest = copy.pipeline("--only", "build_features", settings=("sessions.timeout_seconds=60",))
    assert rest.code == 0, rest.err[-4000:]
    assert copy.versions()["gold.sequences"] == after_first["gold.sequences"] + 1


def test_an_unknown_step_lists_the_steps(workspace):
    arguments = ("run_pipeline", "--lake", "lake", "--only", "sessionise")
    wrong = in_this_process(workspace.folder, *arguments)
    assert wrong.code == 2
    assert "sessionize" in wrong.err
    assert "Traceback" not in wrong.err


def test_help_of_every_job_shows_a_runnable_example(workspace):
    for name, call in ((NAMES[0], in_this_process), ("run_pipeline", in_a_process)):
        shown = call(workspace.folder, name, "--help")
        assert shown.code == 0
        assert f"truelift {name} --dataset complete_journey" in shown.out
        assert f"spark-submit jobs/{name}.py" in shown.out


@pytest.mark.parametrize("notebook", ["01_run_the_pipeline", "02_read_the_effects"])
def test_notebooks_run_as_plain_python(spark, after_first, workspace, notebook):
    with environment_kept(workspace.folder) as patch:
        patch.setenv("MPLBACKEND", "Agg")
        patch.setenv("TRUELIFT_LAKE", "lake")
        patch.setenv("TRUELIFT_SET", " ".join(SMALL))
        runpy.run_path(str(ROOT / "notebooks" / f"{notebook}.py"), run_name="__main__")
    assert workspace.versions() == after_first
