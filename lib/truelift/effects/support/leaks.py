"""Covariates that give away the outcome or the treatment.

A covariate that was measured after the treatment may be the outcome itself, or made of it: a copy,
another unit of measurement, a rank, a class, a flag, with noise or without. Adjusting for it takes
the effect away, and a precise zero is left. One that is made of the treatment leaves nobody to
compare with. Neither shows in the balance of the arms.

Both are seen by how much one column says of another, whatever the form. Chatterjee's (2021)
coefficient, of n units in the order of x,

    ``xi(x, y) = 1 - n sum |r_{i+1} - r_i| / (2 sum l_i (n - l_i))``

with r_i the number of units with ``y_j <= y_i`` and l_i that with ``y_j >= y_i``, is zero where y
does not depend on x and one where y is a function of x. It is asked in both directions: a class
made of an outcome is a function of the outcome, and not the other way round. Missing values are a
column of their own: a price that only buyers have tells who bought.

A category is asked how alike two of its units are, in the same measure. A covariate that holds the
outcome for some units and something else for the rest is no function of it; there it is counted how
often both have the same rare value.

A sample of the start rows is enough, for what is looked for is nearly certain. All units are asked,
and those of each arm: a covariate may hold the outcome of the treated alone.

A column that ``pre_outcomes`` says to be from before the assignment may be as close to the outcome
as it likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.effects.panel.columns import PanelColumns, number_column
from truelift.effects.panel.start import ORDER
from truelift.effects.results import Caution, EffectsResult
from truelift.settings import EffectOptions

#: From which xi a covariate is taken for a function of an outcome, or to tell the treatment: .85 is
#: that of normal numbers whose squared correlation is .975.
GIVEN_AWAY = 0.85
#: From which xi it is taken to tell an outcome: a squared correlation of .95.
TOLD = 0.78
#: Share of the units whose value of a covariate is that of the outcome, and no common one.
COPIED = 0.1
#: Out-of-fold R squared from which the covariates together are taken to hold the outcome.
ALL_EXPLAINED = 0.98
#: The same, from which it is mentioned.
MUCH_EXPLAINED = 0.95

_UNITS = 2000
# Fewer units of an arm tell nothing, and as many have to differ from a column's commonest value.
_FEWEST, _DIFFERENT = 50, 10
#: Categories with more levels than this share of the units are names of units.
NAMES = 0.1
# A value that more units than this have is shared by chance.
_COMMON = 0.01


@dataclass(frozen=True, eq=False)
class Ranked:
    """A column's order, its ranks (ties share the highest), and what xi divides by.

    Parameters
    ----------
    order : ndarray of int, n
    ranks : ndarray, n
    spread : float
        Zero where the column has too few different values to tell anything.
    """

    order: np.ndarray
    ranks: np.ndarray
    spread: float

    @staticmethod
    def of(values: np.ndarray, least: int = 1) -> Ranked:
        """Of finite numbers; ``least`` of them have to differ from the commonest."""
        n = len(values)
        order = np.argsort(values, kind="stable")
        first = np.concatenate([[True], np.diff(values[order]) != 0])
        starts = np.append(np.flatnonzero(first), n)
        counts = np.diff(starts)
        upto = np.repeat(starts[1:], counts)
        ranks = np.empty(n)
        ranks[order] = upto
        above = np.repeat(n - starts[:-1], counts).astype(float)
        enough = n - int(counts.max(initial=0)) >= least
        return Ranked(order, ranks, 2.0 * float(above @ (n - above)) if enough else 0.0)

    def tells(self, other: Ranked) -> float:
        """How much the other column is a function of this one: 0 not at all, 1 wholly."""
        if other.spread <= 0:
            return 0.0
        steps = float(np.abs(np.diff(other.ranks[self.order])).sum())
        return 1.0 - len(self.order) * steps / other.spread

    def sorts(self, codes: np.ndarray) -> float:
        """How much a class is one: by neighbours that share it, beyond chance."""
        ordered = codes[self.order]
        alike = float(np.mean(ordered[1:] == ordered[:-1]))
        shares = np.unique(codes, return_counts=True)[1] / len(codes)
        chance = float(shares @ shares)
        return (alike - chance) / (1.0 - chance) if chance < 1.0 else 0.0

    def told_by(self, codes: np.ndarray) -> float:
        """How much the column is a function of a class: by neighbours within the class.

        The same coefficient, of the pairs of neighbours that share a class; zero where these are
        too few. The units of a class come in an order that has nothing to do with the column.
        """
        by_class = np.argsort(codes, kind="stable")
        alike = codes[by_class][1:] == codes[by_class][:-1]
        n, pairs = len(codes), int(np.count_nonzero(alike))
        if self.spread <= 0 or pairs < _FEWEST:
            return 0.0
        steps = np.abs(np.diff(self.ranks[by_class]))[alike]
        return 1.0 - n * n * float(steps.mean()) / self.spread


def leak_cautions(
    drawn: pa.Table, columns: PanelColumns, options: EffectOptions, result: EffectsResult
) -> list[Caution]:
    """Covariates that are made of an outcome or the treatment, as cautions that stop.

    Parameters
    ----------
    drawn : pyarrow.Table
        The start rows.
    columns : PanelColumns
    options : EffectOptions
        ``pre_outcomes``.
    result : EffectsResult
        Whose ``nuisance`` says how much the covariates explain together.
    """
    batch = _sample(drawn)
    arm = columns.arms.codes(batch)
    targets = {name: number_column(batch, name) for name in columns.outcomes}
    told: dict[tuple[str, str], str] = {}
    whole = np.ones(len(arm), bool)
    for part in (whole, *(arm == a for a in range(len(columns.arms.values)))):
        for pair, how in _in_part(batch, columns, targets, part, TOLD):
            told.setdefault(pair, how)
    treatment = columns.arms.column
    found = [_of_treatment(*pair, treatment) for pair in telling_treatment(drawn, columns).items()]
    before = options.experiment.pre_outcomes
    after = {pair: how for pair, how in told.items() if pair[0] not in before.values()}
    found += [_of_outcome(covariate, how, outcome) for (covariate, outcome), how in after.items()]
    return found + list(_together(columns, result, before, {outcome for _, outcome in after}))


def telling_treatment(drawn: pa.Table, columns: PanelColumns) -> dict[str, str]:
    """Columns that are adjusted for and are made of the treatment, and how, in words.

    Parameters
    ----------
    drawn : pyarrow.Table
        The start rows.
    columns : PanelColumns
    """
    batch = _sample(drawn)
    arm = columns.arms.codes(batch)
    treatment = {columns.arms.column: arm.astype(float)}
    found = _in_part(batch, columns, treatment, np.ones(len(arm), bool), GIVEN_AWAY)
    return {covariate: how for (covariate, _), how in found}


def _sample(drawn: pa.Table) -> pa.RecordBatch:
    sample = drawn.sort_by(ORDER.name).slice(0, _UNITS).combine_chunks()
    return pa.RecordBatch.from_arrays(
        [_flat(sample[name]) for name in sample.column_names], sample.column_names
    )


def _of_outcome(covariate: str, how: str, outcome: str) -> Caution:
    return Caution(
        f"Covariate {covariate!r} {how} outcome {outcome!r}, as something does that was measured "
        "after the treatment, and adjusting for that takes the effect away. Take it out of "
        "effects.covariates; if it is the same quantity from before the treatment, say so under "
        "effects.experiment.pre_outcomes.",
        stops=True,
        outcomes=(outcome,),
    )


def _of_treatment(covariate: str, how: str, treatment: str) -> Caution:
    return Caution(
        f"Covariate {covariate!r} {how} treatment {treatment!r}: of units that it calls alike all "
        "are in one arm, so there is nobody to compare them with. Take it out of "
        "effects.covariates.",
        stops=True,
    )


def _in_part(
    batch: pa.RecordBatch, columns: PanelColumns, targets: Mapping[str, np.ndarray],
    part: np.ndarray, enough: float,
) -> Iterator[tuple[tuple[str, str], str]]:  # fmt: skip
    """Covariates and targets that make each other among some units, and how, in words."""
    own = {name: part & np.isfinite(values) for name, values in targets.items()}
    own = {name: kept for name, kept in own.items() if np.count_nonzero(kept) >= _FEWEST}
    ranked = {name: Ranked.of(targets[name][kept], _DIFFERENT) for name, kept in own.items()}
    for covariate in columns.categories:
        codes = _codes(batch, covariate)
        for name, kept in own.items():
            few = 1 < len(np.unique(codes[kept])) <= NAMES * np.count_nonzero(kept)
            if few and ranked[name].spread > 0 and ranked[name].sorts(codes[kept]) >= GIVEN_AWAY:
                yield (covariate, name), "is a class of the"
            elif ranked[name].told_by(codes[kept]) >= enough:
                yield (covariate, name), "tells the"
    for covariate in columns.covariates:
        values = number_column(batch, covariate)
        present = np.isfinite(values)
        complete: dict[bytes, Ranked] = {}
        for name, kept in own.items():
            absent = ~present[kept]
            target, here = ranked[name], kept
            if absent.any():
                flags = Ranked.of(absent.astype(float), _DIFFERENT)
                if target.spread > 0 and target.tells(flags) >= GIVEN_AWAY:
                    yield (covariate, name), "is missing as if it knew the"
                    continue
                here = kept & present
                if np.count_nonzero(here) < _FEWEST:
                    continue
                target = Ranked.of(targets[name][here], _DIFFERENT)
            key = here.tobytes()
            if key not in complete:
                complete[key] = Ranked.of(values[here], _DIFFERENT)
            numbers = complete[key]
            if target.spread <= 0:
                continue
            if numbers.tells(target) >= enough:
                yield (covariate, name), "tells the"
            elif target.tells(numbers) >= GIVEN_AWAY:
                yield (covariate, name), "is a function of the"
            elif copied(values[here], targets[name][here]) >= COPIED:
                yield (covariate, name), "has in many rows the very value of the"


def copied(values: np.ndarray, target: np.ndarray) -> float:
    """Share of the units in which a column is the other one, or the same shift or multiple of it.

    Only values of the other that are rare count: common ones are shared by chance. Shifts and multiples
    are asked of fractions alone, for those of whole numbers are few.
    """
    rare = _rare(target)
    most = int(np.count_nonzero(rare & (values == target)))
    broken = rare & _rare(values) & (target != np.round(target))
    if np.count_nonzero(broken) >= _FEWEST:
        own, other = values[broken], target[broken]
        shift, multiple = own - other, own / other
        multiple = multiple[np.isfinite(multiple)]
        digits = np.abs(own).max() + np.abs(other).max()
        most = max(most, _commonest(shift, _rounding(shift, digits)))
        most = max(most, _commonest(multiple, _rounding(multiple, np.median(np.abs(multiple)))))
    return most / len(target) if most >= _FEWEST else 0.0


def _rounding(relation: np.ndarray, digits: float) -> float:
    """How far apart relations may lie that are the same: nine digits, but a millionth of their spread.

    A large level (seconds since 1970 beside an outcome of a few) would make all of them alike; no less
    than what floating point makes of such a level.
    """
    spread = float(np.subtract(*np.quantile(relation, [0.95, 0.05])))
    return max(min(1e-9 * digits, 1e-6 * spread), 1e-15 * digits)


def _rare(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: np.ndarray = counts[inverse] <= max(_COMMON * len(values), 1)
    return found


def _commonest(values: np.ndarray, apart: float) -> int:
    """How many values lie within rounding errors of the one that has most so near."""
    ordered = np.sort(values)
    return int(
        (np.searchsorted(ordered, ordered + apart, "right") - np.arange(len(ordered))).max(
            initial=0
        )
    )


def _together(
    columns: PanelColumns, result: EffectsResult, before: Mapping[str, str], told: set[str]
) -> Iterator[Caution]:
    """Outcomes that the covariates explain together, though none does alone."""
    for outcome in columns.outcomes:
        # What the specification says to be from before may explain the outcome if it is adjusted for.
        earlier = before.get(outcome) in columns.covariates
        ends = f".{outcome}"
        found = max(
            (v for k, v in result.nuisance.items() if k.startswith("r2_") and k.endswith(ends)),
            default=0.0,
        )
        if outcome not in told and found >= MUCH_EXPLAINED:
            yield Caution(
                f"The covariates explain {found:.2%} of the variance of {outcome!r} in units that "
                "the models have not seen. Where a part of the outcome is among them, or something "
                "that was measured after the treatment, adjusting takes the effect away: take such "
                "columns out of effects.covariates." + ("" if earlier else _SAME_BEFORE),
                stops=found >= ALL_EXPLAINED and not earlier,
                outcomes=(outcome,),
            )


_SAME_BEFORE = " If it is the same quantity from before the treatment, say so under effects.experiment.pre_outcomes."


def _codes(batch: pa.RecordBatch, name: str) -> np.ndarray:
    column = batch.column(batch.schema.get_field_index(name))
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode(null_encoding="encode")
    return pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
