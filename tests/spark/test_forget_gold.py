"""A forgotten person leaves the tables that are made of silver, and the models are named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, Schema

from tests.conftest import RecordingRun
from tests.spark.logs_source import held, rows_of, write_csv, write_dataset
from tests.spark.test_logs_privacy import key_of
from truelift.config import load_settings
from truelift.errors import TableError
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.tables import table_spec
from truelift.logs.clean import clean
from truelift.logs.forget import forget_user
from truelift.logs.ingest import ingest
from truelift.pipeline import pin_inputs, step_named
from truelift.recommend.results import RecommendationExample, RecommendResult
from truelift.steps import StepRecord, StepStore
from truelift.tools import tool_job
from truelift.tracking import job_run
from truelift.typed import to_plain

ANN, BOB = key_of("one", "ann"), key_of("one", "bob")
LINES = [
    "ann,x,2024-01-01 10:00:00,1,1",
    "ANN,y,2024-01-02 10:00:00,1,1",
    "bob,x,2024-01-01 10:00:00,1,1",
    "torn,ann",
]
# What later jobs make of silver, by user.
MADE = (
    "gold.users", "gold.exposures", "gold.panel", "gold.scores", "gold.recommendations", "gold.needs",
)  # fmt: skip


def rows(lake, table, *users, **texts):
    """A row of each user in a table, empty but for the columns that tell who it is."""
    selects = []
    for user in users:
        own = {"user_key": user, "unit_id": f"summer:{user}", "campaign": "summer", "bucket": 0}
        own["source"] = "silver.sessions"
        own |= texts
        types = {f.name: f.dataType.simpleString() for f in table_spec(table).schema()}
        # An open table has what the specification of its panel says.
        types |= {"user_key": "string"} if table_spec(table).is_open else {}
        columns = [
            f"CAST({repr(own[name]) if name in own else 'NULL'} AS {kind}) AS `{name}`"
            for name, kind in types.items()
        ]
        selects.append(f"SELECT {', '.join(columns)}")
    return lake.spark.sql(" UNION ALL ".join(selects))


class Nothing(PythonModel):
    """A model that says nothing."""

    def predict(self, context, model_input, params=None):
        return model_input


def register(settings, name: str, uri: str, version: int) -> None:
    """A model whose run read a version of ``gold.sequences``, past the gate."""
    with job_run(settings, "train_sequence", {}) as run:
        run.log_table("gold.sequences", uri, version, "input")
        column = Schema([ColSpec("string", "items")])
        made = run.models.register(
            name=name, python_model=Nothing(), artifacts={}, input_example=None, requirements=[],
            signature=ModelSignature(column, column),
        )  # fmt: skip
        run.models.close_gate(made, True, "promoted: first model")


def leave_records(root: str, page: Path, shown: str) -> None:
    """Steps are done: ``recommend`` shows a user as an example, and the report draws it."""
    store = StepStore(root)
    example = RecommendationExample(shown, ("x",), ("y",))
    result = {"RecommendResult": to_plain(RecommendResult(2, 2, "keep", (example,), "1"))}
    page.write_text(f"User {shown}")
    for step, results, files in (
        ("clean", {}, ()),
        ("recommend", result, ()),
        ("report", {}, (str(page),)),
    ):
        store.write(
            StepRecord(step, "f", {}, {}, 1, 1, 1.0, {}, results, "run", "test", "now", files)
        )


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    """The data set, and a lake with rows of both persons in every table, made once."""
    folder = tmp_path_factory.mktemp("forget")
    path = write_csv(folder / "a.csv", *LINES)
    options = {"max_quarantine_share": 1.0, "lower": ["user"]}
    dataset = write_dataset(folder, {"path": path}, clean=options)
    report = (f"report.path={folder}/report",)
    settings = load_settings("local", dataset, report, str(folder / "lake"))
    lake = Lake.open(settings, spark)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUELIFT_USER_KEY", "one")
        for name, step in (("ingest", ingest), ("clean", clean)):
            inputs = pin_inputs(step_named(name), lake)
            step(Job(name, settings, lake, inputs, f"test-{name}", RecordingRun(), folder))
    for name in MADE:
        lake.replace(name, rows(lake, name, ANN, BOB), "gold")
    lake.replace("gold.sequences", rows(lake, "gold.sequences", BOB), "before she came")
    lake.replace("gold.sequences", rows(lake, "gold.sequences", ANN, BOB), "with her")
    # An item may be called what she is called.
    lake.replace("gold.items", rows(lake, "gold.items", "nobody", name="ann"), "gold")
    return dataset, lake.root


@pytest.fixture
def lake(shop, spark, make_settings, monkeypatch):
    """That lake in a place of its own."""
    monkeypatch.setenv("TRUELIFT_USER_KEY", "one")
    dataset, made = shop
    lake = Lake.open(make_settings(dataset=dataset), spark)
    shutil.copytree(made, lake.root)
    return lake


@pytest.fixture
def models(lake):
    """Models of this lake before and after she came, and one of another lake."""
    settings = lake._settings
    elsewhere = replace(settings, lake="/another/lake")
    for name, where, version in (
        ("before", settings, 0),
        ("with", settings, 1),
        ("another", elsewhere, 1),
    ):
        register(where, name, lake.uri("gold.sequences"), version)


@pytest.mark.usefixtures("models")
def test_a_forgotten_user_is_in_no_table_file_or_log_and_her_models_are_named(lake):
    # What an estimation on a table of others has left: its columns have no names of ours.
    write_deltalake(f"{lake.root}/work/panel-1-2-3", pa.table({"c0": [ANN, BOB]}))
    stray = Path(lake.root, "gold", "mine", "part.parquet")
    stray.parent.mkdir()
    pq.write_table(pa.table({"who": [ANN]}), stray)
    with tool_job("forget_user", lake._settings) as job, pytest.raises(TableError, match="who"):
        forget_user(job, "ann")
    for name in (*MADE, "silver.events"):
        assert (ANN,) in rows_of(held(lake, name), "user_key"), name
    stray.unlink()
    with tool_job("forget_user", lake._settings) as job:
        done = forget_user(job, "ann")
    gone = {name: count for name, count in done.rows.items() if count}
    # Both spellings are hers, and so is the torn record that names her.
    first = {"bronze.events": 3, "silver.events": 2, "silver.quarantine": 1}
    assert gone == {**first, **dict.fromkeys(MADE, 1), "gold.sequences": 1}
    assert done.models == ("with, version 1",)
    assert done.copies == 1
    assert done.namesakes == {"gold.items.name": 1}
    for name in (*MADE, "gold.sequences", "silver.events"):
        assert set(rows_of(held(lake, name), "user_key")) == {(BOB,)}, name
    files = [f for f in Path(lake.root).rglob("*.parquet") if "_delta_log" not in f.parts]
    assert len(files) == done.files_scanned
    for file in files:
        text = str(pq.read_table(file).to_pylist())
        assert ANN not in text, file
        assert "ann" not in text.lower() or "gold/items" in str(file), file
    for log in Path(lake.root).rglob("_delta_log/*.json"):
        commits = [json.loads(line).get("commitInfo", {}) for line in log.open(encoding="utf-8")]
        said = str([commit.get("operationParameters") for commit in commits])
        assert ANN not in said and "ann" not in said.lower(), log


@pytest.mark.parametrize(
    ("shown", "gone"), [(ANN, ("recommend", "report")), (BOB, ())], ids=["hers", "of others"]
)
def test_records_and_pages_that_show_the_person_go_and_others_stay(lake, tmp_path, shown, gone):
    page = tmp_path / "index.html"
    leave_records(lake.root, page, shown)
    with tool_job("forget_user", lake._settings) as job:
        done = forget_user(job, "ann")
    assert done.steps == gone
    left = {record.step for record in StepStore(lake.root).records()}
    assert left == {"clean", "recommend", "report"} - set(gone)
    assert page.exists() == (not gone)
    texts = [p.read_text() for p in Path(lake.root, "_truelift").rglob("*.json")]
    assert not any(ANN in text for text in texts)
    if gone:
        assert "run again: recommend, report" in repr(done)
