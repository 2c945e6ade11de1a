"""Machine code of loops is taken up again where all that it was made of is the same."""

from __future__ import annotations

import errno
import os
import time
from enum import IntEnum
from types import ModuleType

import numpy as np
import pytest
from numba import njit
from numba.core import caching

from truelift.arrays.compiled import compiled
from truelift.arrays.kept_loops import identity

HELPER = """
from truelift.arrays.compiled import compiled
STEP = {step}
@compiled
def one_up(x):
    return x + {added} + STEP
"""
LOOP = """
from truelift.arrays.compiled import compiled
LIMIT = {limit}
@compiled
def run(x):
    {body}
    return {call}(x) if x < LIMIT else x
"""


def module(name: str, text: str, **names) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(names)
    exec(compile(text, f"{name}.py", "exec"), vars(made))
    return made


def shop(step=0, added=1, limit=10, body="pass", call="one_up", moved=""):
    """A loop that calls one of another module, or names the module."""
    helper = module("truelift.helper", HELPER.format(step=step, added=added))
    text = moved + LOOP.format(limit=limit, body=body, call=call)
    return module("truelift.loop", text, one_up=helper.one_up, helper=helper).run


def key(**options) -> str:
    return identity(shop(**options).py_func)


def test_where_nothing_but_the_line_and_the_checkout_differ_the_key_is_the_same():
    assert key() == key(moved="# a comment\n\n")


@pytest.mark.parametrize("call", ["one_up", "helper.one_up"])
@pytest.mark.parametrize(
    "changed",
    [{"added": 2}, {"step": 1}, {"limit": 11}, {"body": "x = x * 2"}],
    ids=["what it calls", "what that reads", "what it reads", "itself"],
)
def test_a_change_of_the_loop_or_of_what_it_reaches_in_other_modules_is_another_key(call, changed):
    assert key(call=call) != key(call=call, **changed)


def test_loops_that_call_themselves_have_a_key():
    text = "@compiled\ndef down(n):\n    return n if n < 1 else down(n - 1)\n"
    one, other = (module("truelift.down", text, compiled=compiled).down for _ in range(2))
    assert identity(one.py_func) == identity(other.py_func)


def test_kept_code_is_loaded_and_code_of_a_changed_helper_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    first, again, changed = shop(), shop(), shop(added=5)
    assert (first(1), again(1), changed(1)) == (2, 2, 6)
    assert not first.stats.cache_hits
    assert again.stats.cache_hits
    assert not changed.stats.cache_hits
    assert first.stats.cache_path.startswith(str(tmp_path))


def ratio(kept="x / 2", **names) -> ModuleType:
    """A module with a loop ``run`` that gives what ``kept`` says."""
    text = f"@compiled\ndef run(x):\n    return {kept}\n"
    return module("truelift.ratio", text, compiled=compiled, np=np, **names)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder of code, empty."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path / "truelift.ratio"


def _by(step: float):
    inner = module(
        "truelift.inner", f"@compiled\ndef add(x):\n    return x + {step}\n", compiled=compiled
    )
    return module("truelift.outer", "", inner=inner)


def _another(step: float):
    return module("their_package.steps", f"STEP = {step}")


def _over(error_model: str):
    made = module("truelift.over", "def over(x):\n    return 1.0 / x\n")
    return njit(error_model=error_model)(made.over)


@pytest.mark.parametrize(
    ("text", "one", "other"),
    [
        ("it[0][0] + x", (np.array([0.123456789012]),), (np.array([0.123456789099]),)),
        ("it[0][x]", (np.arange(2000),), (np.arange(2000) + (np.arange(2000) == 1000),)),
        ("it.FIRST.value + x", IntEnum("Kind", {"FIRST": 1}), IntEnum("Kind", {"FIRST": 2})),
        ("it.inner.add(x)", _by(1), _by(2)),
        ("it.STEP + x", _another(1), _another(2)),
        ("it(x)", np.zeros_like, np.ones_like),
        ("it(x)", _over("python"), _over("numpy")),
    ],
    ids=[
        "digits of an array in a tuple",
        "a long array",
        "an enumeration",
        "a module of a module",
        "a module of others",
        "a function of numpy",
        "options",
    ],
)
def test_whatever_a_loop_reads_is_in_its_key(text, one, other):
    keys = [identity(ratio(text, it=it).run) for it in (one, one, other)]
    assert keys[0] == keys[1] != keys[2]


def test_another_name_for_one_of_two_loops_is_in_the_key():
    up, down = (_by(step).inner.add for step in (1, -1))
    keys = {identity(ratio("a(x) * b(x) * it(x)", a=up, b=down, it=it).run) for it in (up, down)}
    assert len(keys) == 2


class Foreign:
    """A function of a library's own kind, which shows as its place in memory."""

    def __init__(self, name: str):
        self.__qualname__ = name


def test_keys_do_not_hang_on_where_in_memory_a_function_lies():
    one, again, other = (identity(ratio("it(x)", it=Foreign(n)).run) for n in ("a", "a", "b"))
    assert one == again != other


def test_code_of_a_value_that_was_changed_after_the_first_call_is_not_kept(kept):
    text = "x + step"
    changed = ratio(text, step=1)
    assert changed.run(1) == 2
    changed.step = 5
    assert changed.run(1.5) == 6.5
    assert ratio(text, step=1).run(1.5) == 2.5


def test_two_processes_that_keep_code_of_two_types_at_once_do_not_take_each_others(
    kept, monkeypatch
):
    """Each has read the index before the other wrote it, and the first writes its code last."""
    save, others = caching.IndexDataCacheFile._save_data, [ratio().run]

    def late(self, name, data):
        if others:
            assert others.pop()(3.0) == 1.5
        save(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(caching.IndexDataCacheFile, "_load_index", lambda self: {})
        patch.setattr(caching.IndexDataCacheFile, "_save_data", late)
        assert ratio().run(3) == 1.5
    assert ratio().run(2.5) == 1.25


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_file_is_made_anew(kept, ending, share):
    ratio().run(3)
    (file,) = kept.glob(f"*.{ending}")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert ratio().run(3) == 1.5
    after = ratio().run
    assert after(3) == 1.5
    assert after.stats.cache_hits


def test_a_full_disk_stops_no_loop(kept, monkeypatch):
    def full(self, name, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_save_data", full)
    assert ratio().run(3) == 1.5


def test_code_that_was_not_taken_up_for_two_months_goes(kept):
    def files_of(loop, old=False):
        found = list(kept.glob(f"*-{identity(loop)}.*"))
        for file in found if old else ():
            os.utime(file, (time.time() - 61 * 24 * 3600,) * 2)
        return len(found)

    unused, used, new = ratio("x / 3").run, ratio("x / 4").run, ratio("x / 5").run
    unused(1), used(1)
    assert (files_of(unused, old=True), files_of(used, old=True)) == (2, 2)
    ratio("x / 4").run(1)
    foreign = kept / "loop-12.py311.nbi"
    foreign.write_bytes(b"")
    os.utime(foreign, (0, 0))
    new(1)
    assert (files_of(unused), files_of(used), files_of(new), foreign.exists()) == (0, 2, 2, True)


def test_without_a_folder_of_the_user_code_is_kept_beside_the_source_by_the_same_key(
    tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "helper.py").write_text("")
    (tmp_path / "code" / "loop.py").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "below"))
    monkeypatch.chdir(tmp_path / "code")
    first, again, changed = shop(), shop(), shop(added=5)
    assert (first(1), again(1), changed(1)) == (2, 2, 6)
    assert again.stats.cache_hits
    assert not changed.stats.cache_hits


def test_where_no_folder_can_be_written_loops_are_compiled_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "below"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "__pycache__").write_text("")
    run = shop()
    assert run(3) == 4
    assert run.stats.cache_path is None
