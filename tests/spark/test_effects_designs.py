"""A design through the effect step: the job's numbers are those in memory, in its table and metrics."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

import truelift as tl
from tests.unit.effects.designs.few_treated_rows import few_treated_table
from truelift.effects.job import estimate_effects
from truelift.effects.results import EffectsResult
from truelift.simulate.worlds.instrumented import instrument_table
from truelift.simulate.worlds.staggered import trending_table
from truelift.typed import from_plain


def test_the_step_tells_effects_by_an_instrument_as_memory_does(
    lake, tmp_path, make_settings, make_job
):
    file = str(tmp_path / "visits.parquet")
    pq.write_table(instrument_table(seed=5), file)
    asked = ("treatment=d", "outcomes=[y]", "covariates=[x]", "cluster=user", "instrument=z1")
    settings = make_settings(*(f"effects.{item}" for item in (f"table={file}", *asked)))
    job = make_job("estimate_effects", settings, lake)
    job.run.log_table = lambda *told: None
    report = estimate_effects(job)
    here = tl.estimate_effects(
        file, treatment="d", outcomes="y", covariates="x", cluster="user", instrument="z1",
        buckets=settings.buckets,
    )  # fmt: skip
    written = {row.estimand: row for row in lake.read("gold.effects").collect()}
    for e in here.estimates:
        found = (written[e.estimand].estimate, written[e.estimand].standard_error)
        assert found == pytest.approx((e.estimate, e.standard_error), rel=1e-9)
    result = from_plain(EffectsResult, job.results["EffectsResult"])
    assert result.instruments[0].effective_f == pytest.approx(here.instruments[0].effective_f)
    assert set(result.not_made) == {"heterogeneity", "credibility"}
    assert report.rows_out == len(here.estimates) and "LATE y" in report.headline
    assert not lake.exists("gold.scores")
    assert job.run.metrics["late.y"] == written["LATE"].estimate


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        (
            trending_table(3, shops=200, regions=50),
            {
                "design": "did", "treatment": "begins", "unit": "shop", "cluster": "region", "covariates": ["x_0", "x_1"],
                "weight": "size", "differences": {"time": "week"},
            },
        ),
        (
            few_treated_table(3, donors=20, before=8, after=2),
            {
                "design": "synthetic", "treatment": "begins", "unit": "store", "cluster": "store",
                "differences": {"time": "week"}, "estimands": ["synthetic DiD"],
            },
        ),
    ],
    ids=["did", "synthetic"],
)  # fmt: skip
def test_designs_over_time_have_the_same_numbers_from_files_and_in_memory(
    lake, tmp_path, table, keys
):
    file = str(tmp_path / "panel.parquet")
    pq.write_table(table, file)
    held = tl.estimate_effects(file, outcomes="y", lake=lake, **keys)
    here = tl.estimate_effects(file, outcomes="y", buckets=lake.buckets, **keys)
    assert len(held.estimates) == len(here.estimates)
    for found, wanted in zip(held.estimates, here.estimates, strict=True):
        assert (found.estimate, found.standard_error) == pytest.approx(
            (wanted.estimate, wanted.standard_error), rel=1e-12, abs=1e-12
        )
        assert found.population == wanted.population
