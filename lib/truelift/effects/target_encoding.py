"""Categories of many levels as what is known of each level from the other folds.

A level becomes a few numbers: for every outcome its mean in that level, for the outcome models;
for every arm after the control the log odds of its share, for the propensity, which is linear in
log odds. All models get both: an outcome's mean over all arms is a mixture whose weights are the
shares, and only the two together say what an arm's own mean is.

Means are smoothed towards the mean of all units (Micci-Barreca 2001): a level of n units counts
``n / (n + prior)``, and a level that the other folds do not have is the mean itself. A unit of
fold k gets the numbers of the folds other than k. Its own outcome is not in them, and neither is
any of its cluster, so a level with few units cannot give an outcome away; what another fold's unit
is encoded by does contain it, and reaches the unit through the models' few coefficients alone, of
order 1/n as in any regression with a parameter a column.

The sums come from one light pass and add up. Levels lie in a table of fixed size by their hash;
levels that share a slot share its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.columns import PanelColumns, Scale, weight_column
from truelift.effects.keys import hash_keys, mix
from truelift.effects.normal_equations import complements


@dataclass(frozen=True, eq=False)
class TargetEncoded:
    """A category as numbers of its levels, by the fold of the unit.

    Parameters
    ----------
    column : str
    targets : tuple of str
        What each number is of.
    values : ndarray, (K + 1) x targets x slots
        Row k is made of the folds other than k, the last row of all folds.
    """

    column: str
    targets: tuple[str, ...]
    values: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """``column: target``."""
        return tuple(f"{self.column}: {target}" for target in self.targets)

    def fill(self, batch: pa.RecordBatch, into: np.ndarray, fold: int | np.ndarray | None) -> None:
        """Numbers as the lines of ``into`` (targets x n); a null is a level like any other.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
        into : ndarray, targets x n
        fold : int or ndarray of int, optional
            One for all rows or one each; None for units that no model has seen.
        """
        slots = slots_of(batch, self.column, self.values.shape[2])
        if isinstance(fold, np.ndarray):
            into[:] = self.values[fold, :, slots].T
        else:
            np.take(self.values[-1 if fold is None else fold], slots, axis=1, out=into)


def slots_of(batch: pa.RecordBatch, column: str, size: int) -> np.ndarray:
    """The slot of each row's level, 0 to ``size - 1``."""
    hashes = mix(hash_keys(batch.column(batch.schema.get_field_index(column))))
    return (hashes % np.uint64(size)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class TargetKernel:
    """Sums by fold, target and slot: ``column place`` is K x (1 + J + A - 1) x slots.

    The first line is the units' weight, then come the outcomes, then the arms after the control.
    """

    columns: PanelColumns
    outcomes: Scale
    targets: tuple[str, ...]
    size: int
    folds: int

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """The state of one bucket."""
        fold, others = bucket % self.folds, range(1, len(self.columns.arms.values))
        lines = 1 + len(self.outcomes.names) + len(others)
        state = {
            f"target {place}": np.zeros((self.folds, lines, self.size))
            for place in range(len(self.targets))
        }
        for batch in batches:
            arm = self.columns.arms.codes(batch)
            outcome = np.empty((len(self.outcomes.names), batch.num_rows))
            self.outcomes.rows(batch, outcome)
            weight = weight_column(batch, self.columns.weight)
            weight = np.ones(batch.num_rows) if weight is None else weight
            # What is not finite is refused by the first pass, with its name and count.
            fine = np.isfinite(outcome).all(axis=0) & np.isfinite(weight) & (arm >= 0)
            kept = np.where(fine, weight, 0.0)
            summed = [kept, *(np.where(fine, line, 0.0) * kept for line in outcome)]
            summed += [(arm == a) * kept for a in others]
            for place, column in enumerate(self.targets):
                slots = slots_of(batch, column, self.size)
                own = state[f"target {place}"][fold]
                for line, values in zip(own, summed, strict=True):
                    line += np.bincount(slots, values, minlength=self.size)
        return state


def target_columns(columns: PanelColumns, targets: Sequence[str]) -> tuple[str, ...]:
    """What the pass reads."""
    weight = [columns.weight] if columns.weight else []
    named = [*targets, *columns.outcomes, columns.arms.column, *weight]
    return tuple(dict.fromkeys(named))


def make_targets(
    state: dict[str, np.ndarray], kernel: TargetKernel, prior: float
) -> dict[str, TargetEncoded]:
    """The encodings by column, from the pass's sums.

    Parameters
    ----------
    state : dict of str to ndarray
    kernel : TargetKernel
        Which made them.
    prior : float
        How many units the mean of all counts in every level; positive.
    """
    if not state:
        return {}
    labels = kernel.columns.arms.labels
    targets = (
        *(f"mean {name}" for name in kernel.outcomes.names),
        *(f"log odds {label}" for label in labels[1:]),
    )
    outcomes = len(kernel.outcomes.names)
    found = {}
    for place, column in enumerate(kernel.targets):
        sums = state[f"target {place}"]
        sums = np.concatenate([complements(sums), sums.sum(axis=0)[None]])
        weight, rest = sums[:, :1], sums[:, 1:]
        total = np.maximum(weight.sum(axis=2, keepdims=True), np.finfo(float).tiny)
        smoothed = (rest + prior * rest.sum(axis=2, keepdims=True) / total) / (weight + prior)
        shares = np.clip(smoothed[:, outcomes:], 1e-6, 1.0)
        control = np.clip(1.0 - smoothed[:, outcomes:].sum(axis=1, keepdims=True), 1e-6, 1.0)
        smoothed[:, outcomes:] = np.log(shares / control)
        found[column] = TargetEncoded(column, targets, smoothed)
    return found
