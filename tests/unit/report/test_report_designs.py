"""The page of a design: no arms to compare, and what has to be believed instead."""

from __future__ import annotations

import re

import truelift as tl
from tests.unit.report.test_report_any_table import page_of
from truelift.simulate.worlds.instrumented import instrument_table


def test_the_page_of_an_instrument_has_its_estimates_and_what_is_assumed_and_no_overlap():
    result = tl.estimate_effects(
        instrument_table(seed=5), treatment="d", outcomes="y", covariates="x", cluster="user",
        instrument="z1", buckets=8,
    )  # fmt: skip
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page_of(result)))
    assert "LATE" in text and "TSLS" in text and "effective F" in text
    assert "changes the outcome through the treatment alone" in text
    assert "Overlap" not in text
