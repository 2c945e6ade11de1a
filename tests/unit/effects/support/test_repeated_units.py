"""Repeated units whose treatment changes: said, and not called supported; campaigns pass."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.effects.support.row_times import in_order
from truelift.effects.support.shared_surprises import difference_within, shared_surprise
from truelift.settings import EffectOptions


def estimated(rows: dict[str, np.ndarray], **changes: object) -> EffectsResult:
    table = pa.table(rows)
    keys: dict[str, object] = {
        "treatment": "t", "outcomes": ("y",), "covariates": ("x",), "cluster": "id",
        "estimands": ("ATE", "ATT"),
    }  # fmt: skip
    options = EffectOptions(**(keys | changes))  # type: ignore[arg-type]
    key = np.asarray(table[options.cluster])
    bucket = (key if key.dtype.kind in "iu" else np.arange(len(key))) % 5
    source = MemoryPanel({j: table.filter(pa.array(bucket == j)) for j in range(5)})
    return estimate_panel(source, options).result


@pytest.fixture(scope="module")
def adopters() -> dict[str, np.ndarray]:
    """Units that are better the earlier they are treated, and stay treated; the effect is 1."""
    g = np.random.default_rng(0)
    units, times = 500, 8
    own = 3 * g.normal(size=units)
    start = np.where(
        g.random(units) < 0.3, 99, np.clip(np.round(4 - own + g.normal(size=units)), 1, 8)
    )
    unit, time = np.repeat(np.arange(units), times), np.tile(np.arange(times), units)
    t = (time >= start[unit]).astype(int)
    y = own[unit] + 0.3 * time + t + g.normal(size=len(unit))
    return {"id": unit, "t": t, "x": g.normal(size=len(unit)), "time": time, "y": y}  # fmt: skip


def campaigns(hidden: float = 0.0) -> dict[str, np.ndarray]:
    """Households that get some of six campaigns; ``hidden`` is a confounder of a household."""
    g = np.random.default_rng(1)
    household, campaign = np.repeat(np.arange(800), 6), np.tile(np.arange(6), 800)
    n = len(household)
    kind, shared = g.normal(size=(2, 800))[:, household]
    x = g.normal(size=800)[household] + 0.3 * g.normal(size=n)
    t = (g.random(n) < 1 / (1 + np.exp(-x - hidden * kind))).astype(int)
    y = t + x + shared + 2 * hidden * kind + g.normal(size=n)
    return {
        "id": household, "t": t, "x": x, "campaign": campaign, "y": y, "row": np.arange(n),
        "start": np.datetime64("2024-01-01") + 30 * campaign,
    }  # fmt: skip


def without(rows: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    return {name: values for name, values in rows.items() if name not in names}


def stopped_by(result: EffectsResult) -> str:
    assert not result.supported
    assert not any(result.supports(e) for e in result.estimates)
    (text,) = [c.text for c in result.cautions if c.stops]
    return text


def test_units_before_and_after_their_adoption_stop_support(adopters):
    text = stopped_by(estimated(adopters))
    assert "in 100% all of the ones lie before all of the others by 'time'" in text
    assert "staggered adoption" in text


def test_a_time_among_the_covariates_changes_nothing(adopters):
    assert "'time'" in stopped_by(estimated(adopters, covariates=("x", "time")))


def test_dates_and_periods_in_texts_order_rows_too(adopters):
    months = np.array([f"2024-{1 + m:02d}" for m in adopters["time"]])
    rows = without(adopters, "time") | {"month": months}
    assert "'month'" in stopped_by(estimated(rows))
    dates = np.datetime64("2024-01-01") + 30 * adopters["time"]
    assert "'seen'" in stopped_by(estimated(without(adopters, "time") | {"seen": dates}))


def test_a_treatment_that_ends_is_as_bad_as_one_that_begins(adopters):
    assert "'time'" in stopped_by(estimated(adopters | {"time": -adopters["time"]}))


def test_without_any_time_rows_of_a_unit_still_share_what_nobody_foresaw(adopters):
    text = stopped_by(estimated(without(adopters, "time")))
    assert "The treatment changes over the rows of 'id'" in text


def test_without_any_time_the_comparison_within_units_disagrees_where_pairs_cancel():
    g = np.random.default_rng(0)
    unit, time = np.repeat(np.arange(400), 10), np.tile(np.arange(10), 400)
    own = g.normal(size=400)
    # Whoever adopts is better than who never does, and adopts at any time.
    start = np.where((g.random(400) < 0.3) | (own < -0.5), 99, g.integers(2, 10, 400))
    t = (time >= start[unit]).astype(int)
    y = 5 * own[unit] + t + g.normal(size=len(unit))
    rows = {"id": unit, "t": t, "x": g.normal(size=len(unit)), "y": y}
    assert "The treatment changes over the rows of 'id'" in stopped_by(estimated(rows))


def test_without_any_time_what_cancels_in_both_measures_is_said():
    g = np.random.default_rng(3)
    unit, time = np.repeat(np.arange(400), 10), np.tile(np.arange(10), 400)
    own = g.normal(size=400)
    start = np.where(g.random(400) < 0.3, 99, g.integers(2, 10, 400))
    t = (time >= np.where(own < -0.5, 99, start)[unit]).astype(int)
    # What time brings to all is as much as what sets adopters apart.
    y = 2 * own[unit] + 0.5 * time + t + g.normal(size=len(unit))
    result = estimated({"id": unit, "t": t, "x": g.normal(size=len(unit)), "y": y})
    assert any("same unit at several times" in caution.text for caution in result.cautions)


def test_a_unit_that_is_named_may_be_smaller_than_its_cluster(adopters):
    rows = without(adopters, "time") | {"firm": adopters["id"], "id": adopters["id"] // 5}
    text = stopped_by(estimated(rows, unit="firm"))
    assert "('firm')" in text and "with a treatment and without it" in text


def test_two_periods_of_two_groups_stop_support():
    g = np.random.default_rng(2)
    unit, period = np.repeat(np.arange(600), 2), np.tile([0, 1], 600)
    group = g.random(600) < 0.5
    t = (group[unit] & (period == 1)).astype(int)
    y = 2.0 * group[unit] + 0.5 * period + t + g.normal(size=1200)
    rows = {"id": unit, "t": t, "x": g.normal(size=1200), "period": period, "y": y}
    assert "'period'" in stopped_by(estimated(rows))


@pytest.mark.parametrize("unit", ["row", "unit_id"])
def test_households_that_get_some_campaigns_and_not_others_pass(unit):
    result = estimated(campaigns(), unit=unit)
    assert not result.cautions
    assert all(result.supports(e) for e in result.estimates)


def test_a_hidden_confounder_of_households_is_said_and_stops_where_rows_have_no_name():
    named = estimated(campaigns(hidden=1.0), unit="row")
    assert "share what the covariates do not tell" in named.cautions[0].text
    assert named.supported
    assert "effects.unit" in stopped_by(estimated(campaigns(hidden=1.0)))


def test_customers_who_share_a_store_pass():
    g = np.random.default_rng(4)
    store = g.integers(0, 150, 6000)
    x, t = g.normal(size=6000), (g.random(6000) < 0.5).astype(int)
    y = t + x + 2 * g.normal(size=150)[store] + g.normal(size=6000)
    result = estimated({"id": store, "t": t, "x": x, "y": y, "age": g.integers(18, 90, 6000)})
    assert not result.cautions


def test_a_unit_in_clusters_of_one_row_each_stops_support(adopters):
    rows = without(adopters, "time") | {"person": adopters["id"], "id": np.arange(4000)}
    assert "('person')" in stopped_by(estimated(rows, unit="person"))


def test_rows_of_one_unit_that_are_clusters_of_their_own_stop_support_even_of_an_experiment():
    g = np.random.default_rng(6)
    person = np.repeat(np.arange(500), 4)
    t = (g.random(500) < 0.5).astype(int)[person]
    y = t + 2 * g.normal(size=500)[person] + g.normal(size=2000)
    rows = {"id": np.arange(2000), "person": person, "t": t, "x": g.normal(size=2000), "y": y}
    text = stopped_by(estimated(rows, unit="person", propensity={"1": "0.5"}))
    assert "Set effects.cluster to 'person'" in text


@pytest.mark.parametrize(
    "name", ["c{unit}_2024-{month:02d}", "2024{month:02d}/c{unit}", "{unit} w{month}"]
)
def test_clusters_named_after_a_unit_and_a_time_stop_support(adopters, name):
    names = [
        name.format(unit=u, month=m + 1)
        for u, m in zip(adopters["id"], adopters["time"], strict=True)
    ]
    rows = without(adopters, "time") | {"key": np.array(names)}
    assert "made of a unit and a time" in stopped_by(estimated(rows, cluster="key"))
    rows["id"] = np.arange(len(names))
    assert "made of a unit and a time" in stopped_by(estimated(rows, unit="key"))


@pytest.mark.parametrize("name", ["CH-{i:06d}", "{i}", "user{i}", "{country}-{i}", "a1b2-{i:x}"])
def test_clusters_named_after_a_unit_alone_pass(name):
    g = np.random.default_rng(7)
    x, t = g.normal(size=3000), (g.random(3000) < 0.5).astype(int)
    names = [name.format(i=i, country=["AT", "CH", "DE"][i % 3]) for i in range(3000)]
    rows = {"key": np.array(names), "t": t, "x": x, "y": t + x + g.normal(size=3000)}
    assert not estimated(rows, cluster="key").cautions


@pytest.mark.parametrize("form", ["months", "moments"])
def test_arms_that_are_never_seen_at_the_same_time_stop_support(form):
    g = np.random.default_rng(8)
    n = 2000
    day = g.permutation(n) // 20
    t = (day >= 60).astype(int) if form == "moments" else (day // 10) % 2
    date = np.datetime64("2024-01-01") + day
    if form == "moments":
        date = date.astype("datetime64[s]") + g.integers(0, 86_400, n)
    rows = {"id": np.arange(n), "t": t, "x": g.normal(size=n), "date": date}
    text = stopped_by(estimated(rows | {"y": t + 0.02 * day + g.normal(size=n)}))
    assert "By 'date' all rows of one time are in one arm" in text
    both = (g.random(n) < 0.5).astype(int)
    assert not estimated(rows | {"t": both, "y": both + g.normal(size=n)}).cautions


def test_known_chances_allow_whatever_order(adopters):
    g = np.random.default_rng(5)
    rows = adopters | {"t": (g.random(len(adopters["t"])) < 0.5).astype(int)}
    assert not estimated(rows, propensity={"1": "0.5"}).cautions


def test_order_is_beside_what_chance_would_bring():
    cluster = np.repeat(np.arange(40), 2)
    treated = np.tile([False, True], 40)
    count, ordered, surplus = in_order(cluster, treated, np.tile([0.0, 1.0], 40))
    assert (count, ordered) == (40, 1.0)
    assert surplus == pytest.approx(20 / np.sqrt(10))
    assert in_order(cluster, treated, np.zeros(80))[1] == 0.0  # at one time


def test_the_shared_surprise_is_the_mean_product_over_pairs_of_rows():
    b, r = np.array([1.0, 2.0, 4.0, 8.0, 5.0]), np.array([3.0, -1.0, 2.0, 1.0, 9.0])
    cluster, nothing = np.array([0, 0, 0, 1, 1]), np.zeros(5)
    bias, _ = shared_surprise(cluster, (b, r), (nothing, nothing))
    of = [np.mean([b[i] * r[j] for i in own for j in own if i != j]) for own in ((0, 1, 2), (3, 4))]
    assert bias == pytest.approx((3 * of[0] + 2 * of[1]) / 5)


def test_the_difference_within_is_that_of_a_regression_with_an_intercept_a_cluster():
    g = np.random.default_rng(9)
    cluster = g.integers(0, 12, 200)
    t = g.integers(0, 2, 200)
    e, residual = g.uniform(0.2, 0.8, 200), g.normal(size=200) + t
    lines = [
        (own / chance - 1, own * residual / chance) for own, chance in ((t, e), (1 - t, 1 - e))
    ]
    dummies = np.eye(12)[cluster]
    slope = np.linalg.lstsq(np.column_stack([t, dummies]), residual, rcond=None)[0][0]
    assert difference_within(cluster, *lines)[0] == pytest.approx(-slope)


def test_clusters_without_both_arms_say_nothing_of_a_difference_within():
    b, r = np.array([1.0, 1.0, -1.0, -1.0]), np.array([2.0, 1.0, 0.0, 0.0])
    other, nothing = -b, np.zeros(4)
    assert difference_within(np.array([0, 0, 1, 1]), (b, r), (other, nothing)) == (0.0, np.inf)
