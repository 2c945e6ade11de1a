"""Whole numbers that are names, or whose effect bends: said, and not called supported."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
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
    assert "'v'" in caution.text and "effects.features.categorical" in caution.text


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


def pair_world(together: bool, seed: int = 3) -> dict[str, object]:
    """Two categories of 12 levels whose combination, or whose sum, confounds."""
    g = np.random.default_rng(seed)
    a, b = g.integers(0, 12, (2, N))
    cells = g.normal(size=(12, 12)) if together else np.add.outer(*g.normal(size=(2, 12)) / 1.4)
    u = cells[a, b]
    t = (g.random(N) < 1 / (1 + np.exp(-0.7 * u))).astype(int)
    return {
        "id": np.arange(N), "t": t, "y": t + 2 * u + g.normal(size=N),
        "a": [f"a{k}" for k in a], "b": [f"b{k}" for k in b],
        "ab": [f"{j}-{k}" for j, k in zip(a, b, strict=True)],
    }  # fmt: skip


@pytest.mark.parametrize("coding", ["one_hot", "target"])
def test_two_categories_that_work_together_stop_support(coding):
    rows = pair_world(together=True)
    apart = estimated(rows, covariates=(), categorical={"a": coding, "b": coding})
    assert apart.estimates[0].estimate > 1.5 and not apart.supported
    assert "share both 'a' and 'b'" in apart.verdict
    one = estimated(rows, covariates=(), categorical={"ab": coding})
    assert one.estimates[0].estimate == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("coding", ["one_hot", "target"])
@pytest.mark.parametrize("seed", range(3))
def test_two_categories_that_add_up_pass(coding, seed):
    rows = pair_world(together=False, seed=seed)
    assert estimated(rows, covariates=(), categorical={"a": coding, "b": coding}).supported
