"""Sets for adjustment: the criterion path by path, all sets tried, variances by formula."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.graph.brute_force import is_adjustment, random_graph, subsets
from tests.unit.graph.linear_variance import variances
from truelift.errors import ConfigError
from truelift.graph.adjustment import Adjustment
from truelift.graph.files import read_graph

SEEDS = range(25)


def sets_of(
    seed: int, nodes: int = 5, density: float = 0.4, confounding: float = 0.2
) -> Adjustment:
    graph = random_graph(np.random.default_rng(seed), nodes, density, confounding)
    return Adjustment(graph, "x", "y")


def all_valid(sets: Adjustment) -> list[set[str]]:
    free = set(sets.graph.measured) - {"x", "y"}
    return [set(s) for s in subsets(free) if is_adjustment(sets.graph, set(s))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_set_is_valid_where_every_other_path_is_closed_and_nothing_on_the_way_is_fixed(seed):
    sets = sets_of(seed)
    for given in subsets(set(sets.graph.measured) - {"x", "y"}):
        judged = sets.judged(given)
        assert judged.valid == sets.is_valid(given) == is_adjustment(sets.graph, set(given))
        assert judged.reason


@pytest.mark.parametrize("seed", SEEDS)
def test_sets_are_found_where_there_are_some_and_minimal_means_that_nothing_can_go(seed):
    sets = sets_of(seed)
    valid, minimal, precise = all_valid(sets), sets.minimal(), sets.precise()
    assert (minimal is None) == (precise is None) == (not valid)
    if valid:
        assert set(minimal) in valid and not any(other < set(minimal) for other in valid)
        assert set(precise) in valid
    if sets.optimal() is not None:
        assert set(sets.optimal()) in valid and precise == sets.optimal()


@pytest.mark.parametrize("seed", range(40))
def test_no_valid_set_is_more_precise_than_the_optimal_one(seed):
    sets = sets_of(seed, 6, 0.5, 0.0)
    if (optimal := sets.optimal()) is not None:
        best, *others = variances(sets.graph, [set(optimal), *all_valid(sets)], seed)
        assert all(best <= other * (1 + 1e-9) for other in others)


def test_enough_random_graphs_have_an_optimal_set():
    found = [sets_of(seed, 6, 0.5, 0.0).optimal() is not None for seed in range(40)]
    assert sum(found) >= 10


def test_the_reason_names_what_is_on_the_way_below_it_or_left_open():
    graph = read_graph("z -> x -> m -> y; z -> y; m -> d; x <-> w; w <-> y")
    sets = Adjustment(graph, "x", "y")
    assert sets.judged(["z"]).valid and sets.minimal() == ("z",)
    assert "m lies on the way from x to y" in sets.judged(["z", "m"]).reason
    assert "d is changed by what lies on the way" in sets.judged(["z", "d"]).reason
    assert sets.judged([]).reason == "the path x <- z -> y stays open."
    opened = sets.judged(["z", "w"]).reason
    assert opened == "the path x <- (w <-> x) -> w <- (w <-> y) -> y stays open."


def test_what_is_latent_cannot_be_adjusted_for():
    graph = read_graph("latent U; U -> x; U -> y; x -> y")
    with pytest.raises(ConfigError, match="U is latent, so it cannot be adjusted for"):
        Adjustment(graph, "x", "y").judged(["U"])
    with pytest.raises(ConfigError, match="no node 'V'"):
        Adjustment(graph, "x", "y").judged(["V"])


def test_where_a_part_of_the_optimal_set_is_latent_causes_of_the_treatment_alone_are_left_out():
    graph = read_graph("latent U; i -> x; z -> x; z -> y; U -> y; U -> w; w -> y; x -> y")
    sets = Adjustment(graph, "x", "y")
    assert sets.optimal() is None and sets.minimal() == ("z",)
    assert sets.precise() == ("w", "z")
