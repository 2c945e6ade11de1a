"""Linear combinations of estimates: all pairs of arms, each arm with the control, any others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from truelift.errors import DataError
from truelift.inference.arguments import checked_estimates


@dataclass(frozen=True, eq=False)
class Contrasts:
    """Named linear combinations.

    Parameters
    ----------
    names : tuple of str, p
    matrix : ndarray, p x m
        Row by row the weights on the m estimates.
    """

    names: tuple[str, ...]
    matrix: np.ndarray

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.names) != len(self.matrix):
            raise DataError(
                f"{len(self.names)} names for a contrast matrix of shape {self.matrix.shape}; "
                "expected one name a row."
            )

    def __repr__(self) -> str:
        return f"Contrasts({len(self.names)} of {self.matrix.shape[1]} estimates: {self.names})"

    def apply(self, estimates: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``C theta`` (p,) and ``C V C'`` (p, p).

        Raises
        ------
        DataError
            If the estimates are not as many as the matrix has columns.
        """
        checked_estimates(estimates, covariance)
        if len(estimates) != self.matrix.shape[1]:
            raise DataError(
                f"{len(estimates)} estimates for contrasts of {self.matrix.shape[1]}; give the "
                "estimates that the contrasts were made for, in that order."
            )
        product = self.matrix @ covariance @ self.matrix.T
        return self.matrix @ estimates, (product + product.T) / 2

    def over(self, outcomes: Sequence[str]) -> Contrasts:
        """The same contrasts for each outcome: the estimates lie outcome by outcome."""
        return Contrasts(
            names=tuple(f"{outcome}: {name}" for outcome in outcomes for name in self.names),
            matrix=np.kron(np.eye(len(outcomes)), self.matrix),
        )


def all_pairs(arms: Sequence[str]) -> Contrasts:
    """Later arm minus earlier arm, for all A(A - 1)/2 pairs of arm means.

    Parameters
    ----------
    arms : sequence of str, A
        In the order of the means, the control first.
    """
    pairs = list(combinations(range(_at_least_two(arms)), 2))
    matrix = np.zeros((len(pairs), len(arms)))
    for row, (earlier, later) in enumerate(pairs):
        matrix[row, later], matrix[row, earlier] = 1.0, -1.0
    return Contrasts(tuple(f"{arms[b]} - {arms[a]}" for a, b in pairs), matrix)


def many_to_one(arms: Sequence[str], control: int = 0) -> Contrasts:
    """Each other arm minus the control, A - 1 contrasts of the arm means."""
    count = _at_least_two(arms)
    others = [arm for arm in range(count) if arm != control]
    matrix = np.eye(count)[others]
    matrix[:, control] = -1.0
    return Contrasts(tuple(f"{arms[arm]} - {arms[control]}" for arm in others), matrix)


def _at_least_two(arms: Sequence[str]) -> int:
    if len(arms) < 2 or len(set(arms)) != len(arms):
        raise DataError(f"Arms {list(arms)}; expected two or more different names.")
    return len(arms)
