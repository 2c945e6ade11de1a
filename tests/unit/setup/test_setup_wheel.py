"""The wheel that is given to ``spark-submit --py-files``: code, and configuration to read in it."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("lib", "conf"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    code = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    built = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    assert not (source / "lib" / "truelift" / "conf").exists(), "the build wrote into the sources"
    return next((source / "dist").glob("*.whl"))


def test_wheel_holds_every_module_and_every_layer_of_configuration(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    library = ROOT / "lib"
    code = {
        str(path.relative_to(library))
        for path in (library / "truelift").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    conf = ROOT / "conf"
    layers = {
        f"truelift/conf/{path.relative_to(conf)}"
        for path in [*conf.glob("*.yaml"), *conf.glob("*/*.yaml")]
    }
    assert code - names == set()
    assert layers - names == set()
    assert {"truelift/conf/base.yaml", "truelift/cli.py"} <= names


def test_configuration_is_read_from_inside_the_wheel_as_a_zip(wheel, tmp_path):
    code = (
        "import truelift, truelift.config as config\n"
        "print(truelift.__file__)\n"
        "print(config.load_settings(env='local').sessions.timeout_seconds)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TRUELIFT_CONF"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    origin, timeout = done.stdout.split()
    assert origin.startswith(str(wheel))
    assert timeout == "1800"


def test_wheel_knows_its_python_range_and_its_command(wheel):
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
    commands = archive.read(next(n for n in names if n.endswith("/entry_points.txt"))).decode()
    required = re.search(r"^Requires-Python: (.*)$", metadata, re.MULTILINE)
    assert sorted(required[1].split(",")) == ["<3.14", ">=3.10"]
    assert "License-Expression: Apache-2.0" in metadata or "License: Apache-2.0" in metadata
    assert "truelift = truelift.entry:main" in commands
