"""Whole numbers that are names, or whose effect bends: said, and not called supported."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.estimate import estimate_panel
from truelift.effects.results import EffectsResult
from truelift.effects.source import MemoryPanel
from truelift.settings import EffectOptions

N = 4000


def world(effect_of_value, levels: int = 100, seed: int = 0) -> dict[str, np.ndarray]:
    """A confounder that is a function of a whole number; the effect of the treatment is 1."""
    g = np.random.default_rng(seed)
    v = g.integers(0, levels, N)
    u = effect_of_value(v, g)
    t = (g.random(N) < 1 / (1 + np.exp(-0.7 * u))).astype(int)
    return {"id": np.arange(N), "v": v, "t": t, "y": t + 2 * u + g.normal(size=N)}


def estimated(rows: dict[str, object], **changes: object) -> EffectsResult:
    table = pa.table(rows)
    keys: dict[str, object] = {
        "treatment": "t", "outcomes": ("y",), "covariates": ("v",), "cluster": "id",
        "estimands": ("ATE", "ATT"),
    }  # fmt: skip
    options = EffectOptions(**(keys | changes))  # type: ignore[arg-type]
    bucket = np.asarray(table["id"]) % 5
    source = MemoryPanel({j: table.filter(pa.array(bucket == j)) for j in range(5)})
    return estimate_panel(source, options).result


def codes(v, g):
    return g.normal(size=100)[v]


def line(v, g):
    return (v - 49.5) / 29


def curve(v, g):
    return 1.2 * (line(v, g) ** 2 - 1)


@pytest.mark.parametrize("form", [codes, curve])
def test_a_whole_number_that_a_line_does_not_adjust_for_stops_support(form):
    result = estimated(world(form))
    assert result.estimates[0].estimate > 1.5
    assert not any(result.supports(e) for e in result.estimates)
    (caution,) = [c for c in result.cautions if c.stops]
    assert "'v'" in caution.text and "effects.categorical" in caution.text


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_number_whose_effect_is_a_line_passes(seed):
    assert not estimated(world(line, seed=seed)).cautions


def test_what_the_message_says_mends_it():
    assert estimated(world(codes), covariates=(), categorical={"v": "one_hot"}).supported
    bent = estimated(world(curve), expansion="squares")
    assert bent.supported and bent.estimates[0].ci_lower < 1 < bent.estimates[0].ci_upper


def test_codes_with_holes_that_pandas_makes_floats_are_found_too():
    rows = world(codes)
    holes = np.where(np.arange(N) % 50 == 0, np.nan, rows["v"].astype(float))
    assert any("share a value of 'v'" in c.text for c in estimated(rows | {"v": holes}).cautions)


def test_known_chances_need_no_adjustment():
    rows = world(codes)
    t = (np.random.default_rng(1).random(N) < 0.5).astype(int)
    result = estimated(rows | {"t": t, "y": rows["y"] - rows["t"] + t}, propensity={"1": "0.5"})
    assert not result.cautions
