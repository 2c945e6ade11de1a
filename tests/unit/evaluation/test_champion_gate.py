"""When a new model takes the champion's place, and when the two cannot be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.unit.models.sequence.test_histories import histories
from truelift.evaluation.champion import (
    UNKNOWN,
    Champion,
    Translated,
    item_index,
    obstacle,
    unknown_items,
)
from truelift.evaluation.gate import beside_baseline, decide, first_model, with_catalogue
from truelift.evaluation.results import Difference
from truelift.models.sequence.package import ModelPackage
from truelift.models.sequence.sides import SideCodes

TEMPORAL = {"kind": "temporal", "validation_start": "2024-03-01", "test_start": "2024-04-01"}
NEW = ModelPackage("basket_gru", {}, 10, "session", ("a", "b", "c"), {}, split=TEMPORAL)


def gain_of(differences: np.ndarray) -> tuple[float, float, float]:
    interval = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    return float(differences.mean()), float(interval.low), float(interval.high)


@pytest.mark.parametrize(("confidence", "margin"), [(0.95, 0.0), (0.99, 0.0), (0.95, 0.01)])
@pytest.mark.parametrize("shift", [-0.01, 0.0, 0.01, 0.018, 0.03])
def test_promoted_exactly_where_the_one_sided_t_test_rejects(confidence, margin, shift):
    differences = np.random.default_rng(4).normal(0.0, 0.1, 200)
    differences += shift - differences.mean()
    got = decide(gain_of(differences), 200, 10, "3", confidence, margin)
    p = stats.ttest_1samp(differences, margin, alternative="greater").pvalue
    assert got.promoted == (p < 1 - confidence)


def test_the_reason_says_how_much_better_over_which_version():
    assert decide((0.012, 0.004, 0.02), 100, 10, "3", 0.95, 0.0).reason.startswith(
        "promoted: NDCG@10 +0.0120 [+0.0040, +0.0200] over version 3, 0.95 lower bound +0.0053"
    )
    assert decide((-0.01, -0.02, 0.0), 100, 10, "3", 0.95, 0.0).reason.startswith(
        "kept champion 3: NDCG@10 -0.0100 [-0.0200, +0.0000]"
    )


def test_one_user_proves_nothing():
    assert not decide((0.5, -1.0, 1.0), 1, 10, "3", 0.95, 0.0).promoted


def because(old: ModelPackage | None, new: ModelPackage = NEW) -> str | None:
    return obstacle(Champion("3", old), new)


def test_a_champion_of_an_earlier_vocabulary_and_split_can_be_compared():
    earlier = {**TEMPORAL, "validation_start": "2024-02-01", "test_start": "2024-03-01"}
    assert because(replace(NEW, item_keys=("c", "a"), split=earlier)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"item_keys": ("x", "y", "a")}, "other vocabulary"),
        ({"split": {**TEMPORAL, "validation_start": "2024-05-01"}}, "learned from the test"),
        ({"split": {"kind": "leave_one_out", "step": "event"}}, "other split: leave_one_out"),
        ({"split": {}}, "other split: unknown"),
        ({"model": "forgotten"}, "model forgotten is not known"),
        ({"options": {"side_features": [["category", 9]]}}, "side features that the new"),
    ],
)
def test_why_a_champion_cannot_be_compared(change, reason):
    assert reason in because(replace(NEW, **change))


def test_side_features_must_have_the_same_codes():
    reads = {"side_features": [["event_type", 4]]}
    new = replace(NEW, options=reads, sides=SideCodes(("view", "buy")))
    assert because(new, new) is None
    assert "other codes" in because(replace(new, sides=SideCodes(("buy", "view"))), new)


def test_an_unreadable_champion_is_named():
    assert because(None) == "its package cannot be read"


class Counts:
    """Scores an item by how often the history holds it; three items of its own."""

    def scores(self, given):
        cell = given.owner * 4 + given.items
        return np.bincount(cell, minlength=4 * len(given)).reshape(-1, 4).astype(np.float32)


def test_a_ranker_of_other_items_sees_and_ranks_those_that_it_knows():
    old = replace(NEW, item_keys=("c", "x", "a"))
    index = item_index(old, NEW.item_keys)
    assert index.tolist() == [0, 3, 0, 1]
    got = Translated(Counts(), index).scores(histories([(1, 0, 0), (2, 1, 1), (3, 2, 2)], []))
    assert got[:, 1:].tolist() == [[1.0, UNKNOWN, 1.0], [0.0, UNKNOWN, 0.0]]


def over(mean: float) -> Difference:
    return Difference("personal frequency", "ndcg", 10, mean, mean - 0.01, mean + 0.01, 0.2)


def test_a_first_model_below_the_best_baseline_becomes_champion_and_it_is_said():
    got = beside_baseline(first_model(), over(-0.031))
    assert got.promoted and got.below_baseline == "personal frequency"
    assert got.reason == (
        "promoted: first model; below the best baseline, personal frequency: "
        "NDCG@10 -0.0310 [-0.0410, -0.0210]"
    )


def test_a_model_above_the_best_baseline_says_by_how_much():
    got = beside_baseline(first_model(), over(0.02))
    assert got.below_baseline is None
    assert got.reason.endswith("above the best baseline, personal frequency: NDCG@10 +0.0200 "
                               "[+0.0100, +0.0300]")  # fmt: skip


def test_a_later_model_that_beats_the_champion_and_no_baseline_is_named_too():
    won = decide((0.012, 0.004, 0.02), 100, 10, "3", 0.95, 0.0)
    assert beside_baseline(won, over(-0.02)).below_baseline == "personal frequency"


def test_the_gate_counts_the_items_that_the_standing_champion_cannot_rank():
    kept = decide((0.0, -0.01, 0.01), 100, 10, "3", 0.95, 0.0)
    assert with_catalogue(kept, "3", 12, 3000).reason.endswith(
        "; champion 3 cannot rank 12 of 3,000 items"
    )
    assert with_catalogue(kept, "3", 0, 3000) == kept
    won = decide((0.012, 0.004, 0.02), 100, 10, "3", 0.95, 0.0)
    assert with_catalogue(won, "3", 12, 3000) == won


def test_items_that_a_model_has_never_seen_are_counted():
    assert unknown_items(replace(NEW, item_keys=("c", "a")), NEW.item_keys) == 1
    assert unknown_items(NEW, NEW.item_keys) == 0
    assert unknown_items(None, NEW.item_keys) == 3
