"""What an analysis leaves behind, in forms that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from truelift.effects.telling.figures import p_text

if TYPE_CHECKING:
    import pandas as pd

SHIP, HOLD, STOP = "ship", "hold", "stop"
CUPED, ADJUSTED = "CUPED", "learner-adjusted"


@dataclass(frozen=True)
class MetricEffect:
    """One arm against the control, on one metric, by one method.

    Parameters
    ----------
    metric, kind, measured_in, method : str
        The method is ``'difference'``, ``'CUPED'``, ``'learner-adjusted'``, or ``'if all answered'``.
    estimand : str
        What is compared, in words.
    arm, versus : str
    control, treated : float
        The metric in the two arms; with CUPED, adjusted.
    estimate, standard_error : float
        Treated less control.
    ci_lower, ci_upper : float
        At this look alone, for all arms together.
    p_value : float
        Alone and at this look.
    degrees_of_freedom : float
    lower, upper : float
        The interval that decides: it holds for all looks so far.
    p_value_of_looks : float
        The same as a p-value.
    lift, lift_lower, lift_upper : float
        As shares of the control, by the delta method, at this look; NaN where the control is 0.
    better : int
        1 where more is better, else -1.
    """

    metric: str
    kind: str
    measured_in: str
    method: str
    estimand: str
    arm: str
    versus: str
    control: float
    treated: float
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    p_value: float
    degrees_of_freedom: float
    lower: float
    upper: float
    p_value_of_looks: float
    lift: float
    lift_lower: float
    lift_upper: float
    better: int

    @property
    def gain(self) -> tuple[float, float, float]:
        """Estimate and deciding interval in the good direction."""
        if self.better > 0:
            return self.estimate, self.lower, self.upper
        return -self.estimate, -self.upper, -self.lower

    def sentence(self) -> str:
        """The effect, read out."""
        unit = f" {self.measured_in}" if self.measured_in else ""
        lift = f" ({self.lift:+.1%})" if math.isfinite(self.lift) else ""
        return (
            f"{self.metric}: {self.arm} {self.estimate:+.4g}{unit}{lift} against {self.versus}, "
            f"from {self.lower:.4g} to {self.upper:.4g} ({self.method}, {p_text(self.p_value_of_looks)})."
        )


def that_counts(effects: Sequence[MetricEffect]) -> MetricEffect:
    """Of one arm's effects on a metric the one that decides: the most that is known from before is used."""
    for method in (ADJUSTED, CUPED):
        for effect in effects:
            if effect.method == method:
                return effect
    return effects[0]


@dataclass(frozen=True)
class GuardrailCheck:
    """Whether an arm keeps a metric from becoming worse by more than the margin.

    Parameters
    ----------
    metric, arm : str
    margin : float
        In the metric's units.
    state : str
        ``'kept'``, ``'harmed'`` or ``'open'``.
    p_value : float
        Non-inferiority, one-sided, at this look.
    """

    metric: str
    arm: str
    margin: float
    state: str
    p_value: float

    def sentence(self) -> str:
        """The check, read out."""
        said = {
            "kept": f"is shown to become worse by less than {self.margin:.4g}",
            "harmed": f"is shown to become worse by more than {self.margin:.4g}",
            "open": f"may become worse by more than {self.margin:.4g}: not shown either way",
        }
        return f"Guardrail {self.metric}, {self.arm}: {said[self.state]} ({p_text(self.p_value)})."


@dataclass(frozen=True)
class CellEffect:
    """The primary metric's effect in a group, or a part of the time."""

    cell: str
    arm: str
    estimate: float
    ci_lower: float
    ci_upper: float


@dataclass(frozen=True)
class Breakdown:
    """Effects by the values of a column, or over time.

    Parameters
    ----------
    column : str
    kind : str
        ``'group'``, ``'time'`` or ``'since'`` (days after the first exposure).
    cells : tuple of CellEffect
        Their intervals hold for all cells of an arm together (Bonferroni).
    finding : tuple of str
        A sentence an arm: whether the effects differ, or how they change.
    p_values : tuple of float
        Of these sentences.
    """

    column: str
    kind: str
    cells: tuple[CellEffect, ...]
    finding: tuple[str, ...]
    p_values: tuple[float, ...]


@dataclass(frozen=True)
class ArmSize:
    """An arm's units, and how many were promised."""

    arm: str
    units: int
    expected: float


@dataclass(frozen=True)
class Look:
    """What was seen and decided at a time.

    Parameters
    ----------
    number : int
        From 1 on.
    units : int
    at : str
        ISO time (UTC).
    estimate, lower, upper : float
        Of the primary metric's leading arm.
    statistic : float
        Estimate by standard error, in the good direction.
    arm, decision, reason : str
    rule : str
        Fingerprint of what was fixed in advance.
    """

    number: int
    units: int
    at: str
    estimate: float
    statistic: float
    lower: float
    upper: float
    arm: str
    decision: str
    reason: str
    rule: str = ""


@dataclass(frozen=True)
class Analysis:
    """An experiment at a look.

    Parameters
    ----------
    name, table : str
    table_version : int
    unit : str
        What was assigned.
    units, clusters : int
    arms : tuple of ArmSize
        The control first.
    sample_ratio_p_value : float
    in_several_arms : int
        Units that were in two arms; they were dropped.
    without_arm : int
        Rows without an arm or a unit; they were left out.
    primary : str
    level : float
    method : str
        Of the looks.
    look : int
    planned_units : int or None
    fraction : float or None
        Units by planned units, at most 1.
    final : bool
    critical : float or None
        What the leading effect's statistic is compared with at this look, in standard errors.
    effects : tuple of MetricEffect
    guardrails : tuple of GuardrailCheck
    breakdowns : tuple of Breakdown
    decision : str
        ``'ship'``, ``'hold'`` or ``'stop'``.
    arm : str
        The arm to ship; the leading one otherwise.
    reasons : tuple of str
    supported : bool
        False where the sample ratio puts the assignment in doubt, or too few of some kind answered.
    rule : str
        Fingerprint of what was fixed in advance.
    cautions : tuple of str
    looks : tuple of Look
        Earlier ones, and this one.
    sizes_as_promised : bool
    """

    name: str
    table: str
    table_version: int
    unit: str
    units: int
    clusters: int
    arms: tuple[ArmSize, ...]
    sample_ratio_p_value: float
    in_several_arms: int
    without_arm: int
    primary: str
    level: float
    method: str
    look: int
    planned_units: int | None
    fraction: float | None
    final: bool
    critical: float | None
    effects: tuple[MetricEffect, ...]
    guardrails: tuple[GuardrailCheck, ...]
    breakdowns: tuple[Breakdown, ...]
    decision: str
    arm: str
    reasons: tuple[str, ...]
    supported: bool
    rule: str
    cautions: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()
    sizes_as_promised: bool = True

    @property
    def exit_code(self) -> int:
        """3 where the data support no conclusion, else 0."""
        return 0 if self.supported else 3

    def deciding(self, metric: str, arm: str) -> MetricEffect:
        """The effect that counts: adjusted by a learner or CUPED, where it was made."""
        return that_counts([e for e in self.effects if e.metric == metric and e.arm == arm])

    @property
    def headline(self) -> MetricEffect:
        """The leading arm's effect on the primary metric."""
        return self.deciding(self.primary, self.arm)

    def sentences(self) -> tuple[str, ...]:
        """The decision first, then why."""
        sizes = ", ".join(f"{a.units:,} {a.arm}" for a in self.arms)
        doubt = "as promised" if self.sizes_as_promised else "NOT as promised"
        which = f" {self.arm}" if self.decision == SHIP else ""
        said = [
            f"{self.name}: {self.decision.upper()}{which}. {self.reasons[0]}",
            self.headline.sentence(),
            *(reason for reason in self.reasons[1:]),
            f"Arms: {sizes} ({self.unit}; {doubt}, {p_text(self.sample_ratio_p_value)}); "
            f"{self.clusters:,} clusters.",
            self._look_sentence(),
            *(check.sentence() for check in self.guardrails),
        ]
        for breakdown in self.breakdowns:
            said += breakdown.finding
        return (*said, *self.cautions)

    def _look_sentence(self) -> str:
        if self.method == "none":
            return "Looked at once."
        of = f" at {self.fraction:.0%} of the planned units" if self.fraction is not None else ""
        name = {"obrien_fleming": "O'Brien-Fleming", "pocock": "Pocock"}.get(
            self.method, "any number of looks"
        )
        critical = f", critical value {self.critical:.3f}" if self.critical is not None else ""
        return f"Look {self.look}{of} ({name}{critical})."

    def __repr__(self) -> str:
        return "\n".join([*self.sentences(), "", self.text_table()])

    def text_table(self) -> str:
        """All effects, a line each."""
        lines = [
            f"{'metric':<18} {'arm':<12} {'method':<16} {'control':>11} {'treated':>11} "
            f"{'effect':>11} {'interval':>25}"
        ]
        lines += [
            f"{e.metric[:18]:<18} {e.arm[:12]:<12} {e.method:<16} {e.control:>11.4g} "
            f"{e.treated:>11.4g} {e.estimate:>+11.4g} {f'{e.lower:.4g} to {e.upper:.4g}':>25}"
            for e in self.effects
        ]
        return "\n".join(lines)

    def to_pandas(self) -> pd.DataFrame:
        """One row an effect."""
        import pandas as pd

        return pd.DataFrame([asdict(effect) for effect in self.effects])


@dataclass(frozen=True)
class Conclusion:
    """The newest look at an experiment of a lake."""

    experiment: str
    look: int
    at: str
    decision: str
    reason: str


@dataclass(frozen=True)
class Experiments:
    """Experiments that were analysed together, and where all of the lake's stand.

    Parameters
    ----------
    analyses : tuple of Analysis
    conclusions : tuple of Conclusion
        Of all experiments of the lake, the newest first; empty without a lake.
    """

    analyses: tuple[Analysis, ...]
    conclusions: tuple[Conclusion, ...] = ()

    @property
    def exit_code(self) -> int:
        """3 where the data of one of them support no conclusion, else 0."""
        return max(a.exit_code for a in self.analyses)

    def __repr__(self) -> str:
        return "\n\n".join(repr(a) for a in self.analyses)
