"""Machine code of loops is taken up again where all that it was made of is the same."""

from __future__ import annotations

from types import ModuleType

import pytest

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


def test_where_no_folder_can_be_written_loops_are_compiled_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "below"))
    run = shop()
    assert run(3) == 4
    assert run.stats.cache_path is None
