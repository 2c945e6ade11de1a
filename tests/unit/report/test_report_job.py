"""The job gathers records from the lake and writes one file; no Spark is started."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.conftest import RecordingRun
from truelift.config import without_secrets
from truelift.errors import ConfigError, MachineError
from truelift.job import Job
from truelift.lake import Lake
from truelift.report.job import relative_link, report, report_folder, write_page
from truelift.step_graph import step_named
from truelift.steps import StepStore
from truelift.typed import to_plain


@pytest.fixture
def recording_run() -> RecordingRun:
    return RecordingRun()


@pytest.fixture
def job_on(tmp_path, make_settings, recording_run):
    """A report job on a lake that holds nothing but the given records."""

    def make(*records, overrides=()):
        settings = make_settings(*overrides)
        lake = Lake.open(settings)
        store = StepStore(lake.root)
        for record in records:
            store.write(record)
        return Job(
            "report", settings, lake, {}, "f", recording_run, tmp_path,
            store=store, after=dict.fromkeys(step_named("report").after, ""),
        )  # fmt: skip

    return make


def with_results(record, *results):
    return type(record)(
        **(asdict(record) | {"results": {type(r).__name__: to_plain(r) for r in results}})
    )


def test_the_page_shows_what_the_steps_saved(job_on, record_of, whole, recording_run):
    job = job_on(
        with_results(record_of("ingest", {}, {"bronze.events": 0}), whole.ingest),
        with_results(record_of("clean", {"bronze.events": 0}, {"silver.events": 7}), whole.clean),
        with_results(record_of("estimate_effects", {}, {}), whole.effects),
    )
    done = report(job)
    page = (report_folder(job.settings) / "index.html").read_text(encoding="utf-8")
    assert "Receiving a campaign raised spend by 14.5" in page
    assert "silver.events v7" in page
    assert "The step train_sequence has not run on this lake." in page
    assert done.rows_in == 3 and done.headline["figures"] == 10
    assert recording_run.figures == [
        "effects_forest.png", "clip_path.png", "overlap_histogram.png", "love_plot.png",
        "sorted_groups.png", "targeting_curve.png", "confounder_contour.png",
        "placebo_histogram.png", "left_out.png", "rows_funnel.png",
    ]  # fmt: skip
    assert [p.endswith("index.html") for p in recording_run.artifacts] == [True]
    assert not job.lake.session_started


def test_a_lake_without_any_step_still_gets_a_page(job_on):
    job = job_on()
    assert report(job).headline["figures"] == 0
    page = (report_folder(job.settings) / "index.html").read_text(encoding="utf-8")
    assert "No finished step is on record" in page


def test_secrets_of_the_configuration_are_not_shown(job_on):
    key = "spark.conf={spark.hadoop.fs.s3a.secret.key: hunter2, spark.sql.ansi.enabled: 'true'}"
    job = job_on(overrides=(key,))
    report(job)
    page = (report_folder(job.settings) / "index.html").read_text(encoding="utf-8")
    assert "hunter2" not in page and "spark.hadoop.fs.s3a.secret.key: (hidden)" in page
    assert "spark.sql.ansi.enabled" in page


def test_a_login_inside_a_uri_is_hidden_and_the_rest_stays():
    shown = without_secrets({"uri": "postgresql://ann:pw@host/db", "path": "s3a://bucket/lake"})
    assert shown == {"uri": "postgresql://(hidden)@host/db", "path": "s3a://bucket/lake"}


def test_a_report_path_that_is_a_uri_is_refused_with_what_to_do(make_settings):
    with pytest.raises(ConfigError, match=r"report\.path: found 's3a://b/r'.*mounted path"):
        report_folder(make_settings("report.path=s3a://b/r"))


def test_a_report_path_that_is_a_file_is_refused_and_the_file_stays(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(MachineError, match=r"--set report\.path=DIRECTORY"):
        write_page(taken, "<html></html>")
    assert taken.read_text() == "mine"


def test_a_rewritten_page_replaces_the_old_one_and_leaves_no_parts(tmp_path):
    write_page(tmp_path, "old")
    assert write_page(tmp_path, "new").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_data_docs_are_linked_relative_to_the_page_and_only_if_they_exist(tmp_path):
    docs = tmp_path / "report" / "data_docs" / "index.html"
    docs.parent.mkdir(parents=True)
    docs.write_text("docs")
    folder = tmp_path / "report"
    assert relative_link(str(docs), folder) == "data_docs/index.html"
    assert relative_link(f"file://{docs.parent}", folder) == "data_docs/index.html"
    assert relative_link(str(tmp_path / "gone.html"), folder) is None
    assert relative_link(None, folder) is None


def test_what_an_older_lake_left_and_cannot_be_read_is_said_on_the_page(job_on, record_of, whole):
    kept = with_results(record_of("clean", {}, {}), whole.clean)
    kept.results["CleanResult"].pop("bronze")
    kept.results["CleanResult"]["of_old"] = 1
    job = job_on(kept)
    step_named("report").run(job)
    text = Path(job.files[0]).read_text()
    assert "Some results are of another version" in text
    assert "until then it counts as not done" in text
