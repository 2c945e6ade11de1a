"""Panels of one treated unit among many, chosen by lot or for what its outcome was."""

from __future__ import annotations

import numpy as np

#: How the treated unit is chosen: by lot; the highest in the last period before, or on average before; the one with
#: the largest error in the last period; with a chance that grows with the outcome in the last period.
CHOSEN = ("random", "last", "level", "dip", "leaning")


def few_treated(
    seed: int = 1, donors: int = 30, before: int = 16, after: int = 4, chosen: str = "random", effect: float = 0.0,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """Outcomes (units x periods) with two common factors, levels and errors that fade, and the treated unit.

    Parameters
    ----------
    seed, donors, before, after : int
    chosen : str
        One of :data:`CHOSEN`.
    effect : float
        On the treated in every period after.
    """
    rng = np.random.default_rng(seed)
    units, periods = donors + 1, before + after
    factors = 0.5 * np.cumsum(rng.normal(size=(2, periods)), axis=1)
    errors = rng.normal(size=(units, periods))
    for t in range(1, periods):
        errors[:, t] = 0.3 * errors[:, t - 1] + np.sqrt(1 - 0.3**2) * errors[:, t]
    y = rng.normal(size=(units, 1)) + rng.normal(size=(units, 2)) @ factors + errors
    last = y[:, before - 1]
    if chosen == "random":
        treated = 0
    elif chosen == "leaning":
        chance = np.exp(1.5 * (last - last.mean()) / last.std())
        treated = int(rng.choice(units, p=chance / chance.sum()))
    else:
        scores = {"last": last, "level": y[:, :before].mean(axis=1), "dip": errors[:, before - 1]}
        treated = int(np.argmax(scores[chosen]))
    y[treated, before:] += effect
    return y, treated
