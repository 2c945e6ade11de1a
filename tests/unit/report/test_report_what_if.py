"""The section on other lists: what switching brings with its interval, and why lists differ."""

from __future__ import annotations

from dataclasses import replace

from truelift.recommend.results import ListedItem, TwoLists, WhatIf
from truelift.report.content import ReportContent
from truelift.report.sections.what_if import what_if

MILK = ListedItem("milk", 0.4, 0.001, -0.004, 0.006, 900)
TEA = ListedItem("tea", 0.02, 0.05, 0.03, 0.07, 120)
PIE = ListedItem("pie", 0.1, -0.04, -0.06, -0.02, 80)
FOUND = WhatIf(
    1000, 300, 50, 0.05, 0.09, 0.04, 0.01, 0.07, 0.95, 0.5, 1.3,
    (TwoLists("u1", (MILK, TEA), (TEA, PIE)),),
)  # fmt: skip


def page(found: WhatIf | None) -> str | None:
    return what_if(ReportContent("shop", "now", "", others=() if found is None else (found,)))


def test_a_gain_is_told_in_purchases_of_a_hundred_lists_with_its_interval():
    text = page(FOUND)
    assert "Other lists would bring more purchases" in text
    assert "+4.0 purchases" in text
    assert "+1.0" in text and "+7.0" in text


def test_an_interval_that_holds_nothing_leaves_the_question_open():
    assert "is open" in page(replace(FOUND, lower=-0.01))
    assert "fewer" in page(replace(FOUND, gain=-0.04, lower=-0.07, upper=-0.01))


def test_what_leaves_is_said_with_its_reason():
    assert "milk leaves" in page(FOUND)
    assert "bought with or without the list" in page(FOUND)
    spoiling = TwoLists("u1", (PIE, TEA), (TEA, MILK))
    assert "showing it spoils sales" in page(replace(FOUND, examples=(spoiling,)))


def test_without_effects_there_is_no_such_section():
    assert page(None) is None
