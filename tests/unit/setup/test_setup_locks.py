"""The lock files: every requirement pinned with hashes, nothing of the machine that made them."""

import ast
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from truelift.extras import EXTRAS

# Modules that are not called as their packages are.
MODULES = {
    "delta": "delta-spark",
    "yaml": "pyyaml",
    "crawleruseragents": "crawler-user-agents",
    "xgboost": "xgboost-cpu",
    "causallearn": "causal-learn",
}
ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / "conf" / "requirements"
LOCKS = sorted(path.name for path in REQUIREMENTS.glob("*.lock"))
PYTHONS = ("3.10.0", "3.11.0", "3.12.0", "3.13.0")


def entries(lock: str) -> list[str]:
    """The lock's requirements, each with its continuation lines joined."""
    text = (REQUIREMENTS / lock).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def pins(lock: str) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for entry in entries(lock):
        requirement = Requirement(entry.split("--hash", 1)[0].strip())
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def setup_argument(name: str) -> object:
    tree = ast.parse((ROOT / "setup.py").read_text())
    call = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    return ast.literal_eval(next(k.value for k in call.keywords if k.arg == name))


def applies(requirement: Requirement, python: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(
        {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    )


def test_the_locks_that_setup_uses_exist():
    assert {"run-dev.lock", "gpu.lock", "bench.lock", "uv.lock", "build.lock", "horovod.lock"} == {
        *LOCKS
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_address_and_no_option(lock):
    text = (REQUIREMENTS / lock).read_text()
    assert "://" not in text
    assert "\n-" not in f"\n{text}"
    assert "#" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_with_a_hash(lock):
    found = entries(lock)
    assert found
    for entry in found:
        head = entry.split("--hash", 1)[0]
        assert re.match(r"^[a-z0-9._-]+==\S+", head), head
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), head


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_meets_the_bounds_of_the_package(python):
    locked = pins("run-dev.lock")
    extras = setup_argument("extras_require")
    for text in [*setup_argument("install_requires"), *extras["all"], *extras["dev"]]:
        wanted = Requirement(text)
        versions = [
            next(iter(pin.specifier)).version
            for pin in locked.get(canonicalize_name(wanted.name), [])
            if applies(pin, python)
        ]
        assert len(versions) == 1, f"{wanted.name} on {python}: {versions}"
        assert Version(versions[0]) in wanted.specifier, f"{wanted} but {versions[0]} is locked"


@pytest.mark.parametrize(("extra", "lock"), [("gpu", "gpu.lock"), ("bench", "bench.lock")])
def test_every_extra_is_in_its_lock(extra, lock):
    locked = pins(lock)
    for text in setup_argument("extras_require")[extra]:
        assert canonicalize_name(Requirement(text).name) in locked


def test_the_extra_all_brings_the_others():
    extras = setup_argument("extras_require")
    assert set(extras["all"]) == {p for name in EXTRAS for p in extras[name]}


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_message_for_a_missing_module_names_an_extra_that_brings_it(extra):
    brought = {
        canonicalize_name(Requirement(p).name) for p in setup_argument("extras_require")[extra]
    }
    named = {MODULES.get(module, canonicalize_name(module)) for module in EXTRAS[extra]}
    assert named - {"horovod"} <= brought


@pytest.mark.parametrize("lock", ["gpu.lock", "bench.lock"])
@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_for_an_extra_moves_no_package_of_the_base(lock, python):
    base, more = pins("run-dev.lock"), pins(lock)
    for name in base.keys() & more.keys():
        versions = [
            {str(pin.specifier) for pin in locked[name] if applies(pin, python)}
            for locked in (base, more)
        ]
        assert versions[0] >= versions[1], name


def test_every_pinned_jar_has_one_checksum():
    lines = (REQUIREMENTS / "jars.sha256").read_text().splitlines()
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.-]+\.jar", line) for line in lines)
    names = [line.split()[1] for line in lines]
    assert len(set(names)) == len(names)
    delta = next(iter(pins("run-dev.lock")["delta-spark"][0].specifier)).version
    assert any(re.search(rf"delta-spark_.*-{re.escape(delta)}\.jar$", name) for name in names)


def test_session_looks_for_the_locked_delta():
    from truelift.lake.session import DELTA_VERSION

    assert str(pins("run-dev.lock")["delta-spark"][0].specifier) == f"=={DELTA_VERSION}"
