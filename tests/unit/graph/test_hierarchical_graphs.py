"""Graphs of users and events: collapsed, augmented and marginalised as in Weinstein & Blei (2024)."""

from __future__ import annotations

import pytest

from truelift.errors import ConfigError
from truelift.graph.adjustment import Adjustment
from truelift.graph.designs import front_door
from truelift.graph.files import GraphSpec, NodeSpec
from truelift.graph.hierarchical import augmented, collapsed, marginalised
from truelift.graph.projection import projected

EVENT, USER = NodeSpec(level="event"), NodeSpec(level="user")
LATENT = NodeSpec(level="user", latent=True)


def test_confounding_by_users_is_closed_by_the_distributions_within_them():
    # Their first example: A and Y of events, a latent cause U of the user.
    flat = GraphSpec({"A": EVENT, "Y": EVENT, "U": LATENT}, arrows=("A -> Y", "U -> A, Y")).graph()
    assert not projected(flat).identifies("A", "Y")
    graph = collapsed(flat)
    assert set(graph.measured) == {"Q(A)", "Q(Y | A)"}
    assert set(graph.arrows) == {("U", "Q(A)"), ("U", "Q(Y | A)")}
    whole = augmented(graph, "Q(Y)", ["Q(A)", "Q(Y | A)"])
    # How A is distributed moves how Y is; how Y responds to A is the covariate that closes U.
    sets = Adjustment(whole, "Q(A)", "Q(Y)")
    assert sets.minimal() == ("Q(Y | A)",)


def test_interference_within_a_user_goes_through_a_quantity_of_the_user():
    # Events move a quantity Z of their user, which moves other events: Q(A) and what precedes it stand for A.
    nodes = {"B": EVENT, "A": EVENT, "Z": USER, "Y": EVENT}
    graph = collapsed(GraphSpec(nodes, arrows=("B -> A -> Z -> Y",)).graph())
    assert set(graph.arrows) == {("Q(B)", "Z"), ("Q(A | B)", "Z"), ("Z", "Q(Y)")}


def test_an_instrument_of_users_moves_the_distribution_of_events():
    spec = GraphSpec(
        {"Z": USER, "A": EVENT, "Y": EVENT, "U": LATENT}, arrows=("Z -> A -> Y", "U -> A, Y")
    )
    graph = collapsed(spec.graph())
    assert ("Z", "Q(A)") in graph.arrows and ("Z", "Q(Y | A)") not in graph.arrows


def test_what_is_marginalised_leaves_an_unrecorded_cause_behind():
    spec = GraphSpec({"A": USER, "B": USER, "C": USER, "D": USER}, arrows=("A -> B -> C", "B -> D"))
    graph = marginalised(spec.graph(), ["B"])
    assert set(graph.arrows) == {("A", "C"), ("A", "D")} and graph.confounded == (("C", "D"),)
    with pytest.raises(ConfigError, match="no node 'E'"):
        marginalised(spec.graph(), ["E"])


def test_effects_keep_their_answer_where_what_is_not_needed_is_left_out():
    spec = GraphSpec(
        {"A": EVENT, "M": EVENT, "Y": EVENT, "U": LATENT}, arrows=("A -> M -> Y", "U -> A, Y")
    )
    graph = augmented(collapsed(spec.graph()), "Q(M)", ["Q(A)", "Q(M | A)"])
    graph = augmented(graph, "Q(Y)", ["Q(M)", "Q(Y | M)"])
    before = projected(graph).identifies("Q(A)", "Q(Y)")
    assert (
        before and projected(marginalised(graph, ["Q(M | A)"])).identifies("Q(A)", "Q(Y)") == before
    )
    assert front_door(
        Adjustment(marginalised(graph, ["Q(M | A)", "Q(Y | M)"]), "Q(A)", "Q(Y)")
    ) == ("Q(M)",)


def test_every_node_has_a_level_and_new_ones_a_name_of_their_own():
    with pytest.raises(ConfigError, match=r"nodes\.B\.level: found none"):
        collapsed(GraphSpec({"A": EVENT, "B": None}, arrows=("A -> B",)).graph())
    graph = collapsed(GraphSpec({"A": EVENT}).graph())
    with pytest.raises(ConfigError, match=r"has a node 'Q\(A\)' already"):
        augmented(graph, "Q(A)", ["Q(A)"])


def test_what_responds_to_a_latent_event_is_latent_and_its_recorded_distribution_is_not():
    # A latent event L moves both A and Y of the same event: Q(A | L) is in no log, Q(A) is.
    mood = NodeSpec(level="event", latent=True)
    spec = GraphSpec({"A": EVENT, "Y": EVENT, "L": mood}, arrows=("A -> Y", "L -> A, Y"))
    graph = collapsed(spec.graph())
    assert graph.measured == () and set(graph.latent) == {"Q(L)", "Q(A | L)", "Q(Y | A, L)"}
    whole = augmented(graph, "Q(A)", ["Q(A | L)", "Q(L)"], measured=True)
    whole = augmented(whole, "Q(Y)", ["Q(Y | A, L)", "Q(A | L)", "Q(L)"], measured=True)
    assert whole.measured == ("Q(A)", "Q(Y)")
    assert ("Q(L)", "Q(Y)") in whole.arrows  # so that how A is distributed tells of L


def test_tiers_of_ones_own_and_known_arrows_are_kept():
    nodes = {
        "U": NodeSpec(level="user", tier="before"),
        "A": NodeSpec(level="event", tier="during"),
        "Y": NodeSpec(level="user", tier="after"),
        "V": NodeSpec(level="user", tier="before"),
    }
    tiers = ("before", "during", "after")
    spec = GraphSpec(nodes, arrows=("U -> A -> Y",), forbidden=("U -> V", "A -> V"), tiers=tiers)
    graph = collapsed(spec.graph())
    assert graph.tiers == tiers and graph.by_name["Q(A)"].tier == "during"
    assert graph.forbidden == (("U", "V"),)
    whole = augmented(graph, "Q(B)", ["Q(A)", "U"])
    assert whole.by_name["Q(B)"].tier == "during"
