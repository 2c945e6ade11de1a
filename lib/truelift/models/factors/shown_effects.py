"""The effect of showing an item to a user, learned from rounds in which it was shown and not.

Signals of a round (rates of items, users and categories, users alike, items alike, factors, and what
the user did with the very item) predict what happens in *another* round, once among cells that were
shown and once among those that were not: a stack (Wolpert 1992) whose weights no signal can flatter,
for the labels are from a round that it never saw. So each signal is shrunken as far as it fails to come
again: empirical Bayes with the prior's weight found by repetition. The difference of the two is corrected by
a regression of what they leave over, ``(Y - m) = (Z - P) tau`` (Nie & Wager, Biometrika 2021; Robinson 1988),
with weight ``correction``: that part is right where chances are, whatever the regressions miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from truelift.errors import ConfigError, DataError
from truelift.models.factors.kernels import fit_points
from truelift.models.factors.shown import ShownLog


@dataclass(frozen=True)
class ShownEffectOptions:
    """How effects are learned.

    Parameters
    ----------
    rank : int
        Length of factors.
    epochs : int
        Passes of the factors' gradients over cells.
    rate, penalty : float
        Step and squared penalty of the factors.
    calm : float
        Observations that the mean of all counts for, in rates.
    ridge : float
        Penalty of the stack's weights, of signals with a variance of one.
    correction : float
        Weight of the residual's regression, 0 to 1.
    seed : int
    """

    rank: int = 16
    epochs: int = 6
    rate: float = 0.05
    penalty: float = 0.02
    calm: float = 20.0
    ridge: float = 10.0
    correction: float = 0.5
    seed: int = 7

    def __post_init__(self) -> None:
        for name in ("rank", "epochs"):
            if (found := getattr(self, name)) < 1:
                raise ConfigError(f"{name}: found {found}, expected at least 1.")
        for name in ("rate", "calm", "ridge"):
            if (found := getattr(self, name)) <= 0:
                raise ConfigError(f"{name}: found {found}, expected more than 0.")
        if not 0 <= self.correction <= 1:
            raise ConfigError(f"correction: found {self.correction}, expected 0 to 1.")


@dataclass(frozen=True, eq=False)
class ShownEffects:
    """Chances of the outcome, and what showing adds.

    Parameters
    ----------
    if_shown, if_not : ndarray, (users, items)
        Chances, either way.
    by_residuals : ndarray, (users, items)
        The effect by what the chances leave over.
    correction : float
    """

    if_shown: np.ndarray = field(repr=False)
    if_not: np.ndarray = field(repr=False)
    by_residuals: np.ndarray = field(repr=False)
    correction: float = 0.5

    @property
    def effect(self) -> np.ndarray:
        """What showing adds, (users, items)."""
        plain = self.if_shown - self.if_not
        return np.asarray(plain + self.correction * (self.by_residuals - plain))


def fit_shown_effects(
    logs: Sequence[ShownLog],
    groups: np.ndarray | None = None,
    options: ShownEffectOptions | None = None,
) -> ShownEffects:
    """Effects of every user and item.

    Parameters
    ----------
    logs : sequence of ShownLog
        Two rounds or more, of the same users and items.
    groups : ndarray of int, items, optional
        A category of each item.
    options : ShownEffectOptions, optional

    Raises
    ------
    DataError
        For fewer than two rounds, or rounds of several shapes.
    """
    chosen = options or ShownEffectOptions()
    if len(logs) < 2:
        raise DataError(
            f"rounds: found {len(logs)}, expected two or more: what one round says is weighed by "
            "whether another repeats it."
        )
    if len({log.shown.shape for log in logs}) > 1:
        raise DataError(
            f"rounds: found shapes {[log.shown.shape for log in logs]}, expected the same users and "
            "items in each."
        )
    designs = [_design(log, groups, chosen) for log in logs]
    _standardise(designs)
    shape, k = logs[0].shown.shape, designs[0].shape[1]
    sums = {side: _Sums(k, chosen.ridge) for side in ("shown", "not", "left over")}
    pairs = [(a, b) for a in range(len(logs)) for b in range(len(logs)) if a != b]
    whole = [design.T @ design for design in designs]
    for a, b in pairs:
        here = logs[b].shown.ravel()
        label = logs[b].bought.ravel().astype(np.float32)
        of_shown = designs[a][here]
        with_shown, right = of_shown.T @ of_shown, of_shown.T @ label[here]
        sums["shown"].add(with_shown, right)
        sums["not"].add(whole[a] - with_shown, designs[a].T @ label - right)
    if_shown, if_not = (
        np.clip(_mean(designs, sums[side].weights()), 0.0, 1.0) for side in ("shown", "not")
    )
    for a, b in pairs:
        chance = logs[b].chance.ravel()
        # What is left over of the outcome when its mean over both sides is taken off.
        left = logs[b].bought.ravel() - chance * if_shown - (1 - chance) * if_not
        turned = designs[a] * (logs[b].shown.ravel() - chance).astype(np.float32)[:, None]
        sums["left over"].add(turned.T @ turned, turned.T @ left.astype(np.float32))
    by_residuals = _mean(designs, sums["left over"].weights())
    return ShownEffects(
        if_shown.reshape(shape),
        if_not.reshape(shape),
        by_residuals.reshape(shape),
        chosen.correction,
    )


def _design(log: ShownLog, groups: np.ndarray | None, options: ShownEffectOptions) -> np.ndarray:
    """Signals of one round (cells x signals), a constant in front."""
    shown, bought = log.shown.astype(np.float32), log.bought.astype(np.float32)
    tried = (shown, 1 - shown)
    taken = tuple(t * bought for t in tried)
    mean = [k.sum() / max(n.sum(), 1.0) for k, n in zip(taken, tried, strict=True)]

    def rates(axis: int, fold: np.ndarray | None = None) -> list[np.ndarray]:
        found = []
        for k, n, m in zip(taken, tried, mean, strict=True):
            if fold is None:
                k, n = k.sum(axis, keepdims=True), n.sum(axis, keepdims=True)
            else:
                k, n = (k @ fold) @ fold.T, (n @ fold) @ fold.T
            found.append((k + options.calm * m) / (n + options.calm))
        return found

    odds = np.log(log.chance / (1 - log.chance)).astype(np.float32)
    of_items, of_users = rates(0), rates(1)
    columns = [np.ones((1, 1)), odds, odds**2, *of_items, *of_users]
    columns += [i * u for i, u in zip(of_items, of_users, strict=True)]
    if groups is not None and len(np.unique(groups)) > 1:
        columns += rates(0, (groups[:, None] == np.unique(groups)).astype(np.float32))
    near = []
    for sets in (bought, shown):
        alike = _alike(sets)
        near += [alike @ k / (1 + alike @ n) for k, n in zip(taken, tried, strict=True)]
    alike = _alike(bought.T)
    columns += [*near, bought @ alike, bought @ alike / (1e-6 + alike.sum(0))]
    alike = _alike(taken[0].T)
    columns.append(taken[0] @ alike / (1 + shown @ alike))
    factors = [
        _factors(seen, bought, options, options.seed + number)
        for number, seen in enumerate((log.shown, ~log.shown))
    ]
    for chance, item, user, here in zip(factors, of_items, of_users, near, strict=False):
        columns += [chance, chance**2, np.sqrt(chance), chance * item, chance * user, chance * here]
    columns.append(factors[0] * factors[1])
    # What the user did with the item counts for more or less with the chance and the rates.
    for done in (taken[1], shown - taken[0], taken[0]):
        columns += [done, done * odds, done * of_items[0], done * of_items[1]]
        columns += [done * factors[0], done * factors[1]]
    design = np.empty((shown.size, len(columns)), np.float32)
    for place, column in enumerate(columns):
        design[:, place] = np.broadcast_to(column, shown.shape).ravel()
    return design


def _standardise(designs: Sequence[np.ndarray]) -> None:
    """All columns but the constant to mean 0 and variance 1 over all rounds, in place."""
    mean = np.mean([d.mean(0, dtype=float) for d in designs], axis=0)
    spread = np.sqrt(np.mean([d.var(0, dtype=float) for d in designs], axis=0))
    spread = np.where(spread > 1e-9, spread, 1.0)
    mean[0], spread[0] = 0.0, 1.0
    for design in designs:
        design -= mean.astype(np.float32)
        design /= spread.astype(np.float32)


def _alike(sets: np.ndarray) -> np.ndarray:
    """Cosines of rows, none with itself."""
    size = np.sqrt(np.maximum(sets.sum(1), 1.0))
    found = (sets @ sets.T) / size[:, None] / size
    np.fill_diagonal(found, 0.0)
    return np.asarray(found)


def _factors(
    seen: np.ndarray, label: np.ndarray, options: ShownEffectOptions, seed: int
) -> np.ndarray:
    """Chances by logistic factors of the cells that were seen."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(seen)
    users, items = seen.shape
    left, right = (0.1 * rng.normal(size=(n, options.rank)) for n in (users, items))
    biases = np.zeros(users), np.zeros(items)
    mean = float(np.clip(label[seen].mean() if len(user) else 0.5, 1e-6, 1 - 1e-6))
    level = np.array([np.log(mean / (1 - mean))])
    fit_points(
        user, item, label[seen].astype(float), np.ones(len(user)), left, right, *biases, level,
        True, options.epochs, options.rate, options.penalty, 0.1 * options.penalty, seed,
    )  # fmt: skip
    return 1 / (1 + np.exp(-(level[0] + biases[0][:, None] + biases[1] + left @ right.T)))


class _Sums:
    """Ridge regression by sums of cross-products."""

    def __init__(self, size: int, ridge: float):
        self._left, self._right = np.zeros((size, size)), np.zeros(size)
        self._penalty = ridge * np.eye(size)
        self._penalty[0, 0] = 1e-9

    def add(self, left: np.ndarray, right: np.ndarray) -> None:
        """More cells."""
        self._left += left
        self._right += right

    def weights(self) -> np.ndarray:
        """Of the columns."""
        return np.linalg.solve(self._left + self._penalty, self._right).astype(np.float32)


def _mean(designs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """What each round's signals say, on average."""
    total = sum(design @ weights for design in designs)
    return np.asarray(total, float) / len(designs)
