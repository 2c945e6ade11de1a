"""What the speed benchmarks of effects run: ours and the peers' estimates on one table's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDS = 5
PEERS = ("dml_rs", "econml", "doubleml")
Run = Callable[[], tuple[float, float]]


def ours(
    table: str, cores: int, tolerance: float, outcomes: tuple[str, ...], **changes: Any
) -> Run:
    """truelift on an embedded session that is up; clustered errors, no scores are written."""
    from truelift.effects.job import estimate_effects_from
    from truelift.lake import Lake
    from truelift.settings import EffectOptions, Settings, SparkOptions

    spark = SparkOptions(master=f"local[{cores}]", driver_memory="1g")
    lake = Lake.open(Settings(lake=str(Path(table).parent / "lake"), spark=spark))
    lake.spark.range(1).count()
    # One estimand without diagnostics' extra levels, as the peers give; overlap stays on.
    bare: dict[str, Any] = {"estimands": ("ATE",), "clip_levels": ()}
    chosen = EffectOptions(
        outcomes=outcomes, folds=FOLDS, tolerance=tolerance, **(bare | changes)
    )  # fmt: skip

    def run() -> tuple[float, float]:
        ate = estimate_effects_from(lake, table, chosen).estimates[0]
        return ate.estimate, ate.standard_error

    return run


def peer(name: str, table: str, covariates: int, learner: str) -> Run:
    """A peer with the same learner: linear, or boosting of the same depth and trees."""
    names = [f"x_{j + 1}" for j in range(covariates)]

    def read(*more: str) -> Any:
        import pyarrow.dataset as ds

        data = ds.dataset(table, format="parquet", exclude_invalid_files=True)
        return data.to_table(columns=["y_spend", "treated", *names, *more]).to_pandas()

    def sklearn_models() -> tuple[Any, Any]:
        if learner == "linear":
            from sklearn.linear_model import LinearRegression, LogisticRegression

            return LinearRegression(), LogisticRegression(C=1e6)
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        common = {"max_iter": 100, "max_depth": 4, "learning_rate": 0.1, "early_stopping": False}
        return HistGradientBoostingRegressor(**common), HistGradientBoostingClassifier(**common)

    def econml() -> tuple[float, float]:
        from econml.dr import LinearDRLearner

        frame = read()
        outcome, propensity = sklearn_models()
        fitted = LinearDRLearner(model_propensity=propensity, model_regression=outcome, cv=FOLDS)
        # The final model is a constant, as ours is; covariates go to the nuisances.
        fitted.fit(
            frame["y_spend"].to_numpy(), frame["treated"].to_numpy(), X=None,
            W=frame[names].to_numpy(),
        )  # fmt: skip
        inference = fitted.ate_inference()
        return float(inference.mean_point), float(inference.stderr_mean)

    def doubleml() -> tuple[float, float]:
        import doubleml as dml

        data = dml.DoubleMLData(read(), y_col="y_spend", d_cols="treated", x_cols=names)
        outcome, propensity = sklearn_models()
        model = dml.DoubleMLIRM(data, outcome, propensity, n_folds=FOLDS, score="ATE")
        model.fit()
        return float(model.coef[0]), float(model.se[0])

    def dml_rs() -> tuple[float, float]:
        import dml_rs as dml

        frame = read("user_key")
        if learner == "linear":
            models = dml.Ols(), dml.LogisticRegression(C=1e6)
        else:
            common = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.1}
            models = (
                dml.GradientBoostingRegressor(**common),
                dml.GradientBoostingClassifier(**common),
            )
        model = dml.IRM(*models, n_folds=FOLDS)
        cluster = frame["user_key"].astype("category").cat.codes.to_numpy()
        x = frame[names].to_numpy()
        model.fit(x, frame["y_spend"].to_numpy(), frame["treated"].to_numpy(), cluster=cluster)
        return float(model.coef_[0]), float(model.se_[0])

    return {"econml": econml, "doubleml": doubleml, "dml_rs": dml_rs}[name]
