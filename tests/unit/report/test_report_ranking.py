"""What the page says of the ranking: against which baseline, how sure, and for whom."""

from __future__ import annotations

from dataclasses import replace

from truelift.evaluation.by_lot_results import LotEvaluation, LotFigure
from truelift.report.sections.ranking import comparison, ranking


def test_the_model_is_compared_with_the_baseline_chosen_on_validation(whole):
    said = comparison(whole.training)
    assert "recent popularity (chosen on the validation part)" in said
    assert "+0.0423 NDCG, user by user (95% interval +0.0361 to +0.0485, p < 0.001)" in said
    assert said.endswith("clearly better.")


def test_an_interval_that_holds_zero_names_no_winner(whole):
    model, *others = whole.training.test
    unsure = replace(model.differences[0], ci_lower=-0.01, p_value=0.2)
    training = replace(whole.training, test=(replace(model, differences=(unsure,)), *others))
    assert comparison(training).endswith("no clear winner.")


def test_a_worse_model_is_called_worse(whole):
    model, *others = whole.training.test
    worse = replace(model.differences[0], mean=-0.03, ci_lower=-0.05, ci_upper=-0.01)
    training = replace(whole.training, test=(replace(model, differences=(worse,)), *others))
    assert comparison(training).endswith("clearly worse: use the baseline.")


def test_the_table_has_coverage_novelty_and_the_difference_with_intervals(whole):
    page = ranking(whole)
    for text in ("41.7%", "7.42 (7.31 to 7.53)", "0.1310 (0.1220 to 0.1400)", "+0.0423"):
        assert text in page


def test_the_rule_of_seen_items_is_said(whole):
    dropped = replace(whole.training, seen_items="drop", left_out=17)
    page = ranking(replace(whole, training=dropped))
    assert "neither compete nor count as right; 17 users wanted nothing else." in page


def test_what_was_left_out_is_on_the_page(whole):
    noted = replace(whole.training, notes=("Spark ALS was left out: no Spark",))
    assert "Spark ALS was left out: no Spark" in ranking(replace(whole, training=noted))


def test_segments_are_explained(whole):
    page = ranking(whole)
    assert "cold users: fewer than 5 steps before the evaluated one" in page


def test_labels_by_lot_stand_beside_what_the_log_says(whole):
    found = LotEvaluation(
        "asked.csv", 1_200, 80, 30, 0, 0, 4, 0, 50,
        (
            LotFigure("model", "auc", 0.712, 0.69, 0.734, 0.655, 0.6, 0.71),
            LotFigure("model", "ndcg", 0.5, 0.4, 0.6),
        ),
    )  # fmt: skip
    page = str(ranking(replace(whole, others=(*whole.others, found))))
    for text in ("1,200 labels of 80 users", "0.712", "0.690 to 0.734", "0.655", "30 of an item"):
        assert text in page
    assert "Judged by lot" not in str(ranking(whole))
