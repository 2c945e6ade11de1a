"""Worlds for the study of the overlap gate: size, covariates, imbalance, overlap and wrong models vary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pyarrow as pa
from scipy import special

_POPULATION = 100_000


@dataclass(frozen=True)
class GateWorld:
    """One world.

    Parameters
    ----------
    units : int
    numbers, flags : int
        Standard normal covariates, and rare indicators beside them.
    rarity : float
        Share of the units that have an indicator.
    strength : float
        Standard deviation of the log odds of treatment; 0 is a coin.
    share : float
        Of the treated, about.
    kind : str
        ``'linear'``: both models are as the linear learner takes them. ``'outcome'``: the outcomes
        bend, ``'both'``: log odds and outcomes bend in the same covariates, so that what weighting
        leaves unbalanced biases the estimate. ``'stratum'``: those with the first indicator are
        treated with a chance of .99, and have an outcome and an effect of their own.
    """

    units: int
    numbers: int
    flags: int
    rarity: float
    strength: float
    share: float
    kind: str

    @property
    def covariates(self) -> tuple[str, ...]:
        """Their names."""
        return (
            *(f"x_{j}" for j in range(self.numbers)),
            *(f"x_f{j}" for j in range(self.flags)),
        )

    def draw(self, seed: int) -> tuple[pa.Table, float, float]:
        """A table, the population's ATE and its ATT."""
        rng = np.random.default_rng([19, seed])
        x, chance, base, effect = self._units(rng, self.units)
        t = (rng.random(self.units) < chance).astype(np.int32)
        y = base + effect * t + rng.normal(size=self.units)
        names = self.covariates
        table = {n: x[:, j] for j, n in enumerate(names)}
        table |= {"t": t, "y": y, "unit": np.arange(self.units)}
        return pa.table(table), *self.truths()

    @cache  # noqa: B019 (worlds are few, and live as long as the script)
    def truths(self) -> tuple[float, float]:
        """ATE and ATT of a large population."""
        chances, effects = [], []
        for part in range(20):
            _, chance, _, effect = self._units(np.random.default_rng([5, part]), _POPULATION // 20)
            chances.append(chance)
            effects.append(effect)
        chance, effect = np.concatenate(chances), np.concatenate(effects)
        return float(effect.mean()), float(np.average(effect, weights=chance))

    def _units(
        self, rng: np.random.Generator, units: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        numbers = rng.normal(size=(units, self.numbers))
        flags = (rng.random((units, self.flags)) < self.rarity).astype(float)
        some = numbers[:, : min(self.numbers, 5)]
        index = some.sum(axis=1) / np.sqrt(some.shape[1])
        bend = (some[:, 0] ** 2 - 1.0) / np.sqrt(2.0)
        marked = flags.sum(axis=1)
        odds = self.strength * index
        if self.kind == "both":
            odds = self.strength * (0.5 * index + bend)
        odds = odds + 0.3 * self.strength * (marked - self.rarity * self.flags)
        chance = special.expit(odds + special.logit(self.share))
        base = index + 0.5 * marked
        effect = 1.0 + 0.3 * some[:, 0]
        if self.kind in ("outcome", "both"):
            base = base + 1.5 * bend
            effect = effect + 0.3 * bend
        if self.kind == "stratum":
            inside = flags[:, 0] == 1
            chance = np.where(inside, 0.99, chance)
            base = base + 3.0 * inside * numbers[:, 0]
            effect = effect + 3.0 * inside
        return np.column_stack([numbers, flags]), chance, base, effect


def worlds() -> Iterator[GateWorld]:
    """All worlds of the study."""
    sizes = ((300, 5, 0), (700, 10, 15), (1000, 5, 40), (2000, 10, 15), (6000, 5, 10))
    for (units, numbers, flags), strength, share, kind in product(
        sizes, (0.0, 0.5, 1.0, 2.0, 4.0), (0.5, 0.2), ("linear", "outcome", "both")
    ):
        yield GateWorld(units, numbers, flags, 0.07, strength, share, kind)
    for (units, numbers, flags), rarity, share in product(sizes[1:], (0.02, 0.07, 0.2), (0.5, 0.2)):
        yield GateWorld(units, numbers, flags, rarity, 0.5, share, "stratum")
