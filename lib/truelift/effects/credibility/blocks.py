"""What the credibility checks see of a block of units, and the sums that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.effects.scores.kinds.att import att_numerators
from truelift.effects.scores.quantities import UnitBlock, arm_scores


@dataclass(frozen=True, eq=False)
class ShortNuisances:
    """Predictions of models that were fitted without a group of covariates.

    Parameters
    ----------
    propensity : ndarray, A x n
        Clipped.
    outcome_regression : ndarray, A x J x n
    """

    propensity: np.ndarray
    outcome_regression: np.ndarray


@dataclass(frozen=True, eq=False)
class CredibilityBlock:
    """Units with what was observed and what was predicted of them out of fold.

    Parameters
    ----------
    outcome : ndarray, J x n
        In the scale of the kernels.
    arm : ndarray of int, n
        Arm codes; 0 is the control.
    propensity : ndarray, A x n
        Clipped, so that every entry is above zero.
    outcome_regression : ndarray, A x J x n
    cluster, unit : ndarray of uint64, n
        Hashes of the keys (:mod:`truelift.arrays.keys`).
    fold : int
        The block's cross-fitting fold.
    groups : sequence of ndarray of int
        By group column, the level of each unit.
    short : sequence of ShortNuisances
        By benchmark, the predictions without that benchmark's covariates.
    x : ndarray, p x n, optional
        Covariates; no check needs them, block functions may pass them on.
    """

    outcome: np.ndarray
    arm: np.ndarray
    propensity: np.ndarray
    outcome_regression: np.ndarray
    cluster: np.ndarray
    unit: np.ndarray
    fold: int = 0
    groups: Sequence[np.ndarray] = ()
    short: Sequence[ShortNuisances] = ()
    x: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.arm)

    @property
    def members(self) -> np.ndarray:
        """A x n, one where the unit is in the arm."""
        return (self.arm == np.arange(len(self.propensity))[:, None]).astype(float)

    def with_nuisances(self, short: ShortNuisances) -> CredibilityBlock:
        """The same units with other predictions."""
        return CredibilityBlock(
            self.outcome, self.arm, short.propensity, short.outcome_regression,
            self.cluster, self.unit, self.fold,
        )  # fmt: skip


@dataclass(frozen=True)
class ContrastLines:
    """Where the summands of a unit stand, for contrasts of every arm with the control.

    Lines are one · 1[D = a] · ATE scores · ATT numerators · and, beyond ``len(scores)``, the two
    parts of the Riesz representer's square for ATE and ATT · squared residuals.

    Parameters
    ----------
    arms, outcomes : int
        A and J. Contrasts are numbered by their arm, from 1.
    """

    arms: int
    outcomes: int

    @property
    def contrasts(self) -> int:
        """A - 1."""
        return self.arms - 1

    @property
    def scores(self) -> int:
        """Number of lines that estimates are made of."""
        return 1 + self.contrasts + 2 * self.contrasts * self.outcomes

    def __len__(self) -> int:
        return self.scores + 4 * self.contrasts + self.contrasts * self.outcomes

    def estimate(self, estimand: str, contrast: int, outcome: int) -> tuple[int, int]:
        """Lines of numerator and denominator of ``'ATE'`` or ``'ATT'``."""
        place = 1 + self.contrasts + (contrast - 1) * self.outcomes + outcome
        if estimand == "ATE":
            return place, 0
        return place + self.contrasts * self.outcomes, contrast

    def riesz(self, estimand: str, contrast: int) -> tuple[int, int]:
        """Lines of the Riesz representer's moment and of its square."""
        first = self.scores + 2 * self.contrasts * (estimand == "ATT")
        return first + contrast - 1, first + self.contrasts + contrast - 1

    def residual(self, contrast: int, outcome: int) -> int:
        """Line of the squared residuals of the units in the contrast's two arms."""
        return self.scores + 4 * self.contrasts + (contrast - 1) * self.outcomes + outcome

    def estimates(self) -> list[tuple[str, int, int]]:
        """(estimand, contrast, outcome) of every estimate, in the order of their lines."""
        return [
            (name, c, j)
            for name in ("ATE", "ATT")
            for c in range(1, self.arms)
            for j in range(self.outcomes)
        ]


def contrast_lines(block: CredibilityBlock, lines: ContrastLines) -> np.ndarray:
    """All summands of a block, lines x n; see :class:`ContrastLines`.

    The scores are those that the estimates are made of (:func:`~.scores.quantities.arm_scores`,
    :func:`~.kinds.att.att_numerators`). With ``o = e_a / e_0`` the Riesz representers are
    ``1[D = a] / e_a - 1[D = 0] / e_0`` and, up to the share of the arm, ``1[D = a] - 1[D = 0] o``;
    their moments ``1 / e_a + 1 / e_0`` and ``1[D = a](1 + o)`` (Chernozhukov, Cinelli, Newey, Sharma
    & Syrgkanis 2022).
    """
    out = np.empty((len(lines), len(block)))
    members, propensity, regression = block.members, block.propensity, block.outcome_regression
    own = np.take_along_axis(regression, block.arm[None, None].astype(np.int64), axis=0)[0]
    residual = block.outcome - own
    squares = residual**2
    over0 = members[0] / propensity[0]
    jay = lines.outcomes
    units = UnitBlock(block.arm, block.outcome, propensity, regression)
    scores = arm_scores(units, propensity)
    out[0] = 1.0
    for c in range(1, lines.arms):
        odds = propensity[c] / propensity[0]
        weight = members[c] / propensity[c] - over0
        share = members[c] - members[0] * odds
        ate, _ = lines.estimate("ATE", c, 0)
        att, _ = lines.estimate("ATT", c, 0)
        out[c] = members[c]
        out[ate : ate + jay] = scores[c] - scores[0]
        out[att : att + jay] = att_numerators(units, propensity, c)
        moment, square = lines.riesz("ATE", c)
        out[moment], out[square] = 1.0 / propensity[c] + 1.0 / propensity[0], weight**2
        moment, square = lines.riesz("ATT", c)
        out[moment], out[square] = members[c] * (1.0 + odds), share**2
        first = lines.residual(c, 0)
        out[first : first + jay] = (members[c] + members[0]) * squares
    return out
