"""Specifications of panels: what the guard refuses, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from truelift.config import load_panel_spec
from truelift.errors import ConfigError
from truelift.features.panels.occasions import (
    Clock,
    Occasion,
    day_bounds,
    require_arms,
    require_measured_before,
    select_occasions,
)
from truelift.settings.panel_spec import PanelSpec
from truelift.typed import from_plain


def spec(**changes: Any) -> PanelSpec:
    plain: dict[str, Any] = {
        "name": "mail",
        "subject": ["customer"],
        "cluster": "customer",
        "population": "orders",
        "sources": {
            "orders": {"table": "orders", "time": "at"},
            "mails": {"table": "mails", "time": "sent"},
            "people": {"table": "people"},
        },
        "treatment": {
            "source": "mails",
            "occasion": "mailing",
            "start": "sent",
            "end": "sent + INTERVAL 7 DAYS",
            "arms": {"mail": "true"},
            "control": "none",
        },
        "occasions": {"observed": "orders"},
        "outcomes": {"y_orders": {"source": "orders", "window": [0, "end"]}},
        "covariates": {"x_orders": {"source": "orders", "window": [-56, 0]}},
    }
    return from_plain(PanelSpec, {**plain, **changes})


def covariate(**options: Any) -> dict[str, Any]:
    return {"covariates": {"x_late": {"source": "orders", **options}}}


@pytest.mark.parametrize("window", [[-7, 0], ["ever", 0], [-14, -7], [-0.5, -0.25]])
def test_a_window_that_ends_by_the_treatment_is_a_covariate(window):
    assert spec(**covariate(window=window)).covariates["x_late"].window[1] <= 0


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ([-7, 1], r"covariates\.x_late: measured until 1, which is 1 days after .* begins \(0\)"),
        ([0, 7], r"covariates\.x_late: measured until 7, which is 7 days after"),
        (["ever", 0.5], r"measured until 0\.5, which is 0\.5 days after"),
        ([-7, "end"], r"covariates\.x_late: measured until the end of the occasion.*begins at 0"),
    ],
)
def test_a_covariate_that_is_measured_after_the_treatment_is_refused_with_both_times(
    window, message
):
    with pytest.raises(ConfigError, match=message) as refused:
        spec(**covariate(window=window))
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("table", ["gold.needs", "gold.needs@3"])
def test_a_need_is_no_covariate_for_it_is_inferred_from_outcomes(table):
    sources = {
        "orders": {"table": "orders"},
        "mails": {"table": "mails"},
        "people": {"table": table},
    }
    with pytest.raises(ConfigError, match=r"sources\.people\.table: .* is not identified by that"):
        spec(sources=sources)


def test_rows_that_are_known_late_are_measured_late():
    sources = {
        "orders": {"table": "orders", "time": "at", "known_after": 2},
        "mails": {"table": "mails", "time": "sent"},
    }
    message = r"until -1 and known 2 later, which is 1 days after.* end at -2 or before"
    with pytest.raises(ConfigError, match=message):
        spec(sources=sources, **covariate(window=[-7, -1]))
    early = {"x_early": {"source": "orders", "window": [-7, -2]}}
    assert spec(sources=sources, covariates=early).sources["orders"].known_after == 2


@pytest.mark.parametrize("window", [[-1, 7], ["ever", "end"]])
def test_an_outcome_that_begins_before_the_treatment_is_refused(window):
    outcomes = {"y_orders": {"source": "orders", "window": window}}
    with pytest.raises(ConfigError, match=r"outcomes\.y_orders: measured from .* before the treat"):
        spec(outcomes=outcomes)


@pytest.mark.parametrize(
    "text",
    [
        "sum(amount) over (partition by customer)",
        "max(amount) OVER w",
        "(SELECT max(amount) FROM orders)",
    ],
)
def test_sql_that_sees_other_rows_is_refused(text):
    with pytest.raises(ConfigError, match="no windows over rows and no subqueries"):
        spec(**covariate(window=[-7, 0], aggregate="sum", value=text))


def test_words_inside_quotes_are_no_sql():
    value = "CASE WHEN note = 'select over (it)' THEN 1 END"
    made = spec(**covariate(window=[-7, 0], aggregate="sum", value=value))
    assert made.covariates["x_late"].value == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster": "shop"}, r"cluster: found 'shop', expected one of \('customer',\)"),
        ({"population": "order"}, r"population: found 'order', expected one of the sources"),
        ({"name": "My panel"}, "name: found 'My panel'"),
        ({"clock": "weeks"}, "clock: found 'weeks'"),
        ({"outcomes": {}}, "outcomes: found .* at least one"),
        ({"eligible": {"x_visits": 1}}, "eligible: found .'x_visits'., expected names under cov"),
        (covariate(window=[-7, 0], aggregate="median"), "x_late.aggregate: found 'median'"),
        (covariate(window=[-7, 0], aggregate="sum"), "x_late.value: found None, expected SQL"),
        (covariate(window=[-7, 0], value="amount"), "x_late.value: found 'amount', expected none"),
        (
            {"shares": {"x_kind": {"source": "orders", "value": "kind", "window": [-7, 1]}}},
            r"shares\.x_kind: measured until 1, which is 1 days after",
        ),
        ({"shares": {"x_kind": {"source": "people", "value": "kind"}}}, "people.time: found None"),
        (
            {"shares": {"x kind": {"source": "orders", "value": "kind"}}},
            "names of columns: found 'x k",
        ),
        (
            {"indicators": {"x": {"source": "peple", "value": "a", "measured": "before"}}},
            r"indicators\.x\.source: found 'peple'",
        ),
        ({"labels": {"user": "household"}}, r"labels: found \['user'\], expected some of"),
        ({"labels": {"subject": " "}}, r"labels: found \['subject'\], expected a noun"),
        (covariate(window=[0, -7]), "x_late.window: found .* an end after its beginning"),
        (covariate(window=["start", 0]), "x_late.window: found 'start'"),
        (covariate(window=[float("-inf"), 0]), "x_late.window: found -inf"),
        (covariate(window=[-7, 0], widow=[1]), "Did you mean 'covariates.x_late.window'"),
        ({"covariates": {"y_orders": {"source": "orders", "window": [-7, 0]}}}, "column .* once"),
        ({"covariates": {"Y_Orders": {"source": "orders", "window": [-7, 0]}}}, "whatever case"),
        ({"covariates": {"Bucket": {"source": "orders", "window": [-7, 0]}}}, "every panel has"),
        ({"covariates": {"x_p": {"source": "people", "window": [-7, 0]}}}, "people.time: found N"),
    ],
)
def test_a_mistake_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        spec(**changes)


def test_a_source_must_know_the_cluster():
    sources = {
        "orders": {"table": "orders", "time": "at"},
        "mails": {"table": "mails", "time": "sent"},
        "shops": {"table": "shops", "keys": {"shop": "shop"}},
    }
    with pytest.raises(ConfigError, match=r"sources\.shops\.keys: .* the cluster 'customer'"):
        spec(subject=["customer", "shop"], sources=sources)


def test_periods_are_whole():
    with pytest.raises(ConfigError, match=r"found -0\.5, expected whole numbers of periods"):
        spec(clock="periods", **covariate(window=[-0.5, 0]))


def test_flags_join_to_arms_by_their_bits():
    treatment = {
        "source": "mails", "occasion": "mailing", "start": "sent", "end": "sent + 1",
        "arms": {"display": "d", "mailer": "m"}, "control": "none",
    }  # fmt: skip
    labels = spec(treatment=treatment).treatment.labels()
    assert labels == ("none", "display", "mailer", "display+mailer")


DAYS = Clock("days")
DAY = DAYS.scale
JUNE = DAYS.parse("2024-06-01", "")


def occasion(name: str, first: int, last: int) -> Occasion:
    return Occasion(JUNE + first * DAY, name, JUNE + last * DAY)


def test_occasions_without_room_for_history_or_outcomes_are_left_out_with_the_reason():
    made = spec(occasions={"observed": "orders", "history": 28})
    found = [occasion("early", 27, 30), occasion("fine", 28, 35), occasion("late", 50, 61),
             occasion("after", 60, 62), occasion("turned", 40, 40)]  # fmt: skip
    kept, excluded = select_occasions(found, (JUNE, JUNE + 60 * DAY), made, DAYS)
    assert [o.name for o in kept] == ["fine"]
    assert excluded == {
        "early": "27 days of data before its start, 28 needed",
        "late": "its window ends 1 day after the data",
        "after": "it starts after the data end",
        "turned": "its end is not after its start",
    }


def room(*occasions: Occasion, **changes: Any) -> tuple[list[str], dict[str, str]]:
    made = spec(occasions={"observed": "orders", "history": 30, **changes})
    kept, excluded = select_occasions(occasions, (JUNE, JUNE + 100 * DAY), made, DAYS)
    return [o.name for o in kept], excluded


def test_exactly_enough_days_before_and_an_end_with_the_data_are_enough():
    assert room(occasion("a", 30, 100)) == (["a"], {})


def test_a_start_before_the_data_is_a_reason():
    assert room(occasion("a", -2, 40))[1] == {"a": "it starts 2 days before the data"}


def test_an_incomplete_window_is_kept_where_it_is_allowed():
    assert room(occasion("a", 50, 101), complete=False) == (["a"], {})


def test_a_start_after_the_data_is_never_kept():
    assert room(occasion("a", 100, 101), complete=False)[0] == []


def test_occasions_come_in_the_order_of_their_starts():
    assert room(occasion("a", 60, 70), occasion("b", 50, 70))[0] == ["b", "a"]


def instant(text: str) -> int:
    return DAYS.parse(f"{text}+00:00", "")


def test_the_days_covered_run_from_midnight_to_midnight():
    bounds = day_bounds(instant("2024-05-02T10:00:00"), instant("2024-05-04T00:00:00"), "UTC")
    assert bounds == (instant("2024-05-02T00:00:00"), instant("2024-05-05T00:00:00"))


def test_midnights_are_those_of_the_time_zone_also_across_daylight_saving():
    bounds = day_bounds(
        instant("2024-03-30T12:00:00"), instant("2024-03-31T12:00:00"), "Europe/Berlin"
    )
    assert bounds == (instant("2024-03-29T23:00:00"), instant("2024-03-31T22:00:00"))


def test_an_outcome_of_a_fixed_length_has_to_be_covered_too():
    longer = {"y_orders": {"source": "orders", "window": [0, 30]}}
    kept, excluded = select_occasions(
        [occasion("a", 31, 33)], (JUNE, JUNE + 60 * DAY), spec(outcomes=longer), DAYS
    )
    assert not kept
    assert excluded == {"a": "its window ends 1 day after the data"}


@pytest.mark.parametrize("measured", ["2024-06-10", "2024-06-11"])
def test_an_attribute_measured_from_the_treatment_on_is_refused_with_both_times(measured):
    made = spec(attributes={"age": {"source": "people", "value": "age", "measured": measured}})
    occasions = (occasion("first", 9, 12), occasion("second", 20, 22))
    message = rf"attributes\.age: measured at {measured}.* 'first' begins at 2024-06-10T00:00"
    with pytest.raises(ConfigError, match=message):
        require_measured_before(made, occasions, DAYS)


@pytest.mark.parametrize("measured", ["2024-06-09", "2024-06-09T23:59:59", "before"])
def test_an_attribute_measured_before_all_treatments_is_fine(measured):
    made = spec(attributes={"age": {"source": "people", "value": "age", "measured": measured}})
    require_measured_before(made, (occasion("first", 9, 12),), DAYS)


def test_an_indicator_measured_from_the_treatment_on_is_refused():
    indicators = {"x_age": {"source": "people", "value": "age", "measured": "2024-06-10"}}
    with pytest.raises(ConfigError, match=r"indicators\.x_age: measured at 2024-06-10"):
        require_measured_before(spec(indicators=indicators), (occasion("first", 9, 12),), DAYS)


def test_a_measurement_that_is_no_time_is_named():
    made = spec(attributes={"age": {"source": "people", "value": "age", "measured": "spring"}})
    with pytest.raises(
        ConfigError, match=r"attributes\.age\.measured: found 'spring', expected an"
    ):
        require_measured_before(made, (occasion("first", 9, 12),), DAYS)


def test_occasions_of_one_arm_are_left_out_with_the_reason():
    found = [occasion(name, 1, 2) for name in ("both", "nobody", "everybody", "empty")]
    counts = {("both", 0): 3, ("both", 1): 2, ("nobody", 0): 4, ("everybody", 1): 5}
    kept, excluded = require_arms(found, counts)
    assert [o.name for o in kept] == ["both"]
    assert excluded == {
        "nobody": "none of 4 eligible subjects was treated",
        "everybody": "all 5 eligible subjects had one arm",
        "empty": "no subject is eligible",
    }


@pytest.mark.parametrize("name", ["campaigns", "promotions"])
def test_the_panels_that_come_with_it_pass_the_guard(name):
    assert load_panel_spec(name).name == name


def test_an_unknown_panel_names_the_known_ones():
    with pytest.raises(
        ConfigError, match=r"unknown panel 'campains'\. Known: campaigns, promotions"
    ):
        load_panel_spec("campains")
