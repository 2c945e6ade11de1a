"""``evaluate_policies`` on Spark: the numbers of a table in memory, and what it leaves behind."""

from __future__ import annotations

import pandas as pd
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
    log = log.assign(slot=log.index % 2 + 1, list=log.index // 2, p_kind=(log.p + 1) / 2)
    kinds = str(tmp_path / "kinds.parquet")
    pd.DataFrame({"action": list("abcd"), "group": list("uuvv")}).to_parquet(kinds)
    uri = str(tmp_path / "log.parquet")
    log.to_parquet(uri, row_group_size=500)
    more = {
        "context": ["segment"], "position": "slot", "slate": "list",
        "groups": {"table": kinds, "propensity": "p_kind"},
    }  # fmt: skip
    plain = {**KEYS, "rewards": ["reward"], "policies": POLICIES, **more}
    run = RecordingRun()
    job = Job("evaluate_policies", settings, lake, {}, "one", run, tmp_path)  # type: ignore[arg-type]
    found = evaluate_policies(job, uri, from_plain(BanditSpec, plain))
    here = tl.evaluate_policies(log, **KEYS, policies=POLICIES, **more, buckets=lake.buckets)
    assert len(found.estimates) == 3 * 48 and len(found.lists) == 3 * 8
    for one, other in zip(
        (*found.estimates, *found.lists), (*here.estimates, *here.lists), strict=True
    ):
        assert one.estimate == pytest.approx(other.estimate, rel=1e-9)
        assert one.standard_error == pytest.approx(other.standard_error, rel=1e-7, abs=1e-9)
    rows = lake.read("gold.policies").toPandas()
    assert len(rows) == len(found.estimates) + len(found.lists) and set(rows.support) == {
        "supported"
    }
    assert set(rows[rows.ships].policy) == {v.policy for v in here.values if v.ships}
    assert rows[rows.policy == "best"].ships.all() and "best (reward)" in run.tags[SHIPS]
    assert run.metrics["value.best.reward"] == found.value("best", "reward").value
    assert newest_of_tools(lake.root, "", PoliciesResult) == found
