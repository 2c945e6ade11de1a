"""``fit_needs`` on a table at hand: needs of a world whose truth is known, and what bad input ends in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from truelift.effects.panel.parts import check_parts
from truelift.graph.need.lake_steps import STEPS, StepsKernel
from truelift.graph.need.posteriors import likely_sets
from truelift.models.factors.corrected import CorrectionOptions
from truelift.models.need.matching import matched
from truelift.report.needs import needs_page
from truelift.settings import EffectOptions
from truelift.simulate.needs import NeedWorld

KEYS = {
    "user": "customer", "time": "week", "inputs": "mailed", "behaviour": ["section", "pages", "minutes"],
    "outcomes": "bought", "needs": [3], "starts": 2, "draws": 5,
}  # fmt: skip
WORLD = NeedWorld()


@pytest.fixture(scope="module")
def drawn():
    return WORLD.draw(500, 8, seed=3)


@pytest.fixture(scope="module")
def found(drawn):
    return tl.fit_needs(drawn[0], **KEYS)


def test_effects_of_what_is_shown_are_within_their_errors_of_the_truth(drawn, found):
    order = matched(found.fitted.model, WORLD.truth)
    share = np.bincount(drawn[1].ravel(), minlength=3) / drawn[1].size
    change, of_outcome = WORLD.effect(share)
    rows = found.to_pandas()
    rows = rows[(rows.population == "all steps") & (rows.step == 1)]
    rows = rows[rows.intervention == "do(mailed=1)"].set_index("of")
    truth = {f"need {order[k] + 1}": change[k] for k in range(3)} | {"bought=1": of_outcome}
    for name, value in truth.items():
        own = rows.loc[name]
        assert abs(own.estimate - value) < 3.3 * own.standard_error < 0.08


def test_the_filter_is_near_the_one_by_true_numbers(drawn, found):
    table, _ = drawn
    rows = found.posteriors()
    assert rows.groupby(["user_key", "step"]).filtered.sum().to_numpy() == pytest.approx(1.0)
    order = matched(found.fitted.model, WORLD.truth)
    wide = rows.assign(user=rows.user_key.astype(int)).pivot_table(
        index=["user", "step"], columns="need", values="filtered"
    )
    mine = wide[[f"need {k + 1}" for k in order]].to_numpy()
    assert np.abs(mine - WORLD.filter(table)).mean() < 0.04
    assert ((rows.filtered_lower <= rows.filtered) & (rows.filtered <= rows.filtered_upper)).all()


def test_numbers_do_not_depend_on_the_order_of_rows_or_on_files(drawn, found):
    shuffled = drawn[0].take(pa.array(np.random.default_rng(0).permutation(len(drawn[0]))))
    again = tl.fit_needs(shuffled, **KEYS)
    assert again.result.effects == found.result.effects
    assert again.result.log_likelihood == found.result.log_likelihood


def test_buckets_change_no_more_than_rounding():
    table, _ = WORLD.draw(150, 6, seed=4)
    keys = {**KEYS, "needs": [2], "sample_users": 100_000}
    logs = [tl.fit_needs(table, **keys, buckets=b).result for b in (5, 40)]
    assert logs[0].log_likelihood == pytest.approx(logs[1].log_likelihood, abs=1e-3)
    assert [e.estimate for e in logs[0].effects] == pytest.approx(
        [e.estimate for e in logs[1].effects], abs=1e-3
    )


def test_the_page_has_needs_effects_and_what_is_taken_for_granted(found):
    page = needs_page(found.result, "shop")
    for said in (
        "need 3",
        "do(mailed=1) against mailed=0",
        "A need is no covariate",
        "Intervals take the number of needs as it is",
        "section=wine",
    ):
        assert said in page


def test_kinds_come_from_values_and_gaps_are_left_out(found):
    assert found.result.columns == {
        "section": "category", "pages": "count", "minutes": "number", "bought": "category",
    }  # fmt: skip
    assert found.result.inputs.keys() == {"mailed=0", "mailed=1"} and "need 1" in str(found)
    table, _ = WORLD.draw(200, 5, seed=1)
    holes = np.random.default_rng(0).random((3, len(table))) < 0.2
    with_gaps = table
    for name, hole in zip(("section", "pages", "minutes"), holes, strict=True):
        place = table.schema.get_field_index(name)
        kept = pa.array(table[name].to_pylist(), mask=hole)
        with_gaps = with_gaps.set_column(place, name, kept)
    assert len(tl.fit_needs(with_gaps, **{**KEYS, "needs": [2]}).result.needs) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": "mailde"}, "has no column 'mailde'"),
        ({"inputs": "bought"}, "found bought twice"),
        ({"model": "classes"}, "A need that never changes is not moved by what is shown"),
        ({"model": "moods"}, "model: found 'moods'"),
        ({"kinds": {"section": "count"}}, "holds texts there; expected category"),
        ({"kinds": {"minutes": "count"}}, "are not whole"),
        ({"kinds": {"mailed": "count"}}, "kinds.mailed"),
        ({"base": {"mailed": "2"}}, "base.mailed: found '2', expected one of 0, 1"),
        ({"needs": [0]}, "needs: found"),
        ({"behaviour": [], "outcomes": []}, "behaviour: found no columns"),
        ({"behaviour": ["section", "customer"]}, "found customer twice"),
        ({"prior_rows": 0.0}, "prior_rows: found 0"),
        ({"behavior": ["section"]}, "behavior"),
    ],
)
def test_a_mistake_is_one_sentence(change, said):
    table, _ = WORLD.draw(60, 3, seed=1)
    with pytest.raises(tl.TrueliftError, match=said) as told:
        tl.fit_needs(table, **{**KEYS, **change})
    assert told.value.exit_code == 2


def test_two_rows_of_a_user_at_one_time_are_refused():
    table, _ = WORLD.draw(60, 3, seed=1)
    with pytest.raises(tl.TrueliftError, match="found two rows of customer 0 at one time"):
        tl.fit_needs(pa.concat_tables([table, table.slice(0, 1)]), **KEYS)


def test_a_column_of_one_value_tells_nothing():
    table, _ = WORLD.draw(60, 3, seed=1)
    flat = table.set_column(2, "mailed", pa.array([1] * len(table)))
    with pytest.raises(tl.TrueliftError, match="found only '1', expected several values"):
        tl.fit_needs(flat, **KEYS)


def test_the_likely_set_is_the_smallest_that_reaches_the_level():
    chances = np.array([[0.5, 0.45, 0.05], [0.05, 0.92, 0.03]])
    assert likely_sets(chances, 0.9).tolist() == [[True, True, False], [False, True, False]]


def test_steps_of_a_lake_are_sessions_of_people():
    def at(*minutes):
        return pa.array([m * 60_000_000 for m in minutes], pa.timestamp("us", "UTC"))

    sessions = pa.table({
        "user_key": ["b", "a", "a", "a"], "start": at(5, 100, 0, 200), "end": at(6, 110, 10, 201),
        "events": pa.array([1, 2, 2, 9], pa.int32()), "items": pa.array([1, 2, 1, 1], pa.int32()),
        "value": [0.0, 1.0, 2.0, 3.0], "conversions": pa.array([0, 1, 0, 0], pa.int32()),
        "converted": [False, True, False, False], "is_bot": [False, False, False, True],
    })  # fmt: skip
    events = pa.table({
        "user_key": ["a", "a", "a", "a", "b"], "event_time": at(0, 10, 100, 109, 5),
        "item_id": ["x", "x", "y", "z", None],
    })  # fmt: skip
    shown = pa.table({"user_key": ["a", "a", "b", "b"], "start": at(1, 150, 5, 6)})
    tables = {"sessions": sessions, "events": events, "exposures": shown}
    rows = StepsKernel({"x": "bread", "y": "wine", "z": "wine"})(7, tables)
    assert rows.schema == STEPS
    told = rows.select(["user_key", "category", "events", "converted", "exposed", "bucket"])
    assert sorted(zip(*told.to_pydict().values(), strict=True), key=str) == [
        ("a", "bread", 2, False, 0, 7), ("a", "wine", 2, True, 1, 7), ("b", None, 1, False, 1, 7),
    ]  # fmt: skip


def test_an_effect_is_not_adjusted_for_a_need(found):
    table = found.posteriors()
    table["mailed"], table["spent"] = np.arange(len(table)) % 2, 1.0 * np.arange(len(table))
    keys = {"treatment": "mailed", "outcomes": "spent", "cluster": "user_key"}
    for adjusted in ({"covariates": ["filtered"]}, {"covariates": ["smoothed", "step"]}):
        with pytest.raises(tl.TrueliftError, match="is not identified by that") as told:
            tl.estimate_effects(table, **keys, **adjusted)
        assert told.value.exit_code == 2
    # As groups needs are allowed.
    check_parts(
        pa.Table.from_pandas(table).schema,
        EffectOptions(
            treatment="mailed",
            outcomes=("spent",),
            covariates=("step",),
            cluster="user_key",
            groups=("need",),
        ),
        "t",
    )


def test_needs_are_features_that_rank_better_on_rows_held_out(drawn, found):
    """People like one of three kinds of items by what they need now; each has labelled four items by lot."""
    features = found.features()
    assert features.columns.tolist() == ["customer", "need 1", "need 2", "need 3"]
    assert features.iloc[:, 1:].sum(axis=1).to_numpy() == pytest.approx(np.ones(500))
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(500), 8)
    item = np.concatenate([rng.permutation(30)[:8] for _ in range(500)])
    liked = rng.random(len(user)) < np.where(drawn[1][user, -1] == item % 3, 0.8, 0.2)
    names = {
        "customer": user.astype(str),
        "item_id": item.astype(str),
        "label": liked.astype(float),
    }
    rows, late = pa.table(names), np.tile(np.arange(8) >= 4, 500)
    keys = {"user": "customer", "evaluation": rows.filter(late), "corrections": ()}
    keys["options"] = CorrectionOptions(rank=2, sweeps=40, kept=15)
    plain, with_needs = (
        tl.fit_preferences(rows.filter(~late), user_features=given, **keys).evaluation["none"][
            "auc"
        ]
        for given in (None, features)
    )
    assert with_needs.less(plain).lower > 0.02
