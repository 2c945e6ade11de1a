"""What a loop came to: a row a strategy, seed and round, bands over seeds, and who beat whom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from truelift.loop.table import ORACLE, rounds_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Measures that are told, with what they are.
TOLD = {
    "additional": "additional purchases a visit (truth)",
    "purchases_a_visit": "purchases a visit",
    "click_rate": "clicks an item shown",
    "conversion": "visits with a purchase",
    "satisfaction": "content among those who answered",
    "coverage": "items shown at all",
    "gini_bought": "Gini of items' purchases",
    "novelty": "bits of surprise an item shown",
    "similarity": "likeness of what two users know",
    "list_similarity": "likeness of two lists",
    "regret_oracle": "additional purchases missed against the oracle",
    "regret_logged": "additional purchases missed against the best that was logged",
    "group_gap": "additional purchases, smaller less larger group",
    "small_providers": "share of slots of small providers",
    "f1": "F1 of lists as predictions of purchases",
    "profit_a_visit": "profit a visit",
}
#: Against whom something was missed.
REGRETS = {"regret_oracle": "the oracle", "regret_logged": "the best that was logged"}
#: What strategies are compared by: sums over all rounds after the first.
COMPARED = {"additional_total": "additional purchases", "purchases": "purchases"}


@dataclass(frozen=True)
class Curve:
    """A measure of a strategy by round, with its interval over seeds (NaN of a single seed)."""

    strategy: str
    measure: str
    mean: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """A strategy less the one it is held against, in the same worlds, with an interval over seeds."""

    strategy: str
    against: str
    measure: str
    difference: float
    lower: float
    upper: float
    worlds: int

    @property
    def wins(self) -> bool:
        """Whether the interval lies above 0."""
        return self.lower > 0

    def sentence(self) -> str:
        """In words."""
        said = (
            f"{self.strategy} less {self.against}: {self.difference:+,.0f} {COMPARED[self.measure]}"
        )
        if not np.isfinite(self.lower):
            return f"{said} in one world; an interval takes at least two seeds"
        return (
            f"{said} a world ({self.lower:+,.0f} to {self.upper:+,.0f} over {self.worlds} worlds)"
        )


@dataclass(frozen=True)
class Regret:
    """Additional purchases that a strategy missed in a world, with an interval over seeds."""

    strategy: str
    measure: str
    missed: float
    lower: float
    upper: float

    def sentence(self) -> str:
        """In words."""
        said = f"{self.strategy} missed {self.missed:,.0f} additional purchases against {REGRETS[self.measure]}"
        return (
            f"{said} ({self.lower:,.0f} to {self.upper:,.0f})" if np.isfinite(self.lower) else said
        )


@dataclass(frozen=True)
class Held:
    """How many forecasts held what came."""

    strategy: str
    forecasts: int
    truth: int
    observed: int


@dataclass(frozen=True, eq=False)
class LoopResult:
    """All rounds of all strategies in all worlds.

    Parameters
    ----------
    world : str
        Its name.
    users : int
    columns : dict of str to tuple
        Those of ``gold.rounds``: a row a strategy, seed and round.
    against : str
        The strategy that others are held against.
    confidence : float
    """

    world: str
    users: int
    columns: dict[str, tuple[bool | int | float | str | None, ...]]
    against: str
    confidence: float

    @cached_property
    def rounds(self) -> pa.Table:
        """A row a strategy, seed and round."""
        return rounds_table(self.columns)

    @property
    def strategies(self) -> tuple[str, ...]:
        """In the order in which they were asked for."""
        return tuple(self._by_strategy)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Worlds."""
        return tuple(dict.fromkeys(self.rounds["seed"].to_pylist()))

    def curve(self, strategy: str, measure: str) -> Curve:
        """A measure by round."""
        values = self._values(strategy, measure)
        mean, half = _interval(values, self.confidence)
        return Curve(
            strategy, measure, tuple(mean.tolist()), tuple((mean - half).tolist()),
            tuple((mean + half).tolist()),
        )  # fmt: skip

    def comparisons(self) -> tuple[Comparison, ...]:
        """Every strategy against the one that is named, over all rounds that strategies decided."""
        found = []
        for measure in COMPARED:
            base = self._values(self.against, measure)[:, 1:].sum(axis=1)
            for strategy in self.strategies:
                if strategy == self.against:
                    continue
                gain = self._values(strategy, measure)[:, 1:].sum(axis=1) - base
                mean, half = _interval(gain[:, None], self.confidence)
                low, high = float(mean[0] - half[0]), float(mean[0] + half[0])
                found.append(
                    Comparison(
                        strategy, self.against, measure, float(mean[0]), low, high, len(gain)
                    )
                )
        return tuple(found)

    def held(self) -> tuple[Held, ...]:
        """Forecasts beside what came, by strategy."""
        found = []
        for strategy in self.strategies:
            rows = [r for r in self._rows(strategy) if r["held"] is not None]
            if rows:
                truth, seen = (sum(r[k] for r in rows) for k in ("held", "held_observed"))
                found.append(Held(strategy, len(rows), truth, seen))
        return tuple(found)

    def regrets(self) -> tuple[Regret, ...]:
        """What every strategy missed, over all rounds that strategies decided."""
        found = []
        for strategy in self.strategies:
            for measure in REGRETS:
                values = self._values(strategy, measure)[:, 1:].sum(axis=1)[:, None]
                if strategy == ORACLE or np.isnan(values).any():
                    continue
                mean, half = _interval(values, self.confidence)
                low, high = float(mean[0] - half[0]), float(mean[0] + half[0])
                found.append(Regret(strategy, measure, float(mean[0]), low, high))
        return tuple(found)

    def to_pandas(self) -> pd.DataFrame:
        """All rounds."""
        return self.rounds.to_pandas()

    def __repr__(self) -> str:
        last = max(self.rounds["round"].to_pylist())
        lines = [
            f"LoopResult({self.world}: {self.users:,} users, {last + 1} rounds, "
            f"{len(self.seeds)} world(s))",
            f"{'strategy':>14} {'additional':>11} {'purchases':>10} {'clicks':>7} {'content':>8} "
            f"{'coverage':>9} {'Gini':>6} {'likeness':>9}   (last round)",
        ]
        for name in self.strategies:
            at = [self.curve(name, m).mean[-1] for m in
                  ("additional", "purchases_a_visit", "click_rate", "satisfaction", "coverage",
                   "gini_bought", "list_similarity")]  # fmt: skip
            lines.append(
                f"{name:>14} {at[0]:11.3f} {at[1]:10.3f} {at[2]:7.3f} {at[3]:8.3f} {at[4]:9.2f} "
                f"{at[5]:6.3f} {at[6]:9.3f}"
            )
        lines += [c.sentence() for c in self.comparisons()]
        lines += [r.sentence() for r in self.regrets()]
        lines += [
            f"{h.strategy}: {h.truth} of {h.forecasts} forecasts held the truth that came, "
            f"{h.observed} what was seen of it"
            for h in self.held()
        ]
        return "\n".join(lines)

    @cached_property
    def _by_strategy(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.rounds.to_pylist():
            found.setdefault(row["strategy"], []).append(row)
        return found

    def _rows(self, strategy: str) -> list[dict[str, Any]]:
        return self._by_strategy[strategy]

    def _values(self, strategy: str, measure: str) -> np.ndarray:
        """Seeds x rounds."""
        by_seed: dict[int, list[float]] = {}
        for row in self._rows(strategy):
            by_seed.setdefault(row["seed"], []).append(row[measure])
        return np.array(list(by_seed.values()), dtype=float)


def _interval(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Means over worlds (rows) and half the width of Student's interval."""
    worlds = len(values)
    if worlds < 2:
        return values.mean(axis=0), np.full(values.shape[1], np.nan)
    error = values.std(axis=0, ddof=1) / np.sqrt(worlds)
    return values.mean(axis=0), special.stdtrit(worlds - 1, 0.5 + confidence / 2) * error
