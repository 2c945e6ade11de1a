"""``fit_needs`` with ``model: numbers``: needs of a world whose truth is known, intervals, effects, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from truelift.report.needs import needs_page
from truelift.simulate.number_needs import SEEN, NumberNeedWorld

KEYS = {
    "user": "customer", "time": "week", "inputs": "mailed", "behaviour": ["pages", "minutes", "items"], "outcomes": "spend",
    "model": "numbers", "needs": [2], "starts": 2, "draws": 10,
}  # fmt: skip
WORLD = NumberNeedWorld()


@pytest.fixture(scope="module")
def drawn():
    return WORLD.draw(300, 8, seed=2)


@pytest.fixture(scope="module")
def found(drawn):
    return tl.fit_needs(drawn[0], **KEYS)


def test_what_a_mail_changes_is_within_its_errors_of_the_truth(found):
    rows = found.to_pandas().set_index(["intervention", "of", "step"])
    truth = WORLD.effects(3)
    for column, of in enumerate(["need 1", "need 2", "spend"]):
        for step in (1, 2, 3):
            row = rows.loc["do(mailed=1)", of, step]
            assert abs(row.estimate - truth[step - 1, column]) < 3.5 * row.standard_error
    for k in (0, 1):
        row = rows.loc[f"do(need {k + 1} + 1)", "spend", 1]
        assert abs(row.estimate - WORLD.truth.loading[3, k]) < 3.5 * row.standard_error


def test_intervals_hold_needs_and_columns_are_those_of_every_family(drawn, found):
    rows = found.posteriors().sort_values(["user_key", "step", "need"])
    user, step = rows.user_key.astype(int).to_numpy(), rows.step.to_numpy() - 1
    true = drawn[1][user, step, (rows.need == "need 2").astype(int)]
    inside = (rows.filtered_lower < true) & (true < rows.filtered_upper)
    assert 0.85 < inside.mean() < 0.95
    # What comes after tells more.
    errors = [float(((rows[c] - true) ** 2).mean()) for c in ("smoothed", "filtered")]
    assert errors[0] < errors[1] < float(true.var()) / 2
    assert rows.likely.isna().all() and len(rows) == 300 * 8 * 2


def test_units_of_columns_change_effects_by_their_factor_alone():
    table, _ = WORLD.draw(100, 5, seed=4)
    place = table.schema.get_field_index("spend")
    cents = table.set_column(place, "spend", pa.array(table["spend"].to_numpy() * 100))
    before, again = (tl.fit_needs(t, **{**KEYS, "needs": [1]}).to_pandas() for t in (table, cents))
    factor = np.where(before.of == "spend", 100.0, 1.0)
    assert again.estimate.to_numpy() == pytest.approx(before.estimate * factor, rel=0.02, abs=0.02)
    assert again.standard_error.to_numpy() == pytest.approx(
        before.standard_error * factor, rel=0.05
    )


def test_the_page_says_what_a_need_adds_and_what_columns_tell_needs_apart(found):
    page = needs_page(found.result, "shop")
    assert (
        "What one more of each need adds" in page and "The first 2 columns tell needs apart" in page
    )
    assert "share of the steps" not in page
    assert "one more of it" in str(found) and "A need is no covariate" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"needs": [5, 6]}, "expected no more needs than columns"),
        ({"kinds": {"items": "count"}}, "found 'count' with model: numbers"),
        (
            {"behaviour": ["section"], "needs": [1]},
            "found texts or truth values with model: numbers",
        ),
    ],
)
def test_a_mistake_is_one_sentence(change, said):
    table, _ = WORLD.draw(60, 3, seed=1)
    table = table.append_column("section", pa.array(["bread", "wine"] * 90))
    with pytest.raises(tl.TrueliftError, match=said) as told:
        tl.fit_needs(table, **{**KEYS, **change})
    assert told.value.exit_code == 2


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (["noise", "pages", "minutes"], "column 'noise' is to tell need 1 apart"),
        (["noise", "silence"], "needs"),
    ],
)
def test_a_need_that_hardly_shows_in_what_gives_its_sign_is_not_told(behaviour, said):
    """Effects on it would have one sign or the other, each with an interval that shuts the other out."""
    table, _ = WORLD.draw(150, 6, seed=3)
    for seed, name in enumerate(("noise", "silence")):
        drawn = np.random.default_rng(seed).normal(size=len(table))
        table = table.append_column(name, pa.array(drawn))
    outcomes = ["spend"] if "pages" in behaviour else []
    with pytest.raises(tl.TrueliftError, match=said) as told:
        tl.fit_needs(table, **{**KEYS, "behaviour": behaviour, "outcomes": outcomes, "needs": [1]})
    assert told.value.exit_code == 3


@pytest.mark.parametrize("needs", [1, 2])
def test_a_column_in_another_unit_is_no_second_witness(needs):
    table, _ = WORLD.draw(150, 6, seed=3)
    table = table.append_column("dozens", pa.array(table["items"].to_numpy() / 12))
    keys = {**KEYS, "behaviour": ["pages", "items", "dozens"][2 - needs :], "needs": [needs]}
    with pytest.raises(tl.TrueliftError, match="found no noise of its own") as told:
        tl.fit_needs(table, **keys)
    assert told.value.exit_code == 3


def test_without_outcomes_effects_on_needs_are_told():
    table, _ = WORLD.draw(150, 6, seed=3)
    found = tl.fit_needs(table, **{**KEYS, "outcomes": [], "needs": [1]})
    assert set(found.to_pandas().of) == {"need 1"}


def test_users_with_one_step_do_not_say_how_needs_go_on():
    table, _ = WORLD.draw(60, 1, seed=1)
    with pytest.raises(tl.TrueliftError, match="found 0 steps after a user's first one") as told:
        tl.fit_needs(table, **KEYS)
    assert told.value.exit_code == 2


def test_whole_numbers_are_numbers_and_gaps_are_left_out():
    table, _ = WORLD.draw(150, 6, seed=3)
    pages = np.rint(table["pages"].to_numpy())
    hole = np.random.default_rng(0).random(len(pages)) < 0.2
    place = table.schema.get_field_index("pages")
    table = table.set_column(place, "pages", pa.array(pages, mask=hole))
    result = tl.fit_needs(table, **{**KEYS, "needs": [1]}).result
    assert set(result.columns) == set(SEEN) and set(result.columns.values()) == {"number"}
