"""The core alone, in an environment of its own: a first effect, and what is said of the rest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from truelift.extras import EXTRAS, missing_extra

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "conf" / "requirements" / "run-dev.lock"

FIRST_EFFECT = """
import json, sys, time
start = time.process_time()
import truelift as tl
import numpy as np, pyarrow as pa
rng = np.random.default_rng(1)
n = 64_000
x = rng.normal(size=(n, 10))
treated = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
columns = {f"x_{j}": x[:, j] for j in range(10)}
table = pa.table({"user": [f"u{i // 2}" for i in range(n)], "treated": treated,
                  "y": x[:, 0] + 0.5 * treated + rng.normal(size=n), **columns})
result = tl.estimate_effects(table, treatment="treated", outcomes="y", cluster="user")
seconds = time.process_time() - start
spoken = []
for asked in ({"table": "gold.panel"}, {"table": table, "learner": "neural"}):
    try:
        tl.estimate_effects(treatment="treated", outcomes="y", cluster="user", **asked)
    except tl.TrueliftError as error:
        spoken.append(str(error))
visits = tl.sessions(pa.table({"u": [1, 1], "t": [0, 60]}), user="u", time="t", unit="s")
print(json.dumps({"from": tl.__file__, "seconds": seconds, "effect": result.estimates[0].estimate,
                  "text": str(result), "spoken": spoken, "visits": len(visits)}))
"""


def run(*command: str | Path, cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Path:
    """An environment with the core's packages from the cache that set-up has filled, and no more."""
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        pytest.skip("uv is not beside this Python (make setup puts it there)")
    folder = tmp_path_factory.mktemp("core")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("lib", "conf"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    built = run(
        uv, "build", "--quiet", "--offline", "--wheel", "--no-build-isolation", "--python",
        sys.executable, "--out-dir", folder, source, cwd=folder,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    python = folder / "env" / "bin" / "python"
    made = run(uv, "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder)
    assert made.returncode == 0, made.stderr
    pins = re.findall(r"^[\w.-]+==\S+(?: ;[^\\\n]*)?", LOCK.read_text(), re.MULTILINE)
    (folder / "pins.txt").write_text("\n".join(pins))
    wheel = next(folder.glob("*.whl"))
    filled = run(
        uv, "pip", "install", "--quiet", "--offline", "--compile-bytecode", "--python", python,
        "--constraint", folder / "pins.txt", wheel, cwd=folder,
    )  # fmt: skip
    if filled.returncode:  # the cache has no wheels: the same packages as they are installed here
        bare = run(
            uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel,
            cwd=folder,
        )  # fmt: skip
        assert bare.returncode == 0, bare.stderr
        site = next((folder / "env" / "lib").glob("python*")) / "site-packages"
        asked = Path(next(site.glob("truelift-*.dist-info"))) / "METADATA"
        link_installed(re.findall(r"^Requires-Dist: (.+)$", asked.read_text(), re.MULTILINE), site)
    return python


def link_installed(asked: list[str], site: Path) -> None:
    """The packages of this environment that some requirements need, and those that these need."""
    waiting, seen = list(asked), set()
    while waiting:
        wanted = Requirement(waiting.pop())
        if wanted.name in seen or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        seen.add(wanted.name)
        found = distribution(wanted.name)
        waiting += found.requires or []
        for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(found.locate_file(top))


def test_the_core_alone_gives_a_first_effect_and_names_the_extra_for_the_rest(core):
    alone = {"HOME": str(core.parent), "PYTHONPYCACHEPREFIX": str(core.parent / "bytecode")}
    # An installer compiles what it installs; packages that were linked are compiled here.
    run(core, "-c", "import truelift.public.effects, pandas", cwd=core.parent, env=alone)
    done = run(core, "-c", FIRST_EFFECT, cwd=core.parent, env=alone)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["from"].startswith(str(core.parent.parent))
    assert abs(found["effect"] - 0.5) < 0.05
    assert found["text"].startswith("Verdict: supported")
    assert found["visits"] == 1
    # Of the processor, so that what else the machine does is no matter; about 4 s here.
    assert found["seconds"] < 20, found["seconds"]
    assert "truelift[spark]" in found["spoken"][0]
    assert "truelift[train]" in found["spoken"][1]


def test_the_command_of_the_core_names_the_extra(core):
    command = core.parent / "truelift"
    alone = {"HOME": str(core.parent), "PYTHONPYCACHEPREFIX": str(core.parent / "bytecode")}
    done = run(command, "run_pipeline", cwd=core.parent, env=alone)
    assert done.returncode == 2
    assert done.stderr.startswith("truelift: The Python package")
    assert "pip install 'truelift[spark]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_module_is_a_message_that_names_its_extra(extra):
    for module in EXTRAS[extra]:
        assert f"[{extra}]: pip install 'truelift[{extra}]'" in str(missing_extra(f"{module}.part"))


def test_a_missing_module_that_no_extra_brings_is_no_message():
    assert missing_extra("somebody_elses") is None
