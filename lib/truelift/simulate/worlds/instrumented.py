"""Tables with instruments whose effect is known: for coverage where they are weak."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def instrument_table(
    seed: int = 1, clusters: int = 200, size: int = 4, instruments: int = 1, strength: float = 0.6,
    effect: float = 1.0, binary: bool = True, noise: float = 1.0,
) -> pa.Table:  # fmt: skip
    """Rows of clusters that share a part of both errors; ``d`` is driven by what drives ``y``, too.

    The less ``noise`` there is beside that, the more a weak instrument leans to the plain regression.
    """
    rng = np.random.default_rng(seed)
    n = clusters * size
    user = np.repeat(np.arange(clusters), size)
    x = rng.normal(size=n)
    z = rng.normal(size=(instruments, clusters))[:, user] + 0.5 * x
    z = (z > 0).astype(float) if binary else z
    shared = rng.normal(size=(2, clusters))[:, user]
    hidden = rng.normal(size=n) + shared[0]
    d = strength * z.sum(axis=0) + 0.5 * x + hidden + noise * rng.normal(size=n)
    y = effect * d + x - hidden + noise * (rng.normal(size=n) + shared[1])
    columns = {f"z{i + 1}": line for i, line in enumerate(z)}
    return pa.table({"user": user, "x": x, "d": d, "y": y, **columns})
