"""Units of a specified panel: literal tables, and a plain-Python oracle over random ones."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.features.catalogue import LookupSource
from truelift.features.panels.counting import PanelCountKernel, PanelCounts
from truelift.features.panels.design import SpecDesign
from truelift.features.panels.kernel import JOINT, SpecPanelKernel
from truelift.features.panels.levels import AttributeLevels, ChosenLevels, column_names
from truelift.features.panels.occasions import Occasion
from truelift.features.panels.windows import SourceRows
from truelift.settings.panel_spec import AGGREGATES, PanelSpec
from truelift.typed import from_plain

WEEKLY: dict[str, Any] = {
    "name": "shelf",
    "subject": ["product", "shop"],
    "cluster": "product",
    "clock": "periods",
    "population": "sales",
    "sources": {
        "sales": {"table": "sales", "time": "week"},
        "ads": {"table": "ads", "time": "week"},
        "chain": {"table": "sales", "time": "week", "keys": {"product": "product"}},
        "products": {"table": "products", "keys": {"product": "product"}},
    },
    "treatment": {
        "source": "ads", "occasion": "week", "start": "week", "end": "week + 1", "column": "arm",
        "arms": {"display": "d", "mailer": "m"}, "control": "none", "occasion_column": "week",
    },
    "occasions": {"observed": "sales"},
    "outcomes": {
        "y": {"source": "sales", "aggregate": "sum", "value": "v", "window": [0, "end"]},
    },
    "covariates": {
        "x_last": {"source": "sales", "aggregate": "sum", "value": "v", "window": [-1, 0]},
        "x_past": {"source": "sales", "window": ["ever", 0]},
        "x_chain": {"source": "chain", "window": [-2, 0]},
        "x_ads": {"source": "ads", "window": [-2, 0]},
    },
    "attributes": {"kind": {"source": "products", "value": "kind", "measured": "before"}},
    "eligible": {"x_past": 1},
}  # fmt: skip


def rows(*columns: list, **values: list) -> pa.Table:
    keys, times = columns
    table = {"key": pa.array(keys, pa.string()), "time": pa.array(times, pa.int64())}
    return pa.table({**table, **{k: pa.array(v) for k, v in values.items()}})


def shelf(**changes: Any) -> tuple[SpecDesign, dict[str, pa.Table]]:
    """Product a sold in shops 1 and 2, product b in shop 1; advertised in weeks 2 and 3."""
    a1, a2, b1 = f"a{JOINT}1", f"a{JOINT}2", f"b{JOINT}1"
    sales = rows(
        [a1, a1, a1, a2, b1, b1], [1, 2, 3, 2, 1, 3], value_y=[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    )
    ads = rows([a1, a1, a2, f"z{JOINT}1"], [2, 2, 3, 2])
    ads = ads.append_column("occasion", pa.array(["2", "2", "3", "2"]))
    ads = ads.append_column("flags", pa.array([1, 2, 1, 3], pa.int32()))
    tables = {
        "sales": sales,
        "ads": ads,
        "chain": rows([k[0] for k in sales["key"].to_pylist()], sales["time"].to_pylist()),
        "products": pa.table({"key": ["a", "c"], "value_kind": ["fruit", "nut"]}),
    }
    spec = from_plain(PanelSpec, {**WEEKLY, **changes})
    occasions = (Occasion(2, "2", 3), Occasion(3, "3", 4))
    return SpecDesign(spec, occasions, 1, ("kind",)), tables


def built(design: SpecDesign, tables: dict[str, pa.Table]) -> dict[str, dict[str, Any]]:
    panel = SpecPanelKernel(design)(7, tables)
    assert panel.schema.names == [*design.schema().names]
    return {row["unit_id"]: row for row in panel.to_pylist()}


def test_units_are_subjects_with_a_past_at_each_occasion():
    assert list(built(*shelf())) == ["2:a:1", "2:b:1", "3:a:1", "3:a:2", "3:b:1"]


def test_a_row_of_the_occasion_is_an_outcome_and_no_covariate():
    unit = built(*shelf())["2:a:1"]
    assert (unit["y"], unit["x_last"], unit["x_past"]) == (2.0, 1.0, 1.0)
    assert built(*shelf())["3:b:1"]["x_last"] == 0.0


def test_several_rows_of_a_unit_join_their_flags_and_none_is_the_control():
    arms = {name: unit["arm"] for name, unit in built(*shelf()).items()}
    assert arms == {
        "2:a:1": "display+mailer", "2:b:1": "none", "3:a:1": "none", "3:a:2": "display",
        "3:b:1": "none",
    }  # fmt: skip


def test_the_treatment_itself_is_not_among_its_own_history():
    units = built(*shelf())
    assert units["2:a:1"]["x_ads"] == 0.0
    assert units["3:a:1"]["x_ads"] == 2.0


def test_a_source_may_know_the_cluster_alone():
    units = built(*shelf())
    assert units["3:a:1"]["x_chain"] == units["3:a:2"]["x_chain"] == 3.0
    assert units["3:b:1"]["x_chain"] == 1.0


def test_attributes_come_by_key_and_are_null_where_there_is_none():
    units = built(*shelf())
    assert units["3:a:2"]["kind"] == "fruit"
    assert units["3:b:1"]["kind"] is None


def test_keys_of_the_subject_stand_in_columns_of_their_own():
    unit = built(*shelf())["3:a:2"]
    assert (unit["product"], unit["shop"], unit["week"], unit["bucket"]) == ("a", "2", "3", 7)
    assert unit["elapsed"] == 2.0


def test_counts_are_those_of_the_panel():
    design, tables = shelf()
    rows = PanelCountKernel(design)(7, tables).to_pylist()
    counts = [(r["of"], int(r["name"]), r["count"]) for r in rows if r["kind"] == "arm"]
    assert counts == [("2", 0, 1), ("2", 3, 1), ("3", 0, 2), ("3", 1, 1)]


def test_arms_named_by_numbers_are_numbers():
    treatment = {**WEEKLY["treatment"], "arms": {"1": "true"}, "control": "0"}
    design, tables = shelf(treatment=treatment)
    tables["ads"] = tables["ads"].set_column(3, "flags", pa.array([1, 1, 1, 1], pa.int32()))
    assert [u["arm"] for u in built(design, tables).values()] == [1, 0, 0, 1, 0]


def test_what_happens_from_an_occasion_on_moves_no_covariate():
    design, tables = shelf()
    before = built(replace(design, occasions=design.occasions[1:]), tables)
    sales = tables["sales"]
    later = [1000.0 if t >= 3 else v for t, v in zip(
        sales["time"].to_pylist(), sales["value_y"].to_pylist(), strict=True)]  # fmt: skip
    tables["sales"] = sales.set_column(2, "value_y", pa.array(later))
    after = built(replace(design, occasions=design.occasions[1:]), tables)
    assert before["3:a:1"]["y"] != after["3:a:1"]["y"]
    for name, unit in before.items():
        assert {k: v for k, v in unit.items() if k != "y"} == {
            k: v for k, v in after[name].items() if k != "y"
        }


def test_a_bucket_without_subjects_has_no_units():
    design, tables = shelf()
    empty = {name: table.slice(0, 0) for name, table in tables.items()}
    assert SpecPanelKernel(design)(0, empty).num_rows == 0
    assert PanelCountKernel(design)(0, empty).num_rows == 0


KEYS = ("a", "b", "c")
ROW = st.tuples(
    st.sampled_from((*KEYS, "stranger")),
    st.one_of(st.none(), st.integers(-6, 6)),
    st.one_of(st.none(), st.sampled_from([-2.5, 0.0, 0.1, 0.2, 7.0])),
    st.one_of(st.none(), st.sampled_from(["p", "q", "r"])),
)


def by_definition(how: str, mine: list[tuple], start: int) -> float:
    """One number of the rows ``(time, number, text)`` of a key in a window."""
    times = [t for t, _, _ in mine]
    numbers = [n for _, n, _ in mine if n is not None]
    if how == "count":
        return float(len(mine))
    if how == "sum":
        return math.fsum(numbers)
    if how == "count_distinct":
        return float(len({x for _, _, x in mine} - {None}))
    if how == "mean":
        return math.fsum(numbers) / len(numbers) if numbers else math.nan
    if not mine:
        return math.nan
    if how == "last":
        return max(((t, n) for t, n, _ in mine if n is not None), default=(0, math.nan))[1]
    return float(start - (min(times) if how == "time_since_first" else max(times)))


@pytest.mark.parametrize("how", AGGREGATES)
@given(table=st.lists(ROW, max_size=25), start=st.integers(-5, 5), first=st.integers(-8, 3),
       length=st.integers(1, 6), ever=st.booleans(), seed=st.integers(0, 3))  # fmt: skip
def test_aggregates_are_those_of_the_definition(how, table, start, first, length, ever, seed):
    order = np.random.default_rng(seed).permutation(len(table))
    keys, times, numbers, texts = ([table[i][c] for i in order] for c in range(4))
    columns = {"key": pa.array(keys, pa.string()), "time": pa.array(times, pa.int64())}
    if how == "count_distinct":
        columns["v"] = pa.array(texts, pa.string())
    else:
        columns["v"] = pa.array(numbers, pa.float64())
    source = SourceRows.of(pa.table(columns), pa.array(KEYS))
    low, high = None if ever else start + first, start + first + length
    found = source.aggregate(how, "v", (low, high), start, 1)
    for key, number in zip(KEYS, found, strict=True):
        mine = [
            (t, n, x)
            for k, t, n, x in table
            if k == key and t is not None and (low is None or t >= low) and t < high
        ]
        assert number == pytest.approx(by_definition(how, mine, start), nan_ok=True, abs=1e-12)


@given(table=st.lists(ROW, max_size=25), seed=st.integers(0, 5))
def test_the_order_of_the_rows_changes_no_digit(table, seed):
    order = np.random.default_rng(seed).permutation(len(table))
    found = []
    for rows_of in (table, [table[i] for i in order]):
        columns = list(zip(*rows_of, strict=True)) or [(), (), (), ()]
        named = pa.table(
            {"key": pa.array(columns[0], pa.string()), "time": pa.array(columns[1], pa.int64()),
             "v": pa.array(columns[2], pa.float64()), "w": pa.array(columns[3], pa.string())}
        )  # fmt: skip
        source = SourceRows.of(named, pa.array(KEYS))
        found.append([source.aggregate(how, "w" if how == "count_distinct" else "v", (-3, 4), 4, 1)
                      for how in AGGREGATES])  # fmt: skip
    np.testing.assert_array_equal(found[0], found[1])


@given(table=st.lists(ROW, max_size=25), first=st.integers(-8, 3), length=st.integers(1, 6),
       ever=st.booleans())  # fmt: skip
def test_shares_are_those_of_the_definition(table, first, length, ever):
    codes = [{"p": 0, "q": 1}.get(text, -1) for _, _, _, text in table]
    source = SourceRows.of(
        pa.table(
            {"key": pa.array([k for k, *_ in table], pa.string()),
             "time": pa.array([t for _, t, *_ in table], pa.int64()),
             "v": pa.array(codes, pa.int64())}
        ),
        pa.array(KEYS),
    )  # fmt: skip
    low, high = None if ever else first, first + length
    for code, shares in enumerate(source.shares("v", 2, (low, high))):
        for key, share in zip(KEYS, shares, strict=True):
            mine = [
                c
                for (k, t, *_), c in zip(table, codes, strict=True)
                if k == key and t is not None and (low is None or t >= low) and t < high
            ]
            assert share == (mine.count(code) / len(mine) if mine else 0.0)


# ------------------------------------------------------------ columns that the data name


def levelled(**changes: Any) -> tuple[SpecDesign, dict[str, pa.Table]]:
    """The shelf with shares of what was sold and indicators of the products."""
    design, tables = shelf(
        shares={"x_sold": {"source": "sales", "value": "taste"}},
        indicators={"x_is": {"source": "products", "value": "kind", "measured": "before"}},
        occasions={"observed": "sales", "indicators": "x_week"},
        **changes,
    )
    tastes = ["sweet", "sour", "sweet", None, "sour", "bitter"]
    tables["sales"] = tables["sales"].append_column("share_x_sold", pa.array(tastes, pa.string()))
    products = tables["products"]
    tables["products"] = products.append_column("level_x_is", products["value_kind"])
    return design, tables


def counted(design: SpecDesign, *buckets: dict[str, pa.Table]) -> PanelCounts:
    rows = [r for b in buckets for r in PanelCountKernel(design)(0, b).to_pylist()]
    total: dict[tuple, int] = {}
    for row in rows:
        key = (row["kind"], row["of"], row["name"], row["level"])
        total[key] = total.get(key, 0) + row["count"]
    return PanelCounts.of((*key, count) for key, count in total.items())


def test_levels_are_counted_before_the_first_occasion_only():
    design, tables = levelled()
    assert counted(design, tables).levels == {"x_sold": {"sweet": 1, "sour": 1}}
    assert counted(design, tables, tables).levels == {"x_sold": {"sweet": 2, "sour": 2}}


def test_a_level_may_be_looked_up_and_without_the_table_there_is_none():
    look = {"table": "bronze.items", "key": "item_id", "value": "category"}
    shares = {"x_sold": {"source": "sales", "value": "taste", "lookup": look}}
    design, tables = levelled()
    design = replace(design, spec=replace(design.spec, shares=from_plain(
        PanelSpec, {**WEEKLY, "shares": shares}).shares))  # fmt: skip
    assert counted(design, tables).levels == {}
    items = pa.table({"item_id": ["sour"], "category": ["acid"]})
    known = replace(design, lookups={"x_sold": LookupSource.of_table(items)})
    assert counted(known, tables).levels == {"x_sold": {"acid": 1}}
    units = built(replace(known, levels=ChosenLevels({"x_sold": ("acid",)})), tables)
    assert units["3:a:1"]["x_sold_acid"] == 0.5


def test_the_most_frequent_level_of_an_indicator_is_the_reference():
    design, tables = levelled()
    levels = counted(design, tables).chosen(design)
    # Both subjects of product a are fruit; that of product b has no row.
    assert levels.indicators == {"x_is": (AttributeLevels("", (), True),)}
    units = built(replace(design, levels=levels), tables)
    assert {u["product"]: u["x_is_missing"] for u in units.values()} == {"a": 0.0, "b": 1.0}


def test_columns_that_the_data_name_stand_in_their_rows():
    design, tables = levelled()
    fruit = AttributeLevels("", ("fruit",), False)
    levels = ChosenLevels({"x_sold": ("sour", "sweet")}, {"x_is": (fruit,)})
    units = built(replace(design, levels=levels), tables)
    told = ("x_sold_sour", "x_sold_sweet", "x_is_fruit", "x_week_3")
    assert [units["3:a:1"][n] for n in told] == [0.5, 0.5, 1.0, 1.0]
    assert [units["2:a:1"][n] for n in told] == [0.0, 1.0, 1.0, 0.0]
    assert [units["3:b:1"][n] for n in told] == [1.0, 0.0, 0.0, 1.0]
    # A row without a level is among those that shares are taken of.
    assert [units["3:a:2"][n] for n in told] == [0.0, 0.0, 1.0, 1.0]


def test_column_names_are_plain_and_distinct():
    assert column_names("x_", ["65+", "65", "65 ", "Under 15K", "", "DRUG GM"]) == [
        "x_65_plus",
        "x_65",
        "x_65_2",
        "x_under_15k",
        "x_other",
        "x_drug_gm",
    ]
