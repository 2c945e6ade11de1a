"""EconML and DoubleML on the draws of :mod:`truth_data`; runs in the peers' environment."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from truth_data import Draw, draws, measured

FOLDS = 5


def main() -> None:
    folder = Path(sys.argv[1])
    only = sys.argv[2] if len(sys.argv) > 2 else None
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for draw in draws(folder, only):
        for name, run in PEERS.items():
            if "Forest" in name and not draw.exact:
                continue  # a hundred seconds and more, and no effects of units to be compared
            print(draw.benchmark, draw.name, name, file=sys.stderr, flush=True)
            figures.setdefault(f"{draw.benchmark}|{draw.name}", {})[name] = run(draw)
    print(json.dumps({"versions": {n: version(n) for n in ("econml", "doubleml")}, "figures": figures}))  # fmt: skip


def nuisances(kind: str):  # type: ignore[no-untyped-def]
    """Regressor and classifier."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "linear":
        logistic = LogisticRegression(C=1e6, max_iter=1000)
        return LinearRegression(), make_pipeline(StandardScaler(), logistic)
    options = {"max_iter": 100, "max_depth": 4, "early_stopping": True, "random_state": 1}
    return HistGradientBoostingRegressor(**options), HistGradientBoostingClassifier(**options)


def econml(kind: str, final: str):  # type: ignore[no-untyped-def]
    """A DR-learner; its final stage is linear or a forest."""

    def run(draw: Draw) -> dict[str, float]:
        from econml.dr import ForestDRLearner, LinearDRLearner

        began = time.perf_counter()
        regression, propensity = nuisances(kind)
        maker = LinearDRLearner if final == "linear" else ForestDRLearner
        learner = maker(
            model_regression=regression, model_propensity=propensity, cv=FOLDS,
            min_propensity=0.01, random_state=1, **({} if final == "linear" else {"n_estimators": 200}),
        )  # fmt: skip
        seen, x = ~draw.held_out, draw.x.to_numpy()
        learner.fit(draw.y[seen], draw.t[seen], X=x[seen])
        ate, att = (_mean(learner, x[rows]) for rows in (seen, seen & (draw.t == 1)))
        forecasts = {"dr": np.ravel(learner.effect(x))}
        return measured(draw, ate, att, forecasts, time.perf_counter() - began)

    return run


def _mean(learner, x: np.ndarray) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    found = learner.ate_inference(x)
    return float(np.ravel(found.mean_point)[0]), float(np.ravel(found.stderr_mean)[0])


def doubleml(kind: str):  # type: ignore[no-untyped-def]
    """The interactive model: ATE and ATTE, no effects of units."""

    def run(draw: Draw) -> dict[str, float]:
        import doubleml as dml

        began = time.perf_counter()
        regression, propensity = nuisances(kind)
        seen = ~draw.held_out
        data = dml.DoubleMLData.from_arrays(draw.x.to_numpy()[seen], draw.y[seen], draw.t[seen])
        found = {}
        for score in ("ATE", "ATTE"):
            np.random.seed(1)
            model = dml.DoubleMLIRM(data, regression, propensity, n_folds=FOLDS, score=score)
            model.fit()
            found[score] = float(model.coef[0]), float(model.se[0])
        return measured(draw, found["ATE"], found["ATTE"], {}, time.perf_counter() - began)

    return run


PEERS = {
    "EconML LinearDRLearner, linear": econml("linear", "linear"),
    "EconML LinearDRLearner, boosting": econml("boosting", "linear"),
    "EconML ForestDRLearner, boosting": econml("boosting", "forest"),
    "DoubleML IRM, linear": doubleml("linear"),
    "DoubleML IRM, boosting": doubleml("boosting"),
}

if __name__ == "__main__":
    main()
