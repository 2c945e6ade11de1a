"""The notebooks on graphs run as plain Python."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_notebook_finds_the_effect_that_the_graph_identifies(monkeypatch, capsys):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    runpy.run_path(str(ROOT / "notebooks" / "03_from_a_graph_to_an_effect.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "is identified by adjusting for age and x_visits" in said
    assert "measure   interest: the smallest set that would identify it" in said


def test_the_notebook_on_discovery_finds_what_it_says_and_leaves_open_what_it_must(
    monkeypatch, capsys
):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    name = "04_what_discovery_can_and_cannot_say.py"
    runpy.run_path(str(ROOT / "notebooks" / name), run_name="__main__")
    said = capsys.readouterr().out
    assert "age -- mailed" in said and "searches o-> sales" in said
    assert "The data contradict 0 of" in said
