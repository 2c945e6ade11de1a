"""Three passes that tell how an effect varies, and with whom.

1. Gram matrices of (1, x, score) by fold: the CATE models, the best linear predictor.
2. Sketches of the forecasts: quantile groups, targeting curves, calibration.
3. Influence functions by cluster: every standard error.

Each pass reads and scores the units once, whatever is asked. A state holds, for K folds, p
covariates, B cells, Q groups and m curve statistics, about ``K (p^2 + 4 B + m^2 + Q^2)`` numbers.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from truelift.effects.heterogeneity.best_linear import (
    BestLinearPart,
    best_linear,
    fit_best_linear,
)
from truelift.effects.heterogeneity.blocks import (
    Forecast,
    Part,
    PassKernel,
    ReadBlock,
    State,
    SumPass,
    part_of,
)
from truelift.effects.heterogeneity.calibration import (
    CalibrationPart,
    calibration,
    fit_calibration,
)
from truelift.effects.heterogeneity.classification import ClassificationPart, classification
from truelift.effects.heterogeneity.dr_learner import GramPart, LinearCate, fit_linear
from truelift.effects.heterogeneity.quantile_groups import GroupsPart, cut_groups, quantile_groups
from truelift.effects.heterogeneity.rank_cells import (
    RankCells,
    SketchPart,
    SpreadPart,
    cells_from_moments,
)
from truelift.effects.heterogeneity.results import Heterogeneity
from truelift.effects.heterogeneity.targeting import (
    TargetingPart,
    sequential_test,
    targeting,
    targeting_curves,
)
from truelift.errors import ConfigError, DataError

_CATE, _EARLIER = "cate", "earlier"
VALIDATIONS = ("sequential", "cross_fitted")
FRACTIONS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class HeterogeneityOptions:
    """What is asked of the effects.

    Parameters
    ----------
    groups : int
        Quantile groups.
    fractions : tuple of float
        Top shares of the targeting table, in (0, 1].
    features : tuple of int, optional
        Covariates (rows of x) of the best linear predictor; all without it.
    described : tuple of int, optional
        Covariates of the classification analysis; all without it.
    ridge : float, optional
        Penalty of the linear CATE model on standardised coefficients; None chooses it by
        cross-validation (:mod:`~.penalty`).
    cells : int
        Cells a fold that forecasts are ranked in; odd.
    validation : str
        ``'sequential'``: units of a fold are ranked by a model of the folds before it, fold 0 is
        not ranked; intervals and tests hold whether or not effects vary. ``'cross_fitted'``: by
        a model of all other folds, so that all units count and models are better; where effects
        do not vary, intervals of group differences and areas are then too narrow by about the
        root of two: each pair of folds ranks and judges each other, and counts as two.
    confidence : float
    """

    groups: int = 5
    fractions: tuple[float, ...] = FRACTIONS
    features: tuple[int, ...] | None = None
    described: tuple[int, ...] | None = None
    ridge: float | None = 0.0
    cells: int = 2047
    validation: str = "sequential"
    confidence: float = 0.95

    def __post_init__(self) -> None:
        def need(name: str, fine: bool, expected: str) -> None:
            if not fine:
                found = getattr(self, name)
                raise ConfigError(f"heterogeneity.{name}: found {found!r}, expected {expected}.")

        need("groups", self.groups >= 2, "at least 2")
        need("fractions", all(0 < q <= 1 for q in self.fractions), "shares in (0, 1]")
        need("ridge", self.ridge is None or self.ridge >= 0, "at least 0, or none")
        need("cells", self.cells % 2 == 1 and self.cells >= 101, "an odd number from 101")
        need("validation", self.validation in VALIDATIONS, f"one of {VALIDATIONS}")
        need("confidence", 0.5 < self.confidence < 1, "a level in (0.5, 1)")


#: Yields the kernels of its passes, is sent their sums, returns what was found.
Exploration = Generator[PassKernel, State, Heterogeneity]


@dataclass(frozen=True)
class _Passes:
    """What all passes of one exploration share."""

    read: ReadBlock
    folds: int

    def run(
        self, parts: dict[str, Part], forecasts: dict[str, Forecast]
    ) -> Generator[PassKernel, State, State]:
        state = yield PassKernel(self.read, self.folds, parts, forecasts)
        if not state:
            raise DataError("No bucket has any rows: there is no effect to explore.")
        return state


def explore(
    sum_pass: SumPass,
    read: ReadBlock,
    folds: int,
    names: tuple[str, ...],
    options: HeterogeneityOptions | None = None,
    forecast: Forecast | None = None,
) -> Heterogeneity:
    """How the effect varies, each pass run as it is asked for.

    Parameters
    ----------
    sum_pass : callable
        ``sum_pass(kernel) -> state``: runs a kernel over all buckets and adds up.
    read, folds, names, options, forecast
        See :func:`exploration`.
    """
    passes = exploration(read, folds, names, options, forecast)
    try:
        kernel = next(passes)
        while True:
            kernel = passes.send(sum_pass(kernel))
    except StopIteration as end:
        return end.value


def exploration(
    read: ReadBlock,
    folds: int,
    names: tuple[str, ...],
    options: HeterogeneityOptions | None = None,
    forecast: Forecast | None = None,
) -> Exploration:
    """How the effect varies: three passes over the scored units.

    Parameters
    ----------
    read : callable
        ``read(batch, fold) -> ScoredBlock``.
    folds : int
        Folds K; bucket b lies in fold ``b % K``.
    names : tuple of str
        Of the covariates, in the order of x.
    options : HeterogeneityOptions, optional
    forecast : Forecast, optional
        A fitted CATE model of the caller's; without it a linear DR-learner is fitted. It has to
        be fitted as ``options.validation`` says, with ``first_fold=1`` if that is sequential.

    Raises
    ------
    DataError
        If there are too few folds, clusters or distinct forecasts.
    ConfigError
        If the options name a covariate that is not there.
    """
    options = HeterogeneityOptions() if options is None else options
    features = _covariates(options.features, names, "features")
    described = _covariates(options.described, names, "described")
    sequential = options.validation == "sequential"
    passes = _Passes(read, folds)

    parts: dict[str, Part] = {"gram": GramPart(len(names), folds)}
    forecasts = {}
    if forecast is not None:
        _check_folds(forecast, sequential)
        parts["spread"] = SpreadPart(_CATE, folds)
        forecasts[_CATE] = forecast
    first = yield from passes.run(parts, forecasts)
    gram = first["gram.gram"]
    cells = {}
    if forecast is None:
        linear = fit_linear(gram, options.ridge, sequential=sequential)
        forecasts[_CATE] = Forecast(linear, linear.first_fold)
        cells[_CATE] = _cells(linear, options)
    else:
        cells[_CATE] = cells_from_moments(first["spread.moments"], options.cells)
    if not sequential:
        earlier = fit_linear(gram, options.ridge, sequential=True)
        forecasts[_EARLIER] = Forecast(earlier, earlier.first_fold)
        cells[_EARLIER] = _cells(earlier, options)

    second = yield from passes.run({n: SketchPart(n, c) for n, c in cells.items()}, forecasts)
    sketch = part_of(second, _CATE)
    linear_fit = fit_best_linear(gram, features)
    calibration_fit = fit_calibration(sketch["gram"])
    grouping = cut_groups(cells[_CATE], sketch, options.groups)
    curves = targeting_curves(cells[_CATE], sketch, options.fractions)
    clan = ClassificationPart(_CATE, grouping, described)
    parts = {
        "best_linear": BestLinearPart(linear_fit, folds),
        "calibration": CalibrationPart(_CATE, calibration_fit),
        "groups": GroupsPart(_CATE, grouping),
        "classification": clan,
        "targeting": TargetingPart(_CATE, curves),
    }
    tested, by = curves, "targeting"
    if not sequential:
        tested, by = targeting_curves(cells[_EARLIER], part_of(second, _EARLIER), ()), _EARLIER
        parts[_EARLIER] = TargetingPart(_EARLIER, tested)

    third = yield from passes.run(parts, forecasts)
    level = options.confidence
    groups = quantile_groups(grouping, part_of(third, "groups"), level)
    test = sequential_test(tested, part_of(third, by))
    return Heterogeneity(
        best_linear=best_linear(linear_fit, part_of(third, "best_linear"), names, level),
        calibration=calibration(calibration_fit, part_of(third, "calibration"), level),
        quantile_groups=groups,
        classification=classification(
            clan, part_of(third, "classification"), names, groups.clusters, level
        ),
        targeting=targeting(curves, part_of(third, "targeting"), level, test),
    )


def _check_folds(forecast: Forecast, sequential: bool) -> None:
    if sequential and forecast.first_fold < 1:
        raise ConfigError(
            "heterogeneity.validation: found 'sequential' with a forecast for fold 0, which no "
            "earlier fold can have fitted. Give a Forecast with first_fold=1 of models of earlier "
            "folds, or set 'cross_fitted'."
        )


def _cells(model: LinearCate, options: HeterogeneityOptions) -> RankCells:
    # A fold without a model still has a line in the table; no unit is ever ranked by it.
    spread = np.where(model.spread > 0, model.spread, 1.0)
    return RankCells(model.centre, spread, options.cells)


def _covariates(chosen: tuple[int, ...] | None, names: tuple[str, ...], key: str) -> tuple:
    if chosen is None:
        return tuple(range(len(names)))
    if wrong := [c for c in chosen if not 0 <= c < len(names)]:
        raise ConfigError(
            f"heterogeneity.{key}: found {wrong}, expected places among the {len(names)} covariates."
        )
    return chosen
