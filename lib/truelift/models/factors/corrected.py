"""Factors of labelled rows that were not drawn by lot, with corrections for who labels what.

People rate what they chose; a model of such rows is a model of what they choose. Six ways, all of them
draws of one sampler (:mod:`truelift.models.factors.bayesian`) with other weights, labels or features:

========  ============================================================================================
none      rows as they are
seen      rows as they are, and what users and items have seen alike as features of theirs
          (:mod:`truelift.models.factors.seen`): who labels what is information too; half of the draws
          are without, for where it is none
ips       rows weighted by ``1 / p`` (Schnabel et al., ICML 2016)
snips     the same, weights of a user adding up to his rows (self-normalised, Swaminathan & Joachims 2015)
dr        all cells, label ``y' + (y - y') / p`` where seen and ``y'`` elsewhere, y' a model weighted by ``1 / p``
          (Wang et al., ICML 2019); the loss is linear in the label, so this is its doubly robust form
mrdr      the same, y' weighted by ``(1 - p) / p^2``, for less variance (Guo et al., SIGIR 2021)
missing   rows as they are, and all other cells as a low label of small weight (Steck, KDD 2010): for
          rows that people chose because they like them
========  ============================================================================================

Chances p come from the log, or from exposures alone. No label that was drawn by lot is needed. Weighted rows count
as many rows together as they are worth, ``(sum w)^2 / sum w^2`` (Kish 1965), and so do all cells with pseudo-labels:
a sampler that took them for more would trust what a few heavy rows say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from truelift.errors import ConfigError, DataError
from truelift.models.factors.bayesian import Draw, Elsewhere, Noise, sample_factors
from truelift.models.factors.seen import axes_of, seen_model

CORRECTIONS = ("none", "seen", "ips", "snips", "dr", "mrdr", "missing")
# Log odds are this times (label - 1/2): the logistic curve's own slope there. It keeps the order.
_STEEP = 4.0
# What was surely seen still counts a little where only what is left to chance should.
_LEAST_REST = 1e-3

Features = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class CorrectionOptions:
    """How factors are fitted.

    Parameters
    ----------
    correction : str
        One of ``none, seen, ips, snips, dr, mrdr, missing``.
    rank, sweeps, kept : int
        Factors; passes of the sampler, and draws that are kept.
    axes : int
        Of what users and items have seen alike.
    cap : float
        Least chance that a weight divides by.
    low, low_weight : float
        Label and weight of a cell that nobody labelled, for ``missing``.
    seed : int
    """

    correction: str = "none"
    rank: int = 6
    sweeps: int = 200
    kept: int = 60
    axes: int = 4
    cap: float = 0.1
    low: float = 0.2
    low_weight: float = 0.03
    seed: int = 7

    def __post_init__(self) -> None:
        if self.correction not in CORRECTIONS:
            raise ConfigError(
                f"correction: found {self.correction!r}, expected one of {', '.join(CORRECTIONS)}."
            )
        for name, least in (("rank", 1), ("sweeps", 3), ("kept", 1), ("axes", 1)):
            if (found := getattr(self, name)) < least:
                raise ConfigError(f"{name}: found {found}, expected at least {least}.")
        if not 0 < self.cap <= 1:
            raise ConfigError(f"cap: found {self.cap}, expected more than 0, at most 1.")


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
    """Labels ``b + b_u + b_i + p_u . q_i``, the mean over draws."""

    left: Sequence[np.ndarray] = field(repr=False)
    right: Sequence[np.ndarray] = field(repr=False)
    user_bias: np.ndarray
    item_bias: np.ndarray
    level: float
    noise: Noise

    def labels(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Expected labels of pairs; they may lie a little outside of 0 and 1."""
        found = np.zeros(len(users))
        for p, q in zip(self.left, self.right, strict=True):
            found += np.einsum("nf,nf->n", p[users], q[items])
        return self.level + self.user_bias[users] + self.item_bias[items] + found / len(self.left)

    def chances(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The same order within 0 and 1: the logistic curve of ``4 (label - 1/2)``."""
        odds = _STEEP * (self.labels(users, items) - 0.5)
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))

    def parts(self) -> Features:
        """Users' and items' columns whose products are the labels of all cells."""
        ones = np.ones((2, max(len(self.user_bias), len(self.item_bias)), 1))
        users = [self.level + self.user_bias[:, None], ones[0, : len(self.user_bias)]]
        items = [ones[1, : len(self.item_bias)], self.item_bias[:, None]]
        shared = [p / len(self.left) for p in self.left]
        return np.hstack([*users, *shared]), np.hstack([*items, *self.right])


def exposure_chances(
    rows: LabelledRows,
    how: str = "popularity",
    options: CorrectionOptions | None = None,
    at: LabelledRows | None = None,
) -> np.ndarray:
    """Chances that cells were seen, from what was seen alone.

    Parameters
    ----------
    rows : LabelledRows
        One a cell; labels are not looked at.
    how : str
        ``popularity``: n_u n_i / n. ``factors``: by who sees things alike too.
    options : CorrectionOptions, optional
    at : LabelledRows, optional
        The cells; those of ``rows`` by default.

    Returns
    -------
    ndarray, n
    """
    axes = axes_of(how, (options or CorrectionOptions()).axes)
    there = rows if at is None else at
    model = seen_model(rows.users, rows.items, rows.shape, axes)
    return model.chances(there.users, there.items)


def fit_corrected(
    rows: LabelledRows,
    options: CorrectionOptions,
    chances: np.ndarray | None = None,
    features: Features | None = None,
) -> FactorModel:
    """Fit with a correction.

    Parameters
    ----------
    rows : LabelledRows
    options : CorrectionOptions
    chances : ndarray, n, optional
        Of being seen; by popularity where none are logged.
    features : (ndarray, ndarray), optional
        Of users (users x f) and items (items x g), in units of their spread.

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
    given = features or (np.zeros((rows.shape[0], 0)), np.zeros((rows.shape[1], 0)))
    plain = np.ones(len(rows))
    if options.correction == "none":
        return _fitted(rows, plain, given, options)
    if options.correction == "seen":
        places = seen_model(rows.users, rows.items, rows.shape, options.axes).features()
        both = tuple(np.hstack(pair) for pair in zip(given, places, strict=True))
        parts = [_fitted(rows, plain, f, options) for f in (given, (both[0], both[1]))]
        return _mean(parts)
    if options.correction == "missing":
        low = np.full((rows.shape[0], 1), options.low), np.ones((rows.shape[1], 1))
        return _fitted(rows, plain, given, options, Elsewhere(options.low_weight, *low))
    found = chances if chances is not None else exposure_chances(rows)
    capped = np.maximum(found, options.cap)
    weights = (
        np.maximum(1 - found, _LEAST_REST) / capped**2
        if options.correction == "mrdr"
        else 1 / capped
    )
    worth = float(weights.sum()) ** 2 / max(float(np.square(weights).sum()), 1e-300)
    weights = weights * worth / max(float(weights.sum()), 1e-300)
    if options.correction == "snips":
        total = np.bincount(rows.users, weights, rows.shape[0])
        count = np.bincount(rows.users, minlength=rows.shape[0]) * worth / len(rows)
        weights = weights * (count / np.where(total > 0, total, 1.0))[rows.users]
    first = _fitted(rows, weights, given, options)
    if options.correction in ("ips", "snips"):
        return first
    imputed = first.labels(rows.users, rows.items)
    pseudo = replace(rows, labels=imputed + (rows.labels - imputed) / capped)
    each = worth / (rows.shape[0] * rows.shape[1])
    filled = Elsewhere(each, *first.parts(), first.noise)
    return _fitted(pseudo, np.full(len(rows), each), given, options, filled)


def _mean(models: Sequence[FactorModel]) -> FactorModel:
    """The mean of models of the same rows with as many draws each."""
    return FactorModel(
        [p for m in models for p in m.left], [q for m in models for q in m.right],
        np.mean([m.user_bias for m in models], axis=0), np.mean([m.item_bias for m in models], axis=0),
        models[0].level, models[0].noise,
    )  # fmt: skip


def _fitted(
    rows: LabelledRows, weights: np.ndarray, features: Features, options: CorrectionOptions,
    elsewhere: Elsewhere | None = None,
) -> FactorModel:  # fmt: skip
    draws: list[Draw] = sample_factors(
        rows.users, rows.items, rows.labels, weights, rows.shape, features, rank=options.rank,
        sweeps=options.sweeps, kept=options.kept, seed=options.seed, elsewhere=elsewhere,
    )  # fmt: skip
    return FactorModel(
        [d.users[:, 1:] for d in draws], [d.items[:, 1:] for d in draws],
        np.mean([d.users[:, 0] for d in draws], axis=0), np.mean([d.items[:, 0] for d in draws], axis=0),
        draws[0].noise.level, draws[-1].noise,
    )  # fmt: skip
