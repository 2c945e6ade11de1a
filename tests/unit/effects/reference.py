"""Cross-fitted AIPW written down plainly: every model refitted on the rows outside its fold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize
from scipy.special import expit


def arrays(table: pa.Table, outcome: str, folds: int) -> tuple[np.ndarray, ...]:
    """Design with intercept (standardised), outcome, treatment, fold and cluster codes."""
    names = [n for n in table.column_names if n.startswith("x_")]
    x = np.column_stack([table[n].to_numpy() for n in names])
    x = (x - x.mean(0)) / x.std(0)
    z = np.column_stack([np.ones(len(x)), x])
    fold = table["bucket"].to_numpy() % folds
    _, cluster = np.unique(table["user_key"].to_numpy(zero_copy_only=False), return_inverse=True)
    return z, table[outcome].to_numpy(), table["treated"].to_numpy().astype(float), fold, cluster


def logistic(z: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Maximum likelihood by SciPy, polished by Newton to machine precision."""

    def loss(b):
        f = z @ b
        return np.mean(np.logaddexp(0, f) - d * f), z.T @ (expit(f) - d) / len(d)

    b = minimize(loss, np.zeros(z.shape[1]), jac=True, method="BFGS").x
    for _ in range(3):
        e = expit(z @ b)
        b = b + np.linalg.solve((z * (e * (1 - e))[:, None]).T @ z, z.T @ (d - e))
    return b


def aipw(table: pa.Table, outcome: str, folds: int, clip: float) -> dict[str, tuple]:
    """ATE, ATT, ATO and naive difference with clustered standard errors, by explicit loops."""
    z, y, d, fold, cluster = arrays(table, outcome, folds)
    e, m0, m1 = np.zeros(len(y)), np.zeros(len(y)), np.zeros(len(y))
    for k in np.unique(fold):
        out, here = fold != k, fold == k
        e[here] = expit(z[here] @ logistic(z[out], d[out]))
        m0[here] = z[here] @ np.linalg.lstsq(z[out & (d == 0)], y[out & (d == 0)], rcond=None)[0]
        m1[here] = z[here] @ np.linalg.lstsq(z[out & (d == 1)], y[out & (d == 1)], rcond=None)[0]
    propensity = e
    e = np.clip(e, clip, 1 - clip)
    ate = m1 - m0 + d * (y - m1) / e - (1 - d) * (y - m0) / (1 - e)
    att = d * (y - m0) - e / (1 - e) * (1 - d) * (y - m0)
    p = d.mean()
    y1, y0 = y[d == 1].mean(), y[d == 0].mean()
    naive = d * (y - y1) / p - (1 - d) * (y - y0) / (1 - p)
    raw = propensity  # the overlap weights need no clipping
    overlap = (d - raw) ** 2
    ato = overlap * (m1 - m0) + d * (1 - raw) * (y - m1) - (1 - d) * raw * (y - m0)
    tau = ato.sum() / overlap.sum()
    theta = att.mean() / p
    return {
        "ATE": (ate.mean(), clustered_error(ate - ate.mean(), cluster)),
        "ATT": (theta, clustered_error((att - theta * d) / p, cluster)),
        "ATO": (tau, clustered_error((ato - tau * overlap) / overlap.mean(), cluster)),
        "naive difference": (y1 - y0, clustered_error(naive, cluster)),
    }


def clustered_error(influence: np.ndarray, cluster: np.ndarray) -> float:
    """The sandwich by brute force: every pair of units of one cluster, G / (G - 1)."""
    groups = np.unique(cluster)
    total = 0.0
    for g in groups:
        mine = influence[cluster == g]
        total += float(np.sum(np.outer(mine, mine)))
    return float(np.sqrt(total * len(groups) / (len(groups) - 1)) / len(influence))
