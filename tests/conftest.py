"""Fixtures for every test: settings in a temporary place, and a run that only remembers."""

from __future__ import annotations

import os
import shutil
import sys

# Small matrices on many threads wait for one another; Spark's workers have one thread too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Every process with Spark starts a Java of its own, which would spend a third of its time on
# compiling once more and better what runs for seconds. For one compiler alone Java keeps 48 MB of
# compiled code, and throws out and compiles again what a session of many tests has beyond them.
os.environ.setdefault(
    "JDK_JAVA_OPTIONS",
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m",
)

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from tests.seconds import Seconds
from truelift.config import load_settings
from truelift.settings import Settings, SparkOptions

# How long an example takes says nothing about the rule that it is an example of. The same examples
# come in every run; `--hypothesis-profile search` draws others, ten times as many.
hypothesis_settings.register_profile("truelift", deadline=None, derandomize=True)
hypothesis_settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis_settings.load_profile("truelift")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--write-seconds FILE``: seconds, Java starts and Spark jobs by test file."""
    parser.addoption("--write-seconds", type=Path, metavar="FILE", default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Count what tests cost, and begin with the files that cost most."""
    config.pluginmanager.register(Seconds(config.getoption("--write-seconds")), "seconds")


class RecordingRun:
    """Stands where an MLflow run would, for tests of jobs that are not about MLflow."""

    def __init__(self) -> None:
        self.run_id = "recorded"
        self.metrics: dict[str, float] = {}
        self.dicts: dict[str, Any] = {}
        self.figures: list[str] = []
        self.artifacts: list[str] = []
        self.tags: dict[str, str] = {}

    def log_metrics(self, metrics, step=None):
        self.metrics.update({k: float(v) for k, v in metrics.items()})

    def log_figure(self, name, figure):
        self.figures.append(name)

    def log_artifact(self, path, folder=None):
        assert Path(path).exists()
        self.artifacts.append(str(path))

    def log_dict(self, name, value):
        self.dicts[name] = value

    def log_tags(self, tags):
        self.tags.update(tags)

    def describe(self, text):
        self.description = text


@pytest.fixture(scope="session")
def spark():
    """The embedded session that all tests of a process share, as the jobs start it."""
    from truelift.lake.session import java_options, start_session

    # Workers unpickle kernels that the tests define, so they look where pytest looks.
    here = Path(__file__).parent
    places = [here / "spark", here.parent, here.parent / "lib"]
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, places))
    # Hundreds of small queries: time goes into compiling what Spark generates, not into rows. The
    # pipeline's tests run generated code.
    conf = {
        "spark.driver.extraJavaOptions": java_options(),
        "spark.databricks.delta.snapshotPartitions": "1",
        # How a plan is written down for pages that nobody opens.
        "spark.sql.ui.explainMode": "simple",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    options = SparkOptions("local[2]", driver_memory="2g", shuffle_partitions=2, conf=conf)
    session = start_session(options, "truelift-tests")
    yield session
    session.stop()


@pytest.fixture(scope="session", autouse=True)
def mlflows_tables(tmp_path_factory):
    """A store of MLflow that is not there yet begins as a copy of an empty one.

    MLflow makes the tables of its first release and changes them release by release: 1 to 2 CPU
    seconds for a store, and nearly every test of a job has one of its own. Jobs that tests start as
    processes make theirs themselves.
    """
    from truelift import tracking

    empty = tmp_path_factory.mktemp("mlflow") / "empty.db"

    def fill(path: Path, check=tracking.check_store) -> None:
        check(path)
        if path.stat().st_size:
            return
        if not empty.exists():
            from mlflow.store.db.utils import _initialize_tables
            from sqlalchemy import create_engine

            engine = create_engine(f"sqlite:///{empty}")
            _initialize_tables(engine)
            engine.dispose()
        shutil.copy(empty, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "check_store", fill)
        yield


@pytest.fixture
def make_settings(tmp_path):
    """Settings of a data set with lake, report and tracking under ``tmp_path``.

    ``make_settings(*overrides, dataset=...)`` takes the same ``key=value`` items as ``--set``.
    """

    def make(*overrides: str, dataset: str = "complete_journey", env: str = "local") -> Settings:
        places = (
            f"tracking.uri=sqlite:///{tmp_path}/mlflow.db",
            f"tracking.artifacts={tmp_path}/artifacts",
            f"report.path={tmp_path}/report",
        )
        return load_settings(env, dataset, (*places, *overrides), f"{tmp_path}/lake")

    return make


@pytest.fixture
def bring(tmp_path, monkeypatch) -> Callable[..., None]:
    """Installs a package for a test: rows of a registry by name, and the module's text."""

    def install(group: str, text: str, **rows: str) -> None:
        (tmp_path / "brought.py").write_text(text)
        info = tmp_path / "brought-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
        lines = "\n".join(f"{name} = brought:{place}" for name, place in rows.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "brought", raising=False)

    return install
