"""The Makefile: every target explained, every variable passed on, as a user types them."""

import os
import re
import shutil
import subprocess
from importlib.metadata import files
from importlib.util import cache_from_source
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MAKEFILE = (ROOT / "Makefile").read_text()


def make(*arguments: str, **variables: str) -> str:
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", *arguments],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def pipeline_command(*arguments: str, **variables: str) -> str:
    """The command that ``make run`` would run, without running it."""
    lines = make("--dry-run", "run", *arguments, **variables).splitlines()
    return next(line.split("exec ", 1)[1].strip() for line in lines if "run_pipeline" in line)


def test_help_lists_every_target_with_a_line():
    targets = re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.MULTILINE)
    listed = dict(re.findall(r"^  (\S+) +(\S.*)$", make("help"), re.MULTILINE))
    assert sorted(targets) == sorted(listed)
    assert {"run", "test", "setup"} <= listed.keys()


def test_help_is_the_default():
    assert make() == make("help")


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ([], ""),
        (["SAMPLE=0.05"], " --set 'sample=0.05'"),
        (["DATASET=my_shop"], " --dataset 'my_shop'"),
        (["LAKE=s3a://bucket/lake"], " --lake 's3a://bucket/lake'"),
        (["ENV=staging"], " --env 'staging'"),
        (["FROM=clean"], " --from 'clean'"),
        (["ONLY=report"], " --only 'report'"),
        (
            ["SET=seed=3 effects.nuisances.folds=4"],
            " --set 'seed=3' --set 'effects.nuisances.folds=4'",
        ),
    ],
)
def test_run_passes_its_variables_on(variables, options):
    command = re.sub(" +", " ", pipeline_command(*variables))
    assert command == f".venv/bin/truelift run_pipeline{options}"


def test_run_ignores_the_shells_own_env_variable():
    assert "--env" not in pipeline_command(ENV="/etc/profile")


def test_shell_scripts_parse():
    for script in [*ROOT.glob("conf/setup/*.sh"), ROOT / ".ci" / "run"]:
        subprocess.run([shutil.which("bash"), "-n", str(script)], check=True)


def test_set_up_has_compiled_packages_that_it_installed_before_its_last_call():
    # Most of a package's modules are imported by no test, so no test can have compiled them.
    modules = [str(f.locate()) for f in files("mlflow") or () if f.suffix == ".py"]
    assert len(modules) > 500
    assert not [m for m in modules if not Path(cache_from_source(m)).exists()]


@pytest.mark.parametrize("fails", [None, "mypy", "ruff", "python"])
def test_tests_and_lint_run_side_by_side_and_either_can_fail(tmp_path, fails):
    for name in ("ruff", "lint-imports", "vulture", "mypy", "python"):
        code = int(name == fails)
        (tmp_path / name).write_text(f"#!/bin/sh\necho ran {name} >>{tmp_path}/log\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["make", "-C", str(ROOT), "--old-file=setup", "test", f"BIN={tmp_path}"],
        env={"PATH": os.environ["PATH"], "JAVA_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ran = set((tmp_path / "log").read_text().splitlines())
    assert (done.returncode == 0) == (fails is None), done.stderr
    assert {"ran ruff", "ran python"} <= ran
    assert ("ran mypy" in ran) == (fails != "ruff")
