"""The world ``shared``: small panels whose clusters share a covariate, an error and an effect."""

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


@dataclass(frozen=True)
class SharedWorld:
    """Units in clusters; the first covariate is shared by a cluster, and so is an error.

    The treatment depends on the covariates alone, so the average effect is identified; the naive
    difference is not. ``y_visits`` has effect ``-effect / 2``.

    Parameters
    ----------
    units, clusters, covariates, buckets : int
    effect : float
        Average effect on ``y_spend``.
    confounding : float
        Strength with which the covariates drive treatment.
    heterogeneity : float
        Change of the effect, in parts of it, with the last covariate.
    cluster_effect, cluster_heterogeneity : float
        Standard deviations, over clusters, of the error and of the effect.
    """

    units: int = 2000
    clusters: int = 200
    covariates: int = 4
    buckets: int = 10
    effect: float = 1.5
    confounding: float = 0.6
    heterogeneity: float = 0.5
    cluster_effect: float = 1.0
    cluster_heterogeneity: float = 0.0

    def draw(self, seed: Seed = 1) -> Drawn:
        """A panel: ``unit_id, user_key, campaign, treated, y_spend, y_visits, x_0.., bucket``."""
        return self._drawn(seed, None)

    def step(self, policy: Policy, seed: Seed) -> pa.Table:
        """Logs of new units whose treatment a policy decides."""
        drawn = self._drawn(seed, policy)
        treated = drawn.table["treated"].to_numpy()
        chances = np.stack([1 - drawn.propensity, drawn.propensity])
        return drawn.table.append_column("chance", pa.array(taken(chances, treated)))

    def truth(self, estimand: str | Estimand) -> float:
        """The ATE: ``effect`` on ``y_spend``, ``-effect / 2`` on ``y_visits``."""
        question = asked(estimand)
        of_outcome = {"": self.effect, "y_spend": self.effect, "y_visits": -0.5 * self.effect}
        if question.estimand != "ATE" or question.outcome not in of_outcome:
            raise unknown(self, question, ("ATE",))
        return of_outcome[question.outcome]

    def _drawn(self, seed: Seed, policy: Policy | None) -> Drawn:
        rng = np.random.default_rng(seed)
        units, clusters = self.units, self.clusters
        cluster = rng.integers(0, clusters, units)
        x = rng.normal(size=(units, self.covariates))
        x[:, 0] = rng.normal(size=clusters)[cluster]
        shared = self.cluster_effect * rng.normal(size=clusters)[cluster]
        slopes = np.linspace(1.0, 0.25, self.covariates)
        named = {f"x_{j}": x[:, j] * 10**j + 3 for j in range(self.covariates)}
        index = self.confounding * (x @ slopes)
        propensity = 1 / (1 + np.exp(-index))
        if policy is not None:
            propensity = chances_of(policy, pa.table(named), 2)[1]
        treated = (rng.random(units) < propensity).astype(np.int32)
        own = self.effect * (1 + self.heterogeneity * x[:, -1])  # its mean is ``effect``
        own += self.cluster_heterogeneity * rng.normal(size=clusters)[cluster]
        spend = 20 + x @ slopes + own * treated + shared + rng.normal(size=units)
        visits = (
            5 - x @ slopes[::-1] - 0.5 * self.effect * treated + 0.5 * shared
            + rng.normal(size=units)
        )  # fmt: skip
        table = pa.table(
            {
                "unit_id": [f"u{i:06d}" for i in range(units)],
                "user_key": [f"household-{c}" for c in cluster],
                "campaign": [f"c{i % 3}" for i in range(units)],
                "treated": treated,
                "y_spend": spend,
                "y_visits": visits,
                **named,
                "bucket": (cluster % self.buckets).astype(np.int32),
            }
        )
        return Drawn(table, propensity, own)


SHARED = WorldKind("shared", "clusters that share a covariate, an error and an effect", SharedWorld)
