"""From a graph to an effect by commands, and how they end."""

from __future__ import annotations

import pyarrow.csv
import pytest
import yaml

import truelift as tl
from tests.unit.graph.shop import EFFECT, GRAPH, shop_rows
from truelift.cli import main
from truelift.errors import NotSupportedError
from truelift.graph.effect_spec import write_spec
from truelift.settings import EffectOptions
from truelift.typed import from_plain


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.graph.yaml").write_text(GRAPH)
    pyarrow.csv.write_csv(shop_rows(), tmp_path / "shop.csv")
    return tmp_path


def test_a_graph_a_question_and_a_table_give_a_specification_that_is_estimated(shop, capsys):
    (shop / "mail.yaml").write_text("cluster: customer\nestimands: [ATE]\ncovariates: [visits]\n")
    words = ["identify", "--graph", "shop.graph.yaml", "--effect", "campaign -> sales"]
    words += ["--table", "shop.csv", "--cluster", "customer", "--write", "mail.yaml"]
    assert main([*words, "--plot", "shop.svg"]) == 0
    said = capsys.readouterr().out
    assert "is identified by adjusting for age and visits_before" in said
    assert "The data contradict 0 of 7" in said
    assert "<svg" in (shop / "shop.svg").read_text()
    spec = yaml.safe_load((shop / "mail.yaml").read_text())
    assert spec == {
        "cluster": "customer", "estimands": ["ATE"], "covariates": ["age", "x_visits"],
        "treatment": "mailed", "outcomes": ["sales"],
    }  # fmt: skip
    from_plain(EffectOptions, spec)
    found = tl.estimate_effects("shop.csv", **spec).estimates[0]
    assert found.ci_lower < EFFECT < found.ci_upper


def test_covariates_that_are_texts_in_the_table_become_categories(shop):
    found = tl.identify("shop.graph.yaml", "visits_before -> sales", adjust=["region", "age"])
    assert found.effect_keys(shop_rows(5).schema)["features"] == {
        "categorical": {"region": "one_hot"}
    }


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["--effect", "campaign -> sales", "--adjust", "interest"],
            2,
            "interest is latent, so it cannot",
        ),
        (["--effect", "campaign -> sale"], 2, "no node 'sale'. Did you mean 'sales'"),
        (["--effect", "campaign"], 2, "expected names with arrows between"),
        (["--effect", "campaign -> interest"], 2, "interest is latent, so there is nothing"),
        (["--effect", "campaign -> sales", "--table", "none.csv"], 2, "There is no table at"),
        (["--effect", "campaign -> sales", "--instrument", "age"], 2, "age is no instrument"),
        (["--effect", "campaign -> sales", "--write", "no/where.yaml"], 2, "cannot be written"),
        (
            ["--effect", "campaign -> sales", "--adjust", "visits", "--write", "a.yaml"],
            3,
            "not valid",
        ),
    ],
)
def test_what_cannot_be_ends_in_one_message(shop, words, code, said, capsys):
    assert main(["identify", "--graph", "shop.graph.yaml", *words]) == code
    told = capsys.readouterr()
    assert said in told.err + told.out and "Traceback" not in told.err


def test_an_effect_that_is_not_identified_ends_with_3_and_names_what_to_measure(capsys):
    lines = "latent need; need -> mail; need -> sales; mail -> sales"
    assert main(["identify", "--graph", lines, "--effect", "mail -> sales"]) == 3
    said = capsys.readouterr().out
    assert "is not identified." in said and "measure   need: the smallest set" in said


def test_nothing_is_written_of_what_is_not_identified():
    with pytest.raises(NotSupportedError, match="the graph identifies no effect"):
        tl.identify("x -> y; x <-> y", "x -> y").effect_keys()
    napkin = tl.identify("w -> r -> x -> y; w <-> x; w <-> y", "x -> y")
    with pytest.raises(NotSupportedError, match="is no design of estimate_effects"):
        napkin.effect_keys()


def test_a_violated_graph_ends_falsify_with_3(shop, capsys):
    pyarrow.csv.write_csv(shop_rows(beside=4.0), shop / "shop.csv")
    words = [
        "falsify",
        "--graph",
        "shop.graph.yaml",
        "--table",
        "shop.csv",
        "--cluster",
        "customer",
    ]
    assert main(words) == 3
    assert "region and sales" in capsys.readouterr().out


def test_a_graph_and_its_answer_are_drawn(shop):
    for shown in ("shop.graph.yaml", tl.identify("shop.graph.yaml", "campaign -> sales")):
        for width in ("wide", "narrow"):
            figure = tl.draw_graph(shown, width)
            labels = {t.get_text() for t in figure.axes[0].texts}
            assert {"age", "sales"} <= labels and len(labels) == 7


def test_categories_of_an_earlier_graph_are_no_covariates_of_the_next(tmp_path):
    spec = tmp_path / "mail.yaml"
    first = {"covariates": ["age"], "features": {"categorical": {"region": "one_hot"}}}
    question = {"treatment": "campaign", "outcomes": ["sales"], "cluster": "customer"}
    write_spec(question | first, spec, "by age and region")
    write_spec(question | {"covariates": ["age"]}, spec, "by age")
    assert "region" not in spec.read_text()
