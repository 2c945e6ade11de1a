"""``effects.graph``: what the data say against the graph stands beside the effect that leans on it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.graph.shop import GRAPH, shop_rows


@pytest.fixture
def graph(tmp_path):
    (tmp_path / "shop.graph.yaml").write_text(GRAPH)
    return str(tmp_path / "shop.graph.yaml")


def estimated(rows, graph, covariates=("age", "x_visits"), **options):
    return tl.estimate_effects(
        rows, treatment="mailed", outcomes="sales", covariates=list(covariates),
        cluster="customer", estimands=["ATE"], graph=graph, buckets=8, **options,
    )  # fmt: skip


def beside(result, outcome="sales"):
    return [c.text for c in result.cautions if c.outcomes == (outcome,)]


def test_a_violated_claim_that_the_effect_leans_on_is_a_caution_beside_it(graph):
    found = estimated(shop_rows(beside=4.0), graph)
    (said,) = [text for text in beside(found) if "leans on a claim" in text]
    assert "effect of mailed on sales" in said and "region" in said
    assert said in found.summary() and "independences that the graph claims" in found.summary()


def test_a_graph_that_the_data_do_not_contradict_is_said_among_the_checks_alone(graph):
    found = estimated(shop_rows(), graph)
    assert (
        "The data contradict none of the 7 independences that the graph claims." in found.summary()
    )
    assert not [text for text in beside(found) if "graph" in text]


def test_covariates_that_do_not_identify_the_effect_by_the_graph_are_said(graph):
    found = estimated(shop_rows(400), graph, covariates=("age", "x_visits", "visits"))
    (said,) = [text for text in beside(found) if "By the graph" in text]
    assert "does not identify the effect of mailed on sales" in said


def test_a_graph_without_the_outcome_and_a_column_that_is_not_there_are_refused(graph):
    with pytest.raises(tl.TrueliftError, match="no node stands for the column 'sales'"):
        estimated(shop_rows(50), "age -> mailed -> visits")
    with pytest.raises(
        tl.TrueliftError, match=r"no column 'height' \(effects.graph, node height\)"
    ):
        estimated(shop_rows(50), "height -> mailed -> sales; age, x_visits -> sales")


def test_claims_are_not_tested_on_rows_that_weigh_differently_and_covariates_are_judged_all_the_same(
    graph,
):
    rows = shop_rows(400, beside=4.0)
    rows = rows.append_column("w", pa.array(1.0 + np.arange(rows.num_rows) % 3))
    found = estimated(rows, graph, covariates=("age", "x_visits", "visits"), weight="w")
    assert "count every unit once" in found.not_made["claims of the graph"]
    assert any("By the graph" in text for text in beside(found))
    assert "independences that the graph claims" not in found.summary()


def test_a_design_says_that_it_does_not_test_the_graph(graph):
    found = tl.estimate_effects(
        shop_rows(400), treatment="mailed", outcomes="sales", covariates=["age"], cluster="customer",
        front_door="visits", graph=graph, buckets=8,
    )  # fmt: skip
    assert "not made for the design front_door" in found.not_made["graph"]
