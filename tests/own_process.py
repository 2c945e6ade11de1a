"""Calls of truelift's own inside of a test's process, which leave it as it was.

A process of its own is needed where the process is what is tested. Anywhere else the call is made
here: it imports nothing again, and finds the Spark session that is there, as in a notebook.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code and what it printed."""

    code: int
    out: str
    err: str


def in_a_process(folder: Path, *arguments: str, timeout: float = 1400) -> Finished:
    """Run ``truelift ...`` in a folder, in a process of its own, which knows nothing of this one."""
    # Where a run of this process logs is none of its business.
    env = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "lib"), env.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "truelift.cli", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def in_this_process(folder: Path, *arguments: str) -> Finished:
    """Run ``truelift ...`` in a folder, here; environment and working folder are put back."""
    from truelift.cli import main

    out, err = io.StringIO(), io.StringIO()
    with (
        environment_kept(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(arguments)
        except SystemExit as ended:  # what the parser of the arguments refuses
            code = ended.code if isinstance(ended.code, int) else 1
    return Finished(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def environment_kept(folder: Path):
    """A working folder for a while; then it, the environment and MLflow's choices are as before."""
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        try:
            yield patch
        finally:
            _leave_mlflow()
            os.environ.clear()
            os.environ.update(before)


def _leave_mlflow() -> None:
    """No run of one call is open in the next, nor is its store the default of anybody."""
    if mlflow := sys.modules.get("mlflow"):
        while mlflow.active_run():
            mlflow.end_run("FAILED")
        mlflow.set_tracking_uri(None)
