"""A small seeded study: effects on quantiles, through mediators and through the front door hold their level."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets
from truelift.effects.whole import estimate_all
from truelift.settings import EffectOptions
from truelift.simulate.worlds.designed import FRONT_DOOR, MEDIATED, mediated, skewed_outcomes

pytestmark = pytest.mark.study

SHARED = {"outcomes": ("y",), "cluster": "user"}
DOORS = ("m_0", "m_1")


@cache
def study() -> dict[str, tuple[float, float]]:
    """By estimand: coverage, and mean standard error over the errors' root mean square."""
    truth = {
        "NDE": MEDIATED["NDE"], "NIE": MEDIATED["NIE"], "front-door ATE": FRONT_DOOR, "ATE": MEDIATED["ATE"],
    }  # fmt: skip
    inner = EffectOptions(**SHARED, mediators=DOORS, estimands=("ATE",))
    outer = EffectOptions(**SHARED, front_door=DOORS)
    rows: dict[str, list[tuple[bool, float, float]]] = {name: [] for name in truth}
    for seed in range(20):
        for table, options in (
            (mediated(seed, 500, 125), inner),
            (mediated(seed, 500, 125, front_door=True), outer),
        ):
            for e in estimate_all(in_buckets(table), options).result.estimates:
                if e.estimand in truth:
                    error = e.estimate - truth[e.estimand]
                    inside = e.ci_lower <= truth[e.estimand] <= e.ci_upper
                    rows[e.estimand].append((inside, error, e.standard_error))
    return _summary(rows)


def _summary(rows) -> dict[str, tuple[float, float]]:
    return {
        name: (
            float(np.mean([r[0] for r in of])),
            float(np.mean([r[2] for r in of]) / np.sqrt(np.mean([r[1] ** 2 for r in of]))),
        )
        for name, of in rows.items()
    }


@pytest.mark.parametrize("estimand", ["NDE", "NIE", "front-door ATE"])
def test_effects_through_mediators_are_covered(estimand):
    # 3 binomial standard deviations below .95 at 20 repetitions; errors neither half nor twice what they are.
    coverage, ratio = study()[estimand]
    assert coverage >= 0.75 and 0.6 < ratio < 1.7


def test_medians_and_means_beyond_them_are_covered():
    _, without, within = skewed_outcomes(99, 400_000, 100_000)
    cuts = np.median(within), np.median(without)
    truth = {
        "quantile effect": cuts[0] - cuts[1],
        "CVaR effect": within[within >= cuts[0]].mean() - without[without >= cuts[1]].mean(),
    }
    options = EffectOptions(**SHARED, quantiles=(0.5,), estimands=("ATE",))
    rows: dict[str, list[tuple[bool, float, float]]] = {name: [] for name in truth}
    for seed in range(12):
        source = in_buckets(skewed_outcomes(seed, 500, 125, 5)[0])
        for e in estimate_all(source, options).result.estimates[1:]:
            at = truth[e.estimand]
            rows[e.estimand].append(
                (e.ci_lower <= at <= e.ci_upper, e.estimate - at, e.standard_error)
            )
    for coverage, ratio in _summary(rows).values():
        assert coverage >= 0.75 and 0.6 < ratio < 1.7
