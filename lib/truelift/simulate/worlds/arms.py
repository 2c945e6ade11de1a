"""The world ``arms``: several arms, unequal clusters, and efficiency bounds beside the truth.

Covariates are standard normal. With ``z`` their sum over ``sqrt(p)`` (the index) and ``x1`` the
first of them, an arm's log odds against the control are ``logit_a + slope_a z`` (plus
``odds_curvature (x1^2 - 1)``), its effect is ``effect_a + heterogeneity_a x1``, and the untreated
outcome is ``10 + 2 z + curvature (x1^2 - 1) + noise``. All of it depends on ``x1`` and the rest
of the index alone, so truths and efficiency bounds are sums over a grid in two dimensions.

Bounds: Hahn (1998) for the ATE and the ATT; Crump, Hotz, Imbens & Mitnik (2006), theorem A.1, for
the ATO. All are for units that are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from scipy import stats
from scipy.special import softmax

from truelift.simulate.worlds.world import (
    Drawn,
    Estimand,
    Policy,
    Seed,
    WorldKind,
    asked,
    chances_of,
    taken,
    unknown,
)

COVARIATES = 5
GROUPS = 20
BASELINE, SLOPE = 10.0, 2.0
POLICY = "treat if x1 is positive"
BUCKETS = 5


@dataclass(frozen=True)
class ArmsWorld:
    """Parameters of the text above; without ``clusters`` units are independent.

    Parameters
    ----------
    units : int
    clusters : int, optional
        Number of clusters of very unequal size (log-normal weights). A cluster's units share
        covariates and treatment, and ``icc`` of their noise's variance.
    logits, slopes : tuple of float
        Of the arms after the control.
    effects, heterogeneity : tuple of float
        The same.
    curvature, odds_curvature : float
        What linear models of the outcome and of the log odds miss.
    tails : str
        ``'normal'``, ``'student'`` (three degrees of freedom) or ``'lognormal'`` noise, each
        with variance one.
    """

    units: int
    clusters: int | None = None
    icc: float = 0.0
    logits: tuple[float, ...] = (-0.5,)
    slopes: tuple[float, ...] = (1.0,)
    effects: tuple[float, ...] = (1.0,)
    heterogeneity: tuple[float, ...] = (0.5,)
    curvature: float = 0.0
    odds_curvature: float = 0.0
    tails: str = "normal"

    def draw(self, seed: Seed) -> Drawn:
        """One panel by bucket: ``unit_id, user_key, treated, y, x_1..x_5, group, choice, bucket``."""
        return self._drawn(seed, None)[0]

    def step(self, policy: Policy, seed: Seed) -> pa.Table:
        """Logs of new units whose arms a policy chooses; a cluster's units get one arm together."""
        drawn, chance = self._drawn(seed, policy)
        return drawn.table.append_column("chance", pa.array(chance))

    def truth(self, estimand: str | Estimand) -> float:
        """What an estimand is over the population; see :meth:`bounded` for its bound."""
        return self.bounded(estimand)[0]

    def bounded(self, estimand: str | Estimand) -> tuple[float, float]:
        """The true value, and the bound of the variance times n with noise one."""
        return self.known.of(asked(estimand))

    @cached_property
    def known(self) -> Truth:
        """The population on a grid."""
        return Truth(self)

    def _drawn(self, seed: Seed, policy: Policy | None) -> tuple[Drawn, np.ndarray]:
        """A panel, and the chance of each unit's arm."""
        random = np.random.default_rng(seed)
        cluster = self._clusters(random)
        count = self.units if self.clusters is None else self.clusters
        x = random.standard_normal((COVARIATES, count))
        chances = self.chances(x[0], x.sum(axis=0) / np.sqrt(COVARIATES))
        if policy is not None:
            seen = pa.table({f"x_{j + 1}": pa.array(x[j]) for j in range(COVARIATES)})
            chances = chances_of(policy, seen, 1 + len(self.logits))
        arm = (random.random(count) > np.cumsum(chances, axis=0)[:-1]).sum(axis=0)
        x, arm, chances = x[:, cluster], arm[cluster], chances[:, cluster]
        index = x.sum(axis=0) / np.sqrt(COVARIATES)
        effect = np.concatenate([np.zeros((1, self.units)), self.effect(x[0])])
        outcome = self.untreated(x[0], index) + effect[arm, np.arange(self.units)]
        outcome = outcome + self._noise(random, cluster, count)
        order = np.argsort(cluster % BUCKETS, kind="stable")
        table = pa.table(
            {
                "unit_id": pa.array(np.arange(self.units)),
                "user_key": pa.array(cluster[order]),
                "treated": pa.array(arm[order].astype(np.int32)),
                "y": pa.array(outcome[order]),
                **{f"x_{j + 1}": pa.array(x[j, order]) for j in range(COVARIATES)},
                "group": pa.array(group_of(x[0, order])),
                "choice": pa.array((x[0, order] > 0).astype(np.int32)),
                "bucket": pa.array((cluster[order] % BUCKETS).astype(np.int32)),
            }
        )
        drawn = Drawn(table, chances[:, order], effect[1:, order])
        return drawn, taken(chances, arm)[order]

    def chances(self, first: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Propensities of all arms (A x n)."""
        bend = self.odds_curvature * (first**2 - 1)
        odds = [a + b * index + bend for a, b in zip(self.logits, self.slopes, strict=True)]
        return softmax(np.stack([np.zeros_like(index), *odds]), axis=0)

    def effect(self, first: np.ndarray) -> np.ndarray:
        """Effects of the arms after the control (A - 1 x n)."""
        pairs = zip(self.effects, self.heterogeneity, strict=True)
        return np.stack([effect + slope * first for effect, slope in pairs])

    def untreated(self, first: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Mean outcome of the control arm."""
        return BASELINE + SLOPE * index + self.curvature * (first**2 - 1)

    def _clusters(self, random: np.random.Generator) -> np.ndarray:
        if self.clusters is None:
            return np.arange(self.units)
        # Everyone has a unit; the others go to few: the largest cluster has tens of units.
        weight = random.lognormal(0.0, 1.0, self.clusters)
        others = random.choice(self.clusters, self.units - self.clusters, p=weight / weight.sum())
        return np.concatenate([np.arange(self.clusters), others])

    def _noise(self, random: np.random.Generator, cluster: np.ndarray, count: int) -> np.ndarray:
        own = {
            "normal": lambda: random.standard_normal(self.units),
            "student": lambda: random.standard_t(3, self.units) / np.sqrt(3.0),
            "lognormal": lambda: (
                (random.lognormal(0.0, 1.0, self.units) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)
            ),
        }[self.tails]()
        if not self.icc:
            return own
        shared = random.standard_normal(count)[cluster]
        return np.sqrt(self.icc) * shared + np.sqrt(1 - self.icc) * own


ARMS = WorldKind("arms", "several arms, unequal clusters, other tails of the noise", ArmsWorld)


def group_of(first: np.ndarray) -> np.ndarray:
    """The twentieth of the standard normal distribution in which a value lies."""
    return np.minimum((stats.norm.cdf(first) * GROUPS).astype(np.int64), GROUPS - 1)


def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of (x1, index) and their weights; no group's edge lies between two points of it."""
    edges = stats.norm.ppf(np.arange(GROUPS + 1) / GROUPS).clip(-9.0, 9.0)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    half = np.diff(edges)[:, None] / 2
    first = (edges[:-1, None] + half * (1 + nodes)).ravel()
    weight = (half * weights).ravel() * stats.norm.pdf(first)
    rest, rest_weight = np.polynomial.hermite_e.hermegauss(60)
    spread = np.sqrt(1 - 1 / COVARIATES)
    index = first[:, None] / np.sqrt(COVARIATES) + spread * rest
    weight = weight[:, None] * rest_weight / rest_weight.sum()
    return np.repeat(first, len(rest)), index.ravel(), weight.ravel() / weight.sum()


class Truth:
    """Means over the population, and efficiency bounds (variance times n) with noise one."""

    def __init__(self, world: ArmsWorld):
        self.world = world
        self.first, self.index, self.weight = _grid()
        self.chances = world.chances(self.first, self.index)
        self.means = world.untreated(self.first, self.index) + np.concatenate(
            [np.zeros((1, len(self.first))), world.effect(self.first)]
        )
        self.group = group_of(self.first)
        self.chosen = (self.first > 0).astype(int)

    def of(self, estimate: Estimand) -> tuple[float, float]:
        """The true value and the bound of the variance times n."""
        name, population = estimate.estimand, estimate.population
        if name == "policy value":
            return self._mean(self.chosen, None)
        if name == "policy gain":
            return self._mean(self.chosen, np.zeros_like(self.chosen))
        arm, versus = int(estimate.arm), int(estimate.versus)
        if name == "GATE":
            inside = self.group == int(population.rpartition(" = ")[2])
            return self._mean(arm, versus, inside)
        if name in ("ATE", "naive difference"):
            return self._mean(arm, versus)
        effect = self.means[arm] - self.means[versus]
        e1, e0 = self.chances[arm], self.chances[versus]
        if name == "ATT":
            share = self.weight @ e1
            value = self.weight @ (e1 * effect) / share
            spread = e1 + e1**2 / e0 + e1 * (effect - value) ** 2
            return float(value), float(self.weight @ spread / share**2)
        if name == "ATO":
            overlap = e1 * e0 / (e1 + e0)
            share = self.weight @ overlap
            value = self.weight @ (overlap * effect) / share
            both = e1 + e0
            ours = e1 / both
            # The variance of the efficient score: of its residuals, and of q (effect - value).
            residuals = e1 * (1 - ours) ** 2 + e0 * ours**2
            squares = e1 * (1 - ours) ** 4 + e0 * ours**4
            spread = residuals + squares * (effect - value) ** 2
            return float(value), float(self.weight @ spread / share**2)
        known = ("ATE", "ATT", "ATO", "GATE", "policy value", "policy gain", "naive difference")
        raise unknown(self.world, estimate, known)

    def _mean(
        self,
        arm: int | np.ndarray,
        versus: int | np.ndarray | None,
        inside: np.ndarray | None = None,
    ) -> tuple[float, float]:
        """The mean under one choice of arms, less that under another, among units inside."""
        weight = self.weight if inside is None else self.weight * inside
        share = weight.sum()
        place = np.arange(len(weight))
        level = self.means[arm, place]
        noise = 1 / self.chances[arm, place]
        if versus is not None:
            level = level - self.means[versus, place]
            # Units for which both choose the same arm have neither effect nor noise.
            noise = (noise + 1 / self.chances[versus, place]) * (np.not_equal(arm, versus))
        value = weight @ level / share
        bound = weight @ (noise + (level - value) ** 2) / share**2
        return float(value), float(bound)
