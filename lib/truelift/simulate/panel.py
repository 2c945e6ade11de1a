"""Unit-treatment-outcome panels whose average effects are known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

_QUADRATURE_POINTS = 160


@dataclass(frozen=True)
class PanelWorld:
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

    def __post_init__(self) -> None:
        if self.covariates < 1:
            raise ValueError(f"covariates: found {self.covariates}, expected at least 1.")
        if not 0 <= self.cluster_share < 1:
            raise ValueError(f"cluster_share: found {self.cluster_share}, expected [0, 1).")
        if self.noise < 0:
            raise ValueError(f"noise: found {self.noise}, expected 0 or more.")

    def average_effect(self) -> float:
        """The ATE over the population: E[effect + heterogeneity x1] = effect."""
        return self.effect

    def average_effect_on_treated(self) -> float:
        """The ATT over the population, by Gauss-Hermite quadrature.

        ``E[x1 | treated] = E[e x1] / E[e]``; the propensity depends on ``z = u'x ~ N(0, 1)``
        alone and ``E[x1 | z] = z / sqrt(covariates)``.
        """
        z, weight = np.polynomial.hermite_e.hermegauss(_QUADRATURE_POINTS)
        propensity = _logistic(self.treated_logit + self.confounding * z)
        mean_z = np.sum(weight * propensity * z) / np.sum(weight * propensity)
        return float(self.effect + self.heterogeneity * mean_z / np.sqrt(self.covariates))


@dataclass(frozen=True, eq=False)
class SimulatedPanel:
    """A panel and the truth about it.

    Parameters
    ----------
    table : pa.Table
        ``unit_id, user_key, campaign, treated, y_spend, y_visits, x_1..x_p, bucket``; the
        columns of ``gold.panel``. ``y_visits`` is an outcome that treatment does not touch.
    propensity, unit_effect : np.ndarray, shape (units,)
        Each unit's probability of treatment, and the effect on its ``y_spend``.
    ate, att : float
        Population effects on ``y_spend``; both are 0 for ``y_visits``.
    """

    table: pa.Table
    propensity: np.ndarray
    unit_effect: np.ndarray
    ate: float
    att: float

    def __repr__(self) -> str:
        treated = int(np.sum(self.table["treated"].to_numpy()))
        return (
            f"SimulatedPanel({self.table.num_rows:,} units, {treated:,} treated, "
            f"ATE {self.ate:.3f}, ATT {self.att:.3f})"
        )


def simulate_panel(
    units: int,
    clusters: int | None = None,
    world: PanelWorld | None = None,
    buckets: int = 40,
    seed: int = 0,
) -> SimulatedPanel:
    """Draw a panel.

    Parameters
    ----------
    units : int
        Number of rows.
    clusters : int, optional
        Number of users, at most ``units``; units go to users round robin. Each unit is its own
        user by default.
    world : PanelWorld, optional
    buckets : int
        A user's bucket is their number modulo this (not the lake's hash of the key).
    seed : int
        Same seed, same panel.

    Returns
    -------
    SimulatedPanel
    """
    world = world or PanelWorld()
    clusters = units if clusters is None else clusters
    if not 1 <= clusters <= units:
        raise ValueError(f"clusters: found {clusters}, expected 1 to {units} (the units).")
    random = np.random.default_rng(seed)
    cluster = np.arange(units) % clusters
    x = np.column_stack(
        [_clustered_normal(random, cluster, clusters, world) for _ in range(world.covariates)]
    )
    index = x.sum(axis=1) / np.sqrt(world.covariates)
    propensity = _logistic(world.treated_logit + world.confounding * index)
    treated = (random.random(units) < propensity).astype(np.int32)
    effect = world.effect + world.heterogeneity * x[:, 0]
    untouched = world.baseline + world.slope * index + world.curvature * (x[:, 0] ** 2 - 1)
    spend = (
        untouched
        + effect * treated
        + world.noise * _clustered_normal(random, cluster, clusters, world)
    )
    visits = untouched / 2 + world.noise * _clustered_normal(random, cluster, clusters, world)
    names = np.array([f"u{number:08d}" for number in range(clusters)])
    columns = {
        "unit_id": pa.array([f"simulated:{number:010d}" for number in range(units)]),
        "user_key": pa.array(names[cluster]),
        "campaign": pa.array((np.arange(units) // clusters).astype(str)),
        "treated": pa.array(treated, pa.int32()),
        "y_spend": pa.array(spend),
        "y_visits": pa.array(visits),
        **{f"x_{place + 1}": pa.array(x[:, place]) for place in range(world.covariates)},
        "bucket": pa.array((cluster % buckets).astype(np.int32)),
    }
    return SimulatedPanel(
        pa.table(columns),
        propensity,
        effect,
        world.average_effect(),
        world.average_effect_on_treated(),
    )


def _clustered_normal(
    random: np.random.Generator, cluster: np.ndarray, clusters: int, world: PanelWorld
) -> np.ndarray:
    """Standard normal, with ``cluster_share`` of its variance common to a cluster."""
    common = random.standard_normal(clusters)[cluster]
    own = random.standard_normal(len(cluster))
    return np.sqrt(world.cluster_share) * common + np.sqrt(1 - world.cluster_share) * own


def _logistic(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))
