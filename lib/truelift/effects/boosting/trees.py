"""One boosted model: its matrices, its rounds and where they stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from truelift.effects.boosting.binning import MISSING, Bins, drawn
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.workers import Workers


@dataclass(frozen=True, eq=False)
class Target:
    """What a model is fitted to.

    Parameters
    ----------
    objective : str
        XGBoost's name: ``reg:squarederror``, ``binary:logistic`` or ``multi:softprob``.
    signs : tuple of int
        Monotone constraints, empty for none.
    classes : int
        Arms, for ``multi:softprob``.
    """

    objective: str
    signs: tuple[int, ...] = ()
    classes: int = 0


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """What a matrix's rows are fitted to.

    Parameters
    ----------
    label, weight : ndarray, n
    margin : ndarray, (n,) or (n, classes), optional
        Where the trees start; 0 by default.
    """

    label: np.ndarray
    weight: np.ndarray
    margin: np.ndarray | None = None

    def take(self, index: np.ndarray) -> LabelledRows:
        """Some of the rows."""
        margin = None if self.margin is None else self.margin[index]
        return LabelledRows(self.label[index], self.weight[index], margin)


class TreeGrower:
    """Grows models on binned rows; every worker calls it for the same models in the same order.

    XGBoost pays for rows of weight zero as for others, so each matrix holds the rows of its
    model alone. It is made from codes and a grid of all codes as the reference, which spares
    the sketch of quantiles and gives every code a bin of its own on every worker.

    Parameters
    ----------
    bins : Bins
    options : BoostingOptions
    workers : Workers
    threads : int
        Cores of this worker.
    """

    def __init__(self, bins: Bins, options: BoostingOptions, workers: Workers, threads: int):
        self._options, self._workers, self._threads = options, workers, threads
        used = bins.codes_used
        self._like: dict[str, Any] = {
            "missing": MISSING,
            "max_bin": max(used, 2),
            "nthread": threads,
            "feature_types": ["c" if c else "q" for c in bins.categorical],
            "enable_categorical": True,
        }
        grid = np.repeat(np.arange(used, dtype=np.uint8)[:, None], len(bins.edges), axis=1)
        self._filler = grid[:1]
        self._grid = self._matrix(grid, None)

    def training_matrix(self, codes: np.ndarray) -> Any:
        """A matrix to train on; a worker without rows holds one of weight zero."""
        return self._matrix(codes, self._grid)

    def validation_matrix(self, codes: np.ndarray, training: Any) -> Any:
        """A matrix to stop by, binned as the training matrix."""
        return self._matrix(codes, training)

    def _matrix(self, codes: np.ndarray, reference: Any) -> Any:
        import xgboost

        chosen = codes if len(codes) else self._filler
        return xgboost.QuantileDMatrix(chosen, ref=reference, **self._like)

    def grow(
        self, target: Target, training: Any, rows: LabelledRows,
        validation: tuple[Any, LabelledRows] | None, base_loss: float, hashes: np.ndarray,
        model: int,
    ) -> tuple[bytes, int]:  # fmt: skip
        """Grow trees from a margin.

        Parameters
        ----------
        rows : LabelledRows
            Of the training matrix.
        validation : (matrix, LabelledRows), optional
            None grows all trees.
        base_loss : float
            Validation loss without any tree, in the objective's metric.
        hashes : ndarray of uint64
            Of the training rows, for subsamples.
        model : int
            Number of the model, so that no two models see the same subsamples.

        Returns
        -------
        booster : bytes
            XGBoost's UBJSON up to the best round; empty where no tree lowers the loss.
        rounds : int
        """
        import xgboost

        _set_rows(training, rows)
        evaluated, stop, callbacks = [], None, []
        if validation is not None:
            _set_rows(*validation)
            evaluated, stop = [(validation[0], "validation")], self._options.early_stopping_rounds
        if self._options.subsample < 1 and len(hashes):
            callbacks.append(_subsampling()(training, hashes, rows.weight, self._options, model))
        booster = xgboost.train(
            self._parameters(target),
            training,
            num_boost_round=self._options.trees,
            evals=evaluated,
            early_stopping_rounds=stop,
            callbacks=callbacks,
            verbose_eval=False,
        )
        rounds = self._options.trees
        if validation is not None:
            rounds = booster.best_iteration + 1
            # The metric comes back as a float of single precision.
            if not booster.best_score < base_loss * (1 - 1e-7):
                return b"", 0
            booster = booster[:rounds]
        # Written by a model of one thread, so that bytes do not tell the machine.
        booster.set_param({"nthread": 1})
        return bytes(booster.save_raw("ubj")), rounds

    def _parameters(self, target: Target) -> dict[str, Any]:
        options = self._options
        parameters: dict[str, Any] = {
            "objective": target.objective,
            "tree_method": "hist",
            "max_depth": options.depth,
            "learning_rate": options.learning_rate,
            "min_child_weight": options.min_child_weight,
            "reg_lambda": options.l2,
            "max_bin": self._like["max_bin"],
            "seed": options.seed,
            "nthread": self._threads,
            "base_score": 0.5 if target.objective != "reg:squarederror" else 0.0,
            "verbosity": 0,
            "disable_default_eval_metric": False,
        }
        if target.classes:
            parameters["num_class"] = target.classes
        if any(target.signs):
            parameters["monotone_constraints"] = "(" + ",".join(map(str, target.signs)) + ")"
        return parameters


def _set_rows(matrix: Any, rows: LabelledRows) -> None:
    label, weight, margin = rows.label, rows.weight, rows.margin
    if not len(label):  # the matrix holds one row in their place
        label, weight = np.zeros(1), np.zeros(1)
        margin = None if margin is None else np.zeros((1, *margin.shape[1:]))
    matrix.set_label(label.astype(np.float32))
    matrix.set_weight(weight.astype(np.float32))
    if margin is not None:
        matrix.set_base_margin(np.ascontiguousarray(margin, np.float32))


def _subsampling() -> Any:
    """XGBoost draws rows by position; this draws them by hash, whatever worker they are on."""
    from xgboost.callback import TrainingCallback

    class Subsampling(TrainingCallback):  # type: ignore[misc]
        def __init__(
            self, matrix: Any, hashes: np.ndarray, weight: np.ndarray, options: BoostingOptions,
            number: int,
        ) -> None:  # fmt: skip
            self._matrix, self._hashes, self._weight = matrix, hashes, weight
            self._share = options.subsample
            self._salt = ((options.seed << 40) + (number << 20)) % 2**64

        def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            kept = drawn(self._hashes, self._share, self._salt + epoch)
            self._matrix.set_weight(np.where(kept, self._weight, 0.0).astype(np.float32))
            return False

    return Subsampling


def tree_margins(booster: bytes, codes: np.ndarray, classes: int = 0) -> np.ndarray:
    """Sum of the trees' leaves for binned rows: (n,), or (n, classes); zeros for no trees."""
    if not booster or not len(codes):
        return np.zeros((len(codes), classes) if classes else len(codes))
    loaded = _loaded(booster)
    found = loaded.inplace_predict(
        codes, missing=MISSING, predict_type="margin", validate_features=False
    )
    return np.asarray(found, np.float64) - (0.5 if classes else 0.0)


_LOADED: dict[bytes, Any] = {}
_MOST_LOADED = 4096


def _loaded(booster: bytes) -> Any:
    """The booster of these bytes, read once a process however often its owner is unpickled."""
    found = _LOADED.get(booster)
    if found is None:
        import xgboost

        found = xgboost.Booster({"nthread": 1})
        found.load_model(bytearray(booster))
        found.set_param({"nthread": 1})
        if len(_LOADED) >= _MOST_LOADED:
            _LOADED.clear()
        _LOADED[booster] = found
    return found
