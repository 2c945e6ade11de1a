"""The linear estimators once more, by matrices of all rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy import linalg

BUCKETS = 8


def by_matrices(table: pa.Table, instruments: list[str]) -> dict[str, float]:
    """2SLS, LIML, leave-cluster-out JIVE with clustered errors, and Anderson-Rubin's statistic at 0."""
    y, d, user = (table[name].to_numpy() for name in ("y", "d", "user"))
    z = np.column_stack([table[name].to_numpy() for name in instruments])
    x = np.column_stack([np.ones(len(y)), table["x"].to_numpy()])
    y, d, z = (a - x @ np.linalg.lstsq(x, a, rcond=None)[0] for a in (y, d, z))
    groups = [np.flatnonzero(user == u) for u in np.unique(user)]
    rows, p, k = len(y), x.shape[1], z.shape[1]

    def factor(fitted):
        return len(groups) / (len(groups) - 1) * (rows - 1) / (rows - fitted)

    def error(fitted, effect):
        parts = [fitted[g] @ (y - effect * d)[g] for g in groups]
        return np.sqrt(factor(p + 1) * np.sum(np.square(parts)))

    stage = z @ np.linalg.lstsq(z, d, rcond=None)[0]
    tsls = stage @ y / (stage @ d)
    both = np.column_stack([y, d])
    left = both - z @ np.linalg.lstsq(z, both, rcond=None)[0]
    kappa = linalg.eigh(both.T @ both, left.T @ left, eigvals_only=True)[0]
    classed = both.T @ both - kappa * left.T @ left
    liml = classed[0, 1] / classed[1, 1]
    out = np.zeros(len(y))
    for g in groups:
        rest = np.setdiff1d(np.arange(len(y)), g)
        out[g] = z[g] @ np.linalg.lstsq(z[rest], d[rest], rcond=None)[0]
    jive = out @ y / (out @ d)
    scores = np.array([z[g].T @ y[g] for g in groups])
    meat = factor(p) * len(groups) * np.cov(scores.T, bias=True)
    v = left[:, 1]
    firsts = np.array([z[g].T @ v[g] for g in groups])
    strength = d @ z @ np.linalg.solve(z.T @ z, z.T @ d)
    strength /= np.trace(np.linalg.solve(z.T @ z, factor(p + k) * firsts.T @ firsts))
    return {
        "TSLS": tsls, "TSLS error": error(stage, tsls) / (stage @ d),
        "LIML": liml, "LIML error": error(stage, liml) / classed[1, 1],
        "JIVE": jive, "JIVE error": error(out, jive) / abs(out @ d),
        "AR at 0": (z.T @ y) @ np.linalg.solve(np.atleast_2d(meat), z.T @ y),
        "effective F": strength,
    }  # fmt: skip
