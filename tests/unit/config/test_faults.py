"""What the system refuses is one sentence and exit code 2; what is full is a failure."""

from __future__ import annotations

import sqlite3

import pytest

from truelift.cli import main
from truelift.config import load_settings
from truelift.errors import ConfigError, MachineError, StorageError
from truelift.faults import fault_of
from truelift.tracking import connect


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "/lake/bronze"),
        OSError("Generic LocalFileSystem error: Unable to create dir /lake: Not a directory (os "
                "error 20)"),
        RuntimeError("An error occurred while calling o99.save.\njava.nio.file."
                     "AccessDeniedException: /lake/silver\n\tat java.base/sun.nio.fs.Unix"),
        OSError(30, "Read-only file system", "/lake"),
        NotADirectoryError(20, "Not a directory", "/lake/file/art"),
        sqlite3.OperationalError("attempt to write a readonly database"),
    ],
)  # fmt: skip
def test_a_place_that_is_refused_is_the_users_to_mend(error):
    fault = fault_of(error)
    assert isinstance(fault, MachineError)
    assert fault.exit_code == 2
    assert "\n" not in str(fault)
    assert "--lake" in str(fault)


def test_the_cause_counts_too():
    failed = RuntimeError("the write failed")
    failed.__cause__ = PermissionError(13, "Permission denied", "/lake/x")
    assert "/lake/x" in str(fault_of(failed))


def test_a_place_that_is_full_is_a_failure():
    fault = fault_of(OSError(28, "No space left on device", "/lake"))
    assert isinstance(fault, StorageError)
    assert fault.exit_code == 1


def test_another_error_is_none_of_these():
    assert fault_of(ValueError("shapes (3,) and (4,) do not fit")) is None


@pytest.mark.parametrize("kind", ["folder", "text", "under a file"])
def test_a_store_of_mlflow_that_cannot_be_written_is_named_at_once(tmp_path, kind):
    path = tmp_path / "m.db"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("no database, but text of some length\n" * 50)
    store = path / "m.db" if kind == "under a file" else path
    settings = load_settings("local", None, [f"tracking.uri=sqlite:///{store}"], str(tmp_path))
    with pytest.raises(MachineError, match=r"MLflow's database .*m\.db cannot be opened") as caught:
        connect(settings)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_lake_whose_folders_are_files_ends_in_one_message(tmp_path, capsys):
    (tmp_path / "own.yaml").write_text(f"source: {{path: {tmp_path}/a.csv}}\n")
    (tmp_path / "a.csv").write_text("user,item,time\na,b,2024-01-01\n")
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "_truelift").write_text("")
    store = f"tracking.uri=sqlite:///{tmp_path}/a.csv/m.db"
    places = ("--lake", str(tmp_path / "lake"), "--set", store)
    assert main(["ingest", "--dataset", str(tmp_path / "own.yaml"), *places]) == 2
    error = capsys.readouterr().err
    assert error.startswith("truelift: ") and "Traceback" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", ["folder", "latin-1"])
def test_a_yaml_file_that_cannot_be_read_is_named(tmp_path, kind):
    path = tmp_path / "own.yaml"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes("dataset: caf\u00e9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"--dataset: .*own\.yaml (is a folder|cannot be read)"):
        load_settings("local", str(path))


def test_a_specification_that_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "effects.yaml"
    path.write_text("effects: [treatment]\n")
    with pytest.raises(ConfigError, match="found list, expected keys and values"):
        load_settings("local", spec=str(path))
