"""Categories of many levels: adjusted for whatever the coding, or not supported."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.effects.support.level_balance import LeftOver, judged, left_over
from truelift.settings import EffectOptions


def confounded(n: int, levels: int, strength: float = 1.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Rows whose level moves treatment and outcome; the effect is 1."""
    g = np.random.default_rng(seed)
    level = g.integers(0, levels, n)
    u = strength * g.normal(size=levels)[level]
    t = (g.random(n) < 1 / (1 + np.exp(-u))).astype(int)
    return {
        "id": np.arange(n), "t": t, "x": g.normal(size=n),
        "c": np.array([f"s{k}" for k in level]), "y": t + 2 * u + g.normal(size=n),
    }  # fmt: skip


def estimated(rows: dict[str, np.ndarray], **changes: object) -> EffectsResult:
    table = pa.table(rows)
    bucket = np.asarray(table["id"]) % 5
    keys: dict[str, object] = {
        "treatment": "t", "outcomes": ("y",), "covariates": ("x",), "cluster": "id",
        "estimands": ("ATE",), "categorical": {"c": "one_hot"},
    }  # fmt: skip
    options = EffectOptions(**(keys | changes))  # type: ignore[arg-type]
    source = MemoryPanel({j: table.filter(pa.array(bucket == j)) for j in range(5)})
    return estimate_panel(source, options).result


@pytest.mark.parametrize("coding", ["one_hot", "hash", "target"])
def test_two_hundred_confounding_levels_are_taken_out_by_every_coding(coding):
    result = estimated(confounded(20_000, 200), categorical={"c": coding})
    (ate,) = result.estimates
    assert abs(ate.estimate - 1) < 3 * ate.standard_error < 0.06
    assert result.supports(ate)


@pytest.mark.parametrize("levels", [2_000, 10_000])
def test_levels_of_few_units_each_are_not_supported(levels):
    result = estimated(confounded(20_000, levels))
    (ate,) = result.estimates
    assert not result.supports(ate)
    assert "Levels of 'c'" in result.verdict
    if levels == 10_000:
        (rest,) = [c.text for c in result.cautions if "in no other fold" in c.text]
        assert "of the units (4," in rest and not rest.startswith("Levels")


def test_levels_that_do_not_matter_are_supported_however_many_there_are():
    rows = confounded(10_000, 2_000, strength=0.0)
    result = estimated(rows, categorical={"c": "target"})
    (ate,) = result.estimates
    assert abs(ate.estimate - 1) < 3 * ate.standard_error
    assert result.supports(ate)


def test_a_name_for_every_unit_cannot_be_adjusted_for():
    rows = confounded(3_000, 10, strength=0.0)
    result = estimated(rows | {"c": np.array([f"u{i}" for i in range(3_000)])})
    assert not result.supports(result.estimates[0])
    assert "100.0% of the units have a level that no other fold has" in result.verdict


def test_levels_that_decide_the_treatment_have_no_overlap():
    rows = confounded(4_000, 50)
    code = np.unique(rows["c"], return_inverse=True)[1]
    rows["t"] = (code % 2).astype(int)
    assert not estimated(rows).supported


def test_few_levels_stay_indicators():
    result = estimated(confounded(4_000, 12))
    assert result.supports(result.estimates[0])
    assert {d for d in result.dropped if "c=" in d} and result.covariates == 12


def test_a_rare_level_that_the_start_rows_lack_does_not_go_unseen():
    rows = confounded(20_000, 60)
    result = estimated(rows, start_rows=40)
    (ate,) = result.estimates
    assert abs(ate.estimate - 1) < 3 * ate.standard_error < 0.06


def test_levels_of_whom_other_things_are_true_are_not_taken_for_these():
    """Levels differ in x and in what is not seen; x moves treatment and outcome too."""
    g = np.random.default_rng(3)
    n, levels = 12_000, 100
    c = g.integers(0, levels, n)
    u, m = g.normal(size=(2, levels))[:, c]
    x = m + g.normal(size=n)
    t = (g.random(n) < 1 / (1 + np.exp(-0.7 * (u + x)))).astype(int)
    rows = {"id": np.arange(n), "t": t, "x": x, "c": c, "y": t + 2 * u + 2 * x + g.normal(size=n)}
    result = estimated(rows)
    (ate,) = result.estimates
    assert abs(ate.estimate - 1) < 3 * ate.standard_error < 0.1
    assert result.supports(ate)


def test_known_chances_need_no_adjustment():
    rows = confounded(3_000, 3_000, strength=0.0)
    result = estimated(rows, propensity={"1": "0.5"})
    assert result.supports(result.estimates[0])
    assert not [c for c in result.cautions if c.stops]


def pair_table(share: np.ndarray, left: np.ndarray, levels: np.ndarray, size: int) -> np.ndarray:
    """Lines of the kernel for two arms and one outcome; the control's are zero."""
    nothing = np.zeros_like(share)
    lines = [np.ones_like(share), np.ones_like(share)]
    for b, r in ((nothing, nothing), (share, left)):
        lines += [b, b**2, r, r**2, b * r, (b * r) ** 2]
    return np.array([[np.bincount(levels, line, minlength=size)] for line in lines])


def test_the_bias_is_the_mean_product_of_two_units_of_a_level():
    share, left = np.array([1.0, 2.0, -1.0, 4.0, 9.0]), np.array([3.0, -1.0, 2.0, 5.0, 7.0])
    levels = np.array([0, 0, 0, 1, 2])
    found = left_over(pair_table(share, left, levels, 3), 1, 0, 1)
    pairs = [share[i] * left[j] for i in range(3) for j in range(3) if i != j]
    assert found.bias == pytest.approx(np.mean(pairs))
    assert found.covered == pytest.approx(3 / 5)


def test_where_nothing_is_left_the_bias_is_as_far_from_zero_as_its_error_says():
    g = np.random.default_rng(4)
    z = []
    for _ in range(400):
        levels = g.integers(0, 60, 400)
        share, left = g.exponential(size=400) - 1.0, g.normal(size=400)
        found = left_over(pair_table(share, left, levels, 60), 1, 0, 1)
        z.append(found.bias / found.standard_error)
    assert np.std(z) == pytest.approx(1.0, abs=0.12)
    assert abs(np.mean(z)) < 0.2


def test_a_level_that_neither_model_foresaw_is_seen():
    g = np.random.default_rng(5)
    levels = g.integers(0, 100, 2000)
    shared = g.normal(size=100)[levels]
    share, left = 0.5 * shared + g.normal(size=2000), shared + g.normal(size=2000)
    found = left_over(pair_table(share, left, levels, 100), 1, 0, 1)
    assert found.bias == pytest.approx(0.5, abs=0.2)
    assert found.bias > 5 * found.standard_error


@pytest.mark.parametrize(
    ("here", "nobody", "rest", "still", "how", "stops"),
    [
        ((0.0, 0.1), (0.0, 0.1), 0.0, 0.1, None, False),
        ((0.8, 0.1), (1.0, 0.1), 0.0, 0.1, "measured", True),
        ((0.6, 0.1), (1.0, 0.1), 0.0, 0.1, "measured", False),  # may be .4 as well
        ((0.6, 0.5), (1.0, 0.1), 0.0, 0.1, None, False),  # may be chance
        ((0.3, 0.1), (1.0, 0.1), 0.0, 0.2, None, False),  # of no consequence
        ((0.0, 0.4), (3.0, 0.1), 0.0, 0.25, "expected", False),
        ((0.0, 0.4), (3.0, 0.1), 0.0, 0.5, "expected", True),
        ((0.0, 0.1), (4.0, 0.1), 0.3, 0.3, "measured", True),  # the rest alone
        ((0.0, 0.1), (0.0, 9.0), 0.5, 0.5, "unknown", True),
        ((0.0, 2.0), (0.0, 2.0), 0.1, 0.1, None, False),  # the rest is measured well enough
    ],
)
def test_a_bias_counts_beside_the_estimates_error(here, nobody, rest, still, how, stops):
    left, blind = (LeftOver(bias, error, 1.0) for bias, error in (here, nobody))
    found = judged(left, blind, rest, still, 1.0)
    assert (found.how if found else None) == how
    assert (found.stops if found else False) == stops
