"""Blocks of units with fitted nuisances, for the credibility checks; no Spark, no Arrow."""

from __future__ import annotations

import numpy as np

from truelift.arrays.keys import mix
from truelift.effects.credibility.blocks import CredibilityBlock

FOLDS = 5


def cluster_bucket(cluster: np.ndarray, buckets: int) -> np.ndarray:
    """Bucket of each unit."""
    return (cluster % np.uint64(buckets)).astype(int)


def simulate_block(
    seed: int = 0,
    units: int = 400,
    clusters: int = 60,
    arms: int = 2,
    outcomes: int = 1,
    effect: float = 0.0,
    cluster_effect: float = 1.0,
    cluster_treatment: float = 0.0,
    hidden: float = 0.0,
    levels: int = 4,
) -> CredibilityBlock:
    """Units whose nuisances are the truth given x; ``hidden`` is a confounder they do not know.

    The treatment's index is shared within a cluster to the extent of ``cluster_treatment``.
    """
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, clusters, units)
    x, u = rng.normal(size=(2, units))
    index = np.stack([a * 0.4 * x for a in range(arms)])
    true_index = index + hidden * u * (np.arange(arms)[:, None] > 0)
    propensity, true = (np.exp(i) / np.exp(i).sum(axis=0) for i in (index, true_index))
    alike = rng.random(clusters)[cluster]
    draw = np.where(rng.random(clusters)[cluster] < cluster_treatment, alike, rng.random(units))
    arm = (draw > np.cumsum(true, axis=0)[:-1]).sum(axis=0)
    shared = cluster_effect * rng.normal(size=(outcomes, clusters))[:, cluster]
    noise = rng.normal(size=(outcomes, units))
    outcome = x + effect * arm + hidden * u + shared + noise
    regression = np.stack([np.tile(x + effect * a, (outcomes, 1)) for a in range(arms)])
    return CredibilityBlock(
        outcome=outcome,
        arm=arm,
        propensity=propensity,
        outcome_regression=regression,
        cluster=mix(cluster.astype(np.uint64)),
        unit=mix(np.arange(units, dtype=np.uint64) + np.uint64(10**6)),
        groups=(rng.integers(0, levels, units),),
    )


def part_of(block: CredibilityBlock, rows: np.ndarray, fold: int = 0) -> CredibilityBlock:
    """Some of the units."""
    return CredibilityBlock(
        block.outcome[:, rows], block.arm[rows], block.propensity[:, rows],
        block.outcome_regression[:, :, rows], block.cluster[rows], block.unit[rows], fold,
        tuple(g[rows] for g in block.groups),
        tuple(type(s)(s.propensity[:, rows], s.outcome_regression[:, :, rows]) for s in block.short),
    )  # fmt: skip


def in_buckets(block: CredibilityBlock, buckets: int = 10, batches: int = 1):
    """(fold, batches of blocks) of every bucket; clusters lie whole in a bucket."""
    bucket = cluster_bucket(block.cluster, buckets)
    for b in range(buckets):
        rows = np.flatnonzero(bucket == b)
        yield b % FOLDS, [part_of(block, r, b % FOLDS) for r in np.array_split(rows, batches)]
