"""Sums for discovery: exact whatever the order, and the same graph as from the rows."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.arrays.exact_sums import add_exactly, empty_sums, exact_value
from truelift.errors import DataError
from truelift.graph.discovery.columns import MISSING, OTHER, encoded, look
from truelift.graph.discovery.dependence import GramTest
from truelift.graph.discovery.discover import discover
from truelift.graph.discovery.options import DiscoveryOptions
from truelift.graph.discovery.sums import GramKernel, moments_of
from truelift.graph.discovery.tables import table_test
from truelift.lake.foreign import frame_table
from truelift.lake.states import add_states


def orders(users: int = 300, rows: int = 4, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(users), rows)
    need = rng.normal(size=users)[who]
    age = rng.normal(40, 10, len(who))
    mailed = rng.random(len(who)) < 1 / (1 + np.exp(-(age - 40) / 8))
    visits = need + 0.7 * mailed + rng.normal(size=len(who))
    region = np.array(["north", "south", "west"])[rng.integers(0, 3, len(who))]
    sales = 0.8 * visits + 0.5 * (region == "west") + rng.normal(size=len(who))
    return pa.table(
        {
            "user": who,
            "age": age,
            "mailed": mailed,
            "visits": visits,
            "region": region,
            "sales": sales,
        }
    )


OPTIONS = DiscoveryOptions(cluster="user", share=1.0, buckets=40, bootstraps=4)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30))
def test_a_sum_is_exact(values):
    sums = empty_sums()
    add_exactly(np.array(values, float), sums)
    assert exact_value(sums) == sum(map(Fraction, values), Fraction(0))


@pytest.mark.parametrize("method", ["order", "pc"])
def test_the_graph_and_all_its_figures_are_the_same_in_1_8_and_200_parts(method):
    table = orders()
    options = DiscoveryOptions(**{**vars(OPTIONS), "method": method})
    whole = discover(frame_table(table, "orders"), options)
    rng = np.random.default_rng(5)
    for parts in (1, 8, 200):
        rows = table.take(rng.permutation(table.num_rows))
        cuts = np.linspace(0, table.num_rows, parts + 1).astype(int)
        pieces = [rows.slice(a, b - a) for a, b in pairwise(cuts)]
        again = discover(frame_table(pa.concat_tables(pieces), "orders"), options)
        assert again == whole


def test_states_of_parts_add_up_to_the_state_of_all_rows():
    table = orders()
    variables = look(table.to_batches(), table.drop(["user"]).schema, "orders", 20)
    kernel = GramKernel(variables, "user", 16)
    parts = [
        kernel(b, table.slice(at, 100).to_batches()) for b, at in enumerate(range(0, 1200, 100))
    ]
    assert (add_states(parts)["gram"] == kernel(0, table.to_batches())["gram"]).all()


def residuals(columns: np.ndarray, given: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones(len(columns)), given])
    return columns - design @ np.linalg.lstsq(design, columns, rcond=None)[0]


def test_sums_give_the_test_that_rows_give():
    table = orders()
    variables = look(table.to_batches(), table.drop(["user"]).schema, "orders", 20)
    kernel = GramKernel(variables, "user", 40)
    gram = kernel(0, table.to_batches())["gram"]
    test = GramTest(moments_of(gram, variables))
    (batch,) = table.combine_chunks().to_batches()
    rows, place = encoded(batch, variables).T, kernel.place(batch)
    starts = test.moments.starts
    names = [v.name for v in variables]
    x, y, s = names.index("visits"), names.index("sales"), names.index("region")
    given = rows[:, starts[s] : starts[s + 1]]
    left, right = (residuals(rows[:, starts[v]], given) for v in (x, y))
    n = len(rows)
    parts = np.bincount(place, left * right, 40) / np.sqrt((left @ left) * (right @ right) / n)
    share = np.bincount(place, minlength=40) / n
    spread = ((parts - share * parts.sum()) ** 2).sum() * 40 / 39
    p, effect = test(x, y, (s,))
    assert effect == pytest.approx(np.corrcoef(left, right)[0, 1], rel=1e-6)
    from scipy.stats import t

    assert p == pytest.approx(2 * t.sf(abs(parts.sum()) / np.sqrt(spread), 39), rel=1e-6)


def test_the_spread_over_buckets_is_that_of_deleting_one_at_a_time():
    rng = np.random.default_rng(2)
    users = np.repeat(np.arange(2000), 5)
    columns = rng.normal(size=(2000, 2))[users] + rng.normal(size=(len(users), 2))
    table = pa.table({"user": users, "x": columns[:, 0], "y": columns[:, 1]})
    variables = look(table.to_batches(), table.drop(["user"]).schema, "t", 20)
    kernel = GramKernel(variables, "user", 40)
    gram = kernel(0, table.to_batches())["gram"]
    (batch,) = table.combine_chunks().to_batches()
    place = kernel.place(batch)
    without = np.array([np.corrcoef(columns[place != b].T)[0, 1] for b in range(40)])
    jackknife = 39 / 40 * ((without - without.mean()) ** 2).sum()
    _, ratio = GramTest(moments_of(gram, variables)).spread(0, 1)
    assert ratio / len(users) == pytest.approx(jackknife, rel=0.02)


def test_tables_and_indicators_agree_where_nothing_is_held_fixed():
    rng = np.random.default_rng(4)
    users = np.repeat(np.arange(200), 5)
    codes = rng.integers(0, 3, (2, len(users))).astype(np.uint8)
    table = pa.table(
        {"user": users, "x": np.array(list("abc"))[codes[0]], "y": np.array(list("abc"))[codes[1]]}
    )
    variables = look(table.to_batches(), table.drop(["user"]).schema, "t", 20)
    kernel = GramKernel(variables, "user", 30)
    moments = moments_of(kernel(0, table.to_batches())["gram"], variables)
    place = kernel.place(table.combine_chunks().to_batches()[0])
    _, f, freedom = table_test(
        codes, place, np.array([3, 3]), 30, True, 0, 1, np.zeros(0, np.int64)
    )
    p, _ = GramTest(moments)(0, 1)
    from truelift.graph.discovery.dependence import p_value

    assert p_value(f, freedom, 30) == pytest.approx(p, rel=1e-6)


def test_pearsons_statistic_is_the_test_of_rows_that_stand_for_themselves():
    from scipy.stats import chi2_contingency

    rng = np.random.default_rng(6)
    codes = rng.integers(0, 3, (2, 500)).astype(np.uint8)
    codes[1] = np.where(rng.random(500) < 0.1, codes[0], codes[1])
    counts = np.zeros((3, 3))
    np.add.at(counts, (codes[0], codes[1]), 1)
    place = np.arange(500) % 20
    _, f, freedom = table_test(
        codes, place, np.array([3, 3]), 20, False, 0, 1, np.zeros(0, np.int64)
    )
    assert (f * freedom, freedom) == pytest.approx((chi2_contingency(counts).statistic, 4))


def test_missing_numbers_have_an_indicator_and_rare_levels_are_put_together():
    table = pa.table({"n": [1.0, None, 3.0, 4.0], "c": ["a", "a", "b", None]})
    number, levels = look(table.to_batches(), table.schema, "t", 2)
    assert number.missing and number.width == 2
    assert levels.levels == ("a", OTHER)
    more = look(table.to_batches(), table.schema, "t", 5)[1]
    assert more.levels == (MISSING, "a", "b")


def test_constant_columns_are_named_at_once():
    table = pa.table({"a": [1.0, 1.0], "b": ["x", "x"], "c": [1.0, 2.0]})
    with pytest.raises(DataError, match="'a', 'b' have the same value in every row"):
        look(table.to_batches(), table.schema, "t", 20)


def test_numbers_that_are_names_are_levels_however_many():
    region = np.arange(600) % 30
    table = pa.table({"region": region, "age": np.linspace(20, 60, 600)})
    named = look(table.to_batches(), table.schema, "t", 40, as_levels=("region",))
    assert len(named[0].levels) == 30
    assert not look(table.to_batches(), table.schema, "t", 40)[0].levels


def test_a_table_too_large_to_tell_separates_nobody():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 20, 4000)
    codes = np.array([x, x, rng.integers(0, 20, 4000), rng.integers(0, 20, 4000)], np.uint8)
    levels, place = np.full(4, 20), np.arange(4000) % 40
    effect, f, _ = table_test(codes, place, levels, 40, True, 0, 1, np.array([2, 3]))
    assert np.isnan(effect) and np.isnan(f)
    columns = {name: [f"l{v}" for v in row] for name, row in zip("abcd", codes, strict=True)}
    columns["b"] = [f"m{v if rng.random() < 0.9 else 0}" for v in x]
    how = DiscoveryOptions(share=1.0, bootstraps=0, method="pc", depth=2)
    assert "a -- b" in discover(frame_table(pa.table(columns), "t"), how).lines
