"""Effects by their formulas, from counts of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from tests.unit.graph.brute_force import cells_of, effects_of_model, random_tables
from truelift.cli import main
from truelift.errors import NotSupportedError
from truelift.graph.files import read_graph
from truelift.graph.identify import identified
from truelift.graph.plug_in import plugged_in
from truelift.lake.foreign import frame_table

NAPKIN = "w -> r -> x -> y; w <-> x; w <-> y"


def rows_of(graph, tables, rows: int, seed: int) -> pa.Table:
    codes, chance = cells_of(graph, tables)
    drawn = np.random.default_rng(seed).choice(len(chance), rows, p=chance)
    return pa.table({name: codes[name][drawn] for name in graph.measured})


@pytest.mark.parametrize("lines", [NAPKIN, "x -> m -> y; x <-> y"])
def test_intervals_have_the_truth_of_the_latent_model(lines):
    graph = read_graph(lines)
    found = identified(graph, "x", "y")
    hits = 0
    for seed in range(12):
        tables = random_tables(graph, np.random.default_rng(seed))
        told = plugged_in(found, frame_table(rows_of(graph, tables, 20_000, seed), "rows"))
        truth = effects_of_model(graph, tables)
        ones = [c for c in told.chances if c.outcome == "y=1"]
        assert [c.treatment for c in ones] == ["x=0", "x=1"]
        hits += sum(c.low < t < c.high for c, t in zip(ones, truth, strict=True))
    assert hits >= 19  # of 24


def test_the_command_tells_the_effect_that_no_specification_can_ask_for(tmp_path, capsys):
    graph = read_graph(NAPKIN)
    tables = random_tables(graph, np.random.default_rng(0))
    pyarrow.csv.write_csv(rows_of(graph, tables, 4000, 0), tmp_path / "rows.csv")
    words = [
        "identify",
        "--graph",
        NAPKIN,
        "--effect",
        "x->y",
        "--table",
        str(tmp_path / "rows.csv"),
    ]
    assert main(words) == 0
    assert "P(y | do(x)) by its formula, from 4,000 rows:" in capsys.readouterr().out


def test_an_outcome_of_too_many_values_leaves_the_graphs_answer_as_it_is(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = pa.table(
        {"x": rng.integers(0, 2, 400), "m": rng.integers(0, 2, 400), "y": rng.normal(size=400)}
    )
    pyarrow.csv.write_csv(rows, tmp_path / "rows.csv")
    words = ["identify", "--graph", "x -> m -> y; x <-> y", "--effect", "x->y"]
    assert main([*words, "--table", str(tmp_path / "rows.csv")]) == 0
    assert "chances   not told: nodes.y: the column 'y' has 400 distinct" in capsys.readouterr().out


def test_combinations_without_rows_are_refused():
    graph = read_graph("x -> m -> y; x <-> y")
    rows = pa.table({"x": [0, 1] * 40, "m": [0, 1] * 40, "y": [0, 1, 1, 0] * 20})
    with pytest.raises(NotSupportedError, match="asks for combinations that no rows have"):
        plugged_in(identified(graph, "x", "y"), frame_table(rows, "rows"))


def test_intervals_of_chances_stay_between_0_and_1():
    graph = read_graph("x -> m -> y; x <-> y")
    tables = random_tables(graph, np.random.default_rng(3))
    tables["y"] = np.full_like(tables["y"], 0.01)  # who buys is rare
    rows = rows_of(graph, tables, 300, 1)
    told = plugged_in(identified(graph, "x", "y"), frame_table(rows, "rows"))
    assert all(0 <= c.low <= c.chance <= c.high <= 1 for c in told.chances)
    # By its error to both sides it would leave them.
    assert any(c.chance - 2 * c.standard_error < 0 for c in told.chances)
