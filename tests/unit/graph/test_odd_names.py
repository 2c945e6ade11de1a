"""Names that hold signs of the formats that they stand in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import truelift as tl
from truelift.graph.discovery.discover import discover
from truelift.graph.discovery.files import as_graph_file
from truelift.graph.discovery.options import DiscoveryOptions
from truelift.graph.discovery.pattern import pattern_of_lines
from truelift.graph.files import as_lines, read_graph
from truelift.graph.formats.bif import as_bif, read_bif
from truelift.graph.model import Node, graph_of
from truelift.graph.network.model import BayesianNetwork
from truelift.lake.foreign import frame_table

ODD = ['a "b"', "[1, 2)", "(x) 0.8;", "p // q", "C:\\d\\", "table", "{0}", "a|b", "it's"]
names = st.text(st.sampled_from('ab ,;#"\'->{}()[]|\\/*') , min_size=1).filter(
    lambda name: name == name.strip()
)  # fmt: skip


def test_levels_and_nodes_of_any_signs_are_read_back_from_bif():
    table = np.random.default_rng(0).dirichlet(np.ones(len(ODD)), len(ODD))
    network = BayesianNetwork(
        {"x, (y)": tuple(ODD), 'z "; {': tuple(ODD)},
        {"x, (y)": (), 'z "; {': ("x, (y)",)},
        {"x, (y)": table[0], 'z "; {': table},
    )
    again = read_bif(as_bif(network), "again")
    assert again.levels == network.levels and again.parents == network.parents
    assert all((again.tables[n] == network.tables[n]).all() for n in network.tables)


@settings(max_examples=60, deadline=None)
@given(st.lists(names, min_size=4, max_size=4, unique=True))
def test_lines_give_back_names_of_any_signs(four):
    a, b, c, alone = four
    graph = graph_of([(a, b)], [(b, c)], nodes=[Node(alone)])
    again = read_graph(as_lines(graph))
    assert again.arrows == graph.arrows and again.confounded == graph.confounded
    assert set(again.measured) == set(four)
    marks = pattern_of_lines(tuple(four), ())
    marks.marks[0, 1], marks.marks[1, 0] = 2, 1
    assert (pattern_of_lines(tuple(four), marks.lines()).marks == marks.marks).all()


def test_a_learned_graph_of_columns_with_commas_and_arrows_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2000))
    odd = ["age, years", "mails -> opened", "sum of sales"]
    rows = pa.table({odd[0]: a, odd[1]: b, odd[2]: a + b + rng.normal(size=2000)})
    found = discover(frame_table(rows, "t"), DiscoveryOptions(share=1.0, bootstraps=2))
    (tmp_path / "learned.graph.yaml").write_text(as_graph_file(found))
    graph = tl.causal_graph(tmp_path / "learned.graph.yaml")
    assert set(graph.arrows) == {(odd[0], odd[2]), (odd[1], odd[2])}
    from truelift.report.discovery import discovery_page

    assert "sum of sales" in discovery_page(found)


@pytest.mark.parametrize("ask", [
    lambda rows: tl.falsify("a -> b; node c", rows, cluster="user"),
    lambda rows: tl.learn_network("a -> b", rows, cluster="user"),
    lambda rows: discover(frame_table(rows, "t"), DiscoveryOptions(cluster="user")),
])  # fmt: skip
def test_rows_without_a_user_are_refused_with_their_number(ask):
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 3, 600) for name in "abc"}
    users = [None, ""] * 20 + [f"u{i}" for i in range(560)]
    with pytest.raises(tl.TrueliftError, match="40 rows are null, NaN or blank") as error:
        ask(pa.table({"user": users, **columns}))
    assert error.value.exit_code == 2
