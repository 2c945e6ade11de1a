"""``build_panel``: both panels that come with it, repeats, provenance, refusals, and estimating."""

from __future__ import annotations

import contextlib
import datetime
import io
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import RecordingRun
from tests.spark.shop_lake import fill_lake
from truelift.cli import main
from truelift.config import load_settings, panel_of_pipeline
from truelift.effects.job import estimate_effects_from
from truelift.errors import ConfigError, DataError
from truelift.features.build import build_features
from truelift.features.panels.build import build_panel
from truelift.features.panels.results import PanelBuilt
from truelift.features.panels.step import build_panel_step
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.writes import table_state
from truelift.logs.person import keyed_tables
from truelift.pipeline import pin_inputs, step_named
from truelift.settings import EffectOptions
from truelift.settings.panel_spec import PanelSpec
from truelift.simulate.log_files import write_logs
from truelift.simulate.logs import simulate_logs
from truelift.typed import from_plain


def job_of(lake: Lake, settings: Any, folder: Path, name: str = "build_panel") -> Job:
    inputs = pin_inputs(step_named(name), lake)
    return Job(name, settings, lake, inputs, "one", RecordingRun(), folder)


def tool_of(lake: Lake, settings: Any, folder: Path) -> Job:
    """The command with a specification of one's own, which reads no table of the pipeline."""
    return Job("build_panel", settings, lake, {}, "one", RecordingRun(), folder)


# ------------------------------------------------------------ the campaigns of a simulated shop

LOGS = simulate_logs(users=50, days=60, seed=2)


def shop_lake(spark, folder: Path) -> tuple[Lake, Any]:
    """A lake with the tables that the pipeline's panel is made of, and its settings."""
    mapping = write_logs(LOGS, folder / "shop")
    small = ("buckets=6", "features.item_level=category")
    settings = load_settings("local", str(mapping), small, str(folder / "lake"))
    lake = Lake.open(settings, spark)
    fill_lake(lake, LOGS, settings)
    build_features(job_of(lake, settings, folder, "build_features"))
    return lake, settings


class Shop:
    """A lake with gold.panel, its rows and what the step left behind."""

    def __init__(self, spark, folder: Path):
        self.folder = folder
        self.lake, self.settings = shop_lake(spark, folder)
        self.build()
        self.rows = self.lake.read("gold.panel").toArrow().to_pylist()

    def build(self) -> Job:
        job = job_of(self.lake, self.settings, self.folder)
        self.report = build_panel_step(job)
        self.result = from_plain(PanelBuilt, job.results["PanelBuilt"])
        return job


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    return Shop(spark, tmp_path_factory.mktemp("campaigns"))


def test_the_campaigns_without_room_before_or_after_are_left_out_with_the_reason(shop):
    assert shop.result.excluded == {
        "m1": "6 days of data before its start, 14 needed",
        "m4": "its window ends 7 days after the data",
    }
    assert shop.result.occasions == 2


def test_the_treated_units_are_those_of_the_truth(shop):
    truth = {
        (u["campaign"], u["visitor"]): u["treated"]
        for u in LOGS.units.to_pylist()
        if u["campaign"] in ("m2", "m3")
    }
    units = {(u["campaign"], u["user_key"]): u["treated"] for u in shop.rows}
    assert 80 <= len(units) <= 100
    assert units == {unit: truth[unit] for unit in units}
    assert shop.result.units == len(units) == shop.report.rows_out
    assert shop.result.treated == sum(units.values())


def test_visits_are_the_true_sessions_that_start_in_the_window_end_day_included(shop):
    seen = Counter()
    for visitor, start in zip(
        LOGS.sessions["visitor"].to_pylist(), LOGS.sessions["start"].to_pylist(), strict=True
    ):
        for name, (first, last) in LOGS.campaigns.items():
            seen[name, visitor] += first <= start.date() <= last
    for unit in shop.rows:
        assert unit["y_visits"] == seen[unit["campaign"], unit["user_key"]]


def test_the_panel_has_no_nulls_and_the_columns_that_the_data_name(shop):
    assert not [c for row in shop.rows for c, value in row.items() if value is None]
    columns = [c for c in shop.rows[0] if c.startswith("x_")]
    assert [c for c in columns if c.startswith("x_campaign_")] == ["x_campaign_m3"]
    assert sum(c.startswith("x_share_") for c in columns) == 4
    assert {"x_user_channel_app", "x_user_channel_web"} & set(columns)
    assert "x_user_segment_missing" in columns
    assert "x_user_channel_missing" not in columns


def test_copies_of_the_sources_give_the_panel_that_is_read_where_the_tables_lie(shop):
    """Conditions that hold everywhere have Spark compute every source."""
    spec = panel_of_pipeline(shop.settings)
    sources = {n: replace(source, where="true") for n, source in spec.sources.items()}
    job = job_of(shop.lake, shop.settings, shop.folder)
    built = build_panel(job, replace(spec, sources=sources))
    copied = rows_of(shop.lake, built.uri)
    assert copied == {row["unit_id"]: row for row in shop.rows}
    assert built.arms == shop.result.arms
    work = Path(shop.lake.root) / "work"
    assert not list(work.glob("panel-source-*")), "no copy of a source may be left"
    # So that people are forgotten in it, and its files are tended.
    assert shop.lake.panels() == ("gold.panel_campaigns",)
    assert "gold.panel_campaigns" in keyed_tables(job)
    assert "gold.panel" in keyed_tables(job)


def test_the_step_again_writes_nothing(shop):
    before, result = shop.lake.version("gold.panel"), shop.result
    job = shop.build()
    assert shop.lake.version("gold.panel") == before == job.outputs["gold.panel"]
    assert shop.result == result.again(before)


def test_without_exposures_there_is_no_panel_and_the_result_says_why(shop):
    job = job_of(shop.lake, shop.settings, shop.folder)
    del job.inputs["gold.exposures"]
    report = build_panel_step(job)
    found = from_plain(PanelBuilt, job.results["PanelBuilt"])
    assert found.missing == "the data set has no exposures (bronze.exposures)"
    assert report.rows_out == 0 and not job.outputs


def test_exposures_that_leave_one_arm_only_are_refused_before_any_write(shop):
    everyone = replace(shop.settings.panel, changes={
        **shop.settings.panel.changes, "treatment": {"arms": {"1": "false"}},
    })  # fmt: skip
    job = job_of(shop.lake, replace(shop.settings, panel=everyone), shop.folder)
    with pytest.raises(DataError, match=r"none of 4 occasions.*m2: none of 4\d eligible subjects"):
        build_panel_step(job)
    assert not job.outputs


def rows_of(lake: Lake, uri: str) -> dict[str, dict[str, Any]]:
    table = lake.spark.read.format("delta").load(uri).toArrow()
    return {row["unit_id"]: row for row in table.to_pylist()}


# ------------------------------------------------------------ shelves, weeks, arms, any tables

WEEKS, EFFECT = range(1, 13), {"none": 0.0, "display": 2.0, "mailer": 3.0, "display+mailer": 5.0}


def shelf_spec(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "shelves",
        "subject": ["product", "shop"],
        "cluster": "product",
        "clock": "periods",
        "time_zone": "UTC",
        "population": "sales",
        "sources": {
            "sales": {"table": str(folder / "sales"), "time": "week"},
            "ads": {"table": str(folder / "ads"), "time": "week"},
            "products": {"table": str(folder / "products"), "keys": {"product": "product"}},
        },
        "treatment": {
            "source": "ads", "occasion": "week", "start": "week", "end": "week + 1",
            "arms": {"display": "display <> '0'", "mailer": "mailer <> '0'"}, "control": "none",
            "column": "arm", "occasion_column": "week",
        },
        "occasions": {"observed": "sales", "history": 3},
        "outcomes": {
            "y": {"source": "sales", "aggregate": "sum", "value": "amount", "window": [0, "end"]},
        },
        "covariates": {
            "x_sold": {"source": "sales", "aggregate": "sum", "value": "amount", "window": [-3, 0]},
            "x_ads": {"source": "ads", "window": [-3, 0]},
        },
        "attributes": {
            "size": {"source": "products", "value": "size", "measured": "0"},
            "kind": {"source": "products", "value": "kind", "measured": "before"},
        },
        "derived": {"x_rate": "x_sold / elapsed"},
        "eligible": {"x_sold": 0.5},
        **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def shelves(tmp_path_factory) -> tuple[Path, dict[tuple[str, int, int], tuple[str, float]]]:
    """Parquet files, and the true arm and sales of every product, shop and week."""
    folder = tmp_path_factory.mktemp("shelves")
    rng = np.random.default_rng(5)
    truth, sales, ads, products = {}, [], [], []
    for p in range(120):
        size = float(rng.integers(1, 4))
        products.append((p, size, f"kind {p % 3}"))
        for s in (1, 2):
            for w in WEEKS:
                arm = str(rng.choice(list(EFFECT), p=(0.4, 0.2, 0.2, 0.2)))
                amount = size + EFFECT[arm] + float(rng.gamma(2.0, 0.5))
                truth[str(p), s, w] = (arm, amount)
                sales += [(p, s, w, amount / 2), (p, s, w, amount / 2)]
                if "display" in arm:
                    ads.append((p, s, w, "5", "0"))
                if "mailer" in arm:
                    ads.append((p, s, w, "0", "A"))
    named = {
        "sales": (sales, ("product", "shop", "week", "amount")),
        "ads": (ads, ("product", "shop", "week", "display", "mailer")),
        "products": (products, ("product", "size", "kind")),
    }
    for name, (rows, columns) in named.items():
        (folder / name).mkdir()
        columns_of = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns_of), folder / name / "part.parquet")
    return folder, truth


FEW = "buckets=10"


@pytest.fixture
def build(lake, make_settings, tmp_path):
    """Makes a panel in an empty lake."""

    def run(plain: dict[str, Any]) -> PanelBuilt:
        return build_panel(
            tool_of(lake, make_settings(FEW), tmp_path), from_plain(PanelSpec, plain)
        )

    return run


class Written:
    """A lake in which the command has written the panel of the shelves, and what it said."""

    def __init__(self, spark, folder: Path, plain: dict[str, Any]):
        self.folder, file = folder, folder / "shelves.yaml"
        file.write_text(yaml.safe_dump(plain))
        own = (f"tracking.uri=sqlite:///{folder}/mlflow.db", f"tracking.artifacts={folder}/kept")
        words = ["build_panel", "--spec", str(file), "--lake", f"{folder}/lake"]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert main([*words, *(w for s in (FEW, *own) for w in ("--set", s))]) == 0
        self.said = said.getvalue()
        self.settings = load_settings(overrides=(FEW, *own), lake=f"{folder}/lake")
        self.lake = Lake.open(self.settings, spark)
        self.built = self.build(plain)
        self.rows = rows_of(self.lake, self.built.uri)

    def build(self, plain: dict[str, Any], out: str | None = None) -> PanelBuilt:
        job = tool_of(self.lake, self.settings, self.folder)
        return build_panel(job, from_plain(PanelSpec, plain), out)


@pytest.fixture(scope="module")
def written(spark, shelves, tmp_path_factory) -> Written:
    return Written(spark, tmp_path_factory.mktemp("written"), shelf_spec(shelves[0]))


def test_the_command_writes_the_panel_and_says_how_to_go_on(written):
    assert "gold.panel_shelves written: 2,160 units on 9 occasions (none" in written.said
    told = f"truelift estimate_effects --table {written.folder}/lake/gold/panel_shelves@0"
    assert told in written.said


def test_units_arms_outcomes_and_windows_are_those_of_the_truth(written, shelves):
    truth, built = shelves[1], written.built
    assert len(written.rows) == built.units == 120 * 2 * 9
    assert built.excluded == {
        str(w): f"{w - 1} period{'s' * (w != 2)} of data before its start, 3 needed"
        for w in (1, 2, 3)
    }
    for row in written.rows.values():
        product, shop, week = row["product"], int(row["shop"]), int(row["week"])
        arm, amount = truth[product, shop, week]
        past = [truth[product, shop, w] for w in range(week - 3, week)]
        assert row["arm"] == arm
        assert row["y"] == pytest.approx(amount, rel=1e-12)
        assert row["x_sold"] == pytest.approx(sum(a for _, a in past), rel=1e-12)
        assert row["x_ads"] == sum(("display" in a) + ("mailer" in a) for a, _ in past)
        assert row["x_rate"] == pytest.approx(row["x_sold"] / (week - 1), rel=1e-12)
        assert row["kind"] == f"kind {int(product) % 3}"
    assert built.arms == Counter(row["arm"] for row in written.rows.values())


def test_effects_are_estimated_on_it_where_it_lies(written):
    lake, built = written.lake, written.built
    options = EffectOptions(
        treatment="arm", control="none", outcomes=("y",), cluster="product",
        covariates=("x_sold", "x_ads", "size"), categorical={"kind": "one_hot"},
        estimands=("ATE",), start_rows=500,
    )  # fmt: skip
    result = estimate_effects_from(lake, f"gold.panel_shelves@{built.version}", options)
    assert (result.n, result.clusters) == (built.units, 120)
    assert result.table_version == built.version
    for estimate in result.estimates:
        truth = EFFECT[estimate.arm]
        assert abs(estimate.estimate - truth) < 4 * estimate.standard_error, estimate.arm
    work = Path(lake.root) / "work"
    assert not list(work.glob("panel-[0-9a-f]*")), "the panel is in buckets already"


def test_a_repeat_writes_nothing(written, shelves):
    again = written.built
    assert again.skipped and "is there already" in str(again)
    state = table_state(again.uri)
    assert state.version == again.version == 0
    notes = state.notes
    assert notes["panel"]["spec_hash"] == again.spec_hash
    assert notes["spec"]["covariates"]["x_sold"]["window"] == [-3.0, 0.0]
    uri, _, version = notes["panel"]["sources"]["sales"].rpartition("@")
    assert uri == str(shelves[0] / "sales")
    # Files are known by a hash; the letter keeps it apart from a version of Delta.
    assert re.fullmatch("f[0-9a-f]{24}", version)


def test_other_options_write_anew(written, shelves):
    other = written.build(shelf_spec(shelves[0], eligible={"x_sold": 7.0}))
    assert other.version == written.built.version + 1 and not other.skipped
    assert other.units < written.built.units


def test_days_of_instants_give_the_same_panel_as_periods_also_at_another_place(written, shelves):
    """Weeks as instants of a week's Monday, windows of 7 days in place of a period."""
    day_one = datetime.date(2024, 1, 1)
    monday = f"timestamp(date_add(DATE'{day_one}', CAST(7 * (week - 1) AS INT)))"
    plain = shelf_spec(shelves[0])
    for source in ("sales", "ads"):
        plain["sources"][source]["time"] = monday
    plain["treatment"] |= {"start": monday, "end": f"{monday} + INTERVAL 7 DAYS"}
    for name in ("x_sold", "x_ads"):
        plain["covariates"][name]["window"] = [-21, 0]
    plain |= {"clock": "days", "name": "mondays"}
    plain["occasions"] |= {"history": 21, "complete": False}
    plain["attributes"]["size"]["measured"] = "2024-01-01"
    plain["derived"] = {"x_rate": "x_sold / (elapsed / 7)"}
    built = written.build(plain, f"{written.folder}/mine")
    assert built.uri == f"{written.folder}/mine"
    assert not (Path(written.lake.root) / "gold" / "panel_mondays").exists()
    days = rows_of(written.lake, built.uri)
    assert days.keys() == written.rows.keys()
    for unit, row in written.rows.items():
        assert {**row, "elapsed": row["elapsed"] * 7} == days[unit]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y / 2", r"derived\.x_leak: 'y / 2' looks at y, an outcome, which is measured from"),
        ("if(arm = 'none', 0, 1)", r"derived\.x_leak: .* looks at arm, the treatment"),
        ("x_solt + 1", r"derived\.x_leak: 'x_solt \+ 1' is no SQL on one row.*x_sold"),
    ],
)
def test_a_derived_column_sees_nothing_from_the_treatment_on(lake, shelves, build, text, message):
    plain = shelf_spec(shelves[0], derived={"x_leak": text})
    with pytest.raises(ConfigError, match=message):
        build(plain)
    assert not (Path(lake.root) / "gold" / "panel_shelves").exists()


def test_an_attribute_measured_too_late_is_refused(shelves, build):
    late = {"size": {"source": "products", "value": "size", "measured": "4"}}
    message = r"attributes\.size: measured at 4, but the treatment of occasion '4' begins at 4"
    with pytest.raises(ConfigError, match=message):
        build(shelf_spec(shelves[0], attributes=late, derived={}))


def test_an_aggregate_over_rows_is_no_value_of_a_row(shelves, build):
    plain = shelf_spec(shelves[0])
    plain["covariates"]["x_sold"]["value"] = "sum(amount)"
    with pytest.raises(ConfigError, match=r"x_sold\.value: 'sum\(amount\)' is no SQL on one row"):
        build(plain)


def test_attributes_with_two_rows_a_key_are_refused(shelves, build):
    twice = {"size": {"source": "sales2", "value": "amount", "measured": "before"}}
    plain = shelf_spec(shelves[0], attributes=twice, derived={})
    plain["sources"]["sales2"] = {**plain["sources"]["sales"], "time": None}
    with pytest.raises(DataError, match=r"sources\.sales2: .* has 24 rows for '\d+:\d', expected"):
        build(plain)


def test_occasions_that_leave_one_arm_are_refused(shelves, build):
    plain = shelf_spec(shelves[0])
    plain["treatment"]["arms"] = {"display": "false"}
    with pytest.raises(DataError, match=r"none of 12 occasions .* none of 240 eligible subjects"):
        build(plain)


def test_the_command_ends_with_2_where_the_guard_refuses(shelves, tmp_path, capsys):
    plain = shelf_spec(shelves[0])
    plain["covariates"]["x_sold"]["window"] = [-3, 1]
    file = tmp_path / "late.yaml"
    file.write_text(yaml.safe_dump(plain))
    assert main(["build_panel", "--spec", str(file), "--lake", str(tmp_path / "lake")]) == 2
    assert (
        "covariates.x_sold: measured until 1, which is 1 periods after" in capsys.readouterr().err
    )
