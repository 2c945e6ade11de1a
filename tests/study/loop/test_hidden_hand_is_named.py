"""A hidden hand in the shop, chances not logged: the interval misses, and credibility says how strong it would have to be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from tests.study.loop.test_shop_world_checks import HIDDEN, ITEM, with_first
from truelift.effects.results import EffectsResult
from truelift.simulate.shop_world.shop import Shop

pytestmark = pytest.mark.study

USERS = 30_000
ASKED = {
    "treatment": "first", "outcomes": "y", "cluster": "user", "buckets": 6, "estimands": ["ATE"],
    "inference": {"band_draws": 1000},
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> tuple[pa.Table, list[str], float]:
    """Visits of a round, whether the operator put the item first, and what doing so changes in truth."""
    shop = Shop(HIDDEN, 1)
    people = shop.people(np.arange(USERS))
    visits = shop.visits(people, 0)
    policy, category = shop.operator(), shop.goods.category[ITEM]
    lists, _ = shop.lists(policy, people, visits, 0, holdout=False)
    came = shop.respond(people, visits, lists, 0)
    told = []
    for draw in range(1, 5):
        given = with_first(shop, people, visits, ITEM, draw)
        other, _ = shop.lists(policy, people, visits, 0, holdout=False, draw=draw)
        again = draw
        while (other[:, 0] == ITEM).any():
            again += 10
            new, _ = shop.lists(policy, people, visits, 0, holdout=False, draw=again)
            other = np.where((other[:, 0] == ITEM)[:, None], new, other)
        chance = [
            shop.respond(people, visits, x, 0, draw).chance[:, category] for x in (given, other)
        ]
        told.append((chance[0] - chance[1]).mean())
    opened = [f"opened_{c}" for c in range(1, shop.contexts)]
    columns = {
        "user": visits.user,
        "first": (lists[:, 0] == ITEM).astype(int),
        "y": (came.bought[:, category] >= 0).astype(float),
        "hidden": people.hidden[visits.row].astype(float),
    }
    columns |= {name: (visits.context == c).astype(float) for c, name in enumerate(opened, start=1)}
    kept = [name for name in opened if columns[name].any()]
    return (
        pa.table({k: v for k, v in columns.items() if k not in set(opened) - set(kept)}),
        kept,
        float(np.mean(told)),
    )


def ate(result: EffectsResult):
    (found,) = (e for e in result.estimates if e.estimand == "ATE")
    return found


def test_the_interval_misses_and_a_strength_that_the_hidden_trait_has_is_named(table):
    rows, opened, truth = table
    blind = tl.estimate_effects(rows, covariates=opened, credibility=True, **ASKED)
    found = ate(blind)
    assert found.ci_lower > truth
    bounds = blind.credibility.omitted_variables[0]
    assert f"explain at least {bounds.robustness_value:.1%} of the residual variance" in repr(
        blind.credibility
    )
    # Nobody records the trait; with it at hand the interval holds, and its strength can be measured.
    seen = tl.estimate_effects(
        rows, covariates=[*opened, "hidden"],
        credibility={"enabled": True, "benchmark_covariates": ["hidden"]}, **ASKED,
    )  # fmt: skip
    known = ate(seen)
    assert known.ci_lower <= truth <= known.ci_upper
    (trait,) = seen.credibility.benchmarks
    assert trait.change == pytest.approx(found.estimate - known.estimate, abs=found.standard_error)
    # Stronger than what the section says would do, so it told that such a trait explains all of it away.
    assert min(trait.cf_y, trait.cf_d) > bounds.robustness_value > 0.05
