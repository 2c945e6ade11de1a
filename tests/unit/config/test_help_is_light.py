"""Help is what a newcomer types first: it answers before any heavy package is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "pandas", "pyarrow", "pyspark", "mlflow", "tensorflow", "deltalake")


@pytest.mark.parametrize("arguments", [["--help"], ["run_pipeline", "--help"]])
def test_help_loads_no_heavy_package(arguments):
    script = (
        "import sys, contextlib\n"
        "from truelift.cli import main\n"
        f"with contextlib.suppress(SystemExit): main({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "[]"
