"""Placebo treatments: what the estimator says where, by construction, there is nothing to find.

Every unit gets R treatments that were drawn anew, and R effects are estimated in the one pass.
The outcome model is shared: with ``m = sum_a e_a m_a`` (which predicts the outcome without using
the treatment) and known probabilities p of the draw, the score of a placebo treatment D* is
``(Y - m)(1[D* = a] / p_a - 1[D* = 0] / p_0)``, doubly robust with equal outcome models in all
arms; nothing is fitted again.

Draws follow either the unit's own fitted propensity, so that a placebo has the overlap of the
real treatment, or fixed shares. In the first case the real treatment, put in the same score, is
one of the draws' kind if there is no effect on anyone and the propensity is right: the share of
placebos beyond it is the p-value of a conditional randomisation test (Rosenbaum 1984; Candes,
Fan, Janson & Lv 2018). With fixed shares this holds for experiments only.

What it can detect: standard errors that are too small (weights too heavy, too few clusters,
dependence within clusters that was not accounted for), heavy tails, a pipeline that finds effects
where there are none. What it cannot: unobserved confounding. The drawn treatments depend on
nothing but the covariates, so they look fine however confounded the real one is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from truelift.arrays.distributions import stats
from truelift.effects.credibility.blocks import CredibilityBlock
from truelift.effects.credibility.draws import LEVELS, draws16
from truelift.effects.credibility.results import PlaceboTreatments
from truelift.effects.credibility.target import Target
from truelift.errors import ConfigError

_PURPOSE = 1
_CHUNK = 4096  # rows x 100 draws as float64 stay within a core's cache


@dataclass(frozen=True)
class PlaceboOptions:
    """How placebo treatments are drawn.

    Parameters
    ----------
    replicates : int
        R.
    seed : int
    level : str
        ``'cluster'``: units of a cluster share the random number, so that the dependence within
        clusters shows in the placebo effects; ``'unit'``: units are drawn independently.
    shares : tuple of float
        The arms' probabilities; empty draws by each unit's own fitted propensity.
    """

    replicates: int = 100
    seed: int = 0
    level: str = "cluster"
    shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.replicates < 0:
            raise ConfigError(
                f"Placebo treatments, replicates: found {self.replicates}, expected 0 or more."
            )
        if self.level not in ("cluster", "unit"):
            raise ConfigError(
                f"Placebo treatments, level: found {self.level!r}, expected 'cluster' or 'unit'."
            )
        if self.shares and (min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-6):
            raise ConfigError(
                f"Placebo treatments, shares: found {self.shares}, expected positive shares of "
                "all arms that add up to 1."
            )


class PlaceboSums:
    """Collects a bucket's residuals and sums placebo scores by cluster when it is complete.

    A cluster's score is a sum of placebo scores over its units, which may lie in any batch of the
    bucket; so a bucket's rows are kept until the end, in ``16 + 8 J + 2 A`` bytes each, and no
    rows x replicates array larger than a few thousand rows ever exists.
    """

    def __init__(self, options: PlaceboOptions, arms: int, outcomes: int):
        self._options, self._arms, self._outcomes = options, arms, outcomes
        self._blocks: list[tuple[np.ndarray, ...]] = []

    def add(self, block: CredibilityBlock) -> None:
        """Keep what the placebo scores of a block need."""
        share = block.propensity / block.propensity.sum(axis=0)
        residual = block.outcome - np.einsum("an,ajn->jn", share, block.outcome_regression)
        if self._options.shares:
            share = np.repeat(np.array(self._options.shares)[:, None], len(block), axis=1)
        limits = np.rint(np.cumsum(share[:-1], axis=0) * LEVELS)
        # Every arm keeps at least one of the 65,536 values, so that no weight is infinite.
        for a in range(self._arms - 1):
            below = limits[a - 1] + 1 if a else 1
            limits[a] = np.clip(limits[a], below, LEVELS - (self._arms - 1 - a))
        keys = block.cluster if self._options.level == "cluster" else block.unit
        self._blocks.append(
            (block.cluster, keys, residual, limits.astype(np.uint16), block.arm.astype(np.int16))
        )

    def finish(self) -> dict[str, np.ndarray]:
        """Sums of the bucket: see :func:`placebo_treatments`."""
        columns, outcomes = self._options.replicates + 1, self._outcomes
        shape = (self._arms - 1, outcomes, columns)
        state = {name: np.zeros(shape) for name in ("total", "square", "by_units")}
        units = np.zeros(3)
        for sizes, sums in self._clusters():
            units += [sizes.sum(), (sizes**2).sum(), len(sizes)]
            weights = np.stack([np.ones_like(sizes), sizes])
            for place in np.ndindex(sums.shape[:2]):  # plain matrices, which BLAS multiplies
                part = sums[place]
                by_one, by_size = weights @ part
                state["total"][place] += by_one
                state["by_units"][place] += by_size
                state["square"][place] += np.einsum("gr,gr->r", part, part)
        return {f"placebo_{name}": value for name, value in state.items()} | {
            "placebo_units": units
        }

    def _clusters(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Complete clusters, some at a time: units of each, scores C x J x clusters x (R + 1)."""
        if not sum(len(block[0]) for block in self._blocks):
            return
        cluster, keys, residual, limits, arm = (
            np.concatenate(parts, axis=-1) for parts in zip(*self._blocks, strict=True)
        )
        self._blocks = []
        order = np.argsort(cluster, kind="stable")
        ordered = cluster[order]
        last_sizes: np.ndarray | None = None  # the cluster that the last chunk ended in
        last_sums = np.zeros(0)
        for begin in range(0, len(order), _CHUNK):
            rows = order[begin : begin + _CHUNK]
            here = ordered[begin : begin + _CHUNK]
            starts = np.flatnonzero(np.concatenate([[True], here[1:] != here[:-1]]))
            sizes = np.diff(np.append(starts, len(rows))).astype(float)
            sums = self._scores(keys[rows], residual[:, rows], limits[:, rows], arm[rows], starts)
            if last_sizes is not None:
                if here[0] == ordered[begin - 1]:
                    sizes[0] += last_sizes[0]
                    sums[:, :, 0] += last_sums[:, :, 0]
                else:
                    yield last_sizes, last_sums
            last_sizes, last_sums = sizes[-1:], sums[:, :, -1:].copy()
            yield sizes[:-1], sums[:, :, :-1]
        if last_sizes is not None:
            yield last_sizes, last_sums

    def _scores(
        self, keys: np.ndarray, residual: np.ndarray, limits: np.ndarray, arm: np.ndarray,
        starts: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        replicates, n = self._options.replicates, len(keys)
        if self._options.level == "cluster":
            drawn = draws16(keys[starts], self._options.seed, _PURPOSE, replicates)
            drawn = np.repeat(drawn, np.diff(np.append(starts, n)), axis=0)
        else:
            drawn = draws16(keys, self._options.seed, _PURPOSE, replicates)
        edges = np.vstack([np.zeros((1, n)), limits, np.full((1, n), LEVELS)])
        share = np.diff(edges, axis=0) / LEVELS
        ends = np.append(starts, n)
        sums = np.empty((self._arms - 1, self._outcomes, len(starts), replicates + 1))
        if self._arms == 2:  # one product: 1[D* = 1] / p_1 - (1 - 1[D* = 1]) / p_0
            treated = self._members(1, drawn, limits, arm)
            for j in range(self._outcomes):
                both = residual[j] / (share[0] * share[1])
                control = np.add.reduceat(residual[j] / share[0], starts)
                sums[0, j] = _by_cluster(both, ends) @ treated - control[:, None]
            return sums
        for a in range(self._arms):
            members = self._members(a, drawn, limits, arm)
            for j in range(self._outcomes):
                part = _by_cluster(residual[j] / share[a], ends) @ members
                if a == 0:
                    sums[:, j] = -part
                else:
                    sums[a - 1, j] += part
        return sums

    def _members(
        self, a: int, drawn: np.ndarray, limits: np.ndarray, arm: np.ndarray
    ) -> np.ndarray:
        """One where a draw puts the unit in arm a; the last column is the real treatment.

        The real treatment goes through the same score as the draws, so that it can be compared.
        """
        members = np.empty((len(arm), drawn.shape[1] + 1))
        members[:, -1] = arm == a
        if a == 0:
            members[:, :-1] = drawn < limits[0][:, None]
        elif a == self._arms - 1:
            members[:, :-1] = drawn >= limits[-1][:, None]
        else:
            members[:, :-1] = (drawn >= limits[a - 1][:, None]) & (drawn < limits[a][:, None])
        return members


def _by_cluster(weights: np.ndarray, ends: np.ndarray) -> sparse.csr_matrix:
    """Clusters x rows: multiplies rows by their weights and adds them up by cluster."""
    rows = np.arange(len(weights))
    return sparse.csr_matrix((weights, rows, ends), shape=(len(ends) - 1, len(weights)))


def placebo_treatments(
    state: dict[str, np.ndarray],
    options: PlaceboOptions,
    target: Target,
    confidence: float = 0.95,
) -> PlaceboTreatments:
    """The distribution of the placebo effects, and where the real treatment falls in it.

    Parameters
    ----------
    state : dict of str to ndarray
        Added over buckets: ``placebo_total``, ``placebo_square`` and ``placebo_by_units`` (C x J x
        (R + 1)), sums over clusters of S, S^2 and S times the cluster's units; and
        ``placebo_units``: units, sum of squared cluster sizes, clusters.
    options : PlaceboOptions
    target : Target
    confidence : float
        A placebo is rejected at level ``1 - confidence``.
    """
    total, square, by_units = (
        state[f"placebo_{name}"][target.contrast - 1, target.outcome]
        for name in ("total", "square", "by_units")
    )  # fmt: skip
    scale = target.scale
    units, unit_squares, clusters = state["placebo_units"]
    estimates = total / units
    influence = square - 2 * estimates * by_units + estimates**2 * unit_squares
    factor = clusters / max(clusters - 1, 1)
    errors = np.sqrt(np.maximum(influence, 0.0) * factor) / units
    t = np.divide(estimates, errors, out=np.zeros_like(estimates), where=errors > 0)
    critical = float(stats.t.ppf(0.5 + confidence / 2, max(clusters - 1, 1)))
    placebo, rejected = t[:-1], int(np.sum(np.abs(t[:-1]) > critical))
    replicates = len(placebo)
    level = 1.0 - confidence
    counts, edges = np.histogram(scale * estimates[:-1], bins=20)
    p_count = stats.binomtest(rejected, replicates, level).pvalue if replicates else 1.0
    beyond = int(np.sum(np.abs(placebo) >= abs(t[-1])))
    return PlaceboTreatments(
        outcome=target.outcome_name,
        contrast=target.contrast_name,
        estimates=tuple((scale * estimates[:-1]).tolist()),
        standard_errors=tuple((scale * errors[:-1]).tolist()),
        rejected=rejected,
        expected_share=level,
        rejection_p_value=float(p_count),
        observed=float(scale * estimates[-1]),
        observed_t=float(t[-1]),
        p_value=(1 + beyond) / (1 + replicates),
        bin_edges=tuple(edges.tolist()),
        bin_counts=tuple(int(c) for c in counts),
        level=options.level,
        by_propensity=not options.shares,
        clusters=int(clusters),
    )
