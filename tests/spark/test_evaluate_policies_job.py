"""``evaluate_policies`` on Spark: the numbers of a table in memory, and what it leaves behind."""

from __future__ import annotations

import pytest

import truelift as tl
from tests.conftest import RecordingRun
from tests.unit.policy.test_policy_values import KEYS, POLICIES, bandit_log
from truelift.job import Job
from truelift.lake import Lake
from truelift.policy.off_policy.job import SHIPS, evaluate_policies
from truelift.policy.off_policy.results import PoliciesResult
from truelift.policy.off_policy.spec import BanditSpec
from truelift.tool_records import newest_of_tools
from truelift.typed import from_plain


def test_a_log_read_by_spark_gives_the_numbers_of_memory_and_leaves_a_table(
    spark, make_settings, tmp_path
):
    settings = make_settings()
    lake = Lake.open(settings, spark)
    log = bandit_log(3_000)
    uri = str(tmp_path / "log.parquet")
    log.to_parquet(uri, row_group_size=500)
    plain = {**KEYS, "rewards": ["reward"], "policies": POLICIES, "context": ["segment"]}
    run = RecordingRun()
    job = Job("evaluate_policies", settings, lake, {}, "one", run, tmp_path)  # type: ignore[arg-type]
    found = evaluate_policies(job, uri, from_plain(BanditSpec, plain))
    here = tl.evaluate_policies(
        log, **KEYS, policies=POLICIES, context=["segment"], buckets=lake.buckets
    )
    assert len(found.estimates) == 3 * 46
    for one, other in zip(found.estimates, here.estimates, strict=True):
        assert one.estimate == pytest.approx(other.estimate, rel=1e-9)
        assert one.standard_error == pytest.approx(other.standard_error, rel=1e-7, abs=1e-9)
    rows = lake.read("gold.policies").toPandas()
    assert len(rows) == len(found.estimates) and set(rows.support) == {"supported"}
    assert set(rows[rows.ships].policy) == {v.policy for v in here.values if v.ships}
    assert rows[rows.policy == "best"].ships.all() and "best (reward)" in run.tags[SHIPS]
    assert run.metrics["value.best.reward"] == found.value("best", "reward").value
    assert newest_of_tools(lake.root, "", PoliciesResult) == found
