"""Identification: complete, held to hedges and to the truth of latent models; and traps of the library."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyagrum
import pytest

from tests.unit.graph.brute_force import (
    effects_of_formula,
    effects_of_model,
    has_hedge,
    is_adjustment,
    is_front_door,
    random_graph,
    random_tables,
    subsets,
    with_latents,
)
from truelift.errors import ConfigError, InvariantError
from truelift.graph.adjustment import Adjustment
from truelift.graph.designs import front_door, instruments, mediation
from truelift.graph.files import read_graph
from truelift.graph.formula import P, Product, Sum, all_names, shown
from truelift.graph.general import general_formula
from truelift.graph.identify import identified
from truelift.graph.projection import Projection, projected, worth_measuring

NAPKIN = "w -> r -> x -> y; w <-> x; w <-> y"
BOW = "x -> y; x <-> y"


@pytest.mark.parametrize("seed", range(40))
def test_what_is_identified_has_no_hedge_and_its_formula_is_true_of_the_latent_model(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 5) if seed % 2 else with_latents(rng, 7, 2, 0.45)
    found = projected(graph)
    formula = general_formula(found, "x", "y")
    assert (formula is None) == has_hedge(found.parents, found.siblings)
    if formula is not None:
        assert all_names(formula) <= set(graph.measured)
        tables = random_tables(graph, rng)
        truth = effects_of_model(graph, tables)
        assert np.allclose(effects_of_formula(graph, tables, formula), truth, atol=1e-12)


def test_the_napkins_formula_equals_the_truth_of_a_latent_model():
    graph = read_graph(NAPKIN)
    found = identified(graph, "x", "y")
    tables = random_tables(graph, np.random.default_rng(4))
    truth = effects_of_model(graph, tables)
    assert found.method == "formula"
    assert np.abs(effects_of_formula(graph, tables, found.formula) - truth).max() < 1e-12
    assert "sum over y', w of P(y' | r, w, x)" in found.formula_text()


@pytest.mark.parametrize("seed", range(40))
def test_the_first_method_that_the_definitions_allow_is_taken(seed):
    graph = random_graph(np.random.default_rng(seed), 5, 0.45, 0.25)
    free = set(graph.measured) - {"x", "y"}
    found = identified(graph, "x", "y")
    valid = [set(s) for s in subsets(free) if is_adjustment(graph, set(s))]
    doors = [set(s) for s in subsets(free) if s and is_front_door(graph, set(s))]
    assert (found.method == "back door") == bool(valid)
    assert (found.front_door is not None) == bool(doors)
    if doors:
        assert set(found.front_door) in doors and len(found.front_door) == len(doors[0])
    if found.method in ("none", "instrument"):
        assert has_hedge(projected(graph).parents, projected(graph).siblings)


@pytest.mark.parametrize("seed", range(25))
def test_what_is_worth_measuring_is_the_smallest_set_that_identifies(seed):
    graph = random_graph(np.random.default_rng(seed), 5, 0.6, 0.4)
    found = worth_measuring(graph, "x", "y")
    if found is None or projected(graph).identifies("x", "y"):
        return
    assert projected(graph, found).identifies("x", "y")
    hidden = [f"{a} <-> {b}" for a, b in graph.confounded]
    smaller = combinations(hidden, len(found) - 1)
    assert not any(projected(graph, some).identifies("x", "y") for some in smaller)


def test_what_cannot_be_measured_is_not_asked_for():
    lines = "latent U, V; x -> y; U -> x; U -> y; V -> x; V -> y"
    graph = read_graph(lines)
    found = identified(graph, "x", "y")
    assert found.missing == ("U", "V") and found.exit_code == 3
    assert "measure   U and V: the smallest set that would identify it" in str(found)
    kept = [
        n if n.name != "U" else type(n)("U", latent=True, measurable=False) for n in graph.nodes
    ]
    gone = identified(type(graph)(tuple(kept), graph.arrows), "x", "y")
    assert gone.missing is None and "an experiment on x" in str(gone)


def test_a_formula_reads_as_it_is_and_sums_have_names_of_their_own():
    inside = Product(P(("m",), ("x",)), Sum("x", Product(P(("y",), ("m", "x")), P(("x",)))))
    assert (
        shown(Sum("m", inside), ["x", "y"])
        == "sum over m of P(m | x) (sum over x' of P(y | m, x') P(x'))"
    )


def test_pyagrums_default_drops_the_arrow_of_a_bow_and_ours_keeps_it():
    network = pyagrum.fastBN("x->y")
    wrong, _, _ = pyagrum.causalImpact(
        pyagrum.CausalModel(network, [("u", ("x", "y"))]), on="y", doing="x"
    )
    assert wrong.isIdentified()  # as "no effect": the trap
    assert general_formula(projected(read_graph(BOW)), "x", "y") is None


def test_pyagrum_needs_tables_before_it_looks_at_a_structure():
    with pytest.raises(pyagrum.OperationNotAllowed):
        pyagrum.causalImpact(pyagrum.CausalModel(pyagrum.fastDAG("x->y")), on="y", doing="x")
    assert general_formula(projected(read_graph("x -> y")), "x", "y") == P(("y",), ("x",))


def test_the_table_that_pyagrum_returns_is_not_the_effect_and_is_not_used():
    graph = read_graph(NAPKIN)
    tables = random_tables(graph, np.random.default_rng(1))
    network = pyagrum.fastBN("w->r->x->y")
    model = pyagrum.CausalModel(network, [("u", ("w", "x")), ("v", ("w", "y"))], True)
    _, table, _ = pyagrum.causalImpact(model, on="y", doing="x")
    truth = effects_of_model(graph, tables)
    theirs = [float(table[{"x": v, "y": 1, "r": 0}]) for v in (0, 1)]
    assert not np.allclose(theirs, truth, atol=1e-3)


def test_names_that_are_no_words_of_a_grammar_go_through_and_come_back():
    graph = read_graph('"net sales (EUR)" <- mail; mail <- "age, years" -> "net sales (EUR)"')
    formula = general_formula(projected(graph), "mail", "net sales (EUR)")
    assert all_names(formula) == {"mail", "age, years", "net sales (EUR)"}


def test_a_disagreement_with_the_recursion_is_an_error(monkeypatch):
    monkeypatch.setattr(Projection, "identifies", lambda self, a, b: True)
    with pytest.raises(InvariantError, match="says the contrary"):
        general_formula(projected(read_graph(BOW)), "x", "y")


def test_an_instrument_moves_the_outcome_through_the_treatment_alone():
    def of(lines):
        return [(i.name, i.given) for i in instruments(Adjustment(read_graph(lines), "x", "y"))]

    assert of("z -> x -> y; x <-> y") == [("z", ())]
    assert of("z -> x -> y; x <-> y; z -> y") == []
    assert of("c -> z -> x -> y; c -> y; x <-> y") == [("z", ("c",))]
    assert of("x -> y; x <-> y; z -> q") == []
    assert (
        of("z -> x -> m -> y; x <-> y; z -> m") == []
    )  # it moves the outcome beside the treatment
    assert of("latent U; U -> z; U -> x; x -> y; x <-> y") == [
        ("z", ())
    ]  # one that only goes along


def test_what_is_no_instrument_is_refused_with_the_way_it_takes():
    graph = read_graph("z -> x -> y; x <-> y; z -> w -> y; w <-> y; q -> y")
    with pytest.raises(ConfigError, match=r"z is no instrument .* it reaches y by z -> w -> y"):
        identified(graph, "x", "y", instrument="z")
    with pytest.raises(ConfigError, match=r"it reaches y by q -> y|does not move"):
        identified(graph, "x", "y", instrument="q")
    with pytest.raises(ConfigError, match="expected a measured node beside"):
        identified(graph, "x", "y", instrument="x")


def test_shares_through_mediators_need_all_back_doors_closed_by_what_comes_before():
    def of(lines, *mediators):
        return mediation(Adjustment(read_graph(lines), "x", "y"), mediators)

    found = of("x -> m -> y; x -> y; c -> m; c -> y; c -> x")
    assert (found.mediators, found.given, found.reason) == (("m",), ("c",), "")
    assert of("x -> y") is None
    hidden = of("x -> m -> y; x -> y; m <-> y")
    assert hidden.reason == "the path m <- (m <-> y) -> y stays open"
    # A cause of mediator and outcome that the treatment changes breaks shares through m alone.
    changed = "x -> l -> m -> y; l -> y; x -> m; x -> y"
    assert "l" in of(changed, "m").reason and of(changed).reason == ""
    with pytest.raises(ConfigError, match="expected measured nodes on the way"):
        of("x -> m -> y; c -> x; c -> y", "c")


def test_the_front_door_takes_the_fewest():
    graph = read_graph("x -> a -> b -> y; x <-> y")
    assert front_door(Adjustment(graph, "x", "y")) == ("a",)


def test_an_effect_of_or_on_what_is_latent_is_refused():
    graph = read_graph("latent U; x -> U -> y")
    with pytest.raises(ConfigError, match="U is latent, so there is nothing to estimate from"):
        identified(graph, "x", "U")
    with pytest.raises(ConfigError, match="no node 'sale'"):
        identified(graph, "x", "sale")
