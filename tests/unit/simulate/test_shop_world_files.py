"""Files of a shop: what was logged is what was played, chances can be used, the command writes them."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from pyarrow import csv, parquet

import truelift as tl
from truelift.cli import main
from truelift.config import load_settings
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.policies import named_policy
from truelift.simulate.shop_world.shop import Shop
from truelift.simulate.shop_world.truth import policy_value
from truelift.simulate.shop_world.written import write_world

USERS, ROUNDS = 3_000, 2


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(ShopWorld(users=USERS, items=24, categories=3, list_length=3), 11)


@pytest.fixture(scope="module")
def written(shop, tmp_path_factory):
    out = tmp_path_factory.mktemp("world") / "logs"
    return write_world(shop, named_policy(shop, "random", 0.1), ROUNDS, out)


def test_events_are_clicks_and_purchases_of_all_visits(shop, written):
    events = csv.read_csv(written.folder / "events" / "part-00000.csv")
    people, counts = shop.people(np.arange(USERS)), {"view": 0, "click": 0, "purchase": 0}
    for moment in range(ROUNDS):
        played = shop.play(people, named_policy(shop, "random", 0.1), moment)
        counts["view"] += len(played.visits)
        counts["click"] += int(played.responses.clicked.sum())
        counts["purchase"] += int((played.responses.bought >= 0).sum())
    found = dict(
        zip(*(v.to_pylist() for v in pc.value_counts(events["action"]).flatten()), strict=True)
    )
    assert found == counts
    assert len(events) == written.events == len(pc.unique(events["event"]))  # fmt: skip


def test_a_world_is_mapped_for_the_log_engine(written):
    settings = load_settings(dataset=str(written.dataset))
    assert settings.source.path == str(written.folder / "events")
    assert settings.source.mapping.event_type == "action"


def test_truth_says_what_lists_changed_and_holdouts_saw_none(written):
    truth = parquet.read_table(written.folder / "truth")
    gain = pc.subtract(truth["expected"], truth["expected_without_list"])
    assert pc.max(pc.abs(gain.filter(truth["holdout"]))).as_py() < 1e-12
    assert pc.mean(gain).as_py() > 0.02


def test_inverse_logged_chances_recover_the_brute_force_value_of_another_policy(shop, written):
    """Lists of one slot's choice: the best item first, the rest by lot as in the log."""
    other = int(np.flatnonzero(shop.sold(0))[-1])
    slots = parquet.read_table(written.folder / "exposures")
    first = slots.filter(pc.and_(pc.equal(slots["slot"], 0), pc.equal(slots["round"], 0)))
    found = tl.evaluate_policies(
        first, action="item", rewards="bought_in_visit", user="visitor", propensity="propensity",
        policies={"other": {"always": f"i{other:04d}"}}, estimators=["IPS"], buckets=40,
    )  # fmt: skip
    estimate = found.to_pandas().query("policy == 'other'").iloc[0]
    people = shop.people(np.arange(USERS))
    visits = shop.visits(people, 0)
    values = []
    for draw in range(1, 40):
        listed, _ = shop.lists(named_policy(shop, "random", 0.0), people, visits, 0, False, draw)
        twice = listed[:, 1:] == other
        listed[:, 1:][twice] = np.broadcast_to(listed[:, :1], twice.shape)[twice]
        listed[:, 0] = other
        values.append(shop.respond(people, visits, listed, 0, draw).chance.sum(axis=1).mean())
    assert abs(estimate["estimate"] - np.mean(values)) < 3 * estimate["standard_error"]


def test_the_oracles_lists_bring_more_than_popular_ones(shop):
    people = shop.people(np.arange(USERS))
    best, popular = (
        policy_value(shop, people, policy, 0)
        for name in ("oracle", "popularity")
        if (policy := named_policy(shop, name, 0.0)) is not None
    )
    assert best.additional > popular.additional + 4 * np.hypot(
        best.additional_error, popular.additional_error
    )


def test_the_command_writes_a_named_world_and_refuses_a_full_folder(tmp_path, capsys):
    words = ["simulate_world", "--users", "300", "--rounds", "1", "--out", str(tmp_path / "w")]
    assert main(words) == 0
    assert "items shown in 1 rounds" in capsys.readouterr().out
    assert main(words) == 2
    assert "expected an empty or a new folder" in capsys.readouterr().err


def test_an_unknown_world_is_refused_by_its_option(capsys):
    assert main(["simulate_world", "--world", "mars", "--out", "/nowhere"]) == 2
    assert "--world" in capsys.readouterr().err
