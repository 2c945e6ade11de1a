"""What would run and why; and that finding out starts neither Spark nor MLflow."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from deltalake import write_deltalake

import truelift
from truelift.cli import main
from truelift.config import load_settings
from truelift.errors import ConfigError
from truelift.lake import Lake
from truelift.pipeline import run_pipeline
from truelift.plan import changes, plan
from truelift.step_graph import STEPS, step_named
from truelift.step_identity import identity_of
from truelift.steps import StepRecord, StepStore

ROWS = pd.DataFrame({"unit_id": ["a"], "bucket": [0]})
LIB = str(Path(truelift.__file__).parents[1])
ALL = [step.name for step in STEPS]


class Shop:
    """A lake on which every step has run, as records and tables show it."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "raw.csv").write_text("u,i,t\na,x,2024-01-01\n")
        (folder / "shop.yaml").write_text(
            "source:\n  format: csv\n  path: " + str(folder / "raw.csv") + "\n"
            "  mapping: {user: u, item: i, time: t}\n"
        )
        self.lake = Lake(self.settings())
        self.store = StepStore(self.lake.root)
        for step in STEPS:
            for name in (*step.reads, *step.writes):
                if self.lake.version(name.rstrip("?")) is None:
                    self.write(name.rstrip("?"))
        for step in STEPS:
            self.finish(step.name)

    def settings(self, *overrides: str):
        options = [f"tracking.uri=sqlite:///{self.folder}/runs.db", *overrides]
        return load_settings(
            "local", str(self.folder / "shop.yaml"), options, str(self.folder / "lake")
        )

    def write(self, name: str) -> None:
        write_deltalake(self.lake.uri(name), ROWS, mode="overwrite")

    def finish(self, name: str, **fields) -> None:
        step = step_named(name)
        identity = identity_of(step, self.settings(), self.lake, self.store)
        outputs = {table: self.lake.version(table) or 0 for table in step.writes}
        record = StepRecord(
            name, identity.fingerprint, dict(identity.inputs), outputs, 1, 1, 1.0, {}, {}, "run",
            "1", "2026-01-01T00:00:00+00:00", identity=identity.recorded(),
        )  # fmt: skip
        self.store.write(replace(record, **fields))

    def why(self, *overrides: str, **options) -> dict[str, tuple[str, ...]]:
        found = plan(self.settings(*overrides), self.lake, **options)
        return {step.step: step.reasons for step in found if step.runs}


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Shop:
    monkeypatch.delenv("TRUELIFT_USER_KEY", raising=False)
    return Shop(tmp_path)


def test_nothing_would_run_where_nothing_has_changed(shop):
    assert shop.why() == {}


def test_a_changed_setting_is_named_with_both_values_and_what_reads_the_tables_comes_after(shop):
    why = shop.why("sessions.timeout_seconds=60")
    assert why["sessionize"] == ("sessions.timeout_seconds: 1800 → 60",)
    assert why["build_features"] == (
        "sessionize runs before it and may write silver.sessions anew",
    )
    assert not {"ingest", "clean"} & set(why)


def test_a_new_version_of_an_input_is_named_with_both_versions(shop):
    shop.write("silver.sessions")
    why = shop.why()
    assert why["sessionize"] == ("silver.sessions is at version 1; the step left version 0",)
    assert "silver.sessions: version 0 → 1" in why["build_features"]


def test_a_changed_raw_file_is_named_by_its_stream(shop):
    (shop.folder / "raw.csv").write_text("u,i,t\nb,x,2024-01-02\n")
    assert shop.why()["ingest"] == ("the files of events changed",)


def test_changed_code_is_named_by_its_modules(shop):
    record = shop.store.read("clean")
    code = {**record.identity["code"], "truelift.logs.rules": "0", "truelift.logs.gone": "1"}
    code.pop("truelift.logs.judging")
    shop.store.write(replace(record, fingerprint="f", identity={**record.identity, "code": code}))
    assert shop.why()["clean"] == (
        "code: truelift.logs.rules changed",
        "code: truelift.logs.judging is new to it",
        "code: truelift.logs.gone is no part of it any more",
    )


def test_a_step_that_never_ran_and_one_of_an_older_version_say_so(shop):
    shop.store.remove(shop.store.read("report"))
    shop.finish("recommend", fingerprint="f", identity={})
    why = shop.why()
    assert why["report"][0] == "it has not run on this lake yet"
    assert "did not record what it ran with" in why["recommend"][0]


def test_a_step_that_cannot_run_as_things_are_says_what_is_missing(make_settings):
    found = plan(make_settings(), Lake(make_settings()), only="sessionize")
    assert found[0].stuck and "silver.events" in found[0].reasons[-1]


def test_steps_asked_for_run_whether_they_changed_or_not(shop):
    assert set(shop.why(only="clean")) == {"clean"}
    assert set(shop.why(start="recommend")) == {"recommend", "play_loop", "report"}
    with pytest.raises(ConfigError):
        shop.why(start="clean", only="clean")


def test_a_secret_setting_is_in_no_record_and_its_change_is_said_without_it(shop):
    address = "s3a://me:hidden-word@bucket/x"
    record = replace(shop.store.read("report"))
    identity = identity_of(
        step_named("recommend"), shop.settings(f"recommend.items={shop.folder}/raw.csv"),
        shop.lake, shop.store,
    )  # fmt: skip
    told = replace(identity, settings={"recommend": {"items": address}})
    assert "hidden-word" not in str(told.recorded())
    other = replace(told, settings={"recommend": {"items": address.replace("hidden", "other")}})
    last = replace(record, fingerprint=told.fingerprint, identity=told.recorded())
    assert list(changes(last, other)) == ["a setting that is kept secret has changed"]


def test_a_run_in_which_nothing_changed_starts_no_spark(shop):
    outcomes = run_pipeline(shop.settings(), shop.lake)
    assert [(o.record.step, o.skipped) for o in outcomes] == [(name, True) for name in ALL]
    assert not shop.lake.session_started


@pytest.mark.parametrize("command", [("plan",), ("run_pipeline", "--dry-run")])
def test_the_command_prints_the_plan_and_loads_neither_spark_nor_mlflow(shop, command):
    script = (
        "import sys; from truelift.cli import main; code = main(sys.argv[1:]); "
        "print([m for m in ('pyspark', 'mlflow', 'tensorflow', 'numba', 'matplotlib', 'pandas') "
        "if m in sys.modules]); sys.exit(code)"
    )
    options = ["--dataset", str(shop.folder / "shop.yaml"), "--lake", str(shop.folder / "lake"),
               "--set", f"tracking.uri=sqlite:///{shop.folder}/runs.db"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script, *command, *options],
        capture_output=True, text=True, cwd=shop.folder, env={**os.environ, "PYTHONPATH": LIB}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0 of 10 steps would run" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_dry_run_of_one_step_runs_nothing(shop, capsys):
    options = ["--dataset", str(shop.folder / "shop.yaml"), "--lake", str(shop.folder / "lake")]
    assert main(["clean", "--dry-run", *options]) == 0
    assert "would run" in capsys.readouterr().out
    assert shop.lake.version("silver.events") == 0
