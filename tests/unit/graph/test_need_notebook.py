"""The notebook on needs runs as plain Python."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_notebook_finds_the_needs_and_is_refused_where_the_data_do_not_say(capsys):
    runpy.run_path(
        str(ROOT / "notebooks" / "05_the_need_behind_the_clicks.py"), run_name="__main__"
    )
    said = capsys.readouterr().out
    assert "3 needs behind 3,200 steps of 400 users" in said
    assert "the data" in said.splitlines()[-1] and "Name fewer needs" in said.splitlines()[-1]
