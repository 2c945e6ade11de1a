"""Intervals of clustered quantiles cover, and the trend over time keeps its level."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.experiments.test_experiment_analysis import analysed, of, spec_of, world

pytestmark = pytest.mark.study


def test_intervals_of_clustered_quantiles_cover():
    spec = spec_of(metrics={"wait": {"kind": "quantile", "quantile": 0.8}}, primary="wait")
    covered = [
        (e := of(analysed(world(300, seed=s, days=6), spec), "wait")).lower <= 0 <= e.upper
        for s in range(200)
    ]  # fmt: skip
    assert np.mean(covered) == pytest.approx(0.95, abs=0.05)


def test_the_trend_over_time_keeps_its_level():
    p_values = [
        analysed(world(150, effect=0.3, seed=s, days=5), spec_of(time="day")).breakdowns[0].p_values[0]
        for s in range(200)
    ]  # fmt: skip
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.065)
