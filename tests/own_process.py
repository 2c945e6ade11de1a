"""Calls of truelift's own inside of a test's process, which leave it as it was."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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
