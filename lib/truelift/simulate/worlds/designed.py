"""Tables for designs beyond the mean effect, whose truth is known: distributions, mediators, the front door."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def _clusters(rng: np.random.Generator, units: int, clusters: int) -> tuple[np.ndarray, ...]:
    user = rng.integers(0, clusters, units)
    return user, rng.normal(size=clusters)[user], rng.normal(size=(2, units))


def _table(user: np.ndarray, buckets: int, **columns: np.ndarray) -> pa.Table:
    return pa.table(
        {
            "unit_id": [f"u{i:06d}" for i in range(len(user))],
            "user": [f"c{c}" for c in user],
            **columns,
            "bucket": (user % buckets).astype(np.int32),
        }
    )


def skewed_outcomes(
    seed: int = 1, units: int = 1000, clusters: int = 250, buckets: int = 10
) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """A skewed outcome that the treatment moves and spreads: ``treated, y, x_0, x_1``, and both potential outcomes."""
    rng = np.random.default_rng(seed)
    user, shared, x = _clusters(rng, units, clusters)
    chance = 1.0 / (1.0 + np.exp(-0.7 * x[0] + 0.4 * x[1]))
    treated = (rng.random(units) < chance).astype(np.int32)
    index = 0.3 * x[0] + 0.2 * x[1] + 0.2 * shared
    without = np.exp(1.0 + index + 0.35 * rng.normal(size=units))
    within = np.exp(1.15 + 1.1 * index + 0.45 * rng.normal(size=units))
    table = _table(
        user,
        buckets,
        treated=treated,
        y=np.where(treated == 1, within, without),
        x_0=x[0],
        x_1=x[1],
    )
    return table, without, within


def mediated(
    seed: int = 1,
    units: int = 1000,
    clusters: int = 250,
    buckets: int = 10,
    front_door: bool = False,
) -> pa.Table:
    """A treatment that acts through ``m_0`` and ``m_1``, and directly: ``treated, m_0, m_1, y, x_0, x_1``.

    The direct effect is .5, that through the mediators .8 on the treated and .4 without the treatment's
    interaction with ``m_0`` (:data:`MEDIATED`). With ``front_door`` there is none but through the mediators, .4, and
    something unmeasured drives both treatment and outcome.
    """
    rng = np.random.default_rng(seed)
    user, shared, x = _clusters(rng, units, clusters)
    hidden = rng.normal(size=units) if front_door else np.zeros(units)
    chance = 1.0 / (1.0 + np.exp(-0.5 * x[0] + 0.3 * x[1] - 0.7 * hidden))
    d = (rng.random(units) < chance).astype(np.int32)
    # Clusters share what moves the mediators and what moves the outcome; one thing that does both would confound.
    first = 0.6 * d + 0.4 * x[0] + 0.4 * rng.normal(size=clusters)[user] + rng.normal(size=units)
    second = 0.5 * d + 0.3 * x[1] + rng.normal(size=units)
    direct, crossed = (0.0, 0.0) if front_door else (0.5, 0.5)
    y = (
        2.0 + direct * d + crossed * d * first + 0.25 * first + 0.5 * second + 0.3 * x[0] + 0.5 * shared
        + 0.8 * hidden + rng.normal(size=units)
    )  # fmt: skip
    return _table(user, buckets, treated=d, m_0=first, m_1=second, y=y, x_0=x[0], x_1=x[1])


#: Effects in :func:`mediated`: through m_0 it is .6 (.25 + .5 d), through m_1 .25, directly .5 + .5 E[m_0].
MEDIATED = {"NDE": 0.5, "NIE": 0.7, "TNDE": 0.8, "PNIE": 0.4, "ATE": 1.2}
#: The effect in :func:`mediated` through the front door: .6 x .25 + .5 x .5.
FRONT_DOOR = 0.4
