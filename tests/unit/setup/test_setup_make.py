"""The Makefile: every target explained, every variable passed on, as a user types them."""

import os
import re
import shutil
import signal
import subprocess
import time
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


def make_test_of(tools: dict[str, str], folder: Path) -> list[str]:
    """``make test`` with scripts in place of tools; those that are not named say so and end well."""
    for name in ("ruff", "lint-imports", "vulture", "mypy", "python"):
        (folder / name).write_text(f"#!/bin/bash\n{tools.get(name, f'echo {name} runs')}\n")
        (folder / name).chmod(0o755)
    return [
        "make", "-C", str(ROOT), "--no-print-directory", "--old-file=setup", "test", f"BIN={folder}",
    ]  # fmt: skip


@pytest.mark.parametrize("fails", [None, "mypy", "ruff", "python"])
def test_tests_and_lint_run_side_by_side_and_either_can_fail(tmp_path, fails):
    names = ("ruff", "lint-imports", "vulture", "mypy", "python")
    tools = {
        name: f"echo ran {name} | tee -a {tmp_path}/log\nexit {int(name == fails)}"
        for name in names
    }
    done = subprocess.run(
        make_test_of(tools, tmp_path),
        env={"PATH": os.environ["PATH"], "JAVA_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ran = set((tmp_path / "log").read_text().splitlines())
    assert (done.returncode == 0) == (fails is None), done.stderr
    assert {"ran ruff", "ran python"} <= ran
    assert ("ran mypy" in ran) == (fails != "ruff")
    # What lint says stands after what the tests say, and only where it fails.
    assert done.stdout.splitlines() == ["ran python"]
    lint_fails = fails in ("mypy", "ruff")
    assert (f"ran {fails}\nmake lint fails\n" in done.stderr) == lint_fails


def test_an_interrupt_ends_tests_and_lint(tmp_path):
    tools = {"mypy": f"echo $$ >{tmp_path}/pid; exec sleep 60", "python": "sleep 60"}
    running = subprocess.Popen(
        make_test_of(tools, tmp_path), env={"PATH": os.environ["PATH"], "JAVA_HOME": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert running.poll() is None
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert running.returncode != 0
    assert "No such process" not in said
    left = ["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text().strip()]
    end = time.monotonic() + 10
    while subprocess.run(left, capture_output=True, text=True, check=False).stdout.strip("Z+s\n"):
        assert time.monotonic() < end, "lint goes on"
        time.sleep(0.05)
