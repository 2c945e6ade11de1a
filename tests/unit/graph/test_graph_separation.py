"""d-separation, sets that separate, and projections, against all paths."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tests.unit.graph.brute_force import is_separated, random_graph, subsets, with_latents
from truelift.graph.files import read_graph
from truelift.graph.projection import projected
from truelift.graph.separation import open_path, separated, separator

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_separation_is_that_of_all_paths(seed):
    graph = random_graph(np.random.default_rng(seed), 5)
    for a, b in combinations(graph.measured, 2):
        for given in subsets(set(graph.measured) - {a, b}):
            assert separated(graph.dag, a, b, given) == is_separated(graph.dag, a, b, set(given))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_separator_is_one_from_which_nothing_can_be_left_out(seed):
    graph = random_graph(np.random.default_rng(seed), 5)
    for a, b in combinations(graph.measured, 2):
        among = set(graph.measured) - {a, b}
        found = separator(graph.dag, a, b, among)
        there_is = [set(s) for s in subsets(among) if is_separated(graph.dag, a, b, set(s))]
        assert (found is not None) == bool(there_is)
        if found is not None:
            assert found in there_is and not any(other < found for other in there_is)


def test_an_open_path_is_told_arrow_by_arrow():
    graph = read_graph("latent U; U -> x; U -> y; x -> m; y -> m")
    assert open_path(graph.dag, "x", ["y"]) == ["x", "<-", "U", "->", "y"]
    assert open_path(graph.dag, "x", ["y"], ["U"]) is None
    assert open_path(graph.dag, "x", ["y"], ["U", "m"]) == ["x", "->", "m", "<-", "y"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_projection_keeps_all_separations_of_measured_nodes(seed):
    graph = with_latents(np.random.default_rng(seed), 6, 2, 0.45)
    found = projected(graph)
    arrows = "; ".join(
        [*(f"{p} -> {n}" for n, above in found.parents.items() for p in above),
         *(f"{a} <-> {b}" for a, b in found.pairs()), *(f"node {n}" for n in graph.measured)]
    )  # fmt: skip
    plain = read_graph(arrows + "; q1 -> q2")
    for a, b in combinations(graph.measured, 2):
        for given in subsets(set(graph.measured) - {a, b}):
            assert separated(plain.dag, a, b, given) == separated(graph.dag, a, b, given)
