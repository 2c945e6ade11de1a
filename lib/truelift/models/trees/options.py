"""How trees are grown, and when they stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from truelift.errors import ConfigError

# Codes of bins are bytes, and the last one stands for a missing value.
MISSING = 255
MOST_BINS = MISSING


@dataclass(frozen=True)
class TreeOptions:
    """Options of a forest.

    Parameters
    ----------
    trees : int
        Most trees of a model (rounds, for more than two classes).
    depth : int
        Most splits between root and leaf.
    learning_rate : float
        Shrinkage of each tree, in (0, 1].
    min_child_weight : float
        Least weight of a leaf: rows in a regression, sum of ``e (1 - e)`` for chances e.
    early_stopping_rounds : int
        Stop when the loss on the validation part has not fallen for so many rounds; 0 grows
        all trees on all rows.
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
    """

    section: ClassVar[str] = "trees"

    trees: int = 500
    depth: int = 6
    learning_rate: float = 0.1
    min_child_weight: float = 5.0
    early_stopping_rounds: int = 20
    subsample: float = 1.0
    split_rows: int = 65_536
    max_bins: int = MOST_BINS
    l2: float = 1.0
    seed: int = 7

    def __post_init__(self) -> None:
        self.need("trees", self.trees, self.trees >= 1, "at least 1")
        self.need("depth", self.depth, 1 <= self.depth <= 20, "1 to 20")
        rate = self.learning_rate
        self.need("learning_rate", rate, 0 < rate <= 1, "more than 0, at most 1")
        least = self.min_child_weight
        self.need("min_child_weight", least, least >= 0, "0 or more")
        rounds = self.early_stopping_rounds
        self.need("early_stopping_rounds", rounds, rounds >= 0, "0 (no early stopping) or more")
        self.need("subsample", self.subsample, 0 < self.subsample <= 1, "more than 0, at most 1")
        rows = self.split_rows
        self.need("split_rows", rows, 1000 <= rows <= 2**20, "1,000 to 2**20")
        self.need("max_bins", self.max_bins, 2 <= self.max_bins <= MOST_BINS, f"2 to {MOST_BINS}")
        self.need("l2", self.l2, self.l2 >= 0, "0 or more")
        self.need("seed", self.seed, 0 <= self.seed < 2**31, "0 to 2**31 - 1")

    def need(self, name: str, found: object, good: bool, expected: str) -> None:
        """Refuse an option.

        Raises
        ------
        ConfigError
            Unless it is good.
        """
        if not good:
            raise ConfigError(f"{self.section}.{name}: found {found}, expected {expected}.")
