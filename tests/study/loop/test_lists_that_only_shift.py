"""Lists that only shift substitutes: items are bought because they were shown, and nothing more is bought."""

from __future__ import annotations

import pytest

from truelift.loop.job import run_loop
from truelift.loop.options import LoopOptions
from truelift.report.content import ReportContent
from truelift.report.sections.loop import loop
from truelift.simulate.shop_world.parameters import ShopWorld

pytestmark = pytest.mark.study

#: A nest a category, in which an item only replaces another; everybody knows them all; no list persuades.
FULL = ShopWorld(
    users=1_500, items=12, categories=3, nest_size=4, list_length=3, familiar=64, popularity=0.0,
    substitution=0.98, persuasion=0.0, annoying_share=0.0, new_items=0.0, retired_items=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return run_loop(FULL, LoopOptions(rounds=4), ("nothing", "random", "effect"), range(8))


def test_what_lists_show_is_bought_and_yet_no_more_is_bought(found):
    data = found.to_pandas()
    data = data[(data["round"] > 0) & (data["strategy"] == "effect")]
    # Of what readers buy, so much was on the list that they had.
    assert data["recall"].mean() > 0.1
    assert (data["additional"] / data["purchases_a_visit"]).mean() < 0.01


def test_the_report_calls_no_list_the_best_that_only_shifts_substitutes(found):
    page = str(loop(ReportContent("d", "now", "", others=(found,))))
    assert "brought most, and surely more" not in page
    assert not any(c.wins for c in found.comparisons() if c.measure == "purchases")
