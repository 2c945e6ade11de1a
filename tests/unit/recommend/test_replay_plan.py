"""How many lists the next experiment takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from truelift.config import load_settings
from truelift.errors import NotSupportedError
from truelift.recommend.replay import Replay, planned, replayed
from truelift.recommend.results import WhatIf

FOUND = WhatIf(20_000, 4_000, 500, 0.05, 0.09, 0.04, 0.02, 0.06, 0.95, 0.5, 1.5)


@pytest.mark.parametrize("explore", [0.0, 0.3])
def test_so_many_lists_find_the_gain_as_often_as_is_said(explore):
    plan = planned(replace(FOUND, clustering=1.0), 10.0, explore)
    rng = np.random.default_rng(1)
    half = plan.lists // 2
    # Slots by lot are alike in both halves: the gain is left in the others.
    rates = (0.2, 0.2 + 0.04 * (1 - explore))
    without, with_gain = (rng.poisson(rate * half, 4_000) / half for rate in rates)
    error = np.sqrt((without + with_gain) / half)
    assert np.mean((with_gain - without) / error > 1.96) == pytest.approx(0.8, abs=0.06)


def test_users_who_come_again_make_it_longer_and_days_follow_the_logs_pace():
    plan, alone = planned(FOUND, 10.0, 0.1), planned(replace(FOUND, clustering=1.0), 10.0, 0.1)
    assert plan.lists == pytest.approx(1.5 * alone.lists, rel=0.01)
    assert plan.days == pytest.approx(plan.lists / 2_000)
    assert plan.careful_lists == pytest.approx(4 * plan.lists, rel=0.01)


def test_a_lake_without_lists_is_told_what_to_run():
    class Bare:
        settings = load_settings("local", "complete_journey")

        def has(self, table: str) -> bool:
            return table.startswith("silver.")

    with pytest.raises(NotSupportedError, match=r"no gold\.exposures\. Run build_features"):
        replayed(Bare())


def test_without_a_gain_there_is_nothing_to_find_and_the_exit_code_says_so():
    nothing = replace(FOUND, gain=-0.01, lower=-0.03)
    found = Replay(nothing, planned(nothing, 10.0, 0.1))
    assert found.plan.lists is None and found.exit_code == 3
    assert "nothing that an experiment could find" in str(found)
    worse = replace(nothing, upper=-0.005)
    assert "below 0" in str(Replay(worse, planned(worse, 10.0, 0.1)))
