"""What a step's outcome depends on: its own settings, its code, pinned inputs within and without."""

from __future__ import annotations

import json
import time

import pandas as pd
import pytest
from deltalake import CommitProperties, write_deltalake

from truelift.errors import TableError
from truelift.lake import Lake
from truelift.step_graph import STEPS, step_named
from truelift.step_identity import identity_of, lost
from truelift.steps import StepRecord, StepStore

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
    assert identity("report", "effects.nuisances.folds=7").fingerprint == calm
    assert identity("report", "dataset=other").fingerprint != calm


def test_the_fingerprint_is_that_of_code_settings_and_inputs(identity, make_settings):
    calm = identity("estimate_effects")
    assert identity("estimate_effects").fingerprint == calm.fingerprint
    assert identity("estimate_effects", "effects.support.clip=0.03").fingerprint != calm.fingerprint
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


@pytest.fixture
def two_panels(make_settings, tmp_path):
    """A lake whose own panel and a foreign one were estimated, in this order."""
    lake, place = Lake(make_settings()), str(tmp_path / "theirs")
    write_deltalake(place, ROWS)
    store = StepStore(lake.root)
    for number, (panel, table) in enumerate([("gold.panel", None), (place, place)]):
        note = CommitProperties(custom_metadata={"userMetadata": json.dumps({"part": panel})})
        write_deltalake(lake.uri("gold.scores"), ROWS, mode="overwrite", commit_properties=note)
        settings = make_settings(*([f"effects.table={table}"] if table else []))
        step = step_named("estimate_effects")
        print_ = identity_of(step, settings, lake, store).fingerprint
        store.write(
            StepRecord(step.name, print_, {}, {"gold.scores": number}, 1, 1, 1.0, {}, {}, "run",
                       "1", "2026", panel=step.panel(settings))
        )  # fmt: skip
    return lake, store, place


def test_effects_of_two_panels_are_two_steps_and_neither_undoes_the_other(two_panels):
    lake, store, place = two_panels
    own, theirs = store.read("estimate_effects"), store.read("estimate_effects", place)
    assert own.fingerprint != theirs.fingerprint
    assert lost(own, lake) == lost(theirs, lake) == ()
    assert len(store.records()) == 2


def test_rows_of_a_panel_that_were_written_again_or_taken_out_are_lost(two_panels):
    lake, store, place = two_panels
    write_deltalake(lake.uri("gold.scores"), ROWS, mode="overwrite")
    for panel in ("", place):
        (sentence,) = lost(store.read("estimate_effects", panel), lake)
        assert "gold.scores is at version 2" in sentence


def test_a_report_of_a_panel_comes_after_the_effects_of_that_panel(two_panels, make_settings):
    lake, store, place = two_panels
    step = step_named("report")
    own = identity_of(step, make_settings(), lake, store).after["estimate_effects"]
    settings = make_settings(f"effects.table={place}")
    theirs = identity_of(step, settings, lake, store).after["estimate_effects"]
    assert own == store.read("estimate_effects").fingerprint
    assert theirs == store.read("estimate_effects", place).fingerprint
    assert step.panel(settings) == place


def test_the_version_of_an_address_is_no_other_panel(make_settings):
    step = step_named("estimate_effects")
    panels = [step.panel(make_settings(f"effects.table=a/b{at}")) for at in ("", "@3")]
    assert panels == ["a/b", "a/b"]
