"""Intervals of answers as if all had answered hold the truth, and those of who answered do not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.experiments.test_survey_answers import compared, survey

pytestmark = pytest.mark.study


def test_differences_are_held_where_arms_make_other_people_answer():
    held = []
    for seed in range(25):
        frame, truth = survey(400, seed + 100)
        new = compared(frame, buckets=10).arms[1]
        held.append(new.difference_lower < truth < new.difference_upper)
    # 25 repetitions of .95 have a standard error of .044.
    assert np.mean(held) > 0.95 - 3 * 0.044
