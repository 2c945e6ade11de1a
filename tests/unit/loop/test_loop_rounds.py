"""Rounds: who starts how, what measures say, a killed loop goes on to the same numbers, pages and refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from pyarrow import parquet

from truelift.cli import main
from truelift.errors import ConfigError
from truelift.loop.evidence import evidence_of
from truelift.loop.forecast import outlook_of
from truelift.loop.job import run_loop
from truelift.loop.learning import effects_of
from truelift.loop.measures import gini, similarity
from truelift.loop.options import LoopOptions
from truelift.loop.strategies import BY_USER, STRATEGIES, Known, asked_for
from truelift.loop.worth import list_model
from truelift.report.loop import loop_page
from truelift.simulate.shop_world.lists import ListPolicy, draw_lists
from truelift.simulate.shop_world.parameters import ShopWorld
from truelift.simulate.shop_world.shop import Shop

SMALL = ShopWorld(users=1_500, items=24, categories=3, list_length=3)
OPTIONS = LoopOptions(rounds=3)
NAMES = ("nothing", "random", "click_greedy", "effect")


@pytest.fixture(scope="module")
def found():
    return run_loop(SMALL, OPTIONS, NAMES, (1, 2))


def test_all_strategies_meet_the_same_first_round_and_nothing_shows_no_list(found):
    first = {
        r["strategy"]: r for r in found.rounds.to_pylist() if r["round"] == 0 and r["seed"] == 1
    }
    assert first["random"]["purchases"] == first["effect"]["purchases"]
    assert first["nothing"]["additional_total"] == pytest.approx(0.0, abs=1e-9)
    assert first["nothing"]["click_rate"] == 0.0
    assert first["nothing"]["visits"] == first["random"]["visits"]


def test_every_round_after_the_first_was_forecast_but_for_who_shows_nothing(found):
    for row in found.rounds.to_pylist():
        lists = row["strategy"] != "nothing" and row["round"] > 0
        assert (row["forecast"] is not None) == lists
        if lists:
            inside = row["forecast_lower"] <= row["additional"] <= row["forecast_upper"]
            assert row["held"] == inside


def test_comparisons_are_sums_over_the_rounds_that_strategies_decided(found):
    data = found.to_pandas()
    own = data[data["round"] > 0].pivot_table(
        index="seed", columns="strategy", values="additional_total", aggfunc="sum"
    )
    gain = (own["effect"] - own["click_greedy"]).to_numpy()
    compared = next(
        c for c in found.comparisons() if c.strategy == "effect" and c.measure == "additional_total"
    )
    assert compared.difference == pytest.approx(gain.mean())
    assert (compared.lower + compared.upper) / 2 == pytest.approx(gain.mean())
    assert compared.worlds == 2
    assert "effect less click_greedy" in repr(found)


def test_another_number_of_threads_and_blocks_changes_nothing(found, monkeypatch):
    monkeypatch.setattr("truelift.loop.rounds.BLOCK", 400)
    other = run_loop(SMALL, OPTIONS, ("effect",), (1,), threads=2)
    own = [r for r in found.rounds.to_pylist() if r["strategy"] == "effect" and r["seed"] == 1]
    for row, same in zip(other.rounds.to_pylist(), own, strict=True):
        assert row["purchases"] == same["purchases"]
        assert row["additional"] == pytest.approx(same["additional"], abs=1e-12)


_KILLED = """
import os, signal
from pathlib import Path
from truelift.loop import rounds
from truelift.loop.job import run_loop
from truelift.loop.options import LoopOptions
from truelift.simulate.shop_world.parameters import ShopWorld
measured = rounds.measures_of
def dying(shop, played, known):
    if played[0].moment == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return measured(shop, played, known)
rounds.measures_of = dying
world = ShopWorld(users=1_500, items=24, categories=3, list_length=3)
run_loop(world, LoopOptions(rounds=3), ("effect",), (1,), Path({out!r}))
"""


def test_a_loop_that_is_killed_inside_a_round_goes_on_to_the_same_numbers(found, tmp_path):
    out = tmp_path / "loop"
    code = _KILLED.format(out=str(out))
    died = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ})
    assert died.returncode == -signal.SIGKILL
    assert not (out / "rounds.parquet").exists()
    told: list[str] = []
    run_loop(SMALL, OPTIONS, ("effect",), (1,), out, tell=told.append)
    assert told == ["effect, seed 1, round 3 of 3"]
    own = [r for r in found.rounds.to_pylist() if r["strategy"] == "effect" and r["seed"] == 1]
    # Who was alone had nobody to miss anything against.
    own = [{**row, "regret_logged": 0.0} for row in own]
    assert parquet.read_table(out / "rounds.parquet").to_pylist() == own


def test_a_folder_of_another_loop_is_refused_with_what_differs(tmp_path):
    out = tmp_path / "loop"
    run_loop(SMALL, LoopOptions(rounds=2), ("random",), (1,), out)
    with pytest.raises(ConfigError, match=r"options\.explore: 0\.1 then, 0\.3 now"):
        run_loop(SMALL, LoopOptions(rounds=2, explore=0.3), ("random",), (1,), out)


def test_an_unknown_strategy_is_named_with_the_nearest_one():
    with pytest.raises(ConfigError, match="Did you mean 'effect'"):
        asked_for("random,efect")


@pytest.fixture(scope="module")
def known() -> Known:
    shop = Shop(SMALL, 5)
    people = shop.people(np.arange(1_500))
    played = shop.play(people, shop.operator(), 0)
    evidence = evidence_of(shop, played, shop.operator(), np.array([1.0, 0.6, 0.4]), True)
    model = list_model(shop, evidence, effects_of(shop, evidence), np.array([1.0, 0.6, 0.4]))
    return Known(shop, OPTIONS, evidence, model, 1, people)


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n not in {"nothing", *BY_USER}])
def test_every_strategy_explores_and_shows_only_what_is_sold(name, known):
    policy = STRATEGIES[name](known)
    assert policy is not None
    assert policy.explore >= OPTIONS.explore
    sold = known.shop.sold(1)
    listed, chances = draw_lists(
        policy, 3, 1, 1, np.arange(600), np.tile(np.arange(6, dtype=np.int32), 100), sold,
        np.zeros(600), np.zeros(24), np.zeros(600, np.bool_),
    )  # fmt: skip
    assert sold[listed].all()
    assert chances.min() >= OPTIONS.explore / 24


def test_value_keeps_to_its_budget_and_takes_what_it_may(known):
    cost = OPTIONS.placement * known.shop.goods.price
    share = known.evidence.asked / known.evidence.asked.sum()
    spent = {}
    for budget in (0.09, 10.0):
        options = LoopOptions(rounds=3, budget=budget)
        policy = STRATEGIES["value"](
            Known(known.shop, options, known.evidence, known.model, 1, known.people)
        )
        assert policy is not None
        spent[budget] = float(share @ ((policy.weights > 0) @ cost))
    assert spent[0.09] <= 0.09 < spent[10.0]


def test_attention_of_a_policy_is_what_its_lists_get(known):
    shop, weights = known.shop, np.random.default_rng(0).gamma(0.3, size=(6, 24))
    policy = ListPolicy("x", weights, 0.1)
    eyes = known.model.eyes
    outlook = outlook_of(shop, policy, 0, eyes)
    n = 60_000
    context = np.full(n, 2, np.int32)
    listed, _ = draw_lists(
        policy, 3, 9, 0, np.arange(n), context, shop.sold(0), np.zeros(n), np.zeros(24),
        np.zeros(n, np.bool_),
    )  # fmt: skip
    found = sum(np.bincount(listed[:, k], minlength=24) * eyes[k] for k in range(3)) / n
    assert outlook.attention[2] == pytest.approx(found, abs=0.02)
    assert outlook.attention[2].sum() == pytest.approx(eyes.sum())


def test_gini_and_likeness_of_plain_cases():
    assert gini(np.array([5, 5, 5, 5])) == 0.0
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)
    assert similarity(np.array([[1, 2, 3], [3, 2, 1]]), 0) == 1.0
    assert similarity(np.array([[1, 2, 2], [2, 3, 3]]), 0) == pytest.approx(1 / 3)


def test_the_page_says_who_brought_most_and_whether_forecasts_held(found):
    page = loop_page(found)
    assert "brought most" in page
    assert "Forecasts before play" in page
    assert page.count("<svg") == 4  # two plots, each wide and narrow


def test_the_command_writes_rounds_and_page_and_goes_on(tmp_path, capsys):
    out = tmp_path / "loop"
    words = [
        "run_loop", "--users", "400", "--rounds", "2", "--strategies", "random,effect", "--out", str(out),
    ]  # fmt: skip
    assert main(words) == 0
    first = (out / "rounds.parquet").read_bytes()
    assert main(words) == 0
    assert (out / "rounds.parquet").read_bytes() == first
    assert (out / "index.html").exists()
    assert "additional purchases" in capsys.readouterr().out
    assert main([*words, "--explore", "0"]) == 2
    assert "loop.explore" in capsys.readouterr().err
