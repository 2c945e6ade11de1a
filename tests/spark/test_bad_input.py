"""What a new user gets wrong: one clear message, exit code 2, tables untouched."""

from __future__ import annotations

from pathlib import Path

import pytest

from truelift.cli import main
from truelift.lake import Lake, bucket_column

CONFIGURATION = """
source:
  format: csv
  path: {path}
  mapping: {{user: who, item: what, time: at}}
"""
ROWS = "who,what,at\n" + "".join(
    f"u{i % 7},i{i % 5},2024-01-0{1 + i % 9}T10:00:00\n" for i in range(40)
)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    """One MLflow store for the module: making one takes seconds."""
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture
def command(tmp_path, tracking, spark, capsys):
    """``command("clean", rows)`` runs a job as a user would and gives exit code and message."""

    def run(job: str, rows: str | None = ROWS, *overrides: str, lake: str | None = None):
        path = tmp_path / "events.csv"
        if rows is not None:
            path.write_text(rows)
        (tmp_path / "mine.yaml").write_text(CONFIGURATION.format(path=path))
        items = (f"tracking.uri=sqlite:///{tracking}/mlflow.db", f"report.path={tmp_path}/report")
        options = [x for item in (*items, *overrides) for x in ("--set", item)]
        place = lake or str(tmp_path / "lake")
        code = main([job, "--dataset", str(tmp_path / "mine.yaml"), "--lake", place, *options])
        return code, capsys.readouterr().err

    return run


def tables_of(tmp_path: Path) -> dict[str, int]:
    """Every Delta log entry under the lake: what would change if a table were touched."""
    logs = sorted((tmp_path / "lake").rglob("_delta_log/*.json"))
    return {str(p.relative_to(tmp_path)): p.stat().st_size for p in logs}


def one_message(error: str, *parts: str) -> None:
    assert error.startswith("truelift: ")
    assert "Traceback" not in error
    assert error.count("truelift: ") == 1
    for part in parts:
        assert part in error


def test_a_missing_file_is_named(command, tmp_path):
    code, error = command("ingest", rows=None)
    assert code == 2
    one_message(error, "events.csv")
    assert tables_of(tmp_path) == {}


def test_an_empty_file_is_named(command, tmp_path):
    code, error = command("ingest", rows="")
    assert code == 2
    one_message(error, "events.csv", "empty")
    assert tables_of(tmp_path) == {}


def test_a_missing_column_is_named_with_the_columns_found(command, tmp_path):
    code, error = command("ingest", rows="who,item_number,at\nu1,i1,2024-01-01\n")
    assert code == 2
    one_message(error, "'what'", "item_number")
    assert tables_of(tmp_path) == {}


def test_an_unknown_configuration_key_names_the_nearest(command, tmp_path):
    code, error = command("ingest", ROWS, "clean.max_quantiy=3")
    assert code == 2
    one_message(error, "clean.max_quantiy", "clean.amounts.max_quantity")
    assert tables_of(tmp_path) == {}


def test_unreadable_time_stamps_are_shown_with_the_expected_format(command, tmp_path):
    rows = "who,what,at\n" + "".join(f"u{i},i{i},the {i}th of May\n" for i in range(9))
    assert command("ingest", rows)[0] == 0
    before = tables_of(tmp_path)
    code, error = command("clean", rows)
    assert code == 2
    one_message(error, "th of May", "time_format")
    # What was refused is kept for explain-quarantine, beside the tables that nothing touched.
    kept = {log for log in tables_of(tmp_path) if log.startswith("lake/ops/refused/")}
    assert kept
    assert {log: size for log, size in tables_of(tmp_path).items() if log not in kept} == before


def test_a_job_without_its_input_names_the_job_to_run_first(command, tmp_path):
    code, error = command("sessionize")
    assert code == 2
    one_message(error, "silver.events", "'clean'")


def test_a_lake_under_a_file_is_named(command, tmp_path):
    (tmp_path / "file").write_text("")
    code, error = command("ingest", lake=str(tmp_path / "file" / "lake"))
    assert code == 2
    one_message(error, "is a file, not a folder")


def test_a_lake_without_write_permission_is_named(command, tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    # Root may write anywhere, so the answer of the operating system is played.
    monkeypatch.setattr("truelift.lake.lake.os.access", lambda path, mode: False)
    code, error = command("ingest", lake=str(closed / "lake"))
    assert code == 2
    one_message(error, "no write permission", str(closed), "--lake")


def test_no_java_is_said_with_what_to_install(command, monkeypatch, tmp_path):
    from truelift.lake.session import check_java

    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Exception, match="Java 17 or newer: no java on the PATH") as error:
        check_java()
    assert error.value.exit_code == 2
    assert "openjdk-17-jre-headless" in str(error.value)


def test_an_old_java_is_named_with_its_version(monkeypatch, tmp_path):
    from truelift.lake.session import check_java

    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(Exception, match="is Java 8"):
        check_java()


def panel(spark, rows: int, treated: str):
    frame = spark.range(rows).selectExpr(
        "cast(id as string) unit_id",
        "cast(id % 50 as string) user_key",
        "'c' campaign",
        f"cast({treated} as int) treated",
        "cast(id as double) y_spend",
        "1.0D y_visits",
        "cast(id % 13 as double) x_a",
    )
    return frame.withColumn("bucket", bucket_column("user_key", 40))


@pytest.mark.parametrize(
    ("rows", "treated", "parts"),
    [
        (300, "1", ("every row has 'treated' = '1'", "both arms")),
        (0, "id % 2", ("gold.panel", "no rows")),
    ],
)
def test_a_panel_that_cannot_answer_says_why(
    command, tmp_path, spark, make_settings, rows, treated, parts
):
    lake = Lake(make_settings(), spark)
    lake.replace("gold.panel", panel(spark, rows, treated), "literal")
    before = tables_of(tmp_path)
    code, error = command("estimate_effects")
    assert code == 2
    one_message(error, *parts)
    assert tables_of(tmp_path) == before
