"""Graphs from files and lines: what is read, what is written, what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.graph.brute_force import random_graph
from truelift.errors import ConfigError
from truelift.graph.files import as_lines, read_graph, write_graph
from truelift.graph.formats.dagitty import as_dagitty, read_dagitty
from truelift.graph.formats.dot import as_dot, read_dot

SHOP = """
nodes:
  age: {tier: profile, level: user}
  campaign: {column: mailed, tier: exposure, cuts: [0.5]}
  interest: {latent: true, measurable: false}
  sales:
arrows:
  - age -> campaign -> sales
  - age, interest -> sales
  - campaign <-> sales
required: [age -> campaign]
forbidden: [sales -> age]
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "shop.graph.yaml").write_text(SHOP)
    return read_graph(str(tmp_path / "shop.graph.yaml"))


def test_a_file_ties_nodes_to_columns_tiers_and_levels(shop):
    assert shop.measured == ("age", "campaign", "sales") and shop.latent == ("interest",)
    assert shop.columns(["campaign", "sales"]) == ("mailed", "sales")
    assert (shop.by_name["age"].tier, shop.by_name["age"].level) == ("profile", "user")
    assert set(shop.arrows) == {
        ("age", "campaign"), ("campaign", "sales"), ("age", "sales"), ("interest", "sales"),
    }  # fmt: skip
    assert shop.confounded == (("campaign", "sales"),) and shop.forbidden == (("sales", "age"),)


def test_lines_may_be_chains_either_way_with_several_names():
    graph = read_graph("latent U; a, b -> c -> d <- U  # a remark\nc <-> d")
    assert set(graph.arrows) == {("a", "c"), ("b", "c"), ("c", "d"), ("U", "d")}
    assert graph.latent == ("U",) and graph.confounded == (("c", "d"),)


@pytest.mark.parametrize("ending", ["yaml", "txt", "dot", "gv", "dagitty"])
def test_a_written_graph_is_read_again(ending, tmp_path, shop):
    lost = {
        "txt",
        "dot",
        "gv",
        "dagitty",
    }  # these have no columns, tiers or knowledge, or only some
    graph = read_graph("latent U; a b -> c; U -> c -> d; a b <-> d") if ending in lost else shop
    write_graph(graph, tmp_path / f"g.{ending}")
    again = read_graph(str(tmp_path / f"g.{ending}"))
    assert (set(again.nodes), set(again.arrows)) == (set(graph.nodes), set(graph.arrows))
    assert again.confounded == graph.confounded and again.forbidden == graph.forbidden


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(2, 7))
def test_every_format_gives_back_the_graph(seed, nodes):
    graph = random_graph(np.random.default_rng(seed), nodes)
    lines = as_lines(graph)
    found = [read_dot(as_dot(graph), "dot"), read_dagitty(as_dagitty(graph), "dagitty")]
    found += [read_graph(lines)] if "->" in lines else []
    for again in found:
        assert set(again.nodes) == set(graph.nodes) and set(again.arrows) == set(graph.arrows)
        assert set(again.confounded) == set(graph.confounded)


def test_what_others_write_in_dot_and_dagitty_is_read():
    dot = 'strict digraph "G" { graph [rankdir=LR]; node [shape=box]; rankdir=LR; "a b" -> {c d}; c -> d [dir=back]; e [observed=no]; e -> c; /* x */ }'
    graph = read_dot(dot, "dot")
    assert set(graph.arrows) == {("a b", "c"), ("a b", "d"), ("d", "c"), ("e", "c")}
    assert graph.latent == ("e",)
    text = 'dag {\nbb="0,0,1,1"\nE [exposure,pos="-1.2,0.3"]\nD [outcome]\n"U 1" [latent]\nE -> D [beta=.3]\n"U 1" -> {E D}\nA <- B }'
    graph = read_dagitty(text, "dagitty")
    assert set(graph.arrows) == {("E", "D"), ("U 1", "E"), ("U 1", "D"), ("B", "A")}
    assert graph.latent == ("U 1",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a -> b -> c -> a", "found a cycle, a -> b -> c -> a"),
        ("a -> a", "an arrow from a to itself"),
        ("a -> -> b", "expected names with arrows between them"),
    ],
)
def test_lines_that_are_no_graph_are_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        read_graph(text)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("level: user", "level: month"), "expected one of user, session, event"),
        (
            ("tier: exposure", "tier: later"),
            "expected one of profile, exposure, behaviour, outcome",
        ),
        (("age -> campaign -> sales", "campaign -> age"), "from tier exposure back to profile"),
        (("[sales -> age]", "[age -> sales]"), "age -> sales, which forbidden rules out"),
        (("[sales -> age]", "[sale -> age]"), "no node 'sale'. Did you mean 'sales'"),
        (("latent: true", "latent: true, column: x"), "what is in the table is not latent"),
        (("cuts: [0.5]", "cuts: [2, 1]"), "expected rising numbers"),
        (("nodes:", "node:"), "Unknown configuration key 'node'"),
    ],
)
def test_a_file_that_is_no_graph_is_refused_with_the_key(change, said, tmp_path):
    file = tmp_path / "g.graph.yaml"
    text = SHOP.replace(*change)
    if "campaign -> age" in text:
        text = text.replace("required: [age -> campaign]\n", "")
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_graph(str(file))


def test_a_file_that_is_not_there_or_undirected_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no file"):
        read_graph(str(tmp_path / "none.graph.yaml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_graph(str(tmp_path / "none.dot"))
    with pytest.raises(ConfigError, match="expected arrows with a head"):
        read_dagitty("dag { a -- b }", "g")
    with pytest.raises(ConfigError, match=r"expected one of \.yaml"):
        write_graph(read_graph("a -> b"), tmp_path / "g.png")
