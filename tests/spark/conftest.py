"""Lakes on the shared Spark session, and jobs without MLflow."""

from __future__ import annotations

import pytest

from tests.conftest import RecordingRun
from truelift.job import Job
from truelift.lake import Lake
from truelift.pipeline import pin_inputs, step_named
from truelift.steps import StepStore


@pytest.fixture(autouse=True)
def spark_jobs(spark, record_property):
    """How many jobs Spark ran for a test, for ``tests/seconds.json``."""
    scheduler = spark.sparkContext._jsc.sc().dagScheduler()
    before = scheduler.numTotalJobs()
    yield
    record_property("spark_jobs", scheduler.numTotalJobs() - before)


@pytest.fixture
def lake(spark, make_settings):
    """An empty lake under ``tmp_path`` on the shared session."""
    return Lake.open(make_settings(), spark)


@pytest.fixture
def make_job(tmp_path, spark):
    """``make_job("clean", settings)``: a Job with pinned inputs and a run that only remembers.

    ``job.save_result`` keeps results in ``job.results``; call ``step_named(name).run(job)`` or
    the job's function on it.
    """

    def make(name: str, settings, lake: Lake | None = None, fingerprint: str | None = None) -> Job:
        lake = lake or Lake.open(settings, spark)
        inputs = pin_inputs(step_named(name), lake)
        workdir = tmp_path / f"work-{name}"
        workdir.mkdir(exist_ok=True)
        return Job(
            name=name,
            settings=settings,
            lake=lake,
            inputs=inputs,
            fingerprint=fingerprint or f"test-{name}-{sorted(inputs.items())}",
            run=RecordingRun(),
            workdir=workdir,
            store=StepStore(lake.root),
        )

    return make
