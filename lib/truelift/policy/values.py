"""What learned rules are worth: every unit by the rule that has not seen its fold.

The scores of a unit are unbiased for the arms' means whatever rule the other folds' units chose, so the
mean over units of the chosen arms' scores is the value of the folds' rules. The in-sample figure, of the
rule of all on the units that chose it, is biased upwards and stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.distributions import stats
from truelift.policy.fitting import BATCH, Fitting, Learned, travelling
from truelift.policy.means import MeansKernel, Ratios, State
from truelift.policy.results import Figure, GroupFigures, PolicyResult
from truelift.policy.rules import Columns


@dataclass(frozen=True, eq=False)
class ValueQuantities:
    """Quantities of a unit: weight, treated, cost, value, in-sample value, reward of every arm; then by
    cell of the groups: weight, treated, value, reward of every arm.
    """

    fitting: Fitting
    learned: Learned
    cells: tuple[tuple[str, str], ...]

    @property
    def per_cell(self) -> int:
        """Lines of a cell."""
        return 3 + len(self.fitting.reader.columns.arms)

    @property
    def first_cell(self) -> int:
        """The line of the first cell's weight."""
        return 5 + len(self.fitting.reader.columns.arms)

    def __len__(self) -> int:
        return self.first_cell + self.per_cell * len(self.cells)

    def __call__(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Clusters and quantities of a batch."""
        block, columns = self.fitting.reader(batch), self.fitting.columns_of(batch)
        chosen = self.choices(batch)
        rows = np.arange(len(block))
        own = self.learned.of_all.choose(columns)
        lines = [
            np.ones(len(block)),
            (chosen > 0).astype(float),
            block.paid[rows, chosen],
            block.rewards[rows, chosen],
            block.rewards[rows, own],
            *block.rewards.T,
        ]
        base = [lines[0], lines[1], lines[3], *lines[5:]]
        for cell in self.cells:
            inside = self._inside(batch, cell)
            lines += [line * inside for line in base]
        return block.cluster, np.array(lines) * block.weight

    def moved(self, batch: pa.RecordBatch) -> np.ndarray:
        """What every quantity moves (m x K x K) as a fold's rule sees one fold more; see
        :func:`~.means.shared_of_folds`.
        """
        block, folds = self.fitting.reader(batch), self.fitting.folds
        columns = self.fitting.columns_of(batch)
        found = np.zeros((len(self), folds, folds))
        inside = [self._inside(batch, cell) for cell in self.cells]
        for j in np.unique(block.fold):
            at = np.flatnonzero(block.fold == j)
            part = _taken(columns, at)
            chosen = self.learned.of_folds[j].choose(part)
            for k in range(folds):
                if k == j:
                    continue
                before = self.learned.without(int(j), k).choose(part)
                changed = chosen != before
                if not changed.any():
                    continue
                where, weight = at[changed], block.weight[at[changed]]
                to, back = chosen[changed], before[changed]
                treated = weight * ((to > 0).astype(float) - (back > 0))
                cost = weight * (block.paid[where, to] - block.paid[where, back])
                value = weight * (block.rewards[where, to] - block.rewards[where, back])
                found[1:4, j, k] = treated.sum(), cost.sum(), value.sum()
                for cell, held in enumerate(inside):
                    start = self.first_cell + cell * self.per_cell
                    found[start + 1, j, k] = treated @ held[where]
                    found[start + 2, j, k] = value @ held[where]
        return found

    def _inside(self, batch: pa.RecordBatch, cell: tuple[str, str]) -> np.ndarray:
        held = self.fitting.reader.texts(batch, cell[0])
        return pc.fill_null(pc.equal(held, cell[1]), False).to_numpy(zero_copy_only=False)

    def choices(self, batch: pa.RecordBatch) -> np.ndarray:
        """The arm of every unit, by the rule that has not seen its fold."""
        block, columns = self.fitting.reader(batch), self.fitting.columns_of(batch)
        chosen = np.zeros(len(block), np.int64)
        for k in np.unique(block.fold):
            at = np.flatnonzero(block.fold == k)
            part = _taken(columns, at)
            chosen[at] = self.learned.of_folds[int(k)].choose(part)
        return chosen

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return ValueQuantities, (travelling(self.fitting), self.learned, self.cells)


def _taken(columns: Columns, at: np.ndarray) -> Columns:
    place = pa.array(at)
    return {n: (c[at] if isinstance(c, np.ndarray) else c.take(place)) for n, c in columns.items()}


@dataclass(frozen=True, eq=False)
class ValueKernel:
    """A sum kernel: cluster sums of the quantities, and what they move."""

    quantities: ValueQuantities

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of a bucket."""
        folds = self.quantities.fitting.folds
        moved = np.zeros((len(self.quantities), folds, folds))

        def seen() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                if batch.num_rows:
                    moved[:] += self.quantities.moved(batch)
                yield batch

        state = MeansKernel(len(self.quantities), self.quantities)(bucket, seen())
        return {**state, "moved": moved}


def valued(fitting: Fitting, learned: Learned, notes: Sequence[str] = ()) -> PolicyResult:
    """The policy with its values, gains and group figures.

    Parameters
    ----------
    fitting : Fitting
    learned : Learned
    notes : sequence of str
        Sentences for the result.
    """
    options, arms = fitting.options, fitting.reader.columns.arms
    cells = _cells(fitting)
    quantities = ValueQuantities(fitting, learned, cells)
    fitting.progress("valuing the policy on units that did not choose it")
    kernel = ValueKernel(quantities)
    state = fitting.source.sum(kernel, fitting.names(), BATCH)
    means = Ratios.of(state, range(1, len(quantities)), _denominators(quantities))
    at = np.eye(len(means.estimates))
    share, cost, value, inside = (at[i] for i in range(4))
    by_arm = at[4 : 4 + len(arms)]
    explored = (1 - options.exploration) * value + options.exploration * by_arm.mean(axis=0)
    names = ["value", "treated share", "cost", "with exploration"]
    own = figures(
        means.combined(np.array([value, share, cost, explored])), names, options.confidence
    )
    gains = figures(means.combined(value - by_arm), arms, options.confidence)
    first = fitting.reader.columns
    kept, left_out = _told_cells(quantities, state)
    return PolicyResult(
        method=options.method,
        outcome=options.reward.outcome,
        arms=first.arms,
        table=fitting.source.name,
        table_version=fitting.source.version,
        n=sum(fitting.source.bucket_rows().values()),
        clusters=means.clusters,
        folds=fitting.folds,
        rule=learned.of_all.sentences(arms),
        drawing=learned.of_all.drawing(arms),
        value=own[0],
        in_sample=float(inside @ means.estimates),
        share=own[1],
        cost=own[2],
        gains=gains,
        exploration=options.exploration,
        exploring=own[3],
        groups=_groups(quantities, means, options.confidence, kept),
        notes=(*notes, *left_out),
        confidence=options.confidence,
    )


def figures(means: Ratios, names: Sequence[str], confidence: float) -> tuple[Figure, ...]:
    """Numbers with intervals of their own and bands of all at once."""
    bands = means.bands(confidence, names)
    reach = float(stats.t.ppf(0.5 + confidence / 2, means.clusters - 1))
    return tuple(
        Figure(name, float(e), float(s), float(e - reach * s), float(e + reach * s), float(low), float(high))
        for name, e, s, low, high in zip(
            names, bands.estimates, bands.standard_errors, bands.lower, bands.upper, strict=True
        )
    )  # fmt: skip


def _cells(fitting: Fitting) -> tuple[tuple[str, str], ...]:
    found = fitting.source.distinct(
        [fitting.reader.columns.place(c) for c in fitting.options.groups]
    )
    return tuple(
        (column, str(level))
        for column in fitting.options.groups
        for level in found[fitting.reader.columns.place(column)]
    )


def _denominators(quantities: ValueQuantities) -> list[int]:
    found = [0] * (quantities.first_cell - 1)
    for cell in range(len(quantities.cells)):
        found += [quantities.first_cell + cell * quantities.per_cell] * quantities.per_cell
    return found


def _told_cells(
    quantities: ValueQuantities, state: State
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Cells of more than one cluster, and what is to be said of others and of units in none."""
    total, squares = state["total"], np.diag(state["products"])
    at = quantities.first_cell + quantities.per_cell * np.arange(len(quantities.cells))
    # Equal where all of a cell is of one cluster: there is then no error to tell.
    several = total[at] ** 2 > squares[at] * (1 + 1e-9)
    notes = []
    if bare := [
        f"{c} {n}" for (c, n), fine in zip(quantities.cells, several, strict=True) if not fine
    ]:
        notes.append(f"Not told, for they have one cluster: {', '.join(bare)}. Merge levels.")
    for column in dict.fromkeys(column for column, _ in quantities.cells):
        own = [i for i, (name, _) in zip(at, quantities.cells, strict=True) if name == column]
        if (none := 1 - float(total[own].sum() / total[0])) > 1e-9:
            notes.append(
                f"{none:.1%} of the units have no value of {column!r} and are in no group."
            )
    return tuple(np.flatnonzero(several).tolist()), tuple(notes)


def _groups(
    quantities: ValueQuantities, means: Ratios, confidence: float, cells: tuple[int, ...]
) -> tuple[GroupFigures, ...]:
    if not cells:
        return ()
    arms = quantities.fitting.reader.columns.arms
    at = np.eye(len(means.estimates))
    shares, gains, regrets, best = [], [], [], []
    for cell in cells:
        start = quantities.first_cell - 1 + cell * quantities.per_cell
        shares.append(at[start + 1])
        value, rewards = at[start + 2], at[start + 3 : start + 3 + len(arms)]
        gains.append(value - rewards[0])
        regrets.append(rewards - value)
        best.append(int(np.argmax(rewards @ means.estimates)))
    kept = [quantities.cells[cell] for cell in cells]
    names = [f"{column} {level}" for column, level in kept]
    told = [figures(means.combined(np.array(part)), names, confidence) for part in (shares, gains)]
    # The best arm is chosen by the data: the band holds for all arms, so for that one too.
    every = [f"{name} {arm}" for name in names for arm in arms]
    all_regrets = figures(means.combined(np.concatenate(regrets)), every, confidence)
    return tuple(
        GroupFigures(
            column, level, told[0][g], told[1][g],
            replace(all_regrets[g * len(arms) + best[g]], name=names[g]), arms[best[g]],
        )
        for g, (column, level) in enumerate(kept)
    )  # fmt: skip
