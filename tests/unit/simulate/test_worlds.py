"""Worlds of the registry: the draws stay as they are, truths are those of their rows, policies act."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from truelift.errors import ConfigError
from truelift.simulate.worlds.registry import WORLDS
from truelift.simulate.worlds.world import Question, WorldKind

# Small worlds, and the outcome whose effect they know.
CASES = {
    "confounded": ({"covariates": 3, "units": 60_000, "clusters": 30_000}, "y_spend"),
    "shared": ({"units": 60_000, "clusters": 6_000}, "y_spend"),
    "arms": ({"units": 60_000}, "y"),
}
# Figures of the coverage study and literals of tests hang on the draws.
DIGESTS = {
    ("confounded", (("clusters", 90), ("units", 500)), 4): "416ff462674b69af",
    ("shared", (("units", 300),), 1): "7dcbcf6f4e2592c0",
    ("arms", (("clusters", 90), ("icc", 0.3), ("units", 600)), 3): "b20a3b0a3f0e6035",
}


def digest(table: pa.Table) -> str:
    text = "".join(
        f"{name}{table[name].type}{table[name].to_pylist()!r}" for name in table.column_names
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("asked", DIGESTS, ids=lambda asked: asked[0])
def test_a_seed_draws_the_same_units_for_ever(asked):
    name, parameters, seed = asked
    world = WORLDS.row(name)(**dict(parameters))
    assert digest(world.draw(seed).table) == DIGESTS[asked]


@pytest.mark.parametrize("name", WORLDS.names)
def test_the_truth_is_the_mean_effect_of_a_large_draw(name):
    parameters, outcome = CASES[name]
    world = WORLDS.row(name)(**parameters)
    effect = np.atleast_2d(world.draw(5).unit_effect)[0]
    assert effect.mean() == pytest.approx(world.truth("ATE"), abs=0.03)
    assert world.truth(Question("ATE", outcome)) == world.truth("ATE")


@pytest.mark.parametrize("name", WORLDS.names)
def test_a_policy_decides_by_what_it_sees_and_its_chances_are_in_the_logs(name):
    parameters, outcome = CASES[name]
    world = WORLDS.row(name)(**parameters)
    seen: list[pa.Table] = []

    def coin(units: pa.Table) -> np.ndarray:
        seen.append(units)
        return np.tile([[0.7], [0.3]], units.num_rows)

    logs = world.step(coin, 6)
    assert all(column.startswith("x_") for column in seen[0].column_names)
    arm, chance = (logs[c].to_numpy() for c in ("treated", "chance"))
    assert set(zip(arm.tolist(), chance.tolist(), strict=True)) == {(0, 0.7), (1, 0.3)}
    assert arm.mean() == pytest.approx(0.3, abs=0.02)
    # A coin is an experiment: the difference of means is the effect.
    y = logs[outcome].to_numpy()
    difference = y[arm == 1].mean() - y[arm == 0].mean()
    assert difference == pytest.approx(world.truth("ATE"), abs=0.2)


@pytest.mark.parametrize("name", WORLDS.names)
def test_a_policy_that_treats_everyone_has_everyone_treated(name):
    world = WORLDS.row(name)(**{**CASES[name][0], "units": 400, "clusters": 50})
    logs = world.step(lambda units: np.tile([[0.0], [1.0]], units.num_rows), 1)
    assert set(logs["treated"].to_pylist()) == {1}
    assert set(logs["chance"].to_pylist()) == {1.0}


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        (lambda n: np.full(n, 0.5), r"shape \(50,\); expected \(2, 50\)"),
        (lambda n: np.full((2, n), 0.6), "do not add up to 1"),
        (lambda n: np.tile([[1.5], [-0.5]], n), "below 0"),
    ],
)
def test_a_policy_that_gives_no_chances_is_refused(chances, message):
    world = WORLDS.row("shared")(units=50, clusters=5)
    with pytest.raises(ConfigError, match=message):
        world.step(lambda units: chances(units.num_rows), 1)


@pytest.mark.parametrize("name", WORLDS.names)
def test_a_truth_that_a_world_does_not_know_is_refused(name):
    world = WORLDS.row(name)() if name != "arms" else WORLDS.row(name)(units=9)
    with pytest.raises(ConfigError, match=r"there is no truth for 'LATE' .* expected one of ATE"):
        world.truth("LATE")


FLAT = """
from dataclasses import dataclass
import numpy as np
import pyarrow as pa
from truelift.simulate.worlds.world import Drawn, WorldKind, asked, chances_of, taken, unknown

@dataclass(frozen=True)
class Flat:
    units: int = 10

    def draw(self, seed):
        return self._drawn(seed, lambda units: np.full((2, units.num_rows), 0.5))[0]

    def truth(self, estimand):
        if asked(estimand).estimand != "ATE":
            raise unknown(self, asked(estimand), ("ATE",))
        return 2.0

    def step(self, policy, seed):
        drawn, chance = self._drawn(seed, policy)
        return drawn.table.append_column("chance", pa.array(chance))

    def _drawn(self, seed, policy):
        random = np.random.default_rng(seed)
        seen = pa.table({"x_1": random.normal(size=self.units)})
        chances = chances_of(policy, seen, 2)
        arm = (random.random(self.units) < chances[1]).astype(np.int32)
        table = seen.append_column("treated", pa.array(arm)).append_column("y", pa.array(2.0 * arm))
        return Drawn(table, chances, np.full(self.units, 2.0)), taken(chances, arm)

FLAT = WorldKind("flat", "every effect is two", Flat)
"""


def test_a_world_of_another_package_is_found_draws_and_goes_on(bring):
    bring("truelift.worlds", FLAT, flat="FLAT")
    assert "flat" in WORLDS
    row = WORLDS.row("flat")
    assert isinstance(row, WorldKind)
    world = row(units=30)
    assert world.draw(1).table.num_rows == 30
    logs = world.step(lambda units: np.tile([[0.0], [1.0]], units.num_rows), 1)
    assert logs["y"].to_pylist() == [world.truth("ATE")] * 30
