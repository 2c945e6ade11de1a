"""Policies and budgets from the score table, through Spark: the numbers of memory, tables, a model."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.commands.allocate import allocate
from truelift.commands.apply_policy import apply_policy
from truelift.commands.learn_policy import learn_policy
from truelift.effects.job import estimate_effects
from truelift.errors import ConfigError, TableError
from truelift.lake.buckets import buckets_of

LEARN = """
reward: {outcome: y, costs: {"1": 0.2}}
method: METHOD
min_leaf: 50
bins: 12
exploration: 0.1
GROUPS
"""
ALLOCATE = """
reward: {outcome: y, costs: {"1": x_price}}
budget: BUDGET
points: 4
limit_by: region
floors: {north: 0.3}
"""


def orders() -> pd.DataFrame:
    """A randomised mailing that helps where x_need is high."""
    rng = np.random.default_rng(4)
    n = 3000
    frame = pd.DataFrame({"unit_id": [f"o{i}" for i in range(n)]})
    frame["user_key"] = [f"u{i // 2}" for i in range(n)]
    frame["treated"] = rng.integers(0, 2, n)
    frame["x_need"], frame["x_price"] = rng.normal(size=n), rng.uniform(0.2, 0.6, n)
    frame["region"] = np.where(rng.random(n) < 0.3, "north", "south")
    gain = np.where(frame.x_need > 0.3, 1.0, 0.0)
    frame["y"] = frame.x_need + gain * frame.treated + rng.normal(0, 0.5, n)
    frame["y_paid"] = frame.treated * frame.x_price + rng.normal(0, 0.1, n)
    frame["campaign"] = "one"
    return frame


@pytest.fixture
def scored(spark, lake, make_settings, make_job):
    """A lake with a panel and its scores; what the estimation was asked."""
    import pyarrow as pa

    table = pa.Table.from_pandas(orders(), preserve_index=False)
    place = buckets_of(table["user_key"].combine_chunks(), lake.buckets)
    table = table.append_column("bucket", pa.array(place, pa.int32()))
    table = table.set_column(2, "treated", table["treated"].cast(pa.int32()))
    lake.replace("gold.panel", spark.createDataFrame(table), "panel")
    settings = make_settings("effects.outcomes=[y,y_paid]", "effects.start_rows=500")
    estimate_effects(make_job("estimate_effects", settings, lake))
    return settings


def command(asked, settings, tmp_path, text: str, panel: str = "gold.panel"):
    (tmp_path / "spec.yaml").write_text(text)
    return asked.function(settings=settings, panel=panel, spec=str(tmp_path / "spec.yaml"))


def test_commands_give_the_numbers_of_memory_and_leave_tables_and_a_model(lake, scored, tmp_path):
    method = "tree"
    text = LEARN.replace("METHOD", method).replace("GROUPS", "groups: [region]")
    result = command(learn_policy, scored, tmp_path, text)
    here = tl.learn_policy(
        orders(), treatment="treated", outcome="y", covariates=["x_need", "x_price"],
        cluster="user_key", unit="unit_id", costs={"1": 0.2}, method=method, min_leaf=50, bins=12,
        groups="region", buckets=lake.buckets, start_rows=500, exploration=0.1,
    ).result  # fmt: skip
    assert result.value.estimate == pytest.approx(here.value.estimate, rel=1e-6)
    assert result.value.standard_error == pytest.approx(here.value.standard_error, rel=1e-6)
    assert result.in_sample == pytest.approx(here.in_sample, rel=1e-6)
    assert [g.level for g in result.groups] == ["north", "south"]
    assert result.gains[0].ci_lower > 0
    acted = lake.read("gold.learned_policies").toPandas()
    assert len(acted) == 3000
    assert 0.05 < (acted.arm != acted.best_arm).mean() * 2 < 0.15
    same = acted.arm == acted.best_arm
    assert acted.propensity[same].unique() == pytest.approx([0.95])
    assert acted.propensity[~same].unique() == pytest.approx([0.05])
    name = scored.tracking.model_name.removesuffix("-sequence") + "-policy"
    mlflow.set_tracking_uri(scored.tracking.uri)
    model = mlflow.pyfunc.load_model(f"models:/{name}@challenger")
    told = model.predict(orders()[["unit_id", "x_need", "x_price"]])
    expected = acted.set_index("unit_id").loc[orders().unit_id]
    assert told.action.tolist() == expected.arm.tolist()
    assert told.propensity.to_numpy() == pytest.approx(expected.propensity.to_numpy())

    orders().drop(columns="user_key").to_parquet(tmp_path / "orders.parquet")
    asked = {
        "settings": scored, "table": str(tmp_path / "orders.parquet"), "unit": "unit_id",
        "out": str(tmp_path / "decisions"),
    }  # fmt: skip
    assert apply_policy.function(model="challenger", **asked).rows == 3000
    decided = lake.spark.read.format("delta").load(asked["out"]).toPandas().set_index("unit_id")
    assert decided.loc[orders().unit_id].arm.tolist() == expected.arm.tolist()
    with pytest.raises(TableError, match="no such model"):
        apply_policy.function(model="champion", **asked)

    spent = command(allocate, scored, tmp_path, ALLOCATE.replace("BUDGET", "200"))
    rows = lake.read("gold.allocations").toPandas()
    assert rows.cost.sum() == pytest.approx(spent.spend)
    assert spent.spend <= 200
    regions = orders().set_index("unit_id").region
    north = rows[rows.unit_id.map(regions) == "north"]
    assert (north.arm == "1").mean() >= 0.3
    assert spent.gain.ci_lower > 0
    assert spent.path[-1].gain.estimate >= spent.path[0].gain.estimate

    effects = "{reward: {outcome: y, cost_outcome: y_paid}, budget: 200, points: 4}"
    estimated = command(allocate, scored, tmp_path, effects)
    assert estimated.notes[-1].startswith("Costs are the effects on y_paid")
    # The unlimited path by known costs and by their effects: costs are forecast to a tenth.
    assert estimated.whole == pytest.approx(spent.whole, rel=0.1)
    assert estimated.spend == pytest.approx(200, rel=0.02)

    with pytest.raises(TableError, match=r"no scores of gold\.panel_x"):
        command(allocate, scored, tmp_path, ALLOCATE.replace("BUDGET", "200"), "gold.panel_x")
    with pytest.raises(ConfigError, match="has scores of y, y_paid"):
        command(learn_policy, scored, tmp_path, "reward: {outcome: z}")
    with pytest.raises(ConfigError, match=r"reward\.cost_outcome: found 'z'"):
        command(allocate, scored, tmp_path, effects.replace("y_paid", "z"))
