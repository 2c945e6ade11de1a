"""A process that follows a lifeline ends with the one that holds it; real processes, really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from truelift.distributed.lifeline import LATE, ORPHANED, Lifeline
from truelift.errors import JobFailure
from truelift.settings import SequenceOptions
from truelift.settings.sequence_sections import RankSection, RecoverySection
from truelift.training import launcher
from truelift.training.rank import RankJob

LIB = str(Path(__file__).resolve().parents[3] / "lib")

# A rank: says who it is, then works for ever.
RANK = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1], "rank.pid").write_text(str(os.getpid()))
while True:
    time.sleep(0.05)
"""

# A launcher as ours: run_processes, which waits until it is killed.
LAUNCHER = """
import sys
from pathlib import Path
from truelift.distributed.processes import run_processes
run_processes("toy_rank", Path(sys.argv[1]), 1, 1, ("limit", 60.0), lambda event: None)
"""

# The same rank behind a process in between, as under horovodrun.
BEHIND_ANOTHER = """
import subprocess, sys
from pathlib import Path
from truelift.distributed.lifeline import Lifeline
with Lifeline(Path(sys.argv[1])):
    follower = [sys.executable, "-m", "truelift.distributed.lifeline", sys.argv[1], "toy_rank"]
    code = f"import subprocess; subprocess.run({[*follower, sys.argv[1]]!r})"
    subprocess.run([sys.executable, "-c", code], start_new_session=True)
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """``start(script)``: a launcher in a process of its own; gives it and its rank."""
    (tmp_path / "toy_rank.py").write_text(RANK)
    folder = tmp_path / "work"
    folder.mkdir()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([LIB, str(tmp_path)])}
    begun = []

    def run(script: str) -> tuple[subprocess.Popen, psutil.Process]:
        launcher = subprocess.Popen([sys.executable, "-c", script, str(folder)], env=env)
        begun.append(psutil.Process(launcher.pid))
        rank = psutil.Process(int(_text(folder / "rank.pid")))
        begun.append(rank)
        return launcher, rank

    yield run
    for process in begun:
        if process.is_running():
            process.kill()


def _text(path: Path) -> str:
    until = (
        time.monotonic() + 120
    )  # a start may have to wait for a busy machine; the rule is about ends
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.02)
    raise AssertionError(f"{path.name} did not appear")


def ends(process: psutil.Process, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("script", [LAUNCHER, BEHIND_ANOTHER], ids=["own", "behind another"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_rank_ends_when_its_launcher_is_killed(start, script, number):
    begun, rank = start(script)
    begun.send_signal(number)
    begun.wait(timeout=10)
    assert ends(rank)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to kill with the parent")
def test_a_stopped_rank_ends_too(start):
    begun, rank = start(LAUNCHER)
    rank.suspend()
    begun.kill()
    begun.wait(timeout=10)
    assert ends(rank)


def follower(folder: Path, code: str = "") -> subprocess.Popen:
    script = (
        f"import time; from truelift.distributed.lifeline import follow; follow({str(folder)!r})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", f"{script}; {code}print('alive', flush=True); time.sleep(60)"],
        env={**os.environ, "PYTHONPATH": LIB}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_a_rank_that_begins_after_its_launcher_has_gone_ends_before_it_does_anything(tmp_path):
    os.mkfifo(tmp_path / "lifeline")  # left by a launcher that was killed
    out, err = (late := follower(tmp_path)).communicate(timeout=30)
    assert (late.returncode, out) == (ORPHANED, "")
    assert "the one that started it is gone" in err


def test_a_rank_whose_folder_is_gone_ends(tmp_path):
    assert follower(tmp_path / "removed").wait(timeout=30) == ORPHANED


def test_a_rank_lives_as_long_as_the_lifeline_is_held(tmp_path):
    with Lifeline(tmp_path):
        held = follower(tmp_path)
        assert held.stdout.readline() == "alive\n"
        time.sleep(1.5)  # longer than a look takes
        assert held.poll() is None
    assert held.wait(timeout=10) == ORPHANED
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_the_launcher_starts_does_not_hold_the_lifeline(tmp_path):
    with Lifeline(tmp_path):
        other = subprocess.Popen(["sleep", "30"], close_fds=False)
        held = follower(tmp_path)
        assert held.stdout.readline() == "alive\n"
    try:
        assert held.wait(timeout=10) == ORPHANED
    finally:
        other.kill()
        other.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to kill with the parent")
def test_a_rank_in_a_task_asks_the_kernel_to_end_it_with_its_parent(monkeypatch):
    asked = []
    monkeypatch.setattr(launcher, "end_with_parent", lambda: asked.append(True))
    monkeypatch.setattr(launcher, "run", lambda job, arrays: {"rank": 1})
    assert launcher.run_in_task("{}", b"", 600.0) == {"rank": 1}
    assert asked == [True]


def test_a_rank_in_a_task_that_waits_for_others_ends_when_its_time_is_up():
    script = (
        "import threading\n"
        "from truelift.training import launcher\n"
        "launcher.run = lambda job, arrays: threading.Event().wait()\n"
        "launcher.run_in_task('{}', b'', 0.2)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == LATE
    assert "its time is up" in done.stderr


def test_ranks_in_tasks_that_ended_for_their_time_was_up_are_not_started_again(
    monkeypatch, tmp_path
):
    horovod_spark = pytest.importorskip("horovod.spark")
    starts = []

    def run_out_of_time(function, args, **_):
        starts.append(args[-1])
        time.sleep(max(args[-1], 0.0))
        raise RuntimeError("a rank exited with code 76")

    monkeypatch.setattr(horovod_spark, "run", run_out_of_time)
    options = SequenceOptions(
        ranks=RankSection(launcher="spark"), recovery=RecoverySection(timeout_seconds=1)
    )
    job = RankJob("{}", {"kind": "temporal"}, 10, 1, options)
    with pytest.raises(JobFailure, match=r"sequence\.recovery\.timeout_seconds = 1"):
        launcher.launch(job, tmp_path)
    assert len(starts) == 1
    assert starts[0] <= 1
