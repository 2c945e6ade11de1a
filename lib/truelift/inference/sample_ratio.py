"""Whether the arms have the sizes that the assignment promised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from truelift.errors import DataError
from truelift.inference.arguments import checked_share
from truelift.inference.experiments import ExperimentSums
from truelift.settings.chances import are_chances

# The chi-square approximation is poor below this many expected clusters in an arm.
_FEW = 5.0


@dataclass(frozen=True)
class SampleRatio:
    """Observed and expected clusters by arm.

    Parameters
    ----------
    observed : tuple of int
    expected : tuple of float
    statistic, p_value : float
        Pearson's chi-square with one degree of freedom less than there are arms.
    level : float
        Below this p-value the ratio counts as a mismatch.
    clusters_in_several_arms : int
        Clusters whose units are in more than one arm, which an assignment of clusters excludes.
    """

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    statistic: float
    p_value: float
    level: float
    clusters_in_several_arms: int

    @property
    def mismatch(self) -> bool:
        """Whether the experiment's assignment or logging is in doubt."""
        return self.p_value < self.level or self.clusters_in_several_arms > 0

    def __repr__(self) -> str:
        verdict = "mismatch" if self.mismatch else "as assigned"
        expected = ", ".join(f"{e:,.1f}" for e in self.expected)
        text = f"{verdict}: {list(self.observed)} clusters, expected [{expected}]"
        if self.clusters_in_several_arms:
            text += f", {self.clusters_in_several_arms:,} in several arms"
        if min(self.expected) < _FEW:
            text += f", fewer than {_FEW:g} expected in an arm: the p-value is rough"
        return f"SampleRatio({text}, p {self.p_value:.3g})"


def checked_promise(shares: np.ndarray, arms: int) -> None:
    """Refuse shares that no assignment can have promised.

    Raises
    ------
    DataError
        If they are not one an arm, are not above zero, or do not add up to one.
    """
    if shares.shape != (arms,) or not are_chances(shares):
        raise DataError(
            f"Planned shares {shares.tolist()} for {arms} arms; expected one positive share "
            "an arm, adding up to 1."
        )


def sample_ratio(
    sums: ExperimentSums, shares: np.ndarray | None = None, level: float = 0.001
) -> SampleRatio:
    """Chi-square test of the clusters by arm against the shares of the assignment.

    The assignment's unit is the cluster: counting units instead would take one cluster's many
    units for many decisions and reject far too often.

    Parameters
    ----------
    sums : ExperimentSums
    shares : ndarray, A, optional
        Planned shares of the clusters; equal by default.
    level : float
        Small, as the check is made in every experiment and a mismatch voids it.

    Raises
    ------
    DataError
        If the shares are not positive, do not add up to one, or are not one an arm.
    """
    planned = np.full(sums.arms, 1 / sums.arms) if shares is None else np.asarray(shares, float)
    return ratio_of_counts(sums.arm_clusters, planned, level, sums.clusters_in_several_arms)


def ratio_of_counts(
    observed: np.ndarray, planned: np.ndarray, level: float, in_several_arms: int = 0
) -> SampleRatio:
    """The same, of counts (A) of what was assigned."""
    checked_share(level, "level")
    checked_promise(planned, len(observed))
    expected = planned * observed.sum()
    statistic = float((np.square(observed - expected) / expected).sum())
    return SampleRatio(
        observed=tuple(int(count) for count in observed),
        expected=tuple(float(count) for count in expected),
        statistic=statistic,
        p_value=float(special.chdtrc(len(observed) - 1, statistic)),
        level=level,
        clusters_in_several_arms=in_several_arms,
    )
