"""Intervals with learned weights of groups hold the value, though no part of them counts the regressions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.unit.policy.test_action_embedding import CELL, ITEMS, evaluated, of, world

pytestmark = pytest.mark.study


def test_intervals_hold_the_value_and_are_shorter_than_those_of_items(tmp_path):
    path = str(tmp_path / "items.parquet")
    pd.DataFrame({"item": ITEMS, "cell": CELL}).to_parquet(path)
    groups = {"table": path, "action": "item", "group": "cell", "weights": "learned"}
    truth = float(np.mean([world(20_000, seed)[3].mean() for seed in range(900, 905)]))
    held, off, ratio = [], [], []
    for seed in range(120):
        frame, *_ = world(3000, seed)
        result = evaluated(frame, groups=groups, buckets=5)
        found = of(result, "MIPS")
        held.append(found.ci_lower < truth < found.ci_upper)
        off.append((found.estimate - truth) / found.standard_error)
        ratio.append(found.standard_error / of(result, "IPS").standard_error)
    # 120 repetitions of .95 have a standard error of .020.
    assert np.mean(held) > 0.95 - 3 * 0.02
    assert abs(np.mean(off)) < 0.3 and 0.8 < np.std(off) < 1.2
    assert np.median(ratio) < 0.8
