"""A real standalone Spark cluster on this machine: one master, two workers, own processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyspark
import pytest

from tests.own_process import ROOT
from truelift.lake.class_archive import archive_options
from truelift.lake.session import delta_jars

SPARK_HOME = Path(pyspark.__file__).parent
WHEEL_VERSION = "0.1.0+cluster"


@dataclass(frozen=True)
class Cluster:
    """A running master and its workers."""

    url: str
    folder: Path
    wheel: Path

    def submit(self, script: Path, arguments: Sequence[str]) -> subprocess.Popen:
        """Start ``spark-submit SCRIPT`` against the cluster; the log goes to a file of its name."""
        command = [
            str(SPARK_HOME / "bin" / "spark-submit"),
            *("--master", self.url),
            *("--driver-memory", "700m"),
            *("--executor-memory", "600m"),
            *("--jars", ",".join(delta_jars())),
            *("--py-files", str(self.wheel)),
            *("--conf", "spark.ui.enabled=false"),
            *("--conf", "spark.databricks.delta.snapshotPartitions=2"),
            str(script),
            *arguments,
        ]
        log = (self.folder / f"{script.stem}.log").open("wb")
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment(), cwd=self.folder
        )

    def run(self, script: Path, arguments: Sequence[str]) -> str:
        """Submit and wait; what it printed. What fails fails the test with its log."""
        process = self.submit(script, arguments)
        try:
            code = process.wait(timeout=1200)
        finally:
            process.kill()
        text = self.log(script.stem)
        assert code == 0, f"{script.name} ended with {code}:\n{text[-6000:]}"
        return text

    def log(self, name: str) -> str:
        """What a submitted script printed so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def executors(self) -> list[psutil.Process]:
        """Executor JVMs of this cluster that live now (their working folder is a worker's)."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            line = " ".join(process.info["cmdline"] or ())
            mine = str(process.info["cwd"] or "").startswith(str(self.folder))
            if mine and "CoarseGrainedExecutorBackend" in line:
                found.append(process)
        return found


def environment() -> dict[str, str]:
    """What every process of the cluster gets; no PYTHONPATH, so the wheel has to serve."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "PYSPARK_"))}
    env.update(
        PYSPARK_PYTHON=sys.executable,
        PYSPARK_DRIVER_PYTHON=sys.executable,
        SPARK_LOCAL_IP="127.0.0.1",
        SPARK_HOME=str(SPARK_HOME),
        # All of them start the classes that an embedded session starts.
        JDK_JAVA_OPTIONS=f"{os.environ.get('JDK_JAVA_OPTIONS', '')} {archive_options()}".strip(),
    )
    return env


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel as users build it, with a version of its own, so that it can be told apart."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "lib", tree / "lib", ignore=ignored)
    shutil.copytree(ROOT / "conf", tree / "conf", ignore=ignored)
    package = tree / "lib" / "truelift" / "__init__.py"
    package.write_text(package.read_text().replace('"0.1.0"', f'"{WHEEL_VERSION}"'))
    subprocess.run(
        [sys.executable, "setup.py", "-q", "bdist_wheel"],
        cwd=tree,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (built,) = (tree / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, wheel) -> Iterator[Cluster]:
    """One master and two workers with one core each, in processes of their own."""
    folder = tmp_path_factory.mktemp("cluster")
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    main = "org.apache.spark.deploy"
    processes = [
        _daemon(
            folder / "master.log",
            f"{main}.master.Master",
            *("--host", "127.0.0.1", "--port", str(port), "--webui-port", str(free_port())),
        )
    ]
    try:
        _wait_for(folder / "master.log", "Starting Spark master")
        for number in (1, 2):
            log = folder / f"worker-{number}.log"
            options = ("--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"w{number}"))
            processes.append(
                _daemon(log, f"{main}.worker.Worker", *options, "--webui-port", "0", url)
            )
        for number in (1, 2):
            _wait_for(folder / f"worker-{number}.log", "Successfully registered with master")
        yield Cluster(url, folder, wheel)
    finally:
        for process in reversed(processes):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _daemon(log: Path, main_class: str, *arguments: str) -> subprocess.Popen:
    command = [str(SPARK_HOME / "bin" / "spark-class"), main_class, *arguments]
    env = {**environment(), "SPARK_DAEMON_MEMORY": "256m"}
    return subprocess.Popen(command, stdout=log.open("wb"), stderr=subprocess.STDOUT, env=env)


def _wait_for(log: Path, text: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if log.is_file() and text in log.read_text(errors="replace"):
            return
        time.sleep(0.3)
    raise AssertionError(f"{text!r} did not appear in {log.name}:\n{log.read_text()[-3000:]}")
