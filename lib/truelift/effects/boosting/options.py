"""How the trees are grown, and when they stop."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.errors import ConfigError

# Codes of bins are bytes, and the last one stands for a missing value.
MISSING = 255
MOST_BINS = MISSING


@dataclass(frozen=True)
class BoostingOptions:
    """Options of the boosting nuisances.

    Parameters
    ----------
    trees : int
        Most trees of a model (rounds, for more than two arms in the propensity).
    depth : int
        Most splits between root and leaf.
    learning_rate : float
        Shrinkage of each tree, in (0, 1].
    min_child_weight : float
        Least weight of a leaf: rows in an outcome model, sum of ``e (1 - e)`` in the propensity.
    early_stopping_rounds : int
        Stop when the loss on the validation part has not fallen for so many rounds; 0 grows
        all trees on all rows.
    validation_share : float
        Share of the clusters of the other folds that is kept for early stopping, in (0, 0.5].
        They are drawn by a hash of the cluster, so the part does not depend on the layout.
    subsample : float
        Share of the rows that each tree sees, in (0, 1]; drawn by a hash of the row.
    split_rows : int
        Rows that the splits of a tree are sought on, where a model has more: another part of the
        training rows for each tree, drawn by a hash of the row. The values of leaves are those
        of all rows.
    max_bins : int
        Most bins of a covariate, 2 to 255.
    l2 : float
        Penalty on squared leaf values.
    seed : int
        Decides the validation part and the subsamples.
    monotone : tuple of (str, int)
        Covariates in which the outcome models must not fall (1) or not rise (-1). The
        propensity is not constrained.
    categorical : tuple of str
        Covariates that hold category codes 0 to 254; split as sets, not by order.
    on_top_of_linear : bool
        Grow trees on the residuals of a linear outcome regression and from the index of a
        logistic propensity, in place of a constant.
    start_degree : int
        1 for linear in the covariates; 2 adds their squares and products, which trees find
        hardest. Costs grow with the fourth power of the number of covariates.
    ridge : float, optional
        Penalty of those linear models on squared standardised coefficients, per row; by default
        covariates over rows (:func:`~truelift.inference.normal_equations.ridge_per_unit`).
    """

    trees: int = 500
    depth: int = 6
    learning_rate: float = 0.1
    min_child_weight: float = 5.0
    early_stopping_rounds: int = 20
    validation_share: float = 0.15
    subsample: float = 1.0
    split_rows: int = 65_536
    max_bins: int = MOST_BINS
    l2: float = 1.0
    seed: int = 7
    monotone: tuple[tuple[str, int], ...] = ()
    categorical: tuple[str, ...] = ()
    on_top_of_linear: bool = True
    start_degree: int = 1
    ridge: float | None = None

    def __post_init__(self) -> None:
        _need("trees", self.trees, self.trees >= 1, "at least 1")
        _need("depth", self.depth, 1 <= self.depth <= 20, "1 to 20")
        rate = self.learning_rate
        _need("learning_rate", rate, 0 < rate <= 1, "more than 0, at most 1")
        _need("min_child_weight", self.min_child_weight, self.min_child_weight >= 0, "0 or more")
        rounds = self.early_stopping_rounds
        _need("early_stopping_rounds", rounds, rounds >= 0, "0 (no early stopping) or more")
        share = self.validation_share
        _need("validation_share", share, 0 < share <= 0.5, "more than 0, at most 0.5")
        _need("subsample", self.subsample, 0 < self.subsample <= 1, "more than 0, at most 1")
        _need("split_rows", self.split_rows, 1000 <= self.split_rows <= 2**20, "1,000 to 2**20")
        _need("max_bins", self.max_bins, 2 <= self.max_bins <= MOST_BINS, f"2 to {MOST_BINS}")
        _need("l2", self.l2, self.l2 >= 0, "0 or more")
        _need("seed", self.seed, 0 <= self.seed < 2**31, "0 to 2**31 - 1")
        _need("ridge", self.ridge, self.ridge is None or self.ridge >= 0, "0 or more, or none")
        _need("start_degree", self.start_degree, self.start_degree in (1, 2), "1 or 2")
        if self.start_degree == 2 and self.monotone:
            raise ConfigError(
                "effects.boosting: monotone constraints do not hold for squares and products; "
                "expected start_degree 1 beside them."
            )
        for name, sign in self.monotone:
            _need(f"monotone of {name!r}", sign, sign in (-1, 1), "1 (rises) or -1 (falls)")
        if both := {name for name, _ in self.monotone} & set(self.categorical):
            raise ConfigError(
                f"effects.boosting: {sorted(both)} are both monotone and categorical; sets of "
                "categories have no order. Name each in one of the two."
            )

    def check_names(self, covariates: tuple[str, ...], table: str) -> None:
        """Refuse options that name a covariate which is not there.

        Raises
        ------
        ConfigError
        """
        for option, names in (
            ("monotone", [name for name, _ in self.monotone]),
            ("categorical", list(self.categorical)),
        ):
            if missing := [name for name in names if name not in covariates]:
                raise ConfigError(
                    f"effects.boosting.{option}: {missing} are no covariates of {table}; its "
                    f"covariates are {', '.join(covariates)}."
                )

    def signs(self, covariates: tuple[str, ...]) -> tuple[int, ...]:
        """1, -1 or 0 for each covariate."""
        named = dict(self.monotone)
        return tuple(named.get(name, 0) for name in covariates)


def _need(name: str, found: object, good: bool, expected: str) -> None:
    if not good:
        raise ConfigError(f"effects.boosting.{name}: found {found}, expected {expected}.")
