"""What an experiment measures: metrics, and those that must not get worse."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.errors import ConfigError
from truelift.inference.arguments import checked_share
from truelift.registries import LEARNERS

KINDS = ("mean", "proportion", "ratio", "quantile", "answer")
BETTER = ("higher", "lower")
LINEAR = "linear"
#: What a ratio divides by where it divides by rows.
ROWS = "rows"


def among(value: str, allowed: tuple[str, ...], key: str) -> None:
    """Refuse a word that a key does not know.

    Raises
    ------
    ConfigError
    """
    if value not in allowed:
        raise ConfigError(f"{key}: found {value!r}, expected one of {', '.join(allowed)}.")


@dataclass(frozen=True)
class Metric:
    """What is measured, of the rows of a unit.

    Parameters
    ----------
    kind : str
        ``'mean'``: a unit's total, by units; ``'proportion'``: the share of the units with a total
        above zero; ``'ratio'``: one total by another, over all units; ``'quantile'``: of the rows'
        values; ``'answer'``: the mean over rows of a rating that only some have given, as if all had.
    column : str
        Of numbers; the upper one of a ratio. The metric's own name by default.
    per : str
        The lower column of a ratio, or ``'rows'``.
    quantile : float
        Of a quantile.
    before : str
        Column with the same from before the assignment, for CUPED; of a ratio its upper part.
    before_per : str
        Of a ratio its lower part.
    winsorise : float
        Of a mean: units' totals are capped at this quantile of all units' totals. The effect is then
        one on the capped mean, which is said. 1 caps nothing.
    better : str
        ``'higher'`` or ``'lower'``.
    measured_in : str
        What it counts, for people.
    covariates : tuple of str
        Columns that are known from before the assignment. Of an answer: of rows, from which who answers, and what,
        is told. Of a mean or proportion: of units; its effect is then also adjusted by a learner, which decides.
    learner : str
        Of the regressions on these: a learner of effects.
    """

    kind: str = "mean"
    column: str = ""
    per: str = ROWS
    quantile: float = 0.5
    before: str = ""
    before_per: str = ROWS
    winsorise: float = 1.0
    better: str = "higher"
    measured_in: str = ""
    covariates: tuple[str, ...] = ()
    learner: str = LINEAR

    def __post_init__(self) -> None:
        among(self.kind, KINDS, "metrics.kind")
        among(self.better, BETTER, "metrics.better")
        checked_share(self.quantile, "metrics.quantile")
        if not 0.5 < self.winsorise <= 1:
            raise ConfigError(
                f"metrics.winsorise: found {self.winsorise}, expected a quantile above 0.5 and up to 1, "
                "as 0.99 is."
            )
        if self.winsorise < 1 and self.kind != "mean":
            raise ConfigError(f"metrics.winsorise caps means, and this is a {self.kind}.")
        if self.before and self.kind == "quantile":
            raise ConfigError("metrics.before: CUPED is for means, proportions and ratios.")
        if self.kind == "answer" and not self.known:
            raise ConfigError(
                "metrics.covariates: found none of the kind answer, expected what is known of rows from before."
            )
        if self.covariates and self.kind not in ("mean", "proportion", "answer"):
            raise ConfigError(
                f"metrics.covariates: found {', '.join(self.covariates)} of the kind {self.kind}, expected them of "
                "means, proportions and answers."
            )
        LEARNERS.row(self.learner, "metrics.learner")
        if self.learner != LINEAR and not self.covariates:
            raise ConfigError(
                f"metrics.learner: found {self.learner!r} without covariates, of which it makes its regressions."
            )

    @property
    def known(self) -> tuple[str, ...]:
        """All columns from before that a learner is given."""
        return tuple(dict.fromkeys([*self.covariates, *([self.before] if self.before else [])]))

    @property
    def adjusted(self) -> bool:
        """Whether a learner adjusts the effect on a mean or proportion."""
        return bool(self.covariates) and self.kind != "answer"

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.better == "higher" else -1


@dataclass(frozen=True)
class Guardrail:
    """A metric that may not become worse by more than a margin.

    Parameters
    ----------
    margin : float, optional
        In the metric's units, above 0.
    relative_margin : float, optional
        As a share of the control's; 0.02 is two per cent.
    """

    margin: float | None = None
    relative_margin: float | None = None

    def __post_init__(self) -> None:
        given = [m for m in (self.margin, self.relative_margin) if m is not None]
        if len(given) != 1 or not given[0] > 0:
            raise ConfigError(
                f"guardrails: found margin {self.margin} and relative_margin {self.relative_margin}, "
                "expected one of them, above 0: the largest loss that is acceptable."
            )
