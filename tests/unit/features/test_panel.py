"""The pipeline's panel (``conf/panels/campaigns.yaml``): a literal world, an oracle, the guard.

Buckets come as the lake stores them, so every source is read where it lies.
"""

import math
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.features.panel_oracle import Asked, brute_force_panel
from tests.unit.features.rows import (
    DAY,
    catalogue_rows,
    event_rows,
    exposure_table,
    session_rows,
    sessions_by_gap,
    shuffled,
    user_rows,
)
from truelift.config import load_panel_spec
from truelift.features.catalogue import LookupSource
from truelift.features.panels.design import SpecDesign
from truelift.features.panels.kernel import SpecPanelKernel
from truelift.features.panels.levels import AttributeLevels, ChosenLevels
from truelift.features.panels.occasions import Occasion
from truelift.features.panels.reading import stored_source

CATEGORIES = {"1": "tea", "2": "tea", "3": "garden"}
CATALOGUE = LookupSource.of_table(
    catalogue_rows(*[(item, f"key {item}", name) for item, name in CATEGORIES.items()])
)
AGE = AttributeLevels("age", ("old", "young"), True)
ASKED = Asked(
    (("a", 20 * DAY, 25 * DAY), ("b", 30 * DAY, 40 * DAY)), 10, 5, ("tea", "garden"), (AGE,)
)
STORED = {"events": event_rows(), "sessions": session_rows(), "exposures": exposure_table(),
          "users": user_rows({})}  # fmt: skip
LIES_IN = {"ended": "exposures", "responses": "exposures"}
# The specification's SQL of derived columns is Python's too.
FUNCTIONS = {
    "log1p": math.log1p, "abs": abs, "greatest": max, "sign": lambda v: math.copysign(v != 0, v),
}  # fmt: skip


def designed(changes: dict | None = None) -> SpecDesign:
    """The design of the specification that comes with it, with shorter spans."""
    spans = {"spans": {"lookback": ASKED.lookback_days, "min_history": ASKED.min_history_days}}
    spec = load_panel_spec("campaigns", {**spans, **(changes or {})})
    stored = {
        name: stored_source(STORED[LIES_IN.get(name, name)].schema, spec, name)
        for name in spec.sources
    }
    assert all(stored.values()), "every source is read where it lies"
    return SpecDesign(
        spec,
        tuple(Occasion(start, name, end) for name, start, end in ASKED.campaigns),
        data_start=0,
        levels=ChosenLevels({"x_share": ASKED.categories}, {"x_user": ASKED.attributes}),
        stored=stored,
        lookups={"x_share": CATALOGUE},
    )


DESIGN = designed()


def panel(events, sessions, exposures, users, design=DESIGN, bucket=0) -> pa.Table:
    lies = {"events": events, "sessions": sessions, "exposures": exposures, "users": users}
    tables = {name: lies[LIES_IN.get(name, name)] for name in design.spec.sources}
    stored = {n: t.select(design.stored[n].stored()) for n, t in tables.items()}
    return SpecPanelKernel(design)(bucket, stored)


def by_unit(table: pa.Table) -> dict[str, dict]:
    """Rows with their derived columns, and without what these are made of."""
    units = {}
    for row in table.to_pylist():
        for name, text in DESIGN.spec.derived.items():
            row[name] = float(eval(text, dict(FUNCTIONS), dict(row)))
        made_of = [n for n in DESIGN.spec.covariates if not n.startswith("x_")]
        units[row["unit_id"]] = {k: v for k, v in row.items() if k not in (*made_of, "elapsed")}
    return units


def test_one_unit_by_hand():
    events = event_rows(
        ("u", 1, "1", 5.0), ("u", 12, "3", 3.0), ("u", 18, "1", 4.0), ("u", 19.5, "9", None),
        ("u", 20, "2", 100.0), ("u", 24.9, "2", 10.0), ("u", 25, "2", 1000.0),
    )  # fmt: skip
    sessions = session_rows(*[("u", day) for day in (1, 12, 18, 19.5, 20, 24.9, 25)])
    exposures = exposure_table(
        ("u", "z", 10, 21, [11, 19, 20]), ("u", "y", 2, 4, []), ("u", "a", 20, 25, [])
    )
    row = by_unit(panel(events, sessions, exposures, user_rows({"u": {"age": "old"}}), bucket=7))[
        "a:u"
    ]
    assert row == {
        "unit_id": "a:u",
        "user_key": "u",
        "campaign": "a",
        "treated": 1,
        "y_spend": 110.0,
        "y_visits": 2.0,
        "x_recency_days": 0.5,
        "x_tenure_days": 19.0,
        "x_visits_lookback": 3.0,
        "x_log_visits_total": math.log(5),
        "x_spend_lookback": 7.0,
        "x_log_spend_lookback": pytest.approx(math.log(8)),
        "x_log_spend_total": pytest.approx(math.log(13)),
        "x_mean_basket": 3.0,
        "x_spend_trend": pytest.approx(math.log(9) - math.log(8)),
        "x_log_distinct_items": pytest.approx(math.log(4)),
        "x_share_tea": 0.5,
        "x_share_garden": 0.25,
        "x_earlier_campaigns": 2.0,
        "x_running_campaigns": 1.0,
        "x_log_earlier_responses": pytest.approx(math.log(3)),
        "x_user_age_old": 1.0,
        "x_user_age_young": 0.0,
        "x_user_age_missing": 0.0,
        "x_campaign_b": 0.0,
        "bucket": 7,
    }


def test_a_user_enters_with_exactly_the_history_asked_for():
    events = event_rows(("early", 15, "1", 1), ("late", 15.001, "1", 1))
    units = by_unit(panel(events, sessions_by_gap(events), exposure_table(), user_rows({})))
    assert set(units) == {"a:early", "b:early", "b:late"}


def test_without_a_minimum_history_an_event_strictly_before_the_start_is_still_needed():
    events = event_rows(("u", 20, "1", 1), ("v", 19.999, "1", 1))
    design = designed({"spans": {"lookback": 10, "min_history": 0}})
    table = panel(events, sessions_by_gap(events), exposure_table(), user_rows({}), design)
    assert set(by_unit(table)) == {"a:v", "b:u", "b:v"}


def test_a_user_without_attributes_is_missing_and_not_the_reference():
    events = event_rows(("u", 1, "1", 1), ("v", 1, "1", 1), ("w", 1, "1", 1))
    users = user_rows({"u": {}, "v": {"age": "middle"}})
    units = by_unit(panel(events, sessions_by_gap(events), exposure_table(), users))
    assert [units[f"a:{user}"]["x_user_age_missing"] for user in "uvw"] == [1.0, 0.0, 1.0]


def test_exposures_of_users_without_events_make_no_unit():
    events = event_rows(("u", 1, "1", 1))
    exposures = exposure_table(("stranger", "a", 20, 25, [1]))
    table = panel(events, sessions_by_gap(events), exposures, user_rows({}))
    assert set(table["user_key"].to_pylist()) == {"u"}
    assert set(table["treated"].to_pylist()) == {0}


def test_a_bucket_without_events_gives_an_empty_panel_of_the_same_columns():
    exposures = exposure_table(("u", "a", 20, 25, []))
    table = panel(event_rows(), session_rows(), exposures, user_rows({"u": {"age": "old"}}))
    assert table.num_rows == 0
    assert table.schema == DESIGN.schema()


def test_the_first_campaign_is_the_reference_and_has_no_column():
    names = DESIGN.schema().names
    assert [c for c in names if c.startswith("x_campaign_")] == ["x_campaign_b"]


def test_only_the_outcomes_asked_for_are_columns():
    names = designed({"outcomes": {"y_spend": None}}).schema().names
    assert [name for name in names if name.startswith("y_")] == ["y_visits"]


# Coarse times make ties with starts, ends and one another likely.
_EVENT = st.tuples(
    st.sampled_from(["u", "v", "w"]),
    st.integers(0, 45 * 4).map(lambda quarter: quarter / 4),
    st.sampled_from(["1", "2", "3", "9", None]),
    st.sampled_from([None, -2.5, 0.0, 0.1, 0.2, 3.0, 1e6]),
)
_EVENTS = st.lists(_EVENT, min_size=1, max_size=25)
_EXPOSURES = st.lists(
    st.tuples(
        st.sampled_from(["u", "v", "stranger"]),
        st.sampled_from(["a", "b", "z"]),
        st.sampled_from([5, 19, 20, 30]),
        st.sampled_from([31, 20, 45]),
        st.lists(st.integers(0, 45), max_size=3),
    ),
    max_size=5,
    unique_by=lambda row: row[:2],
)
_USERS = st.dictionaries(
    st.sampled_from(["u", "v", "stranger"]),
    st.dictionaries(
        st.sampled_from(["age", "city"]), st.sampled_from(["old", "young", "x"]), max_size=2
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=60)
@given(_EVENTS, _EXPOSURES, _USERS)
def test_every_number_is_what_its_definition_says(events, exposures, users):
    tables = (
        event_rows(*events),
        sessions_by_gap(event_rows(*events)),
        exposure_table(*exposures),
        user_rows(users),
    )
    expected = brute_force_panel(*tables, CATEGORIES, ASKED)
    found = by_unit(panel(*tables))
    assert set(found) == set(expected)
    for unit, row in expected.items():
        for name, value in row.items():
            assert found[unit][name] == pytest.approx(value, rel=1e-9, abs=1e-9), (unit, name)
        assert {"x", "y", "treated"} >= {n.split("_")[0] for n in row}
        assert set(row) == set(found[unit]) - {"unit_id", "user_key", "campaign", "bucket"}


@settings(deadline=None, max_examples=60)
@given(_EVENTS, _EVENTS, _EXPOSURES, _USERS)
def test_no_covariate_knows_of_an_event_at_or_after_the_start(past, other, exposures, users):
    start = DESIGN.occasions[0].start / DAY
    kept = [row for row in past if row[1] < start]
    futures = []
    for rows in (past, other):
        # Users with a past alone: a user who only appears later is no unit either way.
        known = {row[0] for row in kept}
        events = event_rows(*kept, *[r for r in rows if r[1] >= start and r[0] in known])
        design = replace(DESIGN, occasions=DESIGN.occasions[:1])
        sent = exposure_table(*exposures)
        table = panel(events, sessions_by_gap(events), sent, user_rows(users), design)
        futures.append(table.select([n for n in table.column_names if not n.startswith("y_")]))
    assert futures[0].equals(futures[1])


@settings(deadline=None, max_examples=60)
@given(_EVENTS, _EXPOSURES, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_not_even_the_last_digit(events, exposures, random):
    table, sent = event_rows(*events), exposure_table(*exposures)
    order, sent_order = list(range(len(events))), list(range(len(exposures)))
    random.shuffle(order)
    random.shuffle(sent_order)
    users = user_rows({"u": {"age": "old"}})
    sessions = sessions_by_gap(table)
    one = panel(table, sessions, sent, users)
    other = panel(shuffled(table, order), sessions, shuffled(sent, sent_order), users)
    assert one.equals(other)
