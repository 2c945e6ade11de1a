"""``design: synthetic`` from a table to its sentences and its page."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.unit.effects.designs.few_treated_rows import few_treated_table
from tests.unit.effects.panels import with_column
from tests.unit.report.test_report_any_table import page_of
from truelift.effects.results import EffectsResult
from truelift.errors import ConfigError, DataError
from truelift.inference.synthetic import Cohort, effect_of
from truelift.simulate.worlds.few_treated import few_treated
from truelift.typed import from_plain, to_plain

ASKED = {
    "design": "synthetic", "treatment": "begins", "outcomes": "y", "unit": "store", "cluster": "store",
    "differences": {"time": "week"}, "buckets": 6,
}  # fmt: skip


def estimated(table: pa.Table, **more):
    return tl.estimate_effects(table, **(ASKED | more))


def test_estimates_are_those_of_the_matrix_whatever_the_order_of_rows_and_buckets():
    table = few_treated_table(3, effect=2.0)
    y, treated = few_treated(3, effect=2.0)
    order = np.random.default_rng(0).permutation(table.num_rows)
    one, other = estimated(table), estimated(table.take(order), buckets=9)
    for e, again, method in zip(
        one.estimates, other.estimates, ("SDID", "synthetic control"), strict=True
    ):
        wanted = effect_of(np.delete(y, treated, axis=0), [Cohort(16, y[[treated]])], method)[0]
        assert e.estimate == pytest.approx(wanted, abs=1e-9)
        assert (again.estimate, again.ci_lower, again.p_value) == pytest.approx(
            (e.estimate, e.ci_lower, e.p_value), abs=1e-9
        )
        assert e.ci_lower < e.estimate < e.ci_upper


def test_the_text_says_whom_the_treated_are_beside_and_what_placebos_find():
    result = estimated(few_treated_table(3, effect=6.0))
    text = str(result)
    assert result.supported and all(e.p_value < 0.05 for e in result.estimates)
    assert re.search(r"s\d+ beside s\d+ \d+%", text) and "a placebo in time finds" in text
    assert "without the treatment the treated would have stayed beside the mix" in text


def changed(table: pa.Table, week: int, by: float) -> pa.Table:
    moved = (table["week"].to_numpy() == week) & table["begins"].is_valid().to_numpy()
    return with_column(table, "y", table["y"].to_numpy() + by * moved)


def test_a_unit_that_moved_before_its_treatment_is_refused():
    result = estimated(changed(few_treated_table(2), 16, -12.0))
    told = [reason for s in result.support for reason in s.reasons]
    assert not result.supported
    assert any("a placebo in time finds an effect before" in reason for reason in told)
    assert any("the effect hangs on the last period before the treatment" in r for r in told)


def test_with_anticipation_nothing_is_fitted_to_the_last_periods_before():
    table = few_treated_table(3, effect=2.0)
    keys = {"differences": {"time": "week", "anticipation": 1}, "estimands": ["synthetic DiD"]}
    one, other = estimated(table, **keys), estimated(changed(table, 16, -12.0), **keys)
    assert one.estimates[0].estimate == pytest.approx(other.estimates[0].estimate, abs=1e-9)


def test_fewer_than_nineteen_donors_tell_nothing_at_this_level():
    result = estimated(few_treated_table(4, donors=12))
    assert not result.supported and np.isinf(result.estimates[0].ci_lower)
    assert any("expected at least 19" in r for s in result.support for r in s.reasons)


def test_several_cohorts_are_averaged_and_units_treated_at_once_left_out():
    table = few_treated_table(5, effect=3.0)
    store = table["store"].to_numpy(zero_copy_only=False)
    begins = table["begins"].to_numpy(zero_copy_only=False).copy()
    begins[store == "s007"], begins[store == "s009"] = 14.0, 2.0
    table = with_column(table, "begins", pa.array(begins, from_pandas=True))
    result = estimated(table, estimands=["synthetic DiD"])
    assert "2 treated and 28 donors" in result.estimates[0].method
    assert "by 200 placebos" in result.estimates[0].method
    assert any("1 unit(s) are treated in the first 2 periods" in c.text for c in result.cautions)


def test_a_result_survives_being_written_down_and_has_its_paths_on_the_page():
    result = estimated(few_treated_table(3, effect=6.0))
    again = from_plain(EffectsResult, to_plain(result), "result")
    assert again.synthetic == result.synthetic
    text = page_of(result)
    assert "beside a mix of others" in text and "synthetic-1" in text


def without(table: pa.Table, week: int) -> pa.Table:
    gone = (table["store"].to_numpy(zero_copy_only=False) == "s003") & (
        table["week"].to_numpy() == week
    )
    return table.filter(pa.array(~gone))


@pytest.mark.parametrize(
    ("change", "more", "refused", "words"),
    [
        (lambda t: without(t, 5), {}, DataError, "1 periods of units are missing, such as 5 of 's003'"),
        (lambda t: pa.concat_tables([t, t.slice(0, 2)]), {}, DataError, "2 rows repeat a unit"),
        (
            lambda t: with_column(t, "begins", pa.nulls(t.num_rows, pa.float64())),
            {}, DataError, "no unit's treatment begins",
        ),
        (
            lambda t: with_column(t, "begins", np.full(t.num_rows, 17.0)),
            {}, DataError, "expected at least twice as many",
        ),
        (
            lambda t: with_column(t, "begins", t["week"].to_numpy().astype(float)),
            {}, DataError, "changes within 31 unit",
        ),
        (
            lambda t: with_column(t, "begins", np.where(t["begins"].is_valid(), 16.5, np.nan)),
            {}, DataError, "which is no period",
        ),
        (lambda t: t, {"cluster": "week"}, ConfigError, "'store', as effects.unit"),
        (lambda t: t, {"covariates": ["week"]}, ConfigError, "effects.covariates"),
        (lambda t: t, {"estimands": ["overall ATT"]}, ConfigError, "synthetic DiD, synthetic control"),
        (lambda t: t, {"differences": {}}, ConfigError, "effects.differences.time"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message(change, more, refused, words):
    with pytest.raises(refused, match=words):
        estimated(change(few_treated_table(1)), **more)
