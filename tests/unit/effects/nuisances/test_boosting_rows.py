"""A worker's rows and linear start: the same wherever the rows lie."""

from __future__ import annotations

import numpy as np

from tests.unit.models.trees.together import Together
from truelift.arrays.keys import mix
from truelift.distributed.collective import Alone
from truelift.effects.boosting import BoostingOptions
from truelift.effects.boosting.linear_start import fit_linear_start
from truelift.effects.boosting.reading import Block, prepare
from truelift.effects.panel.training_folds import training_folds
from truelift.models.trees.binning import (
    row_hashes,
)


def panel(n: int = 3000):
    random = np.random.default_rng(4)
    x = random.normal(size=(4, n))
    x[1, random.random(n) < 0.1] = np.nan
    cluster = mix(random.integers(0, 500, n).astype(np.uint64))
    arm = random.integers(0, 3, n)
    outcome = np.stack([np.nan_to_num(x).sum(axis=0) + arm, x[0] - arm]) + random.normal(size=n)
    fold = (cluster % np.uint64(4)).astype(int)
    return x, arm, outcome, cluster, fold


def cut(arrays, part) -> Block:
    x, arm, outcome, cluster, fold = arrays
    return Block(x[:, part], arm[part], outcome[:, part], cluster[part], fold[part])


def start_of(blocks, worker):
    options = BoostingOptions(max_bins=30)
    names = ("x_0", "x_1", "x_2", "x_3")
    rows, preparation = prepare(iter(blocks), names, 2, 3, options, worker, "panel")
    start = fit_linear_start(
        rows, preparation, training_folds(4), 3, (0,) * 4, options.ridge, worker
    )
    return rows, preparation, start


def test_two_workers_bin_and_start_as_one_does():
    arrays = panel()
    _, alone, start = start_of([cut(arrays, slice(None))], Alone())
    parts = [slice(0, 1000), slice(1000, None)]
    found = Together(2).run(lambda w: start_of([cut(arrays, parts[w.rank])], w))
    for _, preparation, own in found:
        for one, two in zip(alone.bins.edges, preparation.bins.edges, strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(own.outcome, start.outcome, atol=1e-10)
        np.testing.assert_allclose(own.propensity, start.propensity, atol=1e-8)


def test_a_worker_may_have_no_rows():
    arrays = panel(300)
    _, alone, _ = start_of([cut(arrays, slice(None))], Alone())
    blocks = [[], [cut(arrays, slice(None))]]
    for _, preparation, _ in Together(2).run(lambda w: start_of(blocks[w.rank], w)):
        np.testing.assert_array_equal(alone.bins.edges[0], preparation.bins.edges[0])


def test_rows_come_in_the_same_order_whatever_their_order_was():
    arrays = panel(500)
    shuffled = np.random.default_rng(5).permutation(500)
    rows, _, _ = start_of([cut(arrays, slice(None))], Alone())
    again, _, _ = start_of([cut(arrays, shuffled[:200]), cut(arrays, shuffled[200:])], Alone())
    np.testing.assert_array_equal(rows.codes, again.codes)
    np.testing.assert_array_equal(rows.outcome, again.outcome)


def test_a_cluster_is_in_the_validation_part_as_a_whole():
    x, arm, outcome, cluster, fold = panel()
    rows, _, _ = start_of([Block(x, arm, outcome, cluster, fold)], Alone())
    hashes = row_hashes(list(x.astype(np.float32)), cluster)
    cluster_of = dict(zip(hashes.tolist(), cluster.tolist(), strict=True))
    by_cluster: dict[int, set[bool]] = {}
    for row, part in zip(rows.hashes.tolist(), rows.validation.tolist(), strict=True):
        by_cluster.setdefault(cluster_of[row], set()).add(part)
    assert all(len(parts) == 1 for parts in by_cluster.values())
    assert 0.1 < rows.validation.mean() < 0.2
