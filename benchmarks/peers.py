"""An environment of the peers' own, and scripts that run themselves in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("econml", "doubleml", "dml-rs", "statsmodels", "pyarrow")


def peer_environment(packages: tuple[str, ...] = PACKAGES, name: str = "validation") -> str:
    """An interpreter with the peers, made with uv once and kept in the user's cache.

    Peers whose pins conflict live under names of their own.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "truelift" / f"peers-{name}"
    python, complete = place / "bin" / "python", place / "installed.txt"
    if not complete.exists():
        print(f"installing {', '.join(packages)} in {place}", flush=True)
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        create = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(place)]
        subprocess.run(create, check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(python), *packages]
        subprocess.run(install, check=True)
        frozen = [uv, "pip", "freeze", "--python", str(python)]
        complete.write_text(
            subprocess.run(frozen, check=False, capture_output=True, text=True).stdout
        )
    return str(python)


def ask(python: str, script: str, *arguments: str) -> Any:
    """Run a script in the peers' environment; its last line is JSON."""
    # Without the script's own folder in front: its file names are those of packages, too.
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python, script, *arguments], check=False, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def versions(*packages: str) -> dict[str, str]:
    """Installed versions, by package; for the peers' side."""
    from importlib.metadata import version

    return {name: version(name) for name in packages}
