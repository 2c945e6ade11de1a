"""What has no standard error is named and not printed; what hangs on little gets a word."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.estimate import estimate_panel
from truelift.effects.heterogeneity.quantile_groups import Grouping, quantile_groups
from truelift.effects.heterogeneity.rank_cells import RankCells
from truelift.effects.look import look_further
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.effects.support.assignment_check import IN_DOUBT, mismatch
from truelift.errors import DataError
from truelift.inference.experiment_estimates import difference_in_means
from truelift.inference.experiments import ExperimentCounter
from truelift.settings import EffectOptions

N = 3000
RNG = np.random.default_rng(2)
X, NOISE = RNG.normal(size=N), RNG.normal(size=N)
T = RNG.integers(0, 2, N)
UNIT = np.arange(N)


def result(table: dict, **changes) -> EffectsResult:
    keys = {
        "treatment": "t", "outcomes": ("y",), "covariates": ("x",), "cluster": "id",
        "estimands": ("ATE", "GATE"), "groups": ("g",), "clip_levels": (),
    }  # fmt: skip
    options = EffectOptions(**(keys | changes))
    rows = pa.table({"id": UNIT, "t": T, "x": X, "y": X + NOISE, "g": UNIT % 3} | table)
    bucket = np.asarray(rows["id"]) % 5
    source = MemoryPanel({b: rows.filter(pa.array(bucket == b)) for b in range(5)})
    return look_further(source, estimate_panel(source, options), options).result


def cells(found: EffectsResult) -> list[str]:
    return [e.population for e in found.estimates if e.estimand == "GATE"]


def texts(found: EffectsResult) -> str:
    return " ".join(c.text for c in found.cautions)


def widths(found: EffectsResult) -> list[float]:
    return [e.ci_upper - e.ci_lower for e in found.estimates]


@pytest.mark.parametrize("simultaneous", [True, False])
@pytest.mark.parametrize("small_samples", ["jackknife", "cr1"])
def test_a_cell_of_one_cluster_has_no_interval_and_is_named(simultaneous, small_samples):
    stores = UNIT % 60
    found = result(
        {"id": stores, "g": stores}, simultaneous=simultaneous, small_samples=small_samples
    )
    assert cells(found) == []
    assert "60 of 60 cells have no estimate" in found.not_made["GATE by g"]
    assert "one cluster: 0, 1, 2, 3, 4, 5, 6, 7 and 52 more" in found.not_made["GATE by g"]
    assert found.supported and [e.estimand for e in found.estimates] == ["ATE"]


def test_a_cell_of_one_row_is_said_to_have_one_cluster():
    found = result({"g": np.where(UNIT == 7, "alone", "rest")})
    assert "one cluster: alone" in found.not_made["GATE by g"]


@pytest.mark.parametrize("many", ["-1", "unknown", "999999"])
def test_one_cluster_that_holds_much_of_the_rows_is_said(many):
    names = np.where(RNG.random(N) < 0.3, many, np.char.add("c", (UNIT // 3).astype(str)))
    bucket = np.unique(names, return_inverse=True)[1] % 5
    rows = pa.table({"name": names, "t": T, "x": X, "y": X + NOISE})
    source = MemoryPanel({b: rows.filter(pa.array(bucket == b)) for b in range(5)})
    options = EffectOptions(
        treatment="t", outcomes=("y",), covariates=("x",), cluster="name", estimands=("ATE",)
    )
    (text,) = [c.text for c in estimate_panel(source, options).result.cautions]
    assert "of very unequal size" in text
    assert "up to 30%" in text or "up to 31%" in text


def test_clusters_of_unequal_size_are_no_news():
    sizes = np.minimum(RNG.geometric(0.05, 600), 200)
    cluster = np.repeat(np.arange(600), sizes)[:N]
    assert "unequal" not in texts(result({"id": cluster, "g": UNIT % 2}))


def test_the_other_cells_keep_their_estimates_and_their_bands():
    lone = np.where(UNIT % 60 == 7, 99, UNIT % 3)
    found = result({"id": UNIT % 60, "g": lone})
    assert cells(found) == ["g = 0", "g = 1", "g = 2"]
    assert "1 of 4 cells have no estimate" in found.not_made["GATE by g"]
    assert "one cluster: 99" in found.not_made["GATE by g"]
    assert all(e.adjusted_p_value is not None for e in found.estimates if e.estimand == "GATE")


def test_a_cell_in_which_an_arm_has_one_cluster_is_not_estimable():
    cluster = UNIT % 100
    treated = np.where(cluster < 10, cluster == 0, cluster % 2).astype(int)
    found = result({"id": cluster, "t": treated, "g": (cluster >= 10).astype(int)})
    assert cells(found) == ["g = 1"]
    assert "one cluster with arm 1: 0" in found.not_made["GATE by g"]


def test_a_cell_without_an_arm_is_not_filled_by_the_regression():
    found = result({"g": np.where(X > 1, np.where(T == 1, 0, 1), UNIT % 2)})
    assert len(cells(found)) == 2  # both arms are in either cell
    alone = np.where(X > 1, 2, UNIT % 2)
    found = result({"g": alone, "t": np.where(X > 1, 0, T)})
    assert cells(found) == ["g = 0", "g = 1"]
    assert "no cluster with arm 1: 2" in found.not_made["GATE by g"]


def test_a_cell_whose_outcome_has_one_value_is_not_estimable():
    found = result({"y": np.where(UNIT % 3 == 1, 4.0, X + NOISE)})
    assert cells(found) == ["g = 0", "g = 2"]
    assert "the outcome has one value in it: 1" in found.not_made["GATE by g"]


def test_few_clusters_in_a_cell_get_a_word():
    cluster = UNIT % 300
    small = np.where(cluster < 12, 5, cluster % 2)
    found = result({"id": cluster, "t": (cluster % 4 < 2).astype(int), "g": small})
    assert "g = 5" in cells(found)
    assert "1 of 3 cells of 'g' have fewer than 20 clusters ('id') in an arm (5 6)" in texts(found)
    assert found.supported
    lone = next(e for e in found.estimates if e.population == "g = 5")
    assert lone.degrees_of_freedom <= 11


@pytest.mark.parametrize("small_samples", ["jackknife", "cr1"])
def test_a_cell_has_no_more_degrees_of_freedom_than_clusters(small_samples):
    cluster = UNIT % 300
    found = result(
        {"id": cluster, "g": np.where(cluster < 24, 5, cluster % 2)}, small_samples=small_samples
    )
    lone = next(e for e in found.estimates if e.population == "g = 5")
    assert lone.degrees_of_freedom <= 23


def test_small_cells_reject_no_more_than_they_should():
    rejected = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(200), 5)
        cell = cluster // 5  # two or three clusters an arm
        t = (np.argsort(rng.random((40, 5)), axis=1) < 2).astype(int).ravel()[cluster]
        shared = rng.normal(size=200)[cluster]
        table = {
            "id": rng.permutation(200)[cluster], "t": t, "x": rng.normal(size=1000),
            "y": shared + rng.normal(size=1000), "g": cell,
        }  # fmt: skip
        rows = pa.table(table)
        options = EffectOptions(
            treatment="t", outcomes=("y",), covariates=("x",), cluster="id", groups=("g",),
            estimands=("GATE",), simultaneous=False, clip_levels=(),
        )  # fmt: skip
        bucket = np.asarray(rows["id"]) % 5
        source = MemoryPanel({b: rows.filter(pa.array(bucket == b)) for b in range(5)})
        rejected += [e.p_value < 0.05 for e in estimate_panel(source, options).result.estimates]
    assert len(rejected) == 160
    assert np.mean(rejected) < 0.12


def test_rows_without_a_group_are_counted_and_said():
    group = [None if i % 10 == 0 else f"s{i % 2}" for i in UNIT]
    found = result({"g": group})
    assert "300 of 3,000 rows (10.0%) have no value in the group column 'g'" in texts(found)
    assert found.supported and len(cells(found)) == 2
    assert "no value in the group column" not in texts(result({}))


def test_a_constant_outcome_is_not_supported_and_gets_no_interval():
    found = result({"y": np.full(N, 3.0)}, estimands=("APO", "ATE", "ATT", "ATO"))
    assert not found.supported
    assert "'y' has the same value in every row" in found.verdict
    assert found.estimates == ()


def test_a_constant_outcome_leaves_the_others_their_support():
    found = result({"w": np.zeros(N)}, outcomes=("y", "w"), estimands=("ATE", "ATT"))
    assert found.supported
    assert {e.outcome for e in found.estimates} == {"y"}
    assert "'w' has the same value in every row" in texts(found)


def test_an_outcome_that_one_arm_alone_has_is_said():
    found = result({"y": np.where(T == 1, (UNIT % 40 == 0).astype(float), 0.0)})
    (said,) = [c for c in found.cautions if "every row of arm 0" in c.text]
    assert not said.stops


def test_an_outcome_that_follows_from_the_treatment_has_no_interval_of_width_zero():
    found = result(
        {"y": 2.0 * T}, estimands=("APO", "ATE", "ATT", "ATO", "naive difference"),
        propensity={"1": "0.5"},
    )  # fmt: skip
    assert all(width > 0 for width in widths(found))
    assert not any(e.p_value == 0 for e in found.experiment.estimates)
    assert "does not vary between clusters" in found.not_made["difference in means on y"]


def test_a_policy_that_is_the_control_gains_nothing_and_that_is_no_finding():
    found = result(
        {}, estimands=("ATE", "policy value"), policies={"nobody": "0", "everybody": "1"}
    )
    gains = [e.arm for e in found.estimates if e.estimand == "policy gain"]
    assert gains == ["everybody"]
    assert "do not vary" in found.not_made["policy gain of nobody on y"]


def test_a_policy_that_nearly_nobody_followed_has_no_value():
    chosen = np.where(X > 1.2, 1, 0)
    treated = np.where(X > 1.2, 0, T)
    treated[np.argmax(X)] = 1
    found = result(
        {"t": treated, "chosen": chosen}, estimands=("ATE", "policy value"),
        policies={"rule": "chosen"},
    )  # fmt: skip
    assert not [e for e in found.estimates if e.arm == "rule"]
    why = found.not_made["policy value of rule on y"]
    assert why == "one cluster with arm 1 where the policy chooses it."


def test_no_estimate_ever_has_an_interval_of_width_zero():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        clusters = int(rng.integers(45, 120))
        cluster = np.r_[np.arange(clusters), rng.integers(0, clusters, N - clusters)]
        cell = np.minimum(cluster // int(rng.integers(1, 4)), 40)
        y = np.where(cell == 3, 1.0, (rng.random(N) < 0.02).astype(float))
        found = result(
            {"id": cluster, "g": cell, "y": y, "t": rng.integers(0, 2, N)}, min_clusters_per_arm=2,
            estimands=("APO", "ATE", "ATT", "ATO", "GATE", "naive difference"),
        )  # fmt: skip
        assert found.estimates and all(width > 1e-9 for width in widths(found))


def test_a_quantile_group_of_one_cluster_is_refused():
    grouping = Grouping(
        RankCells(np.zeros(1), np.ones(1), 3), np.zeros((1, 3), int), np.array([5.0, 5.0]), np.zeros(2)
    )  # fmt: skip
    products = np.diag([4.0, 1e-20, 13.0, 25.0])[None]
    with pytest.raises(DataError, match="1 of 2 quantile groups lie in one cluster each"):
        quantile_groups(grouping, {"products": products, "clusters": np.array([3.0])}, 0.95)


def test_an_experiment_without_variation_has_no_standard_error():
    counter = ExperimentCounter(2, 0, 1)
    arm = np.arange(40) % 2
    counter.add(np.arange(40, dtype=np.uint64), arm, np.zeros((0, 40)), 2.0 * arm[None])
    with pytest.raises(DataError, match="does not vary between clusters within the arms"):
        difference_in_means(counter.finish())


@pytest.mark.parametrize("stated", ["0.5", "chance"])
def test_arms_of_the_wrong_size_take_the_support_away(stated):
    treated = (np.random.default_rng(1).random(N) < 0.6).astype(int)
    found = result({"t": treated, "chance": np.full(N, 0.5)}, propensity={"1": stated})
    assert not found.supported
    assert IN_DOUBT in found.verdict
    assert texts(found).count(IN_DOUBT) == 1
    assert not found.supports(found.estimates[0])


def test_arms_of_the_promised_size_keep_it():
    chance = np.where(X > 0, 0.7, 0.2)
    treated = (np.random.default_rng(1).random(N) < chance).astype(int)
    found = result({"t": treated, "chance": chance}, propensity={"1": "chance"})
    assert found.supported and IN_DOUBT not in texts(found)
    off = result({"t": treated, "chance": np.where(X > 0, 0.6, 0.1)}, propensity={"1": "chance"})
    assert not off.supported


def test_weights_do_not_hide_arms_of_the_wrong_size():
    treated = (np.random.default_rng(1).random(N) < 0.6).astype(int)
    found = result({"t": treated, "w": np.ones(N)}, propensity={"1": "0.5"}, weight="w")
    assert not found.supported


def test_the_test_of_sizes_holds_its_level_where_clusters_are_assigned():
    p_values = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 9, 150)
        surprise = sizes * ((rng.random(150) < 0.3) - 0.3)
        sums = np.stack([-surprise, surprise])
        p_values.append(mismatch(sums.sum(axis=1), sums @ sums.T, 150.0))
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.025)
