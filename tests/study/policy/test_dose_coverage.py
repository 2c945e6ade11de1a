"""Intervals of the value of doses hold it at the peak of a curve, where smoothing errs most."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.policy.test_policy_doses import dose_log, evaluated

pytestmark = pytest.mark.study


def test_intervals_hold_the_value_and_plain_ones_at_the_same_bandwidth_do_not():
    held, plain = [], []
    for seed in range(100):
        frame, truth = dose_log(400, 3, seed)
        result = evaluated(frame, policies={"new": {"dose": "proposed"}}, buckets=5)
        value = result.value("new", "gain")
        own = next(
            e for e in result.estimates
            if (e.estimator, e.bandwidth) == ("kernel DR", value.bandwidth)
        )  # fmt: skip
        held.append(value.ci_lower < truth < value.ci_upper)
        plain.append(own.ci_lower < truth < own.ci_upper)
    # 100 repetitions of .95 have a standard error of .022.
    assert np.mean(held) > 0.95 - 3 * 0.022
    assert np.mean(plain) < 0.85


def test_intervals_hold_the_value_where_densities_are_estimated():
    held = []
    for seed in range(100):
        frame, truth = dose_log(400, 3, seed)
        keys = {"density": None, "density_model": "location-scale"}
        found = evaluated(frame, policies={"new": {"dose": "proposed"}}, buckets=5, **keys)
        value = found.value("new", "gain")
        held.append(value.ci_lower < truth < value.ci_upper)
    assert np.mean(held) > 0.95 - 3 * 0.022
