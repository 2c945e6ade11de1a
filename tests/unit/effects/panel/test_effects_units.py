"""One reader of units, and one meaning of a score wherever it is summed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.credibility.blocks import ContrastLines, contrast_lines
from truelift.effects.credibility.checks import CredibilityBlocks
from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.units import units_of
from truelift.effects.scores.quantities import quantities
from truelift.settings import EffectOptions


@pytest.fixture(scope="module")
def three_arms():
    """An estimation with weights, and a batch of its rows."""
    table = simulate_panel(units=1500, clusters=300)
    treated = table["treated"].to_numpy()
    table = with_column(table, "arm", np.where(treated, np.arange(1500) % 2 + 1, 0))
    table = with_column(table, "w", 1.0 + np.arange(1500) % 3)
    source = in_buckets(table)
    options = EffectOptions(treatment="arm", weight="w", clip=0.2)
    return estimate_panel(source, options), source.buckets[3].to_batches()[0]


def test_credibility_sums_the_scores_that_the_estimates_are_made_of(three_arms):
    estimation, batch = three_arms
    scoring = estimation.scoring
    _, units = scoring.units(batch, 3)
    lines = ContrastLines(3, 2)
    ours = contrast_lines(CredibilityBlocks(scoring)(batch, 3), lines)
    sums, layout = np.zeros((len(scoring.layout), batch.num_rows)), scoring.layout
    for part in quantities(units, layout, scoring.clip):
        if part.cell is None:
            sums[part.lines[0]] = part.values
    for arm in (1, 2):
        for outcome in (0, 1):
            ate, _ = lines.estimate("ATE", arm, outcome)
            att, _ = lines.estimate("ATT", arm, outcome)
            mean = sums[layout.place("apo", arm, outcome)] - sums[layout.place("apo", 0, outcome)]
            np.testing.assert_allclose(ours[ate] * units.weight, mean, rtol=1e-12, atol=1e-12)
            np.testing.assert_array_equal(
                ours[att] * units.weight, sums[layout.place("att", arm, outcome)]
            )


def test_rows_are_decoded_once_and_alike_for_all_that_asks(three_arms):
    estimation, batch = three_arms
    scoring = estimation.scoring
    features, scored = scoring.units(batch, 3)
    units = units_of(batch, 3, scoring.columns, scoring.design, scoring.outcomes)
    np.testing.assert_array_equal(units.features, features)
    np.testing.assert_array_equal(units.outcome, scored.outcome)
    assert units.size == batch["w"].to_numpy().sum()
    narrow = units_of(batch, 3, scoring.columns)
    assert narrow.features.shape == narrow.outcome.shape == (0, batch.num_rows)
    np.testing.assert_array_equal(narrow.arm, units.arm)
