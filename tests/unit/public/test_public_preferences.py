"""``tl.fit_preferences`` on tables at hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from truelift.models.factors.corrected import CorrectionOptions

FAST = CorrectionOptions(rank=1, sweeps=40, kept=15, cap=0.02)


def tables(seed: int = 1, users: int = 300, items: int = 30) -> tuple[pa.Table, pa.Table]:
    """Half of the items are labelled by those alone who like them; a table by lot tells so."""
    rng = np.random.default_rng(seed)
    liked = np.where(np.arange(items) % 2, 0.35, 0.6)
    label = rng.random((users, items)) < liked
    chance = np.where(np.arange(items) % 2, np.where(label, 0.4, 0.05), 0.3)
    found = []
    for seen in (rng.random(label.shape) < chance, rng.random(label.shape) < 0.3):
        user, item = np.nonzero(seen)
        found.append(
            pa.table(
                {"user_key": [f"u{u}" for u in user], "item_id": [f"i{i}" for i in item],
                 "label": label[user, item].astype(float), "chance": chance[user, item]}
            )
        )  # fmt: skip
    return found[0], found[1]


def test_a_correction_by_logged_chances_becomes_champion_where_it_is_better():
    logs, by_lot = tables()
    found = tl.fit_preferences(
        logs, chance="chance", evaluation=by_lot, corrections=("ips",), options=FAST
    )
    assert found.champion == "ips"
    gain = found.evaluation["ips"]["auc"].less(found.evaluation["none"]["auc"])
    assert gain.lower > 0
    assert "ips" in str(found)


def test_without_a_gain_the_plain_model_stays():
    _, by_lot = tables()
    found = tl.fit_preferences(by_lot, corrections=("ips", "snips"), options=FAST)
    assert found.champion == "none"


def test_the_best_of_many_corrections_needs_a_gain_beyond_an_interval_for_all_of_them():
    logs, _ = tables(users=60)
    one, more = (
        tl.fit_preferences(logs, chance="chance", corrections=names, options=FAST).reason
        for names in (("ips",), ("ips", "snips", "seen"))
    )
    assert "at once" not in one and "for all 3 at once" in more


def test_features_of_items_say_what_items_without_labels_are_like():
    rng = np.random.default_rng(4)
    kind = rng.random(40) < 0.5
    user, item = (x.ravel() for x in np.indices((60, 40)))
    label = (rng.random(2400) < np.where(kind[item], 0.8, 0.2)).astype(float)
    table = pa.table({"user_key": user, "item_id": item, "label": label})
    known, new = table.filter(pa.array(item < 25)), table.filter(pa.array(item >= 25))
    kinds = pa.table({"item_id": range(40), "kind": np.where(kind, "book", "toy")})
    with_kinds, without = (
        tl.fit_preferences(
            known, evaluation=new, item_features=given, corrections=(), folds=2, options=FAST
        ).evaluation["none"]["auc"].value
        for given in (kinds, None)
    )  # fmt: skip
    assert with_kinds > 0.75 > 0.65 > without


def test_features_of_nobody_that_labels_name_are_refused():
    logs, _ = tables()
    kinds = pa.table({"item_id": ["x"], "kind": ["book"]})
    with pytest.raises(tl.TrueliftError, match=r"item_features.*none of the 30"):
        tl.fit_preferences(logs, item_features=kinds, corrections=(), options=FAST)


def test_lists_hold_the_best_items_that_a_user_has_not_labelled():
    logs, _ = tables()
    found = tl.fit_preferences(logs, corrections=(), options=FAST)
    lists = found.recommend(["u3"], 5).to_pydict()
    own = set(logs.filter(pa.compute.equal(logs["user_key"], "u3"))["item_id"].to_pylist())
    assert lists["rank"] == [1, 2, 3, 4, 5]
    assert not own & set(lists["item_id"])
    assert lists["chance"] == sorted(lists["chance"], reverse=True)


def test_people_of_the_evaluation_alone_are_judged_and_offered_nothing_unlabelled():
    logs, by_lot = tables()
    extra = pa.table({"user_key": ["new"], "item_id": ["never"], "label": [1.0], "chance": [0.5]})
    found = tl.fit_preferences(
        logs, evaluation=pa.concat_tables([by_lot, extra]), corrections=(), options=FAST
    )
    assert found.evaluation["none"]["auc"].users == 1 + len(by_lot["user_key"].unique())
    assert "never" not in found.recommend(["new"], 30)["item_id"].to_pylist()


def test_labels_that_are_all_positive_say_what_was_found():
    logs, _ = tables()
    with pytest.raises(tl.TrueliftError, match="Is positive what was meant"):
        tl.fit_preferences(logs, positive=-1.0)


def test_a_gate_on_an_evaluation_needs_the_table():
    logs, _ = tables()
    with pytest.raises(tl.TrueliftError, match="evaluation table"):
        tl.fit_preferences(logs, gate="evaluation")


def test_labels_that_are_no_numbers_are_left_out_and_counted():
    labels = pa.table(
        {
            "user": ["a", "b", "c"] * 20, "item": [f"i{n}" for n in range(60)],
            "label": [float("nan"), 0.0, 1.0] * 20,
        }
    )  # fmt: skip
    found = tl.fit_preferences(
        labels, user="user", item="item", positive=1.0, corrections=(), options=FAST
    )
    assert found.left_out == 20


@pytest.mark.parametrize(
    "feature", [pa.nulls(30, pa.string()), pa.array([2**60 + n for n in range(30)])]
)
def test_a_feature_that_says_nothing_or_is_a_long_number_is_no_fault(feature):
    logs, _ = tables(users=20)
    kinds = pa.table({"item_id": [f"i{n}" for n in range(30)], "kind": feature})
    quick = CorrectionOptions(rank=1, sweeps=3, kept=1)
    found = tl.fit_preferences(logs, item_features=kinds, corrections=(), folds=2, options=quick)
    assert found.champion == "none"


def test_a_cell_of_the_evaluation_that_labels_have_is_judged_by_a_model_without_it():
    rng = np.random.default_rng(3)
    user, item = np.nonzero(rng.random((40, 20)) < 0.4)
    noise = rng.integers(0, 2, len(user))  # nothing can foretell these
    logs = pa.table({"user_key": user, "item_id": item, "label": noise})
    sharp = CorrectionOptions(rank=4, sweeps=40, kept=15)
    found = tl.fit_preferences(logs, evaluation=logs, corrections=(), options=sharp)
    auc = found.evaluation["none"]["auc"]
    assert auc.lower < 0.5 < auc.upper
    assert found.known == len(user) and "fitted without them" in str(found)


def test_one_correction_may_be_named_alone():
    logs, _ = tables(users=20)
    quick = CorrectionOptions(rank=1, sweeps=3, kept=1)
    found = tl.fit_preferences(logs, corrections="ips", folds=2, options=quick)
    assert list(found.logs) == ["none", "ips"]
