"""Results on stability: random halves, folds, one group left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truelift.arrays.distributions import stats
from truelift.effects.credibility.wording import level_of, of
from truelift.effects.telling.figures import compact, p_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class HalfStability:
    """Estimates on random halves of the clusters.

    Parameters
    ----------
    estimand, outcome, contrast : str
    estimate, standard_error : float
        On all units.
    estimates : tuple of float
        On the halves.
    dispersion, p_value : float
        Mean square of the halves' standardised differences, about 1, and its two-sided
        chi-square p-value.
    most : float
        The largest standardised difference of a half from its complement.
    """

    estimand: str
    outcome: str
    contrast: str
    estimate: float
    standard_error: float
    estimates: tuple[float, ...]
    dispersion: float
    p_value: float
    most: float

    @property
    def same_sign(self) -> float:
        """Share of halves whose estimate has the sign of the whole."""
        signs = np.sign(self.estimates) == np.sign(self.estimate)
        return float(np.mean(signs)) if len(signs) else 1.0

    def __repr__(self) -> str:
        if not self.estimates:
            return f"{of(self.estimand, self.outcome, self.contrast)}: no halves to compare."
        return (
            f"{of(self.estimand, self.outcome, self.contrast)}: on {len(self.estimates)} random "
            f"halves of the clusters the estimate ({compact(self.estimate)}) lies between "
            f"{compact(min(self.estimates))} and {compact(max(self.estimates))}, "
            f"with the same sign in {self.same_sign:.0%}; halves scatter {self.dispersion:.2f} "
            f"times as the standard error says ({p_text(self.p_value)})."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a half."""
        import pandas as pd

        return pd.DataFrame({"estimate": self.estimates})


@dataclass(frozen=True)
class FoldStability:
    """Estimates by cross-fitting fold.

    Parameters
    ----------
    estimand, outcome, contrast : str
    folds : tuple of int
    estimates, standard_errors : tuple of float
    q, p_value : float
        Cochran's Q and its p-value on one degree of freedom less than there are folds.
    """

    estimand: str
    outcome: str
    contrast: str
    folds: tuple[int, ...]
    estimates: tuple[float, ...]
    standard_errors: tuple[float, ...]
    q: float
    p_value: float

    def __repr__(self) -> str:
        if not self.estimates:
            return f"{of(self.estimand, self.outcome, self.contrast)}: no folds to compare."
        differ = "differ more than chance gives" if self.p_value < 0.05 else "agree"
        return (
            f"{of(self.estimand, self.outcome, self.contrast)}: the estimates of "
            f"{len(self.folds)} cross-fitting folds, {compact(min(self.estimates))} to "
            f"{compact(max(self.estimates))}, {differ} (Cochran's Q {self.q:.3g}, "
            f"{p_text(self.p_value)})."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a fold."""
        import pandas as pd

        return pd.DataFrame(
            {
                "fold": self.folds,
                "estimate": self.estimates,
                "standard_error": self.standard_errors,
            }
        )


@dataclass(frozen=True)
class LeaveOneGroupOut:
    """The estimate without each level of a group column.

    Parameters
    ----------
    estimand, outcome, contrast, group : str
    estimate, standard_error : float
        With all groups.
    levels : tuple of str
    units : tuple of int
        Units of each level.
    estimates, standard_errors, ci_lower, ci_upper : tuple of float
        Without the level.
    change_errors : tuple of float
        Standard error of the change that leaving the level out makes.
    clusters : int
    confidence : float
    """

    estimand: str
    outcome: str
    contrast: str
    group: str
    estimate: float
    standard_error: float
    levels: tuple[str, ...]
    units: tuple[int, ...]
    estimates: tuple[float, ...]
    standard_errors: tuple[float, ...]
    ci_lower: tuple[float, ...]
    ci_upper: tuple[float, ...]
    change_errors: tuple[float, ...]
    clusters: int
    confidence: float

    @property
    def changes(self) -> np.ndarray:
        """Estimate without the level minus estimate with all."""
        return np.array(self.estimates) - self.estimate

    @property
    def p_values(self) -> np.ndarray:
        """Two-sided, of each change, times the number of levels (Bonferroni), at most 1."""
        errors = np.array(self.change_errors)
        t = np.divide(self.changes, errors, out=np.zeros(len(errors)), where=errors > 0)
        single = 2 * stats.t.sf(np.abs(t), max(self.clusters - 1, 1))
        return np.minimum(1.0, single * len(t))

    @property
    def conclusion_changes(self) -> tuple[str, ...]:
        """Levels without which the interval holds zero where it did not, or the reverse."""
        quantile = stats.t.ppf(0.5 + self.confidence / 2, max(self.clusters - 1, 1))
        excluded = abs(self.estimate) > quantile * self.standard_error
        return tuple(
            level
            for level, lower, upper in zip(self.levels, self.ci_lower, self.ci_upper, strict=True)
            if (lower > 0 or upper < 0) != excluded
        )

    def __repr__(self) -> str:
        subject = of(self.estimand, self.outcome, self.contrast)
        if not self.levels:
            return f"{subject}: no level of {self.group} can be left out."
        worst = int(np.argmax(np.abs(self.changes)))
        kept = "no level decides whether the interval holds zero"
        if named := self.conclusion_changes:
            more = f" and {len(named) - 3} more" if len(named) > 3 else ""
            names = ", ".join(level_of(self.group, level) for level in named[:3])
            kept = f"whether the interval holds zero depends on {names}{more}"
        return (
            f"{subject}: leaving out one {self.group} of {len(self.levels)} gives "
            f"{compact(min(self.estimates))} to {compact(max(self.estimates))} (all: "
            f"{compact(self.estimate)}); most is changed by "
            f"{level_of(self.group, self.levels[worst])} "
            f"({compact(self.changes[worst], signed=True)}, adjusted "
            f"{p_text(self.p_values[worst])}); {kept}."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a level."""
        import pandas as pd

        names = ("units", "estimates", "standard_errors", "ci_lower", "ci_upper")
        columns = {name: getattr(self, name) for name in names}
        return pd.DataFrame(
            {
                "level": self.levels,
                **columns,
                "change": self.changes,
                "change_error": self.change_errors,
                "p_value": self.p_values,
            }
        ).rename(columns={"estimates": "estimate", "standard_errors": "standard_error"})
