"""The launcher is killed: its ranks end, and what a successor builds on is not touched by them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.distributed.conftest import rank_job
from truelift.errors import JobFailure
from truelift.training.checkpoints import CheckpointFolder
from truelift.training.launcher import launch
from truelift.typed import to_plain

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"epochs": 200, "patience": 200, "batch_size": 1, "checkpoint_steps": 3}
LAUNCHER = """
import json, sys
from pathlib import Path
from truelift.training.launcher import launch
from truelift.training.rank import RankJob
from truelift.typed import from_plain
folder = Path(sys.argv[1])
launch(from_plain(RankJob, json.loads((folder / "asked.json").read_text())), folder)
"""


def wait_for(what, seconds: float = 240.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def checkpoints(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "checkpoints").glob("*.checkpoint"))


@pytest.mark.parametrize("processes", [1, 2])
def test_all_processes_below_a_killed_launcher_end_and_write_no_more(world, tmp_path, processes):
    job = rank_job(world, processes=processes, **OPTIONS)
    (tmp_path / "asked.json").write_text(json.dumps(to_plain(job)))
    with (tmp_path / "log").open("wb") as log:
        launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(tmp_path)], stdout=log, stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
        )  # fmt: skip
    try:
        wait_for(lambda: checkpoints(tmp_path))
        below = psutil.Process(launcher.pid).children(recursive=True)
        beats = [json.loads(p.read_text()) for p in tmp_path.rglob("heartbeat-*.json")]
        assert {beat["pid"] for beat in beats} <= {process.pid for process in below}
        assert len(beats) == processes
    finally:
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
    _, alive = psutil.wait_procs(below, timeout=15)
    try:
        assert alive == []
    finally:
        for process in alive:
            process.kill()
    left = checkpoints(tmp_path)
    time.sleep(1)
    assert checkpoints(tmp_path) == left


def test_a_training_whose_folder_another_has_taken_over_ends_with_a_message(world, tmp_path):
    folder = CheckpointFolder(str(tmp_path / "checkpoints"))
    taken: list[str] = []

    def take_over(event) -> None:
        if checkpoints(tmp_path) and not taken:
            folder.claim("successor.1")
            taken.extend(checkpoints(tmp_path))

    job = rank_job(world, processes=1, **OPTIONS)
    with pytest.raises(JobFailure, match=r"another owner .* taken the folder over"):
        launch(job, tmp_path, take_over)
    assert taken and len(checkpoints(tmp_path)) <= 3
    assert not (tmp_path / "start-2").exists()  # nor is it started again
