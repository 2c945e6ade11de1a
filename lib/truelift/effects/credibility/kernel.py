"""All credibility checks of a bucket in one pass over its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from truelift.effects.credibility.blocks import ContrastLines, CredibilityBlock, contrast_lines
from truelift.effects.credibility.cells import CellSums
from truelift.effects.credibility.groups import group_sums
from truelift.effects.credibility.placebo import PlaceboOptions, PlaceboSums
from truelift.effects.credibility.random_cause import RandomCauseSums
from truelift.effects.credibility.subsets import half_sums, pair_products
from truelift.errors import ConfigError
from truelift.inference.clusters import ClusterSums

State = dict[str, np.ndarray]
BlockOf = Callable[[pa.RecordBatch, int], CredibilityBlock]


@dataclass(frozen=True)
class CredibilityOptions:
    """Which checks are made, and how many draws each takes; 0 leaves a check out.

    Parameters
    ----------
    arms, outcomes, folds : int
        A, J and K.
    placebo : PlaceboOptions
    halves : int
        Random halves of the clusters.
    random_covariates : int
        Random common causes.
    group_levels : tuple of int
        Levels of each group column that is left out level by level.
    benchmarks : int
        Groups of covariates without which predictions come along (``CredibilityBlock.short``).
    seed : int
    """

    arms: int = 2
    outcomes: int = 1
    folds: int = 5
    placebo: PlaceboOptions = field(default_factory=PlaceboOptions)
    halves: int = 100
    random_covariates: int = 10
    group_levels: tuple[int, ...] = ()
    benchmarks: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"arms": 2, "outcomes": 1, "folds": 2}
        least |= {"halves": 0, "random_covariates": 0, "benchmarks": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ConfigError(
                    f"Credibility options, {name}: found {getattr(self, name)}, expected at least "
                    f"{lowest}."
                )
        if self.placebo.shares and len(self.placebo.shares) != self.arms:
            raise ConfigError(
                f"Credibility options, placebo shares: found {len(self.placebo.shares)}, expected "
                f"one for each of {self.arms} arms."
            )

    @property
    def lines(self) -> ContrastLines:
        """Where the summands stand."""
        return ContrastLines(self.arms, self.outcomes)


@dataclass(frozen=True, eq=False)
class CredibilityKernel:
    """``kernel(bucket, batches) -> state``; states of buckets add up.

    Parameters
    ----------
    block : callable
        ``block(batch, fold) -> CredibilityBlock``: columns out of an Arrow batch and predictions
        of the models that were fitted without the fold. It must travel to the tasks.
    options : CredibilityOptions
    """

    block: BlockOf
    options: CredibilityOptions

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket, all of it in fold ``bucket % folds``."""
        fold = bucket % self.options.folds
        blocks = (self.block(batch, fold) for batch in batches if batch.num_rows)
        return credibility_state(blocks, fold, self.options)


def credibility_state(
    blocks: Iterable[CredibilityBlock], fold: int, options: CredibilityOptions
) -> State:
    """Sums of one bucket's blocks; every cluster's units must be among them.

    Parameters
    ----------
    blocks : iterable of CredibilityBlock
    fold : int
    options : CredibilityOptions

    Returns
    -------
    dict of str to ndarray
        ``total`` and ``cross`` of the contrast lines over clusters, ``clusters``, moments of the
        outcomes by arm, and the sums of each check under its own prefix.
    """
    lines, arms, outcomes = options.lines, options.arms, options.outcomes
    sums = ClusterSums(len(lines))
    placebo = PlaceboSums(options.placebo, arms, outcomes)
    random = RandomCauseSums(options.random_covariates, options.seed, options.folds, arms, outcomes)
    groups = [CellSums(lines.scores) for _ in options.group_levels]
    moments = np.zeros((3, arms, outcomes))
    short = np.zeros((options.benchmarks, len(lines)))
    for block in blocks:
        values = contrast_lines(block, lines)
        sums.add(block.cluster, values)
        members = block.members
        moments[0] += members.sum(axis=1)[:, None]
        moments[1] += members @ block.outcome.T
        moments[2] += members @ (block.outcome**2).T
        if options.placebo.replicates:
            placebo.add(block)
        if options.random_covariates:
            random.add(block)
        for cells, level in zip(groups, block.groups, strict=True):
            cells.add(block.cluster, level, values[: lines.scores])
        for b, nuisances in enumerate(block.short):
            short[b] += contrast_lines(block.with_nuisances(nuisances), lines).sum(axis=1)
    keys, cluster_sums = sums.finish()
    state = {
        "total": cluster_sums.sum(axis=1),
        "cross": cluster_sums @ cluster_sums.T,
        "clusters": np.array([float(len(keys))]),
        "outcome_moments": moments,
        "short_total": short,
    }
    state |= _fold_sums(cluster_sums, fold, options)
    state["half_total"] = half_sums(keys, cluster_sums, options.seed, options.halves)
    if options.placebo.replicates:
        state |= placebo.finish()
    if options.random_covariates:
        state |= random.finish()
    for g, (cells, levels) in enumerate(zip(groups, options.group_levels, strict=True)):
        found = group_sums(cells, levels, keys, cluster_sums, lines)
        state |= {f"group{g}_{name}": value for name, value in found.items()}
    return state


def _fold_sums(sums: np.ndarray, fold: int, options: CredibilityOptions) -> State:
    state = {
        "fold_total": np.zeros((options.folds, len(sums))),
        "fold_products": np.zeros((options.folds, len(options.lines.estimates()), 3)),
        "fold_clusters": np.zeros(options.folds),
    }
    state["fold_total"][fold] = sums.sum(axis=1)
    state["fold_products"][fold] = pair_products(sums, options.lines)
    state["fold_clusters"][fold] = sums.shape[1]
    return state
