"""What cleaning makes of the values of a row: normal forms, units, currencies, imputation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from truelift.logs.judging import judge_rows
from truelift.logs.pseudonyms import UserKeys
from truelift.settings import CleanOptions, MappingOptions

COLUMNS = ("u", "i", "t", "k", "q", "v", "unit", "money", "_corrupt", "source_file")
CLEAN_ROW = dict(zip(COLUMNS, ("ann", "x", "2024-01-01", "buy", "2", "10", "piece", "EUR", None, "f"),
                     strict=True))  # fmt: skip


@pytest.fixture
def judged(spark, make_settings):
    """``judged(options, {"u": ...}, ...)``: clean rows with changes, as cleaning sees them."""

    def run(options, *changes):
        rows = [{**CLEAN_ROW, **change} for change in changes]
        values = [(*(row[name] for name in COLUMNS), place) for place, row in enumerate(rows)]
        schema = ", ".join(f"{name} string" for name in COLUMNS) + ", source_row bigint"
        bronze = spark.createDataFrame(values, schema).selectExpr(
            "*", "timestamp'2024-02-01' AS file_time", "'batch' AS batch_id"
        )
        mapping = MappingOptions(
            user="u", item="i", time="t", event_type="k", quantity="q", value="v"
        )
        settings = make_settings()
        source = replace(settings.source, format="csv", mapping=mapping)
        settings = replace(settings, clean=options, source=source)
        users = UserKeys(unicode=options.unicode, lower="user" in options.lower)
        return judge_rows(bronze, settings, users).orderBy("source_row").collect()

    return run


def test_keys_that_look_alike_become_one(judged):
    options = CleanOptions(unicode="NFKC", lower=("user", "item", "event_type"))
    composed, parted = judged(
        options,
        {"u": "Zo\u00cb", "i": "\ufb01lm", "k": "BUY"},
        {"u": " zoe\u0308 ", "i": "FILM", "k": "Buy"},
    )
    for row in (composed, parted):
        assert (row["user_key"], row["item_id"], row["event_type"]) == ("zo\u00eb", "film", "buy")


def test_keys_stay_as_they_are_unless_the_settings_say_so(judged):
    first, second = judged(CleanOptions(), {"u": "Zo\u00eb"}, {"u": "zoe\u0308"})
    assert (first["user_key"], second["user_key"]) == ("Zo\u00eb", "zoe\u0308")


def test_quantities_and_values_are_in_one_unit_and_one_currency(judged):
    options = CleanOptions(
        unit_column="unit",
        unit_factors={"piece": 1.0, "dozen": 12.0},
        currency_column="money",
        currency_rates={"EUR": 1.0, "USD": 0.5},
    )
    same, other = judged(options, {}, {"unit": "dozen", "money": "USD"})
    assert (same["quantity"], same["value"]) == (2.0, 10.0)
    assert (other["quantity"], other["value"]) == (24.0, 5.0)


def test_missing_values_are_imputed_and_marked_and_unreadable_ones_are_not(judged):
    impute = {"item": "unknown", "event_type": "view", "quantity": "1", "value": "0.5"}
    missing, broken = judged(
        CleanOptions(impute=impute),
        {"i": "", "k": None, "q": " ", "v": None},
        {"q": "two"},
    )
    values = [missing[name] for name in ("item_id", "event_type", "quantity", "value")]
    assert values == ["unknown", "view", 1.0, 0.5]
    assert missing["labels"] == [f"imputed_{name}" for name in impute]
    assert missing["reasons"] == []
    assert (broken["quantity"], broken["reasons"]) == (None, ["unreadable_quantity"])


def test_an_action_turns_a_rule_into_a_label_or_off(judged):
    options = CleanOptions(max_quantity=5, max_value=5)
    actions = {"quantity_over_maximum": "label", "value_over_maximum": "ignore"}
    (strict,) = judged(options, {"q": "9", "v": "9"})
    (mild,) = judged(replace(options, actions=actions), {"q": "9", "v": "9"})
    assert strict["reasons"] == ["quantity_over_maximum", "value_over_maximum"]
    assert (mild["reasons"], mild["labels"]) == ([], ["quantity_over_maximum"])
