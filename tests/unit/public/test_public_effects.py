"""``tl.estimate_effects``: the job's numbers on a table at hand, in whatever form it comes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

import truelift as tl
from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.errors import ConfigError
from truelift.lake.buckets import buckets_of
from truelift.settings import EffectOptions, Settings

ASKED = {
    "treatment": "treated",
    "outcomes": ["y_spend", "y_visits"],
    "cluster": "user_key",
    "start_rows": 300,
}


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    return simulate_panel(seed=4, units=800, clusters=160).drop_columns(["bucket"])


@pytest.fixture(scope="module")
def of_the_job(panel) -> np.ndarray:
    """The estimates on the copy that the job makes: partitioned by Spark's hash of the cluster."""
    place = pa.array(buckets_of(panel["user_key"], Settings.buckets), pa.int32())
    options = EffectOptions(treatment="treated", outcomes=("y_spend", "y_visits"), start_rows=300)
    return numbers(estimate_panel(in_buckets(with_column(panel, "bucket", place)), options).result)


def numbers(result) -> np.ndarray:
    return np.array([(e.estimate, e.standard_error, e.ci_lower) for e in result.estimates])


class Streamed:
    """Any table that speaks Arrow's protocol, as those of Polars and DuckDB do."""

    def __init__(self, table: pa.Table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def as_csv(table, folder):
    pacsv.write_csv(table, folder / "panel.csv")
    return folder / "panel.csv"


def as_parquet(table, folder):
    for part in range(3):
        (folder / "rows").mkdir(exist_ok=True)
        pq.write_table(table.slice(300 * part, 300), folder / "rows" / f"{part}.parquet")
    return folder / "rows"


def as_delta(table, folder):
    write_deltalake(str(folder / "delta"), table)
    return str(folder / "delta")


FORMS = {
    "Arrow": lambda table, folder: table,
    "Arrow in chunks": lambda table, folder: pa.concat_tables([table.slice(500), table.slice(0, 500)]),
    "pandas": lambda table, folder: table.to_pandas(),
    "pandas with categories": lambda table, folder: table.to_pandas().astype({"user_key": "category"}),
    "a stream": lambda table, folder: Streamed(table),
    "CSV": as_csv,
    "a folder of Parquet": as_parquet,
    "Delta": as_delta,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_gives_the_numbers_of_the_job(panel, of_the_job, tmp_path, form):
    found = tl.estimate_effects(FORMS[form](panel, tmp_path), **ASKED)
    np.testing.assert_allclose(numbers(found), of_the_job, rtol=1e-12, atol=1e-300)


def test_a_delta_table_that_lies_in_buckets_is_estimated_in_them(panel, tmp_path):
    place = pa.array(buckets_of(panel["user_key"], 6), pa.int32())
    table = with_column(panel, "bucket", place)
    write_deltalake(str(tmp_path / "ours"), table, partition_by=["bucket"])
    options = EffectOptions(treatment="treated", outcomes=("y_spend", "y_visits"), start_rows=300)
    expected = numbers(estimate_panel(in_buckets(table), options).result)
    found = tl.estimate_effects(str(tmp_path / "ours"), **ASKED)
    np.testing.assert_allclose(numbers(found), expected, rtol=1e-12, atol=1e-300)


def test_rows_without_a_cluster_each_stand_for_themselves(panel):
    by_unit = tl.estimate_effects(panel, **ASKED | {"cluster": None, "unit": "unit_id"})
    by_row = tl.estimate_effects(panel, **ASKED | {"cluster": None})
    assert by_unit.clusters == by_row.clusters == panel.num_rows
    ours, theirs = by_row.estimates[0], by_unit.estimates[0]
    assert abs(ours.estimate - theirs.estimate) < 0.5 * theirs.standard_error


def test_covariates_that_are_texts_are_categories(panel):
    asked = ASKED | {"outcomes": "y_spend"}
    named = tl.estimate_effects(
        panel, covariates=["x_0"], categorical={"campaign": "one_hot"}, **asked
    )
    found = tl.estimate_effects(panel, covariates=["x_0", "campaign"], **asked)
    assert numbers(found).tolist() == numbers(named).tolist()
    coded = panel.to_pandas().astype({"campaign": "category"})
    again = tl.estimate_effects(coded, covariates=["x_0", "campaign"], **asked)
    np.testing.assert_allclose(numbers(again), numbers(named), rtol=1e-12)


@pytest.mark.parametrize("control", [0, "0", False, np.int64(0)])
def test_labels_may_be_numbers_and_truth_values(panel, control):
    asked = ASKED | {"outcomes": "y_spend", "estimands": "naive difference"}
    found = tl.estimate_effects(
        panel, control=control, propensity={0: 0.5, True: 0.5}, covariates=[], **asked
    )
    assert found.estimates[0].versus == "0"
    assert found.design.assignment == "randomised"


def test_a_result_prints_sentences_and_draws_itself(panel):
    found = tl.estimate_effects(panel, measured_in={"y_spend": "francs a week"}, **ASKED)
    assert str(found).startswith("Verdict: supported")
    assert "ATE: treated against untreated changes y_spend by" in str(found)
    assert "francs a week" in str(found)
    assert "<table>" in found._repr_html_()
    assert len(found.to_pandas()) == len(found.estimates) == 8


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"covariats": ["x_0"]}, r"'covariats'. Did you mean 'covariates'\?"),
        ({"treatment": "mailed"}, r"the Table has no column 'mailed'; its columns are unit_id"),
        ({"folds": 50}, r"buckets: found 40, expected at least folds \(50\)"),
        ({"learner": "forest"}, r"'forest'"),
        ({"lake": "nowhere"}, r"found a Table in memory, which needs none"),
    ],
)
def test_a_mistake_is_one_message(panel, changed, message):
    with pytest.raises(tl.TrueliftError, match=message):
        tl.estimate_effects(panel, **ASKED | changed)


def test_what_is_no_table_is_named():
    with pytest.raises(tl.TrueliftError, match=r"Found builtins.list, expected a table"):
        tl.estimate_effects([1, 2], **ASKED)


def test_options_that_contradict_each_other_are_refused_before_anything_is_read(panel):
    with pytest.raises(ConfigError, match="groups"):
        tl.estimate_effects(panel, estimands=["GATE"], **ASKED)


def test_a_first_effect_loads_neither_spark_nor_what_the_jobs_need():
    script = """
import json, sys, truelift as tl
assert "numpy" not in sys.modules and "yaml" not in sys.modules
import numpy as np, pyarrow as pa
rng = np.random.default_rng(1)
table = pa.table({"t": np.arange(600) % 2, "y": rng.normal(size=600), "x_0": rng.normal(size=600)})
tl.estimate_effects(table, treatment="t", outcomes="y")
print(json.dumps(sorted({m.partition(".")[0] for m in sys.modules})))
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    loaded = set(json.loads(found.stdout))
    assert not loaded & {
        "pyspark", "py4j", "yaml", "mlflow", "tensorflow", "keras", "deltalake", "delta", "psutil",
        "matplotlib", "xgboost", "great_expectations", "numba",
    }  # fmt: skip


def test_the_public_names_are_listed_and_others_are_not_there():
    assert set(tl.__all__) <= set(dir(tl))
    assert pd.Series(tl.__all__).is_unique
    with pytest.raises(AttributeError, match="no attribute 'estimate_effect'"):
        _ = tl.estimate_effect
