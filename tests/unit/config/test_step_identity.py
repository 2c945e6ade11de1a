"""What a step's outcome depends on: its own settings, its code, pinned inputs within and without."""

from __future__ import annotations

import time

import pandas as pd
import pytest
from deltalake import write_deltalake

from truelift.errors import TableError
from truelift.lake import Lake
from truelift.step_graph import STEPS, step_named
from truelift.step_identity import identity_of
from truelift.steps import StepStore

ROWS = pd.DataFrame({"unit_id": ["a", "b"], "bucket": [0, 1], "treated": [0, 1]})


@pytest.fixture
def identity(make_settings, monkeypatch):
    """``identity(step, *overrides)``: the step's identity with these settings."""
    monkeypatch.delenv("TRUELIFT_USER_KEY", raising=False)

    def of(name: str, *overrides: str):
        settings = make_settings(*overrides)
        lake = Lake(settings)
        return identity_of(step_named(name), settings, lake, StepStore(lake.root))

    return of


def write(lake: Lake, name: str) -> None:
    write_deltalake(lake.uri(name), ROWS, mode="overwrite")


def test_a_setting_of_another_step_changes_nothing(identity):
    calm = identity("report").fingerprint
    assert identity("report", "effects.folds=7").fingerprint == calm
    assert identity("report", "dataset=other").fingerprint != calm


def test_the_fingerprint_is_that_of_code_settings_and_inputs(identity, make_settings):
    calm = identity("estimate_effects")
    assert identity("estimate_effects").fingerprint == calm.fingerprint
    assert identity("estimate_effects", "effects.clip=0.03").fingerprint != calm.fingerprint
    write(Lake(make_settings()), "gold.panel")
    assert identity("estimate_effects").inputs == {"gold.panel": 0}
    assert identity("estimate_effects").fingerprint != calm.fingerprint


def test_a_new_version_of_a_foreign_table_is_another_input_of_the_effects(identity, tmp_path):
    place = str(tmp_path / "theirs")
    write_deltalake(place, ROWS)
    before = identity("estimate_effects", f"effects.table={place}")
    again = identity("estimate_effects", f"effects.table={place}")
    write_deltalake(place, ROWS, mode="overwrite")
    after = identity("estimate_effects", f"effects.table={place}")
    assert before.foreign == again.foreign == {"effects.table": "0"}
    assert after.foreign == {"effects.table": "1"}
    assert before.fingerprint == again.fingerprint != after.fingerprint


def test_an_address_with_a_version_stays_at_it(identity, tmp_path):
    place = str(tmp_path / "theirs")
    write_deltalake(place, ROWS)
    before = identity("estimate_effects", f"effects.table={place}@0")
    write_deltalake(place, ROWS, mode="overwrite")
    assert identity("estimate_effects", f"effects.table={place}@0") == before


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_changed_file_is_another_input_of_the_effects(identity, tmp_path, suffix):
    file = tmp_path / f"theirs.{suffix}"

    def put(rows: pd.DataFrame) -> dict[str, str]:
        rows.to_parquet(file) if suffix == "parquet" else rows.to_csv(file)
        return dict(identity("estimate_effects", f"effects.table={file}").foreign)

    before = put(ROWS)
    assert dict(identity("estimate_effects", f"effects.table={file}").foreign) == before
    time.sleep(0.01)
    assert put(ROWS.assign(treated=1)) != before


def test_a_new_version_of_a_panel_of_the_lake_is_another_input(identity, make_settings):
    lake = Lake(make_settings())
    write(lake, "gold.panel_promotions")
    before = identity("estimate_effects", "effects.table=gold.panel_promotions")
    write(lake, "gold.panel_promotions")
    after = identity("estimate_effects", "effects.table=gold.panel_promotions")
    assert (before.foreign["effects.table"], after.foreign["effects.table"]) == ("0", "1")


def test_a_foreign_table_that_is_not_there_is_named(identity, tmp_path):
    with pytest.raises(TableError, match="nowhere"):
        identity("estimate_effects", f"effects.table={tmp_path}/nowhere")


def test_the_buckets_that_make_the_folds_of_a_foreign_table_count(identity, tmp_path):
    place = str(tmp_path / "theirs")
    write_deltalake(place, ROWS)
    table = f"effects.table={place}"
    few, many = (identity("estimate_effects", table, f"buckets={n}") for n in (10, 20))
    assert few.fingerprint != many.fingerprint


def test_another_secret_of_the_user_keys_is_another_input_of_clean(
    identity, make_settings, monkeypatch
):
    write(Lake(make_settings()), "bronze.events")
    before = identity("clean")
    monkeypatch.setenv("TRUELIFT_USER_KEY", "a secret that nobody may read here")
    after = identity("clean")
    assert before.foreign != after.foreign
    assert "nobody" not in str(after)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_no_identity_needs_a_spark_session(step, make_settings):
    settings = make_settings("dataset=own")
    lake = Lake(settings)
    for name in step.reads:
        write(lake, name.rstrip("?"))
    if step.name != "ingest":  # raw files of its own, see the tests of the manifest
        identity_of(step, settings, lake, StepStore(lake.root))
    assert not lake.session_started
