"""The truth that the simulated panel claims is the truth of its rows."""

import numpy as np
import pytest

from truelift.simulate.worlds.confounded import ConfoundedWorld


def test_the_claimed_effects_are_those_of_a_large_sample():
    world = ConfoundedWorld(
        covariates=3, effect=2.0, heterogeneity=1.5, cluster_share=0.0, units=200_000
    )
    drawn = world.draw(1)
    treated = drawn.table["treated"].to_numpy() == 1
    assert world.truth("ATE") == pytest.approx(drawn.unit_effect.mean(), abs=0.02)
    assert world.truth("ATT") == pytest.approx(drawn.unit_effect[treated].mean(), abs=0.02)
    assert world.truth("ATT") > world.truth("ATE") + 0.2


def test_the_att_integral_is_exact_where_it_is_known():
    assert ConfoundedWorld(heterogeneity=0.0, effect=3.0).truth("ATT") == 3.0
    assert ConfoundedWorld(confounding=0.0).truth("ATT") == pytest.approx(1.0)


def test_treatment_is_confounded_so_the_naive_difference_is_wrong():
    world = ConfoundedWorld(units=50_000)
    drawn = world.draw(2)
    treated = drawn.table["treated"].to_numpy() == 1
    spend = drawn.table["y_spend"].to_numpy()
    assert spend[treated].mean() - spend[~treated].mean() > world.truth("ATT") + 1


def test_inverse_weighting_by_the_true_propensity_recovers_the_effect():
    world = ConfoundedWorld(units=200_000)
    drawn = world.draw(3)
    treated = drawn.table["treated"].to_numpy()
    spend = drawn.table["y_spend"].to_numpy()
    e = drawn.propensity
    weighted = np.mean(treated * spend / e - (1 - treated) * spend / (1 - e))
    assert weighted == pytest.approx(world.truth("ATE"), abs=0.2)


def test_a_cluster_shares_the_stated_part_of_the_variance_and_one_bucket():
    world = ConfoundedWorld(cluster_share=0.4, units=40_000, clusters=20_000, buckets=8)
    drawn = world.draw(4)
    x = drawn.table["x_1"].to_numpy()
    assert np.corrcoef(x[:20_000], x[20_000:])[0, 1] == pytest.approx(0.4, abs=0.03)
    users, buckets = drawn.table["user_key"].to_pylist(), drawn.table["bucket"].to_pylist()
    assert len(set(zip(users, buckets, strict=True))) == 20_000
    assert set(buckets) == set(range(8))


def test_the_second_outcome_knows_no_treatment_given_the_covariates():
    drawn = ConfoundedWorld(confounding=0.0, units=100_000).draw(5)
    treated = drawn.table["treated"].to_numpy() == 1
    visits = drawn.table["y_visits"].to_numpy()
    assert visits[treated].mean() == pytest.approx(visits[~treated].mean(), abs=0.05)


def test_the_same_seed_draws_the_same_panel():
    world = ConfoundedWorld(units=50)
    assert world.draw(6).table.equals(world.draw(6).table)
    assert not world.draw(6).table.equals(world.draw(7).table)


@pytest.mark.parametrize(
    "wrong",
    [{"covariates": 0}, {"cluster_share": 1.0}, {"noise": -1.0}],
    ids=lambda w: next(iter(w)),
)
def test_an_impossible_world_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ConfoundedWorld(**wrong)


def test_more_clusters_than_units_are_refused():
    with pytest.raises(ValueError, match="clusters"):
        ConfoundedWorld(units=10, clusters=11)
