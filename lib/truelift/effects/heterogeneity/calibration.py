"""Calibration of the CATE: the score regressed on its forecast.

Chernozhukov, Demirer, Duflo & Fernandez-Val (2018/2025), "Generic machine learning inference on
heterogeneous treatment effects": the score on 1 and (forecast - mean forecast). Forecasts are
centred within folds, for the constant of a model that has not seen a fold moves against the
fold's own scores and would pull the slope down. Intercepts are by fold too, which leaves the
slope as it is and makes its error free of the estimated means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.heterogeneity.blocks import ClusterProducts, ScoredBlock, State
from truelift.effects.heterogeneity.results import Calibration
from truelift.effects.heterogeneity.wald import ClusteredInference


@dataclass(frozen=True, eq=False)
class CalibrationFit:
    """Coefficients from the fold-wise Gram matrices of (1, cate, score).

    Parameters
    ----------
    average, ratio, slope : float
        Average effect, average effect / average forecast, slope within folds.
    forecast, score : ndarray, K
        Means by fold.
    weight, forecast_sum, square : float
        ``sum of w``, ``sum of w cate`` and ``sum of w (cate - fold's mean)^2``.
    """

    average: float
    ratio: float
    slope: float
    forecast: np.ndarray
    score: np.ndarray
    weight: float
    forecast_sum: float
    square: float


def fit_calibration(gram: np.ndarray) -> CalibrationFit:
    """The regression from ``gram`` (K x 3 x 3) of :class:`~.rank_cells.SketchPart`."""
    weight = gram[:, 0, 0]
    safe = np.where(weight > 0, weight, 1.0)
    forecast, score = gram[:, 0, 1] / safe, gram[:, 0, 2] / safe
    square = float(np.sum(gram[:, 1, 1] - weight * forecast**2))
    cross = float(np.sum(gram[:, 1, 2] - weight * forecast * score))
    # Forecasts that differ by rounding only say nothing about differences.
    varies = square > 1e-14 * float(np.sum(gram[:, 1, 1]))
    total, forecasts, scores = gram[:, 0, :].sum(axis=0)
    return CalibrationFit(
        average=scores / total,
        ratio=scores / forecasts if forecasts else np.nan,
        slope=cross / square if varies else 0.0,
        forecast=forecast,
        score=score,
        weight=float(total),
        forecast_sum=float(forecasts),
        square=square if varies else 0.0,
    )


@dataclass(frozen=True)
class CalibrationPart:
    """Cluster products of the three coefficients' moments.

    Parameters
    ----------
    forecast : str
    fit : CalibrationFit
    """

    forecast: str
    fit: CalibrationFit

    def begin(self, fold: int) -> _CalibrationTally:
        """A fresh tally."""
        return _CalibrationTally(self.fit, fold)


class _CalibrationTally:
    def __init__(self, fit: CalibrationFit, fold: int):
        self._fit, self._fold = fit, fold
        self._products = ClusterProducts(3, fold, len(fit.score))

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:
        fit, k = self._fit, self._fold
        apart = cate - fit.forecast[k]
        ratio = fit.ratio if np.isfinite(fit.ratio) else 0.0
        moments = (
            block.score - fit.average,
            block.score - ratio * cate,
            apart * (block.score - fit.score[k] - fit.slope * apart),
        )
        self._products.add(block.cluster, np.stack(moments) * block.weights)

    def finish(self) -> State:
        return self._products.finish()


def calibration(fit: CalibrationFit, state: State, confidence: float) -> Calibration:
    """Coefficients with clustered errors; ``state`` is that of :class:`CalibrationPart`."""
    inference = ClusteredInference(int(state["clusters"].sum()), confidence)
    meat = inference.correction * state["products"].sum(axis=0)
    by = np.array([fit.weight, fit.forecast_sum, fit.square])
    bread = np.divide(1.0, by, out=np.zeros(3), where=by != 0)
    variance = np.diag(meat) * bread**2
    differential = inference.term("differential forecast", fit.slope, variance[2])
    slope = np.array([fit.slope - 1])
    return Calibration(
        average=inference.term("average effect", fit.average, variance[0]),
        mean_forecast=inference.term("mean forecast", fit.ratio, variance[1], null=1.0),
        differential_forecast=differential,
        calibrated=inference.joint("the differential forecast is 1", slope, variance[2:, None]),
        clusters=inference.clusters,
    )
