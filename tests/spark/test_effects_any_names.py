"""Tables as users have them: any name where it is used, and columns that stand in nobody's way."""

from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.job import estimate_effects_from
from truelift.lake.buckets import buckets_of
from truelift.settings import EffectOptions

PLAIN = EffectOptions(start_rows=500, outcomes=("y_spend",), groups=("campaign",),
                      estimands=("ATE", "GATE"))  # fmt: skip
#: Names that truelift, Spark or Delta use themselves, or that they cannot write.
ODD = {
    "x_0": "bucket", "x_1": "order", "x_2": "Order", "x_3": "c0", "y_spend": "y",
    "treated": "fold", "user_key": "unit_id", "campaign": "a.b `c` (€), =;{}",
}  # fmt: skip
ODDLY = replace(
    PLAIN, covariates=("bucket", "order", "Order", "c0"), outcomes=("y",), treatment="fold",
    cluster="unit_id", groups=("a.b `c` (€), =;{}",),
)  # fmt: skip


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    return simulate_panel(seed=3, units=900, clusters=120).drop_columns(["bucket", "unit_id"])


@pytest.fixture(scope="module")
def odd(panel) -> pa.Table:
    """The panel under odd names, beside columns that nobody asks for."""
    table = panel.rename_columns([ODD.get(name, name) for name in panel.column_names])
    moment = datetime.datetime(2024, 1, 1, 12)
    beside = {
        "Unnamed: 0": np.arange(900),
        "Y": ["text"] * 900,
        "when": pa.array([moment] * 900, pa.timestamp("ns")),
        "how long": pa.array([datetime.timedelta(1)] * 900, pa.duration("ns")),
        "many": [[1, 2]] * 900,
        "none": pa.nulls(900),
    }
    for name, values in beside.items():
        table = table.append_column(name, pa.array(values))
    return table


@pytest.fixture(scope="module")
def expected(panel):
    """By the number of buckets, the estimates of the plainly named panel in memory."""

    def numbers(buckets: int) -> np.ndarray:
        place = buckets_of(panel["user_key"].combine_chunks(), buckets)
        table = with_column(panel, "bucket", pa.array(place, pa.int32()))
        return found_in(estimate_panel(in_buckets(table), PLAIN).result)

    return numbers


def found_in(result) -> np.ndarray:
    return np.array([(e.estimate, e.standard_error) for e in result.estimates])


def test_any_name_works_where_it_is_used(lake, odd, expected, tmp_path):
    pq.write_table(odd, tmp_path / "odd.parquet")
    found = estimate_effects_from(lake, str(tmp_path / "odd.parquet"), ODDLY)
    np.testing.assert_allclose(found_in(found), expected(lake.buckets), rtol=1e-9)
    assert found.estimates[0].outcome == "y"
    assert found.estimates[-1].population == "a.b `c` (€), =;{} = c2"


@pytest.mark.parametrize("kind", ["text", "number"])
def test_a_delta_table_partitioned_by_a_bucket_that_is_not_ours_is_brought_into_ours(
    lake, panel, expected, tmp_path, kind
):
    from deltalake import write_deltalake

    own = panel["campaign"] if kind == "text" else pa.array(np.arange(900) % 3)
    uri = str(tmp_path / "theirs")
    write_deltalake(uri, with_column(panel, "bucket", own.to_pylist()), partition_by=["bucket"])
    found = estimate_effects_from(lake, uri, PLAIN)
    np.testing.assert_allclose(found_in(found), expected(lake.buckets), rtol=1e-9)


def test_a_delta_table_with_mapped_columns_is_read(spark, lake, panel, expected, tmp_path):
    uri = str(tmp_path / "mapped")
    frame = spark.createDataFrame(panel).withColumnRenamed("x_0", "spend before (€)")
    mapped = frame.write.format("delta").option("delta.columnMapping.mode", "name")
    mapped.option("delta.minReaderVersion", "2").option("delta.minWriterVersion", "5").save(uri)
    options = replace(PLAIN, covariates=("spend before (€)", "x_1", "x_2", "x_3"))
    found = estimate_effects_from(lake, uri, options)
    np.testing.assert_allclose(found_in(found), expected(lake.buckets), rtol=1e-9)


def test_csv_is_a_table_and_a_filter_leaves_rows_out(lake, panel, tmp_path):
    pacsv.write_csv(panel, tmp_path / "panel.csv")
    options = replace(PLAIN, filter="campaign in ('c0', 'c2') and x_1 > 0", groups=("campaign",))
    found = estimate_effects_from(lake, str(tmp_path / "panel.csv"), options)
    kept = panel.filter((pa.compute.field("campaign") != "c1") & (pa.compute.field("x_1") > 0))
    place = buckets_of(kept["user_key"].combine_chunks(), lake.buckets)
    kept = with_column(kept, "bucket", pa.array(place, pa.int32()))
    memory = estimate_panel(in_buckets(kept), PLAIN).result
    np.testing.assert_allclose(found_in(found), found_in(memory), rtol=1e-6)
    assert found.n == kept.num_rows
    assert f"{kept.num_rows:,} of 900 rows" in found.selection
