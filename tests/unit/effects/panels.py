"""Simulated panels: confounded, clustered, with a known average effect."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from truelift.effects.panel.source import MemoryPanel


def simulate_panel(
    seed: int = 1,
    units: int = 2000,
    clusters: int = 200,
    covariates: int = 4,
    buckets: int = 10,
    effect: float = 1.5,
    confounding: float = 0.6,
    heterogeneity: float = 0.5,
    cluster_effect: float = 1.0,
    cluster_heterogeneity: float = 0.0,
) -> pa.Table:
    """Units in clusters; the first covariate is shared by a cluster, and so is an error.

    The treatment depends on the covariates alone, so the average effect is identified; the
    naive difference is not. The effect may vary with a covariate (``heterogeneity``) and from
    cluster to cluster (``cluster_heterogeneity``). ``y_visits`` has effect ``-effect / 2``.
    """
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, clusters, units)
    x = rng.normal(size=(units, covariates))
    x[:, 0] = rng.normal(size=clusters)[cluster]
    shared = cluster_effect * rng.normal(size=clusters)[cluster]
    slopes = np.linspace(1.0, 0.25, covariates)
    index = confounding * (x @ slopes)
    treated = (rng.random(units) < 1 / (1 + np.exp(-index))).astype(np.int32)
    own = effect * (1 + heterogeneity * x[:, -1])  # its mean is ``effect``
    own += cluster_heterogeneity * rng.normal(size=clusters)[cluster]
    spend = 20 + x @ slopes + own * treated + shared + rng.normal(size=units)
    visits = 5 - x @ slopes[::-1] - 0.5 * effect * treated + 0.5 * shared + rng.normal(size=units)
    return pa.table(
        {
            "unit_id": [f"u{i:06d}" for i in range(units)],
            "user_key": [f"household-{c}" for c in cluster],
            "campaign": [f"c{i % 3}" for i in range(units)],
            "treated": treated,
            "y_spend": spend,
            "y_visits": visits,
            **{f"x_{j}": x[:, j] * 10**j + 3 for j in range(covariates)},
            "bucket": (cluster % buckets).astype(np.int32),
        }
    )


def in_buckets(table: pa.Table, version: int = 0) -> MemoryPanel:
    """The table as an in-memory panel, cut by its bucket column."""
    bucket = table["bucket"].to_numpy()
    found = np.unique(bucket).tolist()
    parts = {b: table.filter(pa.array(bucket == b)) for b in found}
    return MemoryPanel(parts or {0: table}, version=version)


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    """The table with one column set."""
    column = pa.chunked_array([pa.array(values)])
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)
