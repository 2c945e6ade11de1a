"""What a design says, in sentences and tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ArmPlan:
    """Size of an arm."""

    arm: str
    share: float
    units: float
    clusters: float


@dataclass(frozen=True)
class PowerPoint:
    """Chance to find an effect."""

    effect: float
    power: float


@dataclass(frozen=True)
class SizePoint:
    """What so many units can find, and how long they take to come."""

    units: float
    detectable: float
    days: int | None


@dataclass(frozen=True)
class HistoryCheck:
    """Experiments that were drawn from a table of past outcomes.

    Parameters
    ----------
    table : str
    units, clusters : int
        In the table (a sample of it, if it is large).
    drawn : int
        Clusters of each drawn experiment.
    repetitions : int
    false_positives : float
        Share of the experiments without an effect (A/A) in which one is found.
    power : float
        Share of those with the effect added in which it is found.
    curve : tuple of PowerPoint
    """

    table: str
    units: int
    clusters: int
    drawn: int
    repetitions: int
    false_positives: float
    power: float
    curve: tuple[PowerPoint, ...]

    def error(self, share: float) -> float:
        """Standard error of a share, from having drawn."""
        return float((share * (1 - share) / self.repetitions) ** 0.5)


@dataclass(frozen=True)
class Design:
    """An experiment before it begins.

    Parameters
    ----------
    name, metric, kind, measured_in, unit : str
    arms : tuple of ArmPlan
        The control first.
    units, clusters : float
        Over all arms.
    effect : float
        That is looked for; the smallest that can be found, where units were given.
    effect_given : bool
    baseline : float or None
        The metric without a treatment.
    power : float
        Chance to find the effect.
    detectable : float
        The smallest effect in the good direction that is found with the power ``target``.
    target, level : float
    level_of_each : float
        Of one arm's comparison.
    alternative, correction : str
    take_up : float
    design_effect : float
        Times the variance grows because clusters are assigned.
    explained : float
        Share of the variance that CUPED takes away.
    looks : int
    method : str
    critical : tuple of float
        Critical values of the planned looks.
    expected_units : float or None
        Mean size with early ends, if the effect is the one looked for.
    days : int or None
    curve : tuple of PowerPoint
    sizes : tuple of SizePoint
    history : HistoryCheck or None
    response : float or None
        Share of the units that answer.
    """

    name: str
    metric: str
    kind: str
    measured_in: str
    unit: str
    arms: tuple[ArmPlan, ...]
    units: float
    clusters: float
    effect: float
    effect_given: bool
    baseline: float | None
    power: float
    detectable: float
    target: float
    level: float
    level_of_each: float
    alternative: str
    correction: str
    take_up: float
    design_effect: float
    explained: float
    looks: int
    method: str
    critical: tuple[float, ...]
    expected_units: float | None
    days: int | None
    curve: tuple[PowerPoint, ...]
    sizes: tuple[SizePoint, ...]
    history: HistoryCheck | None = None
    response: float | None = None

    def sentences(self) -> tuple[str, ...]:
        """What it comes to."""
        said = [self._headline()]
        sizes = ", ".join(f"{a.arm} {a.units:,.0f}" for a in self.arms)
        said.append(f"Arms: {sizes}{self._of_clusters()}.")
        side = "two-sided" if self.alternative == "two-sided" else "one-sided, gains alone"
        test = f"Tested at {self.level:.3g}, {side}"
        if self.correction != "none":
            test += (
                f"; {len(self.arms) - 1} arms against {self.arms[0].arm}, each at "
                f"{self.level_of_each:.4g} ({self.correction.capitalize()})"
            )
        elif len(self.arms) > 2:
            test += f"; {len(self.arms) - 1} arms, not corrected for being several"
        said.append(f"{test}.")
        if self.design_effect > 1:
            said.append(f"Clusters multiply the variance by {self.design_effect:.3g}.")
        if self.explained > 0:
            said.append(
                f"What is known from before is taken to explain {self.explained:.0%} of the variance "
                f"({'regression' if self.kind == 'answer' else 'CUPED'}); without it the experiment would be "
                f"{1 / (1 - self.explained):.3g} times as large."
            )
        if self.response is not None:
            said.append(
                f"{self.response:.0%} of the units are taken to answer, whoever they are; where some kinds answer far "
                "less than others, more units are needed."
            )
        if self.take_up < 1:
            said.append(f"The treatment reaches {self.take_up:.0%} of its arm, which dilutes it.")
        said += self._looking()
        if self.days is not None:
            said.append(f"It takes {self.days:,} days ({-(-self.days // 7):,} whole weeks).")
        if self.effect_given and self.power < self.target - 0.005:
            said.append(f"That is below the wanted power of {self.target:.0%}.")
        return (*said, *self._from_history())

    def _headline(self) -> str:
        measured = f" {self.measured_in}" if self.measured_in else ""
        lift = f" ({self.effect / self.baseline:+.2%})" if self.baseline else ""
        return (
            f"{self.name}: {self.units:,.0f} units find an effect of {self.effect:+.4g}{measured}{lift} on "
            f"the {self.kind} {self.metric!r} with a chance of {self.power:.1%}."
        )

    def _of_clusters(self) -> str:
        if self.clusters == self.units:
            return f" (each a {self.unit})"
        return f", in {self.clusters:,.0f} clusters"

    def _looking(self) -> list[str]:
        if self.method == "anytime":
            return ["It may be looked at, and ended, at any time; that is paid for in units."]
        if self.method == "none":
            return ["It is looked at once, at its end."]
        bounds = ", ".join(f"{c:.3f}" for c in self.critical)
        name = {"obrien_fleming": "O'Brien-Fleming", "pocock": "Pocock"}[self.method]
        said = f"{self.looks} equally spaced looks ({name} spending), critical values {bounds}"
        if self.expected_units is not None:
            said += f"; with the effect it ends after {self.expected_units:,.0f} units on average"
        return [f"{said}."]

    def _from_history(self) -> list[str]:
        found = self.history
        if found is None:
            return []
        return [
            f"Drawn {found.repetitions:,} times from {found.table} ({found.clusters:,} clusters, "
            f"{found.drawn:,} an experiment): without an effect one is found in "
            f"{found.false_positives:.1%} ± {found.error(found.false_positives):.1%} of the experiments, "
            f"with the effect in {found.power:.1%} ± {found.error(found.power):.1%}."
        ]

    def __repr__(self) -> str:
        return "\n".join(["\n".join(self.sentences()), "", self.table()])

    def table(self) -> str:
        """Effects that other sizes find, as text."""
        with_days = self.days is not None
        lines = [f"{'units':>14} {'finds':>12}" + (f" {'days':>7}" if with_days else "")]
        for size in self.sizes:
            days = f" {size.days:>7,}" if with_days and size.days is not None else ""
            lines.append(f"{size.units:>14,.0f} {size.detectable:>+12.4g}{days}")
        return "\n".join(lines)

    def to_pandas(self) -> pd.DataFrame:
        """The power curve: one row an effect."""
        import pandas as pd

        return pd.DataFrame([asdict(point) for point in self.curve])
