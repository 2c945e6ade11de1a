"""What a world is calibrated by: gaps that a log's end does not shorten, shares, and dials that come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from truelift.cli import main
from truelift.errors import NotSupportedError
from truelift.simulate.calibration.fit import added, calibrate, played
from truelift.simulate.calibration.job import written
from truelift.simulate.calibration.marginals import Marginals, distances, lorenz, visit_counts
from truelift.simulate.shop_world.parameters import ShopWorld


def test_visits_are_users_by_round_whatever_the_order_of_their_rows():
    user = np.array([1, 0, 0, 0, 0, 1, 0])
    moment = np.array([5, 0, 0, 0, 3, 0, 4])
    item = np.array([-1, 7, 7, 8, -1, 2, 7])
    found = visit_counts(user, moment, item, last=6, cap=2)
    # (0, 0): 7 and 8; (0, 3): nothing; (0, 4): 7; (1, 0): 2; (1, 5): nothing.
    assert found["baskets"][:4].tolist() == [2, 2, 1, 0]
    # With two rounds to go: 0 comes after 3 (later) and 1 round, and not again after round 4; 1 after 5.
    assert found["gaps"].tolist() == [0, 1, 0, 3]
    # Of visits that bought: 0 from 0 to 4, not again after it; 1 not again after 0.
    assert found["buyers_gaps"].tolist() == [0, 0, 0, 3]


def test_counts_add_up_over_users():
    random = np.random.default_rng(1)
    user, moment = random.integers(0, 40, 500), random.integers(0, 12, 500)
    item = random.integers(-1, 6, 500)
    whole = visit_counts(user, moment, item, 11, 4)
    halves = [visit_counts(user[h], moment[h], item[h], 11, 4) for h in (user < 20, user >= 20)]
    for name, count in whole.items():
        assert (halves[0][name] + halves[1][name]).tolist() == count.tolist()


def test_shares_of_sales_do_not_know_how_many_items_there_are():
    assert lorenz(np.ones(7)) == pytest.approx(np.linspace(0, 1, 101))
    sold = np.array([5.0, 1, 0, 3])
    assert lorenz(np.repeat(sold, 50))[1::2] == pytest.approx(
        lorenz(np.repeat(sold, 100))[1::2], abs=0.01
    )
    assert lorenz(sold)[-1] == 1


def test_distances_are_wassersteins_and_the_area_between_curves():
    one = {"gaps": np.array([0.5, 0.5, 0.0]), "clicks": np.array([0.1, 0.2])}
    other = {
        "gaps": np.array([0.0, 0.5, 0.5]),
        "clicks": np.array([0.2, 0.2]),
        "baskets": np.ones(1),
    }
    found = distances(one, other, np.array([3.0, 1.0]))
    assert found == pytest.approx({"gaps": 1.0, "clicks": 0.075})


TRUE = ShopWorld(
    users=3_000, items=60, visit=-0.6, visit_spread=0.8, quality=-2.2, errand=0.7, popularity=1.3,
    click=-2.2, position=1.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    lake = played(TRUE, 12, 5, 11, lists=True)
    return calibrate([lake], ShopWorld(items=60), 11, 800, 12, trials=20)


@pytest.mark.parametrize(
    ("dial", "error"),
    [("visit", 0.2), ("visit_spread", 0.25), ("quality", 0.25), ("errand", 0.25), ("popularity", 0.25),
     ("click", 0.25), ("position", 0.25)],
)  # fmt: skip
def test_dials_of_a_simulated_log_come_back(fitted, dial, error):
    assert getattr(fitted.world, dial) == pytest.approx(getattr(TRUE, dial), abs=error)


def test_every_distance_is_smaller_and_the_rest_of_the_world_stays(fitted):
    assert all(m.after < 0.2 * m.before for m in fitted.marginals if m.marginal != "popularity")
    assert all(m.after < m.before for m in fitted.marginals)
    kept = replace(fitted.world, **{name: old for name, (old, _) in fitted.dials.items()})
    assert kept == ShopWorld(items=60)
    assert fitted.world.users == 2_000
    assert "resampled" in repr(fitted)
    assert "# " in written(fitted, 1.0)


def test_a_log_of_purchases_alone_is_held_against_visits_that_bought():
    lake = played(replace(TRUE, users=800), 12, 5, 2, lists=False)
    only = Marginals(
        np.r_[0.0, lake.baskets[1:]],
        lake.buyers_gaps,
        lake.buyers_gaps,
        lake.sold,
        np.zeros(0),
        np.zeros(0),
    )
    assert not only.browsing
    found = only.distributions(only.browsing)
    assert found.keys() == {"baskets", "gaps", "popularity"}
    for name, share in lake.distributions(browsing=False).items():
        assert found[name] == pytest.approx(share)


def test_slots_beyond_those_of_a_world_s_longest_list_are_not_compared():
    lake = played(ShopWorld(users=300), 12, 5, 3, lists=True)
    long = replace(lake, shown=np.full(40, 100.0), clicked=np.full(40, 10.0))
    found = calibrate([long], ShopWorld(users=300), 7, 100, 12, trials=1)
    assert found.world.list_length == 32
    assert "clicks" in {m.marginal for m in found.marginals}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--round-days", "nan"), "--round-days: found nan"), (("--users", "1e9"), "at most 1,000,000"),
        (("--out", "/nowhere/world.yaml"), "--out: found '/nowhere/world.yaml'"), (("--out", "/"), "--out: found '/'"),
    ],
)  # fmt: skip
def test_options_that_no_world_has_are_one_message(given, said, tmp_path, capsys):
    out = tmp_path / "world.yaml"
    assert main(["calibrate_world", "--out", str(out), *given]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_nothing_known_is_refused():
    nothing = Marginals(*(np.zeros(3) for _ in range(3)), np.zeros(2), np.zeros(1), np.zeros(1))
    with pytest.raises(NotSupportedError, match="nothing to fit"):
        calibrate([nothing], ShopWorld(), 1, 100, 4)
    assert added([nothing, nothing]).sold.tolist() == [0, 0]
