"""Categories of many levels as what is known of each level from the other folds.

A level becomes a few numbers:

* for every outcome the level's effect on it, of the model ``y = arm + level + noise``: arms are
  compared within levels, so that a level with many treated units is not taken for a good one;
* where levels differ in how much an arm changes there, that arm's deviation in the level;
* for every arm after the control the log odds of its share, for the propensity, which is linear in
  log odds;
* the level's mean of every number among the covariates that differs between levels (Mundlak 1978):
  a level's mean outcome is high because of the level or because of who is in it.

All are shrunk towards the mean of all units as random effects are (Robinson 1991): a level of n
units counts ``n / (n + prior)``, where the prior is the variance within levels by that between
them, estimated from the sums (Searle, Casella & McCulloch 1992, section 3.6), unless the options
say a number. A level that the other folds do not have is the mean itself.

A unit of fold k gets the numbers of the folds other than k. Its own outcome and arm are not in
them, and neither is any of its cluster, so a level with few units cannot give an outcome away; what
another fold's unit is encoded by does contain it, and reaches the unit through the models' few
coefficients alone, of order 1/n as in any regression with a parameter a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.panel.level_table import LevelSums, hashes_in
from truelift.inference.normal_equations import complements, solve_symmetric

#: Most levels that are told apart; the smaller ones of more share the mean of all units.
MOST_LEVELS = 2**17
# By how many standard deviations of chance levels have to differ before a number tells of it.
_DIFFER = 2.0
_TINY = np.finfo(float).tiny


@dataclass(frozen=True, eq=False)
class TargetEncoded:
    """A category as numbers of its levels, by the fold of the unit.

    Parameters
    ----------
    column : str
    targets : tuple of str
        What each number is of.
    keys : ndarray of uint64, L
        Hashes of the levels that are told apart, in ascending order.
    values : ndarray, (K + 1) x targets x (L + 1)
        Row k is made of the folds other than k, the last row of all folds; the last column is that
        of every other level.
    known : ndarray of bool, (K + 1) x (L + 1)
        Whether these folds have the level.
    open : ndarray, (K + 1) x J x (L + 1)
        By outcome, the share ``prior / (n + prior)`` of a level's variance that its units leave
        open, from 0 to 1; of outcome or arms, whichever tells more.
    levels : int
        Levels that there are, as far as they were told apart.
    """

    column: str
    targets: tuple[str, ...]
    keys: np.ndarray
    values: np.ndarray
    known: np.ndarray
    open: np.ndarray
    levels: int

    @property
    def names(self) -> tuple[str, ...]:
        """``column: target``."""
        return tuple(f"{self.column}: {target}" for target in self.targets)

    def places(self, batch: pa.RecordBatch) -> np.ndarray:
        """The place of each row's level in ``values``; L for those that are not told apart."""
        hashes = hashes_in(batch, self.column)
        if not len(self.keys):
            return np.zeros(len(hashes), np.int64)
        place = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
        return np.where(self.keys[place] == hashes, place, len(self.keys))

    def fill(self, batch: pa.RecordBatch, into: np.ndarray, fold: int | np.ndarray | None) -> None:
        """Numbers as the lines of ``into`` (targets x n); a null is a level like any other.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
        into : ndarray, targets x n
        fold : int or ndarray of int, optional
            One for all rows or one each; None for units that no model has seen.
        """
        places = self.places(batch)
        if isinstance(fold, np.ndarray):
            into[:] = self.values[fold, :, places].T
        else:
            np.take(self.values[-1 if fold is None else fold], places, axis=1, out=into)

    def of_nobody(self) -> TargetEncoded:
        """The same, had no level been known: what the rest of the levels gets."""
        return TargetEncoded(
            self.column,
            self.targets,
            self.keys[:0],
            self.values[:, :, -1:],
            self.known[:, -1:],
            self.open[:, :, -1:],
            self.levels,
        )


def encoded(
    column: str,
    found: LevelSums,
    labels: Sequence[str],
    outcomes: Sequence[str],
    covariates: Sequence[str],
    prior: float | None = None,
) -> TargetEncoded:
    """The numbers of a category's levels.

    Parameters
    ----------
    column : str
    found : LevelSums
    labels, outcomes, covariates : sequence of str
        Names of the arms, outcomes and numeric covariates.
    prior : float, optional
        How many units the mean of all counts in every level; as the sums say where None.
    """
    levels = len(found.keys)
    found = found.keeping(MOST_LEVELS)
    # By complement of each fold, then of all folds: (K + 1) x A x (1 + 2 J) x L.
    sums = np.concatenate([complements(found.sums), found.sums.sum(axis=0)[None]])
    total = np.concatenate([complements(found.total), found.total.sum(axis=0)[None]])
    units = sums[:, :, 0].sum(axis=1)
    names: list[str] = []
    columns: list[np.ndarray] = []
    rest: list[np.ndarray] = []
    left: list[np.ndarray] = []
    weight = _share_prior(sums, prior)
    for j, outcome in enumerate(outcomes):
        own = [_of_outcome(part, j, len(outcomes), prior) for part in sums]
        least = np.minimum(weight, [o.prior for o in own])
        left.append(1.0 - _told(units, least))
        names.append(f"mean {outcome}")
        columns.append(np.array([o.level for o in own]))
        rest.append(np.array([o.centre for o in own]))
        for a in np.flatnonzero(own[-1].varies).tolist():
            names.append(f"mean {outcome} of {labels[a]}")
            columns.append(np.array([o.arms[a] for o in own]))
            rest.append(np.zeros(len(own)))
    overall = total[:, :, 0] / np.maximum(total[:, :, 0].sum(axis=1, keepdims=True), _TINY)
    told = _told(units, weight)[:, None]
    shares = sums[:, :, 0] / np.maximum(units, _TINY)[:, None]
    shares = overall[..., None] + told * (shares - overall[..., None])
    for a, label in enumerate(labels):
        if a:
            names.append(f"log odds {label}")
            columns.append(_log_odds(shares[:, a], shares[:, 0]))
            rest.append(_log_odds(overall[:, a], overall[:, 0]))
    for name, line in _differing_means(found, covariates):
        names.append(f"mean {name}")
        columns.append(np.repeat(line[None], len(sums), axis=0))
        rest.append(np.zeros(len(sums)))
    values = np.concatenate([np.stack(columns, 1), np.stack(rest, 1)[..., None]], axis=2)
    known = np.concatenate([units > 0, np.zeros((len(units), 1), bool)], axis=1)
    still = np.stack(left, 1)
    still = np.concatenate([still, np.ones((*still.shape[:2], 1))], axis=2)
    return TargetEncoded(column, tuple(names), found.keys, values, known, still, levels)


def _told(units: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What a level's own share counts, n / (n + prior), by complement and level."""
    finite = np.where(np.isfinite(weight), weight, 1.0)[:, None]
    return np.where(np.isfinite(weight)[:, None], units / (units + finite), 0.0)


def _log_odds(share: np.ndarray, control: np.ndarray) -> np.ndarray:
    return np.log(np.clip(share, 1e-6, 1.0) / np.clip(control, 1e-6, 1.0))


@dataclass(frozen=True, eq=False)
class _OfOutcome:
    """One outcome's effects of levels (L), arms' deviations (A x L), and whether these vary.

    ``prior`` is in units, infinite where levels do not differ.
    """

    level: np.ndarray
    arms: np.ndarray
    varies: np.ndarray
    centre: float
    prior: float


def _of_outcome(sums: np.ndarray, j: int, outcomes: int, prior: float | None) -> _OfOutcome:
    """From sums A x (1 + 2 J) x L."""
    units, first, second = sums[:, 0], sums[:, 1 + j], sums[:, 1 + outcomes + j]
    effects = _within(units, first)[:, None]
    first, second = first - units * effects, second - 2 * effects * first + units * effects**2
    n, s = units.sum(axis=0), first.sum(axis=0)
    centre = float(s.sum() / max(n.sum(), _TINY))
    noise, between = variance_components(n, s, float(second.sum()))
    weight = _prior(noise, between) if prior is None else prior
    level = centre + _shrunk(n, s - n * centre, weight)
    # What an arm's units differ by from their level.
    deviations, varies = np.zeros_like(first), np.zeros(len(units), bool)
    share = units.sum(axis=1) / max(n.sum(), _TINY)
    for a in range(len(units)):
        apart, varies[a] = _interaction(units[a], first[a], n - units[a], s - first[a], noise)
        # The level's own number holds an arm's share of its deviation.
        apart *= float((1 - share[a]) ** 2)
        own = _prior(noise, apart) if prior is None else prior
        deviations[a] = _shrunk(units[a], first[a] - units[a] * level, own)
    return _OfOutcome(level, deviations, varies, centre, weight)


def _within(units: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Differences of the arms to the control within levels (A), from sums A x L."""
    n = np.maximum(units.sum(axis=0), _TINY)
    matrix = np.diag(units.sum(axis=1)) - (units / n) @ units.T
    right = sums.sum(axis=1) - (units / n) @ sums.sum(axis=0)
    return np.concatenate([[0.0], solve_symmetric(matrix[1:, 1:], right[1:, None])[:, 0]])


def variance_components(n: np.ndarray, sums: np.ndarray, squares: float) -> tuple[float, float]:
    """Variance within levels and between them, from the analysis of variance.

    Parameters
    ----------
    n, sums : ndarray, L
        Units and sums of each level.
    squares : float
        Sum of squares over all units.
    """
    present = n > 0
    n, sums = n[present], sums[present]
    total = float(n.sum())
    if len(n) < 2 or total <= len(n):
        return max(squares / max(total, 1.0), 0.0), 0.0
    explained = float((sums**2 / n).sum())
    within = max(squares - explained, 0.0) / (total - len(n))
    between = explained - float(sums.sum()) ** 2 / total
    effective = total - float((n**2).sum()) / total
    return within, max(between - (len(n) - 1) * within, 0.0) / effective


def _interaction(
    n: np.ndarray, s: np.ndarray, others: np.ndarray, sum_others: np.ndarray, noise: float
) -> tuple[float, bool]:
    """How much an arm's difference to the rest of its level varies, and whether beyond chance."""
    both = (n > 0) & (others > 0)
    count = np.count_nonzero(both)
    if count < 3 or noise <= 0:
        return 0.0, False
    apart = s[both] / n[both] - sum_others[both] / others[both]
    weight = 1.0 / (1.0 / n[both] + 1.0 / others[both])
    apart = apart - float(weight @ apart / weight.sum())
    found = float(weight @ apart**2)
    surplus = found - (count - 1) * noise
    effective = float(weight.sum() - (weight**2).sum() / weight.sum())
    beyond = surplus > _DIFFER * noise * np.sqrt(2.0 * (count - 1))
    return max(surplus, 0.0) / effective, bool(beyond)


def _share_prior(sums: np.ndarray, prior: float | None) -> np.ndarray:
    """Units that the overall shares count in every level, by complement (K + 1)."""
    if prior is not None:
        return np.full(len(sums), prior)
    found = []
    for part in sums[:, :, 0]:
        n = part.sum(axis=0)
        parts = [variance_components(n, own, float(own.sum())) for own in part]
        found.append(_prior(sum(w for w, _ in parts), sum(b for _, b in parts)))
    return np.array(found)


def _prior(within: float, between: float) -> float:
    return within / between if between > 0 else np.inf


def _shrunk(n: np.ndarray, sums: np.ndarray, weight: float) -> np.ndarray:
    if not np.isfinite(weight):
        return np.zeros_like(sums)
    return sums / np.maximum(n + weight, _TINY)


def _differing_means(found: LevelSums, covariates: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Shrunk means by level of the covariates that differ between levels beyond chance."""
    n = found.units.sum(axis=0)
    everything = max(float(found.total[:, :, 0].sum()), _TINY)
    told = float(n.sum()) / everything
    differing = []
    for name, sums, (total, squares) in zip(covariates, found.means, found.squares, strict=True):
        if len(n) < 3:
            continue
        centre = float(total) / everything
        inside = sums - n * centre
        around = told * max(float(squares) - everything * centre**2, 0.0)
        within, between = variance_components(n, inside, around)
        level = float((n > 0).sum()) - 1
        effective = float(n.sum() - (n**2).sum() / n.sum())
        # Constant within levels: the covariate is a number of the level itself.
        if within <= 1e-9 * around / max(n.sum(), 1.0):
            continue
        if between * effective > 2 * _DIFFER * within * np.sqrt(2.0 * level):
            differing.append((name, _shrunk(n, inside, within / between)))
    return differing
