"""What linearmodels and ivmodels say of Card's data; run in their own environment by ``instruments.py``."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from ivmodels.confidence_set import ConfidenceSet
from ivmodels.tests import anderson_rubin_test, inverse_anderson_rubin_test
from linearmodels.datasets import card
from linearmodels.iv import IV2SLS, IVJIVE, IVLIML

COVARIATES = (
    "exper", "expersq", "black", "south", "smsa", "smsa66", *(f"reg66{i}" for i in range(1, 9)),
)  # fmt: skip


def as_peer(instruments: list[str]) -> dict[str, Any]:
    """Estimates with standard errors, Anderson and Rubin's test and set, and the rows."""
    data = card.load().dropna(subset=["lwage", "educ", "nearc4"])
    x = data[list(COVARIATES)].assign(one=1.0)
    y, d, z = data["lwage"], data["educ"], data[instruments]
    found: dict[str, Any] = {}
    for name, model in (("TSLS", IV2SLS), ("LIML", IVLIML)):
        fit = model(y, x, d, z).fit(cov_type="clustered", clusters=np.arange(len(y)))
        found[name] = [float(fit.params["educ"]), float(fit.std_errors["educ"])]
    plain = x.to_numpy(float)

    def left(column: Any) -> np.ndarray:
        values = column.to_numpy(float)
        return values - plain @ np.linalg.lstsq(plain, values, rcond=None)[0]

    fit = IVJIVE(left(y), None, left(d), left(z)).fit()
    found["JIVE"] = [float(fit.params.iloc[0]), float(fit.std_errors.iloc[0])]
    given = {"Z": z.to_numpy(float), "X": d.to_numpy(float)[:, None], "y": y.to_numpy(float)}
    given["C"] = data[list(COVARIATES)].to_numpy(float)
    statistic, p_value = anderson_rubin_test(beta=np.zeros(1), **given)
    quadric = inverse_anderson_rubin_test(alpha=0.05, **given)
    ends = np.ravel(ConfidenceSet.from_quadric(quadric).boundaries).tolist()
    found["AR"] = [float(statistic), float(p_value), *ends]
    found["rows"] = data[["lwage", "educ", "nearc2", "nearc4", *COVARIATES]].to_csv()
    return found


if __name__ == "__main__":
    print(json.dumps(as_peer(sys.argv[1:])))
