"""Faults put into clean rows by a seed: each row rule finds its own and nothing else.

Rules on neighbours, bots, outliers and most row rules are measured on simulated traffic
(``test_simulated_traffic.py``); these are the ones that it has no fault for.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.spark.test_simulated_traffic import CALLED
from truelift.logs.judging import judge_rows
from truelift.logs.neighbours.names import neighbour_labels
from truelift.logs.pseudonyms import UserKeys
from truelift.logs.rules import LABELS, RULES
from truelift.settings import CleanOptions, MappingOptions
from truelift.simulate.traffic.world import BOT_KINDS, DIRT_KINDS

MAPPING = MappingOptions(
    user="u", item="i", time="t", event_type="k", quantity="q", value="v", ingest_time="got"
)
CLEAN = CleanOptions(
    min_time=None,
    max_delay_seconds=3600,
    min_quantity=-50,
    min_value=-100,
    impute={"item": "unknown", "event_type": "view", "quantity": "1", "value": "2"},
    unit_column="unit",
    unit_factors={"piece": 1.0, "dozen": 12.0},
    currency_column="money",
    currency_rates={"EUR": 1.0, "USD": 0.9},
)
# Rule, what becomes of a clean row, and what else is then true of it.
FAULTS = {
    "time_before_epoch": ({"t": "1969-07-20 20:17:00", "got": "1969-07-20 20:17:01"}, set()),
    "late_arrival": ({"got": "2024-01-09 00:00:00"}, set()),
    "value_under_minimum": ({"v": "-500"}, {"negative_value"}),
    "unknown_unit": ({"unit": "barrel"}, {"unreadable_quantity"}),
    "unknown_currency": ({"money": "shells"}, {"unreadable_value"}),
    "imputed_item": ({"i": ""}, set()),
    "imputed_event_type": ({"k": None}, set()),
    "imputed_quantity": ({"q": None}, set()),
    "imputed_value": ({"v": " "}, set()),
    "zero_quantity": ({"q": "0"}, set()),
    "zero_value": ({"v": "0.00"}, set()),
    "negative_value": ({"v": "-3"}, set()),
}
COLUMNS = ("u", "i", "t", "k", "q", "v", "got", "unit", "money", "_corrupt", "source_file")


def clean_row(rng: random.Random) -> dict[str, str | None]:
    minute = rng.randrange(60)
    return {
        "u": f"user{rng.randrange(40)}", "i": f"item{rng.randrange(30)}",
        "t": f"2024-01-0{rng.randrange(1, 8)} 10:{minute:02}:00", "k": rng.choice(["view", "buy"]),
        "q": str(rng.randrange(1, 5)), "v": f"{rng.uniform(1, 50):.2f}", "got": None,
        "unit": rng.choice(["piece", "dozen"]), "money": rng.choice(["EUR", "USD"]),
        "_corrupt": None, "source_file": "events.csv",
    }  # fmt: skip


@pytest.mark.parametrize("negative", ["negative_quantity", "negative_quantity_allowed"])
def test_each_rule_finds_its_faults_and_no_clean_row(spark, make_settings, negative):
    rng = random.Random(1)
    rows = [clean_row(rng) for _ in range(600)]
    places = iter(rng.sample(range(len(rows)), 20 * (len(FAULTS) + 2)))
    known: list[set[str]] = [set() for _ in rows]
    faults = {**FAULTS, negative: ({"q": "-2"}, set())}
    faults["quantity_under_minimum"] = ({"q": "-99"}, {negative})
    for name, (fault, others) in faults.items():
        for _ in range(20):
            place = next(places)
            rows[place] |= fault
            known[place] = {name, *others}
    schema = ", ".join(f"{name} string" for name in COLUMNS) + ", source_row bigint"
    values = [(*(row[name] for name in COLUMNS), place) for place, row in enumerate(rows)]
    bronze = spark.createDataFrame(values, schema).selectExpr(
        "*", "timestamp'2024-02-01' AS file_time", "'batch' AS batch_id"
    )
    settings = make_settings()
    source = replace(settings.source, format="csv", mapping=MAPPING)
    allowed = negative == "negative_quantity_allowed"
    clean = replace(CLEAN, allow_negative_quantity=allowed)
    settings = replace(settings, clean=clean, source=source)
    judged = judge_rows(bronze, settings, UserKeys()).select("source_row", "reasons", "labels")
    found = {row[0]: {*row[1], *row[2]} for row in judged.collect()}
    measured = {}
    for name in sorted(set().union(*known, *found.values())):
        said = {place for place, names in found.items() if name in names}
        true = {place for place, names in enumerate(known) if name in names}
        hits = len(said & true)
        measured[name] = (hits / max(len(said), 1), hits / max(len(true), 1))
    assert set(measured) == set().union(*known)
    assert measured == dict.fromkeys(measured, (1.0, 1.0)), "precision and recall"


def test_every_rule_is_measured_here_or_on_simulated_traffic():
    simulated = {*DIRT_KINDS, *BOT_KINDS}.union(*CALLED.values())
    here = {*FAULTS, "negative_quantity", "negative_quantity_allowed", "quantity_under_minimum"}
    assert {*RULES, *LABELS, *neighbour_labels()} <= simulated | here
