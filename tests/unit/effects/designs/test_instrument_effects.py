"""``instrument:`` from a table to its sentences, against matrices of all rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

import truelift as tl
from tests.unit.effects.designs.instruments_by_matrices import BUCKETS, by_matrices
from tests.unit.effects.panels import with_column
from truelift.errors import ConfigError, DataError, TableError
from truelift.simulate.worlds.instrumented import instrument_table

ASKED = {
    "treatment": "d",
    "outcomes": "y",
    "covariates": "x",
    "cluster": "user",
    "buckets": BUCKETS,
}


def estimated(table: pa.Table, **more):
    return tl.estimate_effects(table, **(ASKED | more))


def by_name(result) -> dict[str, tuple[float, float]]:
    return {e.estimand: (e.estimate, e.standard_error) for e in result.estimates}


@pytest.mark.parametrize("instruments", [["z1"], ["z1", "z2", "z3"]])
def test_linear_estimators_are_those_of_matrices_of_all_rows(instruments):
    table = instrument_table(instruments=3, binary=False)
    result = estimated(table, instrument=instruments, estimands=["TSLS", "LIML", "JIVE"])
    wanted = by_matrices(table, instruments)
    for name, found in by_name(result).items():
        assert found == pytest.approx((wanted[name], wanted[f"{name} error"]), rel=1e-9)
    k, groups = len(instruments), 200
    check = result.instruments[0]
    tail = stats.f.sf(wanted["AR at 0"] * (groups - k) / (k * (groups - 1)), k, groups - k)
    assert check.p_value == pytest.approx(tail, rel=1e-8)
    assert check.effective_f == pytest.approx(wanted["effective F"], rel=1e-9)
    assert (0.0 in check.anderson_rubin) == (tail > 0.05)


def test_weights_count_like_copies_of_rows():
    table = instrument_table(seed=3, clusters=60)
    weight = np.random.default_rng(1).integers(1, 4, table.num_rows)
    weighted = estimated(
        with_column(table, "w", weight.astype(float)),
        instrument="z1",
        weight="w",
        estimands=["TSLS"],
    )
    copied = estimated(
        table.take(np.repeat(np.arange(table.num_rows), weight)),
        instrument="z1",
        estimands=["TSLS"],
    )
    (effect, error), (wanted, of_copies) = by_name(weighted)["TSLS"], by_name(copied)["TSLS"]
    # A weight is no row: of three coefficients, copies seem to leave more.
    rows = np.array([table.num_rows, weight.sum()])
    few, many = (rows - 1) / (rows - 3)
    assert effect == pytest.approx(wanted, rel=1e-9)
    assert error == pytest.approx(of_copies * np.sqrt(few / many), rel=1e-9)


def test_numbers_do_not_hang_on_how_rows_lie_in_buckets_beyond_folds():
    table = instrument_table(seed=2)
    order = np.random.default_rng(0).permutation(table.num_rows)
    found = [
        by_name(estimated(rows, instrument="z1", estimands=["TSLS", "JIVE"], buckets=buckets))
        for rows, buckets in ((table, 8), (table.take(order), 5))
    ]
    for name, numbers in found[0].items():
        assert numbers == pytest.approx(found[1][name], rel=1e-9)


def test_late_is_the_ratio_of_the_instruments_own_doubly_robust_effects():
    table = instrument_table(seed=5)
    result = estimated(table, instrument="z1", estimands=["LATE"])
    own = tl.estimate_effects(
        table, treatment="z1", outcomes=["d", "y"], covariates="x", cluster="user", buckets=BUCKETS,
        estimands=["ATE"], small_samples="cr1",
    )  # fmt: skip
    on_d, on_y = (e.estimate for e in own.estimates)
    assert by_name(result)["LATE"][0] == pytest.approx(on_y / on_d, rel=1e-9)
    check = next(c for c in result.instruments if c.basis == "doubly robust")
    squared = (on_d / own.estimates[0].standard_error) ** 2
    assert check.effective_f == pytest.approx(squared, rel=0.02)  # less what fitting adds


def test_several_binary_instruments_give_one_late_with_a_test_of_overidentification():
    result = estimated(instrument_table(seed=6, instruments=2), instrument=["z1", "z2"])
    assert [e.estimand for e in result.estimates] == ["LATE", "TSLS", "LIML", "JIVE"]
    assert all(e.ci_lower < 1.0 < e.ci_upper for e in result.estimates)
    assert all(c.overidentification > 0.001 for c in result.instruments)


def test_the_summary_says_strength_set_and_what_is_assumed():
    text = str(estimated(instrument_table(seed=5), instrument="z1"))
    assert "Verdict: supported" in text
    assert "effective F" in text and "Anderson-Rubin" in text
    assert "LATE: one more of d changes y by" in text
    assert "changes the outcome through the treatment alone" in text


def test_a_weak_instrument_is_not_supported_and_says_that_no_effect_is_ruled_out():
    result = estimated(instrument_table(seed=1, clusters=100, strength=0.0), instrument="z1")
    assert not result.supported
    assert "not supported by the data" in result.verdict and "unbounded" in result.verdict


def test_a_result_survives_being_written_down_with_infinite_ends():
    import json

    from truelift.effects.results import EffectsResult
    from truelift.typed import from_plain, to_plain

    result = estimated(instrument_table(seed=1, clusters=100, strength=0.0), instrument="z1")
    back = from_plain(EffectsResult, json.loads(json.dumps(to_plain(result))))
    assert back.instruments == result.instruments


def refused(table: pa.Table, kind=DataError, **more) -> str:
    with pytest.raises(kind) as error:
        estimated(table, **more)
    assert error.value.exit_code == 2
    return str(error.value)


def test_an_instrument_that_cannot_move_anything_is_named():
    table = instrument_table(clusters=60)
    flat = with_column(table, "flat", np.ones(table.num_rows))
    assert "'flat' (effects.instrument) has one value in all 240 rows" in refused(
        flat, instrument="flat"
    )
    twice = with_column(table, "twice", 2.0 * table["x"].to_numpy() + 1.0)
    assert "'twice' (effects.instrument) is explained wholly by the covariates" in refused(
        twice, instrument="twice"
    )
    copy = with_column(table, "copy", 3.0 * table["z1"].to_numpy())
    assert "'copy' (effects.instrument) is a combination" in refused(
        copy, instrument=["z1", "copy"]
    )


def test_one_cluster_is_refused_with_what_to_do():
    table = with_column(instrument_table(clusters=30), "user", np.zeros(120, int))
    told = refused(table, instrument="z1", estimands=["TSLS"])
    assert "1 values of the cluster column 'user'" in told and "effects.cluster" in told


def test_a_mistaken_specification_is_refused_before_anything_is_read():
    table = instrument_table(clusters=30)
    assert "Did you mean 'z1'?" in refused(table, TableError, instrument="Z1")
    assert "Did you mean 'instrument'" in refused(table, ConfigError, instruments="z1")
    assert "some of LATE, TSLS, LIML, JIVE" in refused(
        table, ConfigError, instrument="z1", estimands=["ATT", "TSLS"]
    )
    assert "effects.instrument: found ()" in refused(table, ConfigError, estimands=["TSLS"])
    assert "both outcome and instrument" in refused(table, instrument="y")
    assert "'LATE' among effects.estimands compares two" in refused(
        instrument_table(clusters=30, binary=False), instrument="z1", estimands=["LATE"]
    )


def test_rows_without_a_value_are_counted_and_named():
    table = instrument_table(clusters=30)
    values = table["z1"].to_numpy().copy()
    values[:7] = np.nan
    told = refused(with_column(table, "z1", values), instrument="z1")
    assert "'z1' (effects.instrument): 7 of 120 rows are null, NaN or infinite" in told


def leaking(direct: float, seed: int = 1) -> pa.Table:
    """Two instruments, of which the second acts on the outcome by another way too."""
    table = instrument_table(seed=seed, instruments=2)
    return with_column(table, "y", table["y"].to_numpy() + direct * table["z2"].to_numpy())


def test_instruments_that_no_effect_fits_are_not_supported():
    result = estimated(leaking(3.0), instrument=["z1", "z2"])
    assert all(c.anderson_rubin.empty for c in result.instruments)
    assert not result.supported
    assert "no effect fits them all, so at least one" in result.verdict
    assert "Leave out the instrument that acts by another way" in str(result)


def test_instruments_that_contradict_each_other_are_supported_with_care():
    result = estimated(leaking(3.0, seed=6), instrument=["z1", "z2"], estimands=["TSLS"])
    check = result.instruments[0]
    assert check.contradicted and not check.anderson_rubin.empty
    assert "with care" in result.verdict and "contradict each other on y (J" in result.verdict


def test_instruments_that_fit_one_outcome_of_two_support_that_one():
    table = leaking(3.0)
    both = with_column(table, "w", instrument_table(seed=1, instruments=2)["y"].to_numpy())
    result = estimated(both, instrument=["z1", "z2"], outcomes=["y", "w"], estimands=["TSLS"])
    assert [result.supports(e) for e in result.estimates] == [False, True]


def test_a_covariate_that_tells_the_outcome_stops_its_effect():
    table = instrument_table(seed=5)
    noise = np.random.default_rng(0).normal(size=table.num_rows)
    told = with_column(table, "told", table["y"].to_numpy() + 1e-4 * noise)
    result = estimated(told, instrument="z1", covariates=["x", "told"])
    assert not any(result.supports(e) for e in result.estimates)
    assert any(c.stops and "Of the instrument 'z1'" in c.text for c in result.cautions)
    assert "not supported" in result.verdict


def test_a_covariate_that_tells_the_treatment_stops_every_effect():
    table = instrument_table(seed=5)
    noise = np.random.default_rng(0).normal(size=table.num_rows)
    told = with_column(table, "told", table["d"].to_numpy() + 1e-3 * noise)
    other = with_column(told, "w", np.random.default_rng(1).normal(size=table.num_rows))
    result = estimated(other, instrument="z1", covariates=["x", "told"], outcomes=["y", "w"])
    assert not any(result.supports(e) for e in result.estimates)


def confounded() -> tuple[pa.Table, np.ndarray]:
    """Rows of a third group have other instruments and other outcomes; which rows these are."""
    rng = np.random.default_rng(3)
    n = 1200
    group = rng.integers(0, 3, n)
    third = group == 2
    z = (rng.random(n) < np.where(third, 0.8, 0.3)).astype(float)
    hidden = rng.normal(size=n)
    d = z + hidden + 2.0 * third
    y = d - hidden + 10.0 * third + rng.normal(size=n)
    columns = {"user": np.arange(n), "x": rng.normal(size=n), "z1": z, "d": d, "y": y}
    return pa.table(columns | {"group": np.array(["a", "b", "none"])[group]}), third


def test_rows_without_a_category_are_a_level_of_their_own():
    table, third = confounded()
    empty = with_column(table, "group", pa.array(table["group"].to_pylist(), mask=third))
    asked = {"instrument": "z1", "covariates": ["x", "group"], "estimands": ["TSLS"]}
    found, wanted = (by_name(estimated(rows, **asked))["TSLS"] for rows in (empty, table))
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_flag_of_one_or_nothing_is_adjusted_for():
    table, third = confounded()
    asked = {"instrument": "z1", "covariates": ["x", "flag"], "estimands": ["TSLS"]}
    flags = pa.array(np.ones(len(third)), mask=~third), third.astype(float)
    found, wanted = (
        by_name(estimated(with_column(table, "flag", flag), **asked))["TSLS"] for flag in flags
    )
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_covariate_without_any_value_says_nothing():
    table = instrument_table(clusters=60)
    nothing = with_column(table, "nothing", pa.array([None] * table.num_rows, pa.float64()))
    asked = {"instrument": "z1", "estimands": ["TSLS"]}
    found = estimated(nothing, covariates=["x", "nothing"], **asked)
    assert by_name(found) == by_name(estimated(table, **asked))


@pytest.mark.parametrize("least", [0.0, -1.0])
def test_weights_that_are_not_positive_are_refused(least):
    table = instrument_table(clusters=60)
    weight = np.ones(table.num_rows)
    weight[5] = least
    told = refused(with_column(table, "w", weight), instrument="z1", weight="w", estimands=["TSLS"])
    assert f"'w' (effects.weight) is {least:.6g}; expected positive" in told


@pytest.mark.parametrize("estimands", [["TSLS"], ["LATE", "TSLS"]])
def test_outcomes_without_an_error_of_their_own_are_refused(estimands):
    table = instrument_table(clusters=60)
    asked = {"instrument": "z1", "estimands": estimands}
    flat = with_column(table, "y", np.ones(table.num_rows))
    assert "the outcome 'y' (effects.outcomes) has one value in all 240 rows" in refused(
        flat, **asked
    )
    copy = with_column(table, "y", 2.0 * table["d"].to_numpy())
    assert "'y' (effects.outcomes) is a combination of the treatment 'd'" in refused(copy, **asked)
    settled = with_column(table, "y", 2.0 * table["x"].to_numpy())
    assert "'y' (effects.outcomes) is explained wholly by the covariates" in refused(
        settled, **asked
    )


@pytest.mark.parametrize("instruments", [["z1"], ["z1", "z2"]])
def test_a_treatment_that_instruments_settle_is_refused(instruments):
    table = instrument_table(clusters=60, instruments=2)
    same = with_column(table, "d", table["z1"].to_numpy())
    told = refused(same, instrument=instruments, estimands=["TSLS"])
    assert "leaves no residual" in told and "could stand for the instruments" in told


def test_few_clusters_are_a_word_of_care():
    table = instrument_table(seed=5, clusters=240)
    few = with_column(table, "user", table["user"].to_numpy() % 4)
    result = estimated(few, instrument="z1", estimands=["TSLS"])
    assert "with care" in result.verdict
    assert "There are 4 clusters ('user'), fewer than 20" in result.verdict


def test_the_set_to_decide_on_is_that_of_the_outcome_that_is_told():
    from truelift.effects.telling.decision import decision

    table = instrument_table(seed=5, strength=2.0)
    result = estimated(table, instrument="z1", estimands=["TSLS"])
    other = replace(result.instruments[0], outcome="w", effective_f=1.0)
    told = decision(replace(result, instruments=(other, *result.instruments)))
    assert "The instruments are weak" not in told


def test_arms_are_nothing_that_an_instrument_compares():
    told = refused(instrument_table(clusters=30), ConfigError, instrument="z1", control="0")
    assert "no such key beside effects.instrument" in told
