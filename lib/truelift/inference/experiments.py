"""Randomised experiments as sums: what each arm and cluster adds, folded to cross-products.

A unit of arm a adds ``(1, x_1 .. x_P, y_1 .. y_J)`` to the block of arm a of its cluster's sums S,
which has A blocks of q = 1 + P + J numbers. What is kept does not grow with rows or clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError
from truelift.inference.clusters import ClusterSums
from truelift.inference.small_samples import pair_moments

_KEY = "experiment_"


@dataclass(frozen=True, eq=False)
class ExperimentSums:
    """Additive state of an experiment; ``a + b`` joins two sets of whole clusters.

    Parameters
    ----------
    total : ndarray, A x q
        Sums of ``z = (1, x, y)`` by arm.
    cross : ndarray, A q x A q
        Sum over clusters of ``S S'``.
    gram : ndarray, A x q x q
        Sum over units of ``z z'`` by arm.
    clusters : ndarray, A + 2
        Clusters with a unit in each arm, all clusters, and clusters with units in several arms.
    sizes : ndarray, A x 5 x 5
        :func:`~truelift.inference.small_samples.pair_moments` of the control with each arm
        (of no meaning in the control's own place).
    covariates : int
        P.

    Notes
    -----
    Sums of squares lose digits where a mean is far larger than its standard deviation: give
    covariates and outcomes centred and scaled, as the kernels of this package do.
    """

    total: np.ndarray
    cross: np.ndarray
    gram: np.ndarray
    clusters: np.ndarray
    sizes: np.ndarray
    covariates: int

    def __post_init__(self) -> None:
        arms, width = self.total.shape
        found = (self.cross.shape, self.gram.shape, self.clusters.shape, self.sizes.shape)
        expected = ((arms * width,) * 2, (arms, width, width), (arms + 2,), (arms, 5, 5))
        if found != expected or self.covariates > width - 2:
            raise DataError(
                f"Experiment sums of shapes {found} with {self.covariates} covariates; expected "
                f"{expected} and at least one outcome."
            )

    def __add__(self, other: ExperimentSums) -> ExperimentSums:
        if self.covariates != other.covariates or self.total.shape != other.total.shape:
            raise DataError("Sums of experiments with different arms, covariates or outcomes.")
        return ExperimentSums(
            total=self.total + other.total,
            cross=self.cross + other.cross,
            gram=self.gram + other.gram,
            clusters=self.clusters + other.clusters,
            sizes=self.sizes + other.sizes,
            covariates=self.covariates,
        )

    def __repr__(self) -> str:
        return (
            f"ExperimentSums({self.units.sum():,.0f} units of {self.cluster_count:,} clusters in "
            f"{self.arms} arms, {self.covariates} covariates, {self.outcomes} outcomes)"
        )

    @property
    def arms(self) -> int:
        """Number of arms, A."""
        return len(self.total)

    @property
    def outcomes(self) -> int:
        """Number of outcomes, J."""
        return self.total.shape[1] - 1 - self.covariates

    @property
    def units(self) -> np.ndarray:
        """Units of each arm (A,)."""
        return self.total[:, 0]

    @property
    def arm_clusters(self) -> np.ndarray:
        """Clusters with a unit in each arm (A,)."""
        return self.clusters[: self.arms]

    @property
    def cluster_count(self) -> int:
        """Number of clusters, G."""
        return int(self.clusters[self.arms])

    @property
    def clusters_in_several_arms(self) -> int:
        """Clusters with units in more than one arm; none if clusters were assigned."""
        return int(self.clusters[self.arms + 1])

    def to_state(self) -> dict[str, np.ndarray]:
        """Arrays that add up, as the sum kernels of the lake return them."""
        names = ("total", "cross", "gram", "clusters", "sizes")
        return {_KEY + name: getattr(self, name) for name in names}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray], covariates: int) -> ExperimentSums:
        """From the sum of such states."""
        names = ("total", "cross", "gram", "clusters", "sizes")
        return cls(**{name: state[_KEY + name] for name in names}, covariates=covariates)


class ExperimentCounter:
    """Collects the rows of whole clusters block by block; holds one line per cluster.

    Parameters
    ----------
    arms, covariates, outcomes : int
        A, P and J.
    """

    def __init__(self, arms: int, covariates: int, outcomes: int):
        self._arms, self._covariates = arms, covariates
        self._width = 1 + covariates + outcomes
        self._sums = ClusterSums(arms * self._width)
        self._gram = np.zeros((arms, self._width, self._width))

    def add(
        self, cluster: np.ndarray, arm: np.ndarray, covariates: np.ndarray, outcomes: np.ndarray
    ) -> None:
        """Add n units.

        Parameters
        ----------
        cluster : ndarray of uint64, n
            Hash of the cluster's key.
        arm : ndarray of int, n
            0 to A - 1, 0 the control.
        covariates : ndarray, P x n
            From before the assignment.
        outcomes : ndarray, J x n

        Raises
        ------
        DataError
            If an arm is not one of the A, or a value is not finite.
        """
        if not len(arm):
            return
        if arm.min() < 0 or arm.max() >= self._arms:
            raise DataError(f"Arm {arm.min()} or {arm.max()}; expected 0 to {self._arms - 1}.")
        units = np.vstack([np.ones((1, len(arm))), covariates, outcomes])
        if not np.all(np.isfinite(units)):
            raise DataError(
                "A covariate or an outcome is not finite; fill or remove such units before they "
                "are counted."
            )
        blocks = np.zeros((self._arms, self._width, len(arm)))
        for a in range(self._arms):
            inside = arm == a
            members = units[:, inside]
            blocks[a][:, inside] = members
            self._gram[a] += members @ members.T
        self._sums.add(cluster, blocks.reshape(-1, len(arm)))

    def finish(self) -> ExperimentSums:
        """The state of all clusters added."""
        _, sums = self._sums.finish()
        counts = sums[:: self._width]
        present = (counts > 0).sum(axis=0)
        clusters = [*(counts > 0).sum(axis=1), len(present), np.count_nonzero(present > 1)]
        return ExperimentSums(
            total=sums.sum(axis=1).reshape(self._arms, self._width),
            cross=sums @ sums.T,
            gram=self._gram,
            clusters=np.array(clusters, np.int64),
            sizes=np.stack([pair_moments(counts[0], count) for count in counts]),
            covariates=self._covariates,
        )
