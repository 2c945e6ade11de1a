"""CausalML on the draws of :mod:`truth_data`; runs in an environment of its own."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from truth_data import Draw, draws, measured
from truth_peers import FOLDS, nuisances

ALPHA = 0.05
NORMAL = 1.959963984540054  # its intervals are the estimate and so many errors on each side


def main() -> None:
    warnings.filterwarnings("ignore")
    folder = Path(sys.argv[1])
    only = sys.argv[2] if len(sys.argv) > 2 else None
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for draw in draws(folder, only):
        for name, run in LEARNERS.items():
            print(draw.benchmark, draw.name, name, file=sys.stderr, flush=True)
            figures.setdefault(f"{draw.benchmark}|{draw.name}", {})[name] = run(draw)
    print(json.dumps({"versions": {"causalml": version("causalml")}, "figures": figures}))


def meta_learner(maker: str, kind: str) -> Callable[[Draw], dict[str, float]]:
    """A meta-learner with its own propensities (elastic net, calibrated); effects of all units."""

    def run(draw: Draw) -> dict[str, float]:
        from causalml.inference import meta

        began = time.perf_counter()
        regression, _ = nuisances(kind)
        learner = getattr(meta, maker)(learner=regression)
        seen, x = ~draw.held_out, draw.x.to_numpy()
        np.random.seed(1)
        seed = {"seed": 1} if "DR" in maker else {}
        found = learner.estimate_ate(X=x[seen], treatment=draw.t[seen], y=draw.y[seen], **seed)
        mean, lower, upper = (float(np.ravel(value)[0]) for value in found)
        seconds = time.perf_counter() - began
        forecasts = {"dr" if "DR" in maker else "x": np.ravel(learner.predict(x))}
        ate = mean, (upper - lower) / (2 * NORMAL)
        return measured(draw, ate, None, forecasts, seconds)

    return run


def tmle(kind: str) -> Callable[[Draw], dict[str, float]]:
    """Targeted maximum likelihood: the ATE alone."""

    def run(draw: Draw) -> dict[str, float]:
        from causalml.inference.meta import TMLELearner
        from causalml.propensity import compute_propensity_score
        from sklearn.model_selection import KFold

        began = time.perf_counter()
        regression, _ = nuisances(kind)
        seen = ~draw.held_out
        x, t, y = draw.x.to_numpy()[seen], draw.t[seen], draw.y[seen]
        p, _ = compute_propensity_score(X=x, treatment=t)
        folds = KFold(FOLDS, shuffle=True, random_state=1)
        learner = TMLELearner(learner=regression, ate_alpha=ALPHA, cv=folds)
        found = learner.estimate_ate(X=x, treatment=t, y=y, p=p)
        mean, lower, upper = (float(np.ravel(value)[0]) for value in found)
        ate = mean, (upper - lower) / (2 * NORMAL)
        return measured(draw, ate, None, {}, time.perf_counter() - began)

    return run


LEARNERS = {
    "CausalML DR-learner, linear": meta_learner("BaseDRRegressor", "linear"),
    "CausalML DR-learner, boosting": meta_learner("BaseDRRegressor", "boosting"),
    "CausalML X-learner, boosting": meta_learner("BaseXRegressor", "boosting"),
    "CausalML TMLE, boosting": tmle("boosting"),
}

if __name__ == "__main__":
    main()
