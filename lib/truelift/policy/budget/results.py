"""What spending a budget leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.policy.results import Figure

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PathPoint:
    """One budget of the path.

    Parameters
    ----------
    budget : float
        For all units together.
    gain : Figure
        For all units together; its band holds for the whole path.
    over_lot : Figure
        The gain less that of the same money spent without looking at the units.
    slope : float
        What one more unit of money gains, by the scores.
    price : float
        The same by the forecasts.
    shares : dict of str to float
        By arm, of the units.
    limits_take : Figure, optional
        What floors and caps take from the gain of this budget; None without them, and where it does not
        pay for the floors. Its band holds for all budgets of the path that do.
    """

    budget: float
    gain: Figure
    over_lot: Figure
    slope: float
    price: float
    shares: dict[str, float]
    limits_take: Figure | None = None


@dataclass(frozen=True)
class LevelShare:
    """What a level of the limits' column gets: the share of its units treated, without and with limits."""

    level: str
    without: float
    within: float


@dataclass(frozen=True)
class AllocationResult:
    """A budget path and one allocation.

    Parameters
    ----------
    outcome : str
    arms : tuple of str
        The control first.
    table : str
    table_version, n, clusters : int
    money : str
        ``'budget'`` or ``'capacity'``: what is counted.
    path : tuple of PathPoint
    area : Figure
        Mean over the path of what targeting gains over the same money spent without it.
    whole : float
        What is spent when nothing is left that gains.
    stop : float, optional
        The last of the path's budgets at which one more unit of money gains at least one; None where
        none does. Only where gains and costs are counted alike.
    budget, spend, price : float
        The allocation's.
    shares : dict of str to float
        By arm.
    gain : Figure
        Of the allocation, with limits and lots.
    limits_cost : Figure, optional
        What limits take from the gain at the same budget.
    levels : tuple of LevelShare
    exploration : float
    notes : tuple of str
    confidence : float
    """

    outcome: str
    arms: tuple[str, ...]
    table: str
    table_version: int
    n: int
    clusters: int
    money: str
    path: tuple[PathPoint, ...]
    area: Figure
    whole: float
    stop: float | None
    budget: float
    spend: float
    price: float
    shares: dict[str, float]
    gain: Figure
    limits_cost: Figure | None = None
    levels: tuple[LevelShare, ...] = ()
    exploration: float = 0.0
    notes: tuple[str, ...] = ()
    confidence: float = 0.95

    def to_pandas(self) -> pd.DataFrame:
        """One row a budget of the path."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "budget": p.budget, "gain": p.gain.estimate, "standard_error": p.gain.standard_error,
                    "ci_lower": p.gain.ci_lower, "ci_upper": p.gain.ci_upper,
                    "band_lower": p.gain.band_lower, "band_upper": p.gain.band_upper,
                    "slope": p.slope, "price": p.price,
                    **({} if p.limits_take is None else {
                        "limits_take": p.limits_take.estimate, "limits_take_lower": p.limits_take.band_lower,
                        "limits_take_upper": p.limits_take.band_upper,
                    }),
                    **{f"share_{a}": s for a, s in p.shares.items()},
                }
                for p in self.path
            ]
        )  # fmt: skip

    def summary(self) -> str:
        """The path and the allocation, in sentences."""
        level = f"{self.confidence:.0%}"
        unit = "units treated" if self.money == "capacity" else "spent"
        lines = [
            f"{self.money.capitalize()} for {self.outcome}: {self.n:,} units of {self.table}, "
            f"{self.clusters:,} clusters. Gains are against {self.arms[0]} for all.",
            f"{'':>4}{unit:>14}  {'gain':>12}  {f'{level} band of the path':>28}  {'one more gains':>14}"
            + ("   floors and caps take" if self.levels else ""),
        ]
        for p in self.path:
            band = f"[{p.gain.band_lower:.5g}, {p.gain.band_upper:.5g}]"
            taken = ""
            if self.levels:
                t = p.limits_take
                taken = (
                    "   cannot pay for the floors"
                    if t is None
                    else f"   {t.estimate:.4g} [{t.band_lower:.4g}, {t.band_upper:.4g}]"
                )
            lines.append(
                f"    {p.budget:>14.6g}  {p.gain.estimate:>12.5g}  {band:>28}  {p.slope:>14.4g}{taken}"
            )
        a = self.area
        lines.append(
            f"Targeting gains {a.estimate:.4g} [{a.ci_lower:.4g}, {a.ci_upper:.4g}] more than the same money "
            "without looking at the units, on average over the path."
        )
        if self.money == "budget":
            lines.append(
                "One more unit of money gains less than itself from the start."
                if self.stop is None
                else f"One more unit of money gains at least itself up to about {self.stop:.6g}."
            )
        shares = ", ".join(f"{100 * s:.1f}% {arm}" for arm, s in self.shares.items())
        g = self.gain
        lines.append(
            f"Chosen: {self.budget:.6g} ({self.spend:.6g} used): {shares}; gain {g.estimate:.5g} "
            f"[{g.ci_lower:.5g}, {g.ci_upper:.5g}]."
        )
        if self.limits_cost is not None:
            c = self.limits_cost
            lines.append(
                f"Floors and caps take {c.estimate:.4g} [{c.ci_lower:.4g}, {c.ci_upper:.4g}] of the gain: "
                + "; ".join(
                    f"{s.level} {100 * s.without:.1f}% treated without, {100 * s.within:.1f}% with"
                    for s in self.levels
                )
                + "."
            )
        if self.exploration:
            lines.append(
                f"{self.exploration:.0%} of the units by lot; their chances are in the table."
            )
        return "\n".join([*lines, *self.notes])

    def __repr__(self) -> str:
        return self.summary()
