"""A small seeded study: intervals and bands of effects by cohort and period hold their level."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.designs.differences.run import difference_effects
from truelift.effects.panel.source import MemoryPanel
from truelift.settings import EffectOptions
from truelift.settings.effect_sections import DifferencesSection
from truelift.simulate.worlds.staggered import staggered_table, true_effect

pytestmark = pytest.mark.study

REPETITIONS = 300
OPTIONS = EffectOptions(
    design="did", treatment="begins", outcomes=("y",), unit="shop", cluster="region",
    differences=DifferencesSection("week"), estimands=("ATT(g,t)",),
)  # fmt: skip


def test_cells_and_their_bands_cover_with_clustered_shocks():
    each, together = [], []
    for seed in range(REPETITIONS):
        table = staggered_table(seed, shops=240, regions=80, shared=1.0)
        bucket = table["region"].to_numpy() % 5
        source = MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in range(5)})
        made = difference_effects(source, OPTIONS, lambda text: None).estimates
        truth = [true_effect(e.population) for e in made]
        each.append([e.ci_lower <= t <= e.ci_upper for e, t in zip(made, truth, strict=True)])
        together.append(
            all(e.band_lower <= t <= e.band_upper for e, t in zip(made, truth, strict=True))
        )
    # 3.5 binomial standard deviations around .95 for the bands; cells are many.
    assert 0.93 <= np.mean(each) <= 0.97
    assert 0.906 <= np.mean(together) <= 0.99
