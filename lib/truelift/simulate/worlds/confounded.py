"""The world ``confounded``: one treatment, and average effects that are known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

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

_QUADRATURE_POINTS = 160


@dataclass(frozen=True)
class ConfoundedWorld:
    """How units come about.

    With standard normal covariates ``x`` (correlated inside a cluster, independent of one
    another), ``g = confounding * u`` and ``u`` the unit vector of equal weights,

    * propensity ``e(x) = logistic(treated_logit + g'x)``,
    * untreated outcome ``baseline + slope * u'x + curvature * (x1^2 - 1) + noise``,
    * effect ``effect + heterogeneity * x1``.

    Parameters
    ----------
    covariates : int
        Number of covariates, at least 1.
    effect : float
        Average treatment effect.
    heterogeneity : float
        Change of the effect with the first covariate; makes ATT differ from ATE.
    confounding : float
        Strength with which the covariates drive treatment; 0 is a randomised experiment.
    treated_logit : float
        Log odds of treatment at ``x = 0``.
    baseline, slope : float
        Outcome level, and how strongly covariates drive it.
    curvature : float
        Non-zero makes a linear outcome model wrong.
    noise : float
        Standard deviation of the outcome given covariates and treatment.
    cluster_share : float
        Share in [0, 1) of that variance, and of each covariate's, that a cluster has in common.
    units : int
        Number of rows.
    clusters : int, optional
        Number of users, at most ``units``; units go to users round robin. Each unit is its own
        user by default.
    buckets : int
        A user's bucket is their number modulo this (not the lake's hash of the key).
    """

    covariates: int = 5
    effect: float = 1.0
    heterogeneity: float = 0.5
    confounding: float = 1.0
    treated_logit: float = -0.5
    baseline: float = 10.0
    slope: float = 2.0
    curvature: float = 0.0
    noise: float = 1.0
    cluster_share: float = 0.3
    units: int = 2000
    clusters: int | None = None
    buckets: int = 40

    def __post_init__(self) -> None:
        if self.covariates < 1:
            raise ValueError(f"covariates: found {self.covariates}, expected at least 1.")
        if not 0 <= self.cluster_share < 1:
            raise ValueError(f"cluster_share: found {self.cluster_share}, expected [0, 1).")
        if self.noise < 0:
            raise ValueError(f"noise: found {self.noise}, expected 0 or more.")
        if self.clusters is not None and not 1 <= self.clusters <= self.units:
            raise ValueError(
                f"clusters: found {self.clusters}, expected 1 to {self.units} (the units)."
            )

    def draw(self, seed: Seed = 0) -> Drawn:
        """A panel: ``unit_id, user_key, campaign, treated, y_spend, y_visits, x_1..x_p, bucket``."""
        return self._drawn(seed, None)

    def step(self, policy: Policy, seed: Seed) -> pa.Table:
        """Logs of new units whose treatment a policy decides."""
        drawn = self._drawn(seed, policy)
        treated = drawn.table["treated"].to_numpy()
        chances = np.stack([1 - drawn.propensity, drawn.propensity])
        return drawn.table.append_column("chance", pa.array(taken(chances, treated)))

    def truth(self, estimand: str | Estimand) -> float:
        """Population effects on ``y_spend``; all are 0 on ``y_visits``, which nothing changes."""
        question = asked(estimand)
        if question.outcome == "y_visits" and question.estimand in ("ATE", "ATT"):
            return 0.0
        if question.outcome in ("", "y_spend"):
            if question.estimand == "ATE":
                return self.effect
            if question.estimand == "ATT":
                return self._effect_on_treated()
        raise unknown(self, question, ("ATE", "ATT"))

    def _effect_on_treated(self) -> float:
        """By Gauss-Hermite quadrature.

        ``E[x1 | treated] = E[e x1] / E[e]``; the propensity depends on ``z = u'x ~ N(0, 1)``
        alone and ``E[x1 | z] = z / sqrt(covariates)``.
        """
        z, weight = np.polynomial.hermite_e.hermegauss(_QUADRATURE_POINTS)
        propensity = _logistic(self.treated_logit + self.confounding * z)
        mean_z = np.sum(weight * propensity * z) / np.sum(weight * propensity)
        return float(self.effect + self.heterogeneity * mean_z / np.sqrt(self.covariates))

    def _drawn(self, seed: Seed, policy: Policy | None) -> Drawn:
        random = np.random.default_rng(seed)
        units, clusters = self.units, self.units if self.clusters is None else self.clusters
        cluster = np.arange(units) % clusters
        x = np.column_stack(
            [_clustered_normal(random, cluster, clusters, self) for _ in range(self.covariates)]
        )
        index = x.sum(axis=1) / np.sqrt(self.covariates)
        named = {f"x_{place + 1}": pa.array(x[:, place]) for place in range(self.covariates)}
        propensity = _logistic(self.treated_logit + self.confounding * index)
        if policy is not None:
            propensity = chances_of(policy, pa.table(named), 2)[1]
        treated = (random.random(units) < propensity).astype(np.int32)
        effect = self.effect + self.heterogeneity * x[:, 0]
        untouched = self.baseline + self.slope * index + self.curvature * (x[:, 0] ** 2 - 1)
        spend = (
            untouched
            + effect * treated
            + self.noise * _clustered_normal(random, cluster, clusters, self)
        )
        visits = untouched / 2 + self.noise * _clustered_normal(random, cluster, clusters, self)
        names = np.array([f"u{number:08d}" for number in range(clusters)])
        columns = {
            "unit_id": pa.array([f"simulated:{number:010d}" for number in range(units)]),
            "user_key": pa.array(names[cluster]),
            "campaign": pa.array((np.arange(units) // clusters).astype(str)),
            "treated": pa.array(treated, pa.int32()),
            "y_spend": pa.array(spend),
            "y_visits": pa.array(visits),
            **named,
            "bucket": pa.array((cluster % self.buckets).astype(np.int32)),
        }
        return Drawn(pa.table(columns), propensity, effect)


CONFOUNDED = WorldKind(
    "confounded", "one treatment, driven by the covariates; effects that vary", ConfoundedWorld
)


def _clustered_normal(
    random: np.random.Generator, cluster: np.ndarray, clusters: int, world: ConfoundedWorld
) -> np.ndarray:
    """Standard normal, with ``cluster_share`` of its variance common to a cluster."""
    common = random.standard_normal(clusters)[cluster]
    own = random.standard_normal(len(cluster))
    return np.sqrt(world.cluster_share) * common + np.sqrt(1 - world.cluster_share) * own


def _logistic(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))
