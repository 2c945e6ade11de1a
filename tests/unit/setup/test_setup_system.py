"""conf/setup/system.sh on machines that lack something: one message, the exact command, status 2."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "conf" / "setup" / "system.sh"
SHELL_TOOLS = ("bash", "cat", "date", "dirname", "head", "id", "rm", "sed", "tail", "env")
OPENJDK = 'openjdk version "{0}" 2024-01-16\nOpenJDK Runtime Environment'


class Machine:
    """A machine of scripts: only what a test has put there can be found on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.jvm = folder / "jvm"
        self.chosen = folder / "chosen"
        self.bin.mkdir()
        self.jvm.mkdir()
        for tool in SHELL_TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))

    def program(self, path: Path, output: str = "", to: int = 1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{shutil.which('bash')}\ncat >&{to} <<'END'\n{output}\nEND\n")
        path.chmod(0o755)
        return path

    def python(self, name: str, version: str, path: str, headers: int = 1, venv: int = 1) -> None:
        self.program(self.bin / name, f"{version}\n{path}\n{headers}\n{venv}")

    def java(self, version: str) -> Path:
        home = self.jvm / f"java-{version}"
        self.program(home / "bin" / "java", OPENJDK.format(version), to=2)
        return home

    def compiler(self) -> None:
        self.program(self.bin / "g++")
        self.program(self.bin / "make")

    def look(self, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(SCRIPT), str(self.chosen)],
            env={
                "PATH": str(self.bin),
                "HOME": os.environ.get("HOME", "/"),
                "TRUELIFT_NO_INSTALL": "1",
                "TRUELIFT_JVM_FOLDER": str(self.jvm),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_complete_machine_is_accepted_and_the_choice_written_down(machine):
    machine.python("python3", "3.12.4", "/opt/python/bin/python3")
    home = machine.java("17.0.15")
    machine.compiler()
    found = machine.look()
    assert found.returncode == 0, found.stderr
    assert machine.chosen.read_text() == f"/opt/python/bin/python3\n{home}\n"


def test_everything_that_is_missing_is_named_at_once_with_the_command(machine):
    machine.python("python3", "3.11.2", "/usr/bin/python3", headers=0, venv=0)
    found = machine.look()
    assert found.returncode == 2
    missing, command = found.stderr.splitlines()[:2]
    assert missing == (
        "setup: missing on this machine: the headers of Python 3.11; venv of Python 3.11; "
        "Java 17 or 21 (found none); a C++ compiler (g++); make."
    )
    assert command.endswith(
        "apt-get install -y --no-install-recommends "
        "python3.11-dev python3.11-venv openjdk-17-jre-headless g++ make"
    )
    assert not machine.chosen.exists()


@pytest.mark.parametrize("version", ["2.7.18", "3.8.18", "3.9.18", "3.14.0"])
def test_python_outside_the_range_is_named_with_what_was_found(machine, version):
    machine.python("python3", version, "/usr/bin/python3")
    machine.java("17.0.15")
    machine.compiler()
    found = machine.look()
    assert found.returncode == 2
    assert f"found {version} (/usr/bin/python3), expected 3.10 to 3.13" in found.stderr
    assert "make setup PYTHON=" in found.stderr


def test_no_python_at_all_is_a_package_to_install(machine):
    machine.java("21.0.2")
    machine.compiler()
    found = machine.look()
    assert found.returncode == 2
    assert "Python 3.10 to 3.13 (found none)" in found.stderr
    assert "python3 python3-venv python3-dev" in found.stderr


def test_accepted_python_under_another_name_is_taken_when_python3_is_too_old(machine):
    machine.python("python3", "3.9.18", "/usr/bin/python3")
    machine.python("python3.13", "3.13.1", "/opt/bin/python3.13")
    machine.java("17.0.15")
    machine.compiler()
    found = machine.look()
    assert found.returncode == 0, found.stderr
    assert machine.chosen.read_text().startswith("/opt/bin/python3.13\n")


def test_python_that_the_user_names_is_not_replaced_by_another(machine):
    machine.python("python3", "3.11.2", "/usr/bin/python3")
    machine.python("python3.9", "3.9.18", "/usr/bin/python3.9")
    machine.java("17.0.15")
    machine.compiler()
    found = machine.look(PYTHON="python3.9")
    assert found.returncode == 2
    assert "found 3.9.18 (/usr/bin/python3.9), expected 3.10 to 3.13" in found.stderr


def test_python_that_does_not_exist_is_named(machine):
    machine.java("17.0.15")
    machine.compiler()
    found = machine.look(PYTHON="python3.99")
    assert found.returncode == 2
    assert "found no interpreter called python3.99" in found.stderr


@pytest.mark.parametrize("version", ["1.8.0_292", "11.0.22", "16.0.2", "25"])
def test_java_outside_the_range_is_named_with_what_was_found(machine, version):
    machine.python("python3", "3.11.2", "/usr/bin/python3")
    machine.compiler()
    home = machine.java(version)
    found = machine.look()
    assert found.returncode == 2
    assert f"Java 17 or 21 (found {version} ({home}))" in found.stderr
    assert "openjdk-17-jre-headless" in found.stderr


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.2", "21-ea"])
def test_java_17_to_21_is_accepted_beside_an_older_one(machine, version):
    machine.python("python3", "3.11.2", "/usr/bin/python3")
    machine.compiler()
    machine.java("11.0.22")
    home = machine.java(version)
    found = machine.look()
    assert found.returncode == 0, found.stderr
    assert machine.chosen.read_text().splitlines()[1] == str(home)


def test_java_home_of_the_user_is_not_replaced_by_another_java(machine):
    machine.python("python3", "3.11.2", "/usr/bin/python3")
    machine.compiler()
    machine.java("17.0.15")
    old = machine.java("11.0.22")
    found = machine.look(JAVA_HOME=str(old))
    assert found.returncode == 2
    assert f"JAVA_HOME is {old}, found 11.0.22 ({old}), expected Java 17 to 21" in found.stderr


def test_gpu_set_up_asks_for_the_cuda_compiler(machine):
    machine.python("python3", "3.11.2", "/usr/bin/python3")
    machine.java("17.0.15")
    machine.compiler()
    found = machine.look(TRUELIFT_GPU="1", CUDA_HOME="/nowhere/cuda")
    assert found.returncode == 2
    assert "no CUDA compiler (nvcc) on the PATH or in /nowhere/cuda/bin" in found.stderr


def test_what_is_installed_is_what_was_missing(machine):
    """With the rights of root, apt-get is called for the missing parts and no other."""
    if os.geteuid() != 0:
        machine.program(machine.bin / "sudo")  # asked only whether it needs a password
    machine.python("python3", "3.11.2", "/usr/bin/python3")
    machine.java("17.0.15")
    machine.program(machine.bin / "make")
    for tool in ("mktemp", "chmod", "touch"):
        (machine.bin / tool).symlink_to(shutil.which(tool))
    calls = machine.chosen.with_name("calls")
    apt = machine.bin / "apt-get"
    apt.write_text(
        f"#!{shutil.which('bash')}\n"
        f'echo "$@" >>{calls}\n'
        f"if [[ $1 == install ]]; then touch {machine.bin}/g++; chmod +x {machine.bin}/g++; fi\n"
    )
    apt.chmod(0o755)
    if os.geteuid() != 0:
        (machine.bin / "sudo").write_text(f'#!{shutil.which("bash")}\nshift\n"$@"\n')
        machine.program(machine.bin / "true")
    found = machine.look(TRUELIFT_NO_INSTALL="0")
    assert found.returncode == 0, found.stderr
    assert calls.read_text().splitlines() == [
        "update -q",
        "install -y -q --no-install-recommends g++",
    ]
