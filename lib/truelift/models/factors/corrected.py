"""Factors of labelled rows that were not drawn by lot, with corrections for who labels what.

People rate what they chose; a model of such rows is a model of what they choose. Four ways, all of them
one weighted loss over cells with labels that may be pseudo-labels:

========  ============================================================================================
none      rows as they are
ips       rows weighted by ``1 / p`` (Schnabel et al., ICML 2016)
snips     the same, weights of a user adding up to his rows (self-normalised, Swaminathan & Joachims 2015)
dr        all cells, label ``y' + (y - y') / p`` where seen and ``y'`` elsewhere, y' a first model's
          (Wang et al., ICML 2019); the loss is linear in the label, so this is its doubly robust form
missing   rows as they are, and all other cells as a low label of small weight (Steck, KDD 2010): for
          rows that people chose because they like them
========  ============================================================================================

Chances p come from the log, or from exposures alone: ``n_u n_i / n`` or logistic factors of what was
seen. No label that was drawn by lot is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from truelift.errors import ConfigError, DataError
from truelift.models.factors.kernels import fit_points

CORRECTIONS = ("none", "ips", "snips", "dr", "missing")
EXPOSURES = ("popularity", "factors")
# Cells that are all visited; of more, unseen ones are drawn.
_MOST_CELLS = 2_000_000
_DRAWN_A_ROW = 5


@dataclass(frozen=True)
class CorrectionOptions:
    """How factors are fitted.

    Parameters
    ----------
    correction : str
        One of ``none, ips, snips, dr, missing``.
    rank, epochs : int
    rate, penalty, bias_penalty : float
        Step, and squared penalties of factors and of biases.
    cap : float
        Least chance that a weight divides by.
    low, low_weight : float
        Label and weight of a cell that nobody labelled, for ``missing``.
    members : int
        Fits from other starts, whose log odds are averaged.
    seed : int
    """

    correction: str = "none"
    rank: int = 8
    epochs: int = 30
    rate: float = 0.05
    penalty: float = 0.03
    bias_penalty: float = 0.02
    cap: float = 0.1
    low: float = 0.2
    low_weight: float = 0.03
    members: int = 3
    seed: int = 7

    def __post_init__(self) -> None:
        if self.correction not in CORRECTIONS:
            raise ConfigError(
                f"correction: found {self.correction!r}, expected one of {', '.join(CORRECTIONS)}."
            )
        for name in ("rank", "epochs", "members"):
            if (found := getattr(self, name)) < 1:
                raise ConfigError(f"{name}: found {found}, expected at least 1.")
        for name in ("rate", "cap"):
            if not 0 < (found := getattr(self, name)) <= 1:
                raise ConfigError(f"{name}: found {found}, expected more than 0, at most 1.")


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows of users and items (numbers from 0) with labels within 0 and 1, one a cell.

    Parameters
    ----------
    users, items : ndarray of int, n
    labels : ndarray, n
    shape : (int, int)
        Users and items that there are.
    """

    users: np.ndarray
    items: np.ndarray
    labels: np.ndarray
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: np.ndarray) -> LabelledRows:
        """Some of the rows."""
        return LabelledRows(self.users[rows], self.items[rows], self.labels[rows], self.shape)


@dataclass(frozen=True, eq=False)
class FactorModel:
    """Log odds ``b + b_u + b_i + p_u . q_i``, of one member or the mean of several."""

    left: Sequence[np.ndarray] = field(repr=False)
    right: Sequence[np.ndarray] = field(repr=False)
    user_bias: np.ndarray
    item_bias: np.ndarray
    level: float

    def odds(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Log odds of pairs."""
        found = self.level + self.user_bias[users] + self.item_bias[items]
        for p, q in zip(self.left, self.right, strict=True):
            found = found + np.einsum("nf,nf->n", p[users], q[items]) / len(self.left)
        return np.asarray(found)

    def chances(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Chances of pairs."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.odds(users, items), -30, 30))))


def exposure_chances(
    rows: LabelledRows, how: str = "popularity", options: CorrectionOptions | None = None
) -> np.ndarray:
    """Chances that rows were seen, from what was seen alone.

    Parameters
    ----------
    rows : LabelledRows
        One a cell; labels are not looked at.
    how : str
        ``popularity``: n_u n_i / n. ``factors``: logistic factors of seen against unseen cells.
    options : CorrectionOptions, optional

    Returns
    -------
    ndarray, n
    """
    if how not in EXPOSURES:
        raise ConfigError(f"exposure: found {how!r}, expected one of {', '.join(EXPOSURES)}.")
    chosen = options or CorrectionOptions()
    if how == "popularity":
        of_user = np.bincount(rows.users, minlength=rows.shape[0])
        of_item = np.bincount(rows.items, minlength=rows.shape[1])
        return np.clip(of_user[rows.users] * of_item[rows.items] / len(rows), 1e-6, 1.0)
    users, items, weight = _others(rows, chosen.seed)
    every = LabelledRows(
        np.concatenate([rows.users, users]), np.concatenate([rows.items, items]),
        np.concatenate([np.ones(len(rows)), np.zeros(len(users))]), rows.shape,
    )  # fmt: skip
    weights = np.concatenate([np.ones(len(rows)), np.full(len(users), weight)])
    model = _fitted(every, weights, replace(chosen, members=1, epochs=10))
    return np.clip(model.chances(rows.users, rows.items), 1e-6, 1.0)


def fit_corrected(
    rows: LabelledRows, options: CorrectionOptions, chances: np.ndarray | None = None
) -> FactorModel:
    """Fit with a correction.

    Parameters
    ----------
    rows : LabelledRows
    options : CorrectionOptions
    chances : ndarray, n, optional
        Of being seen; by popularity where none are logged.

    Raises
    ------
    DataError
        Without rows, for a label outside of 0 and 1, or a cell that comes twice.
    """
    if not len(rows):
        raise DataError("rows: found none, expected users' labels of items.")
    if rows.labels.min() < 0 or rows.labels.max() > 1:
        raise DataError(
            f"labels: found {rows.labels.min():g} to {rows.labels.max():g}, expected 0 to 1."
        )
    cells = rows.users.astype(np.int64) * rows.shape[1] + rows.items
    if len(np.unique(cells)) < len(cells):
        raise DataError("rows: found an item twice with one user, expected one label a cell.")
    found = chances if chances is not None else exposure_chances(rows)
    inverse = 1 / np.maximum(found, options.cap)
    plain = np.ones(len(rows))
    if options.correction == "none":
        return _fitted(rows, plain, options)
    if options.correction in ("ips", "snips"):
        weights = inverse / inverse.mean()
        if options.correction == "snips":
            total = np.bincount(rows.users, weights, rows.shape[0])
            count = np.bincount(rows.users, minlength=rows.shape[0])
            weights = weights * (count / np.where(total > 0, total, 1.0))[rows.users]
        return _fitted(rows, weights, options)
    users, items, weight = _others(rows, options.seed)
    if options.correction == "missing":
        label, other = rows.labels, np.full(len(users), options.low)
        weight *= options.low_weight
    else:
        first = fit_corrected(rows, replace(options, correction="none", members=1))
        imputed = first.chances(rows.users, rows.items)
        label = imputed + (rows.labels - imputed) * inverse
        other = first.chances(users, items)
    every = LabelledRows(
        np.concatenate([rows.users, users]), np.concatenate([rows.items, items]),
        np.concatenate([label, other]), rows.shape,
    )  # fmt: skip
    return _fitted(every, np.concatenate([plain, np.full(len(users), weight)]), options)


def _others(rows: LabelledRows, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Cells without a row, all or some drawn evenly, and how many cells each stands for."""
    cells = rows.shape[0] * rows.shape[1]
    taken = np.unique(rows.users.astype(np.int64) * rows.shape[1] + rows.items)
    if cells <= _MOST_CELLS:
        free = np.ones(cells, bool)
        free[taken] = False
        found, weight = np.flatnonzero(free), 1.0
    else:
        rng = np.random.default_rng(seed)
        found = np.unique(rng.integers(0, cells, _DRAWN_A_ROW * len(rows)))
        found = np.setdiff1d(found, taken, assume_unique=True)
        weight = (cells - len(taken)) / max(len(found), 1)
    return found // rows.shape[1], found % rows.shape[1], weight


def _fitted(rows: LabelledRows, weights: np.ndarray, options: CorrectionOptions) -> FactorModel:
    """Members from starts of their own, with the same rows; biases are those of the mean."""
    users, items = rows.shape
    mean = float(np.clip(np.average(rows.labels, weights=weights), 1e-3, 1 - 1e-3))
    parts, biases, level = [], [np.zeros(users), np.zeros(items)], 0.0
    # Steps as large as for weights of about one: a heavy cell is visited with its weight.
    scaled = weights / max(float(weights.mean()), 1e-12)
    for member in range(options.members):
        rng = np.random.default_rng([options.seed, member])
        left, right = (0.1 * rng.normal(size=(n, options.rank)) for n in (users, items))
        own = np.zeros(users), np.zeros(items)
        start = np.array([np.log(mean / (1 - mean))])
        fit_points(
            rows.users, rows.items, np.asarray(rows.labels, float), scaled, left, right, *own, start,
            True, options.epochs, options.rate, options.penalty, options.bias_penalty,
            options.seed + member,
        )  # fmt: skip
        left[np.bincount(rows.users, minlength=users) == 0] = 0.0
        right[np.bincount(rows.items, minlength=items) == 0] = 0.0
        parts.append((left, right))
        biases = [b + o / options.members for b, o in zip(biases, own, strict=True)]
        level += float(start[0]) / options.members
    return FactorModel([p for p, _ in parts], [q for _, q in parts], biases[0], biases[1], level)
