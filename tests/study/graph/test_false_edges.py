"""A small seeded study: tests of discovery keep their level where rows of a user depend."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.graph.discovery.discover import discover
from truelift.graph.discovery.options import DiscoveryOptions
from truelift.lake.foreign import frame_table

pytestmark = pytest.mark.study

USERS, EACH, COLUMNS = 400, 20, 10
PAIRS = COLUMNS * (COLUMNS - 1) // 2


def independent(seed: int) -> pa.Table:
    """Columns that know nothing of each other; two thirds of the spread of each is the user's."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(USERS), EACH)
    own = rng.normal(size=(USERS, COLUMNS))[who] * np.sqrt(2)
    values = own + rng.normal(size=(len(who), COLUMNS))
    return pa.table({"user": who} | {f"x{i}": values[:, i] for i in range(COLUMNS)})


def share_of_edges(seeds: range, cluster: str | None) -> float:
    """Of all pairs, those that are drawn by single tests at .05."""
    names = tuple(f"x{i}" for i in range(COLUMNS))
    options = DiscoveryOptions(
        columns=names, cluster=cluster, method="pc", alpha=0.05, floor=0.0, depth=0, share=1.0, bootstraps=0
    )  # fmt: skip
    drawn = [len(discover(frame_table(independent(seed), "rows"), options).lines) for seed in seeds]
    return sum(drawn) / (PAIRS * len(drawn))


def test_between_independent_columns_of_dependent_rows_tests_at_05_draw_4_to_6_percent():
    assert 0.04 <= share_of_edges(range(120), "user") <= 0.06


def test_taking_dependent_rows_for_independent_draws_many_times_as_many():
    assert share_of_edges(range(8), None) > 0.25
