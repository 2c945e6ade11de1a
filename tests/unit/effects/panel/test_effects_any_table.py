"""Which tables are read as they lie, and tables in memory with any names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.job import estimate_effects_from
from truelift.effects.look import look_further
from truelift.effects.panel.any_table import frame_panel, lies_in_buckets
from truelift.effects.panel.columns import panel_columns
from truelift.effects.panel.parts import columns_asked_for
from truelift.effects.panel.start import StartKernel, start_buckets
from truelift.errors import TableError
from truelift.lake.buckets import buckets_of
from truelift.lake.scan import ScanPlan, make_plan, read_unit
from truelift.settings import EffectOptions

OPTIONS = EffectOptions(outcomes=("y_spend",), start_rows=300)


class FourBuckets:
    """All that a table in memory needs of a lake."""

    buckets = 4


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    return simulate_panel(seed=4, units=600, clusters=120).drop_columns(["bucket"])


def plan_of(table: pa.Table, buckets: pa.Array, folder) -> ScanPlan:
    write_deltalake(str(folder), with_column(table, "bucket", buckets), partition_by=["bucket"])
    return make_plan("t", str(folder))


def test_a_table_lies_in_buckets_where_the_hash_of_its_clusters_says_so(panel, tmp_path):
    place = pa.array(buckets_of(panel["user_key"].combine_chunks(), 6), pa.int32())
    plan = plan_of(panel, place, tmp_path / "ours")
    assert lies_in_buckets(plan, "user_key", 40)
    assert not lies_in_buckets(plan, "campaign", 6)
    assert not lies_in_buckets(plan, "bucket", 6)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([f"b{i % 3}" for i in range(600)]),
        pa.array([i % 6 for i in range(600)], pa.int32()),
        pa.array([0] * 600, pa.int32()),
        pa.array([-1 if i % 2 else 1 for i in range(600)], pa.int64()),
        pa.array([None if i % 2 else 1 for i in range(600)], pa.int32()),
        pa.array([["2024-01-01", "2024-01-02"][i % 2] for i in range(600)]),
    ],
)
def test_a_column_named_bucket_says_nothing_by_itself(panel, tmp_path, values):
    assert not lies_in_buckets(plan_of(panel, values, tmp_path / "theirs"), "user_key", 6)


#: Names that truelift, Arrow, Spark or Delta use themselves or cannot write.
NAMES = (
    "bucket", "fold", "unit_id", "order", "cluster", "arm", "weight", "propensity", "file", "unit",
    "outcome", "user_key", "_corrupt", "batch_id", "c0", "c1", "__fragment", "period", "a.b",
    "a", "e-mail (€)", "Unnamed: 0", "`x`", "y", "Y", "select", " ", "x,y", "数", "part",
)  # fmt: skip


@pytest.mark.parametrize("shift", range(0, len(NAMES), 6))
def test_any_name_works_in_any_part(panel, shift):
    names = dict(zip(panel.column_names, NAMES[shift:] + NAMES[:shift], strict=False))
    plain = replace(OPTIONS, groups=("campaign",), estimands=("ATE", "ATT", "GATE"), weight="x_3",
                    covariates=("x_0", "x_1"), heterogeneity=True, credibility=False,
                    categorical={"x_2": "one_hot"})  # fmt: skip
    table = with_column(panel, "x_3", np.linspace(1, 2, 600))
    table = with_column(table, "x_2", np.array(["p", "q", "r"])[np.arange(600) % 3])
    odd = replace(
        plain,
        treatment=names["treated"], outcomes=(names["y_spend"],), cluster=names["user_key"],
        unit=names["unit_id"], groups=(names["campaign"],), weight=names["x_3"],
        covariates=(names["x_0"], names["x_1"]), categorical={names["x_2"]: "one_hot"},
    )  # fmt: skip
    numbers = []
    for found, options in ((table, plain), (table.rename_columns(list(names.values())), odd)):
        source = frame_panel(found, options, 5)
        result = look_further(source, estimate_panel(source, options), options).result
        numbers.append(
            [(e.estimate, e.standard_error) for e in result.estimates]
            + [(v.autoc.estimate, v.autoc.standard_error) for v in result.heterogeneity]
        )
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("name", ["bucket", "order", "unit_id"])
def test_a_confounder_by_the_name_of_a_column_of_ours_is_adjusted_for(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    treated = (rng.random(4000) < 1 / (1 + np.exp(-x))).astype(int)
    frame = pd.DataFrame(
        {"id": range(4000), "t": treated, name: x, "y": 2 * treated + x + rng.normal(size=4000)}
    )
    options = EffectOptions(treatment="t", outcomes=("y",), covariates=(name,), cluster="id")
    found = estimate_effects_from(FourBuckets(), frame, options)
    ate = found.estimates[0]
    assert abs(ate.estimate - 2) < 4 * ate.standard_error < 0.2


def test_start_rows_are_drawn_by_the_hash_where_a_column_is_called_order(panel):
    named = panel.rename_columns(["order" if n == "x_0" else n for n in panel.column_names])
    drawn = []
    for table, covariates in ((panel, ("x_0",)), (named, ("order",))):
        options = replace(OPTIONS, covariates=covariates)
        source = frame_panel(table, options, 5)
        columns = panel_columns(source.schema, options, "t", source.distinct)
        drawn.append(
            source.start_rows(StartKernel(columns, start_buckets(source.bucket_rows(), 40)))
        )
    assert drawn[0].rename_columns(drawn[1].column_names).equals(drawn[1])


def test_a_unit_column_that_plays_another_part_does_not_name_the_rows(panel):
    table = with_column(panel, "unit_id", panel["treated"])
    asked = columns_asked_for(table.schema, replace(OPTIONS, treatment="unit_id"))
    assert asked == ("unit_id", "y_spend", "x_0", "x_1", "x_2", "x_3", "user_key")


def test_a_data_frame_gives_what_its_rows_give(panel):
    found = estimate_effects_from(FourBuckets(), panel.to_pandas(), OPTIONS)
    place = buckets_of(panel["user_key"], 4)
    table = with_column(panel, "bucket", pa.array(place, pa.int32()))
    expected = estimate_panel(in_buckets(table), OPTIONS).result
    assert [e.estimate for e in found.estimates] == [e.estimate for e in expected.estimates]
    assert found.table == "the DataFrame"


def test_a_mistake_in_the_options_is_named_with_all_columns_of_the_frame(panel):
    with pytest.raises(TableError, match=r"the DataFrame has no column 'nobody'.*campaign.*x_3"):
        estimate_effects_from(FourBuckets(), panel.to_pandas(), replace(OPTIONS, cluster="nobody"))


def test_a_plan_reads_columns_under_their_users_names_and_leaves_rows_out(tmp_path):
    rows = pa.table({"c0": [1, 2, 3, 4], "c1": ["a", "b", None, "a"],
                     "bucket": pa.array([0, 0, 1, 1], pa.int32())})  # fmt: skip
    write_deltalake(str(tmp_path / "copy"), rows, partition_by=["bucket"])
    plan = make_plan("t", str(tmp_path / "copy")).named({"bucket": "c0", "a.b": "c1"})
    plan = plan.where("`a.b` = 'a'").where("bucket > 1").where("bucket > 1")
    assert plan.rows_where.texts == ("`a.b` = 'a'", "bucket > 1")
    for one in (plan, ScanPlan.from_json(plan.to_json())):
        narrow = one.select(["bucket"])
        found = pa.concat_tables(read_unit(narrow, unit) for unit in narrow.units)
        assert found.to_pydict() == {"bucket": [4]}
        whole = pa.concat_tables(read_unit(one, unit) for unit in one.units)
        assert whole.to_pydict() == {"bucket": [4], "a.b": ["a"]}
    assert list(plan.by_bucket()) == [0, 1]
