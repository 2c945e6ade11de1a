"""How boosted nuisances are fitted: their trees, and what these start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from truelift.errors import ConfigError
from truelift.models.trees.options import TreeOptions


@dataclass(frozen=True)
class BoostingOptions(TreeOptions):
    """Options of the boosting nuisances, besides those of :class:`TreeOptions`.

    There, a regression is an outcome model, and chances are the propensity.

    Parameters
    ----------
    validation_share : float
        Share of the clusters of the other folds that is kept for early stopping, in (0, 0.5].
        They are drawn by a hash of the cluster, so the part does not depend on the layout.
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

    section: ClassVar[str] = "effects.nuisances.learners.boosting"

    validation_share: float = 0.15
    monotone: tuple[tuple[str, int], ...] = ()
    categorical: tuple[str, ...] = ()
    on_top_of_linear: bool = True
    start_degree: int = 1
    ridge: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        share = self.validation_share
        self.need("validation_share", share, 0 < share <= 0.5, "more than 0, at most 0.5")
        self.need("ridge", self.ridge, self.ridge is None or self.ridge >= 0, "0 or more, or none")
        self.need("start_degree", self.start_degree, self.start_degree in (1, 2), "1 or 2")
        if self.start_degree == 2 and self.monotone:
            raise ConfigError(
                "effects.nuisances.learners.boosting: monotone constraints do not hold for squares and products; "
                "expected start_degree 1 beside them."
            )
        for name, sign in self.monotone:
            self.need(f"monotone of {name!r}", sign, sign in (-1, 1), "1 (rises) or -1 (falls)")
        if both := {name for name, _ in self.monotone} & set(self.categorical):
            raise ConfigError(
                f"effects.nuisances.learners.boosting: {sorted(both)} are both monotone and categorical; sets of "
                "categories have no order. Name each in one of the two."
            )

    def check_names(self, covariates: tuple[str, ...], table: str) -> None:
        """Refuse options that name a covariate which is not there, and a table without any.

        Raises
        ------
        ConfigError
        """
        if not covariates:
            raise ConfigError(
                f"{table}: found no covariate that varies, and boosting grows trees on covariates. Expected one at "
                "least; or the learner 'linear', which makes do with means."
            )
        for option, names in (
            ("monotone", [name for name, _ in self.monotone]),
            ("categorical", list(self.categorical)),
        ):
            if missing := [name for name in names if name not in covariates]:
                raise ConfigError(
                    f"effects.nuisances.learners.boosting.{option}: {missing} are no covariates of {table}; its "
                    f"covariates are {', '.join(covariates)}."
                )

    def signs(self, covariates: tuple[str, ...]) -> tuple[int, ...]:
        """1, -1 or 0 for each covariate."""
        named = dict(self.monotone)
        return tuple(named.get(name, 0) for name in covariates)
