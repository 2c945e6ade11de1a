"""What target-encoded levels leave unadjusted, and the bias that comes of it.

A level is known from the other folds' few units, so its encoding is right on average and wrong in
detail. The bias of the mean of arm a that this leaves is the average, over levels, of the product
of what the propensity and what the outcome model miss of the level:

    ``E[(p_a / e_a - 1) (mu_a - m_a)]``

Neither factor can be seen, their product can: units i and j of one level and fold, but of two
clusters, have independent noise, and their models have seen neither. So the average over such
pairs of ``B_i R_j`` with ``B = 1[D = a] / e_a - 1`` and ``R = 1[D = a] (Y - m_a) / e_a`` has that
product as its mean (a second-order U-statistic: Robins, Li, Tchetgen & van der Vaart 2008; as a
test of an interval's coverage Liu, Mukherjee & Robins 2020). Where nothing is left it has mean
zero, and its variance is that of products of independent noise.

The same by predictions that know no level at all, the bias of no adjustment, is large and measured
well. It tells what units lack whose level no other fold has; and, times the share of a level's
variance that its few units leave open, what is to be expected where pairs are too few to measure
the rest: the covariance of two normal variables given one of them with noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import mix
from truelift.effects.panel.level_table import hashes_in
from truelift.effects.panel.source import State, SumKernel
from truelift.effects.panel.target_encoding import TargetEncoded
from truelift.effects.results import Caution, EffectsResult
from truelift.effects.scores.quantities import UnitBlock, clipped
from truelift.effects.scores.sums import Scoring
from truelift.inference.clusters import ClusterSums

#: Largest bias that may be measured, in standard errors of the estimate: an interval of 95% then
#: covers at least 92%. One that is expected beyond it is mentioned.
MAX_BIAS = 0.5
#: Largest bias that may be expected, in standard errors of the estimate.
MAX_EXPECTED = 1.0
#: By how many of its own standard errors a bias has to differ from zero.
BEYOND_CHANCE = 3.0
#: Share of units in levels that are not told apart, from which it is said.
NOTED_REST = 0.01
#: Share from which what the rest leaves must be measured, to within the largest bias.
MAX_REST = 0.05

_NUMBERS = 2**23
_MOST_SLOTS = 2**16


def encoded_levels(scoring: Scoring) -> tuple[TargetEncoded, ...]:
    """The categories whose levels are encoded by other folds."""
    return tuple(c for c in scoring.design.categories if isinstance(c, TargetEncoded))


@dataclass(frozen=True, eq=False)
class LevelBalanceKernel:
    """Sums of pairs of units of one level, by category.

    ``pairs place`` is 2 x lines x K x slots, first with the predictions that the scores are made
    of, then with those that know no level; ``rest`` holds by category the units of levels that no
    other fold has, and by outcome what levels leave open; last, all units.

    Parameters
    ----------
    scoring : Scoring
    """

    scoring: Scoring

    def slots(self, category: TargetEncoded) -> int:
        """Slots of the table: few levels share one, and the state stays small."""
        most = min(_MOST_SLOTS, _NUMBERS // (2 * self.scoring.folds * self._lines()))
        wanted = min(max(4 * category.levels, 256), most)
        return 1 << (wanted.bit_length() - 1)

    def _lines(self) -> int:
        layout = self.scoring.layout
        return 2 + layout.arms * (2 + 4 * layout.outcomes)

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """The state of one bucket."""
        scoring, categories = self.scoring, encoded_levels(self.scoring)
        fold, layout = bucket % scoring.folds, scoring.layout
        width = layout.arms * (1 + layout.outcomes)
        sums = [ClusterSums(1 + 2 * width) for _ in categories]
        rest = np.zeros((len(categories) + 1, 1 + layout.outcomes))
        for batch in batches:
            _, units = scoring.units(batch, bucket)
            weight = np.ones(batch.num_rows) if units.weight is None else units.weight
            found, clusters = surprises(units, scoring.clip), scoring.clusters(batch)
            rest[-1] += weight.sum()
            for place, category in enumerate(categories):
                level = category.places(batch)
                rest[place, 0] += weight[~category.known[fold, level]].sum()
                rest[place, 1:] += category.open[fold][:, level] @ weight
                _, blind = _without(scoring, category).units(batch, bucket)
                lines = np.concatenate(
                    [np.ones((1, len(weight))), found, surprises(blind, scoring.clip)]
                )
                size = self.slots(category)
                slot = hashes_in(batch, category.column) % np.uint64(size)
                sums[place].add(_pair_keys(clusters, slot, size), lines * weight)
        state: dict[str, np.ndarray] = {"rest": rest}
        for place, category in enumerate(categories):
            size = self.slots(category)
            keys, values = sums[place].finish()
            slot = (keys % np.uint64(size)).astype(np.int64)
            table = np.zeros((2, self._lines(), scoring.folds, size))
            for way in range(2):
                own = values[1 + way * width : 1 + (way + 1) * width]
                for line, summed in enumerate(self._products(values[0], own)):
                    table[way, line, fold] = np.bincount(slot, summed, minlength=size)
            state[f"pairs {place}"] = table
        return state

    def _products(self, units: np.ndarray, values: np.ndarray) -> Iterator[np.ndarray]:
        """Lines of a table, each a number a cluster and level."""
        arms, outcomes = self.scoring.layout.arms, self.scoring.layout.outcomes
        yield units
        yield units**2
        shares = values[:arms]
        residuals = values[arms:].reshape(arms, outcomes, -1)
        for share, residual in zip(shares, residuals, strict=True):
            yield share
            yield share**2
            for left in residual:
                yield left
                yield left**2
                yield share * left
                yield (share * left) ** 2


def _pair_keys(clusters: np.ndarray, slot: np.ndarray, size: int) -> np.ndarray:
    """A key of cluster and level, whose remainder by ``size`` (a power of two) is the slot."""
    low = np.uint64(size - 1)
    return (mix(clusters ^ mix(slot)) & ~low) | slot


def surprises(units: UnitBlock, clip: float) -> np.ndarray:
    """B of every arm, then R of every arm and outcome (A (1 + J) x n)."""
    propensity = clipped(units.propensity, clip)
    own = (units.arm == np.arange(len(propensity))[:, None]) / propensity
    residual = units.outcome - units.outcome_regression
    residual *= own[:, None]
    return np.concatenate([own - 1.0, residual.reshape(-1, len(units.arm))])


def _without(scoring: Scoring, category: TargetEncoded) -> Scoring:
    """Scores by predictions that know no level of a category."""
    categories = tuple(
        c.of_nobody() if c is category and isinstance(c, TargetEncoded) else c
        for c in scoring.design.categories
    )
    return replace(scoring, design=replace(scoring.design, categories=categories))


@dataclass(frozen=True)
class LeftOver:
    """The bias that levels leave in the difference of an arm and the control.

    Parameters
    ----------
    bias, standard_error : float
        In the scale of the kernels.
    covered : float
        Share of the units that have a partner in their level and fold.
    """

    bias: float
    standard_error: float
    covered: float


def left_over(table: np.ndarray, arm: int, outcome: int, outcomes: int) -> LeftOver:
    """The average over levels, from lines x K x slots of :class:`LevelBalanceKernel`.

    Parameters
    ----------
    table : ndarray
    arm, outcome : int
        Which difference to the control.
    outcomes : int
        J.
    """
    units, squares = table[0].ravel(), table[1].ravel()
    pairs = units**2 - squares
    # A level of one cluster leaves rounding errors in place of zero.
    paired = pairs > 1e-9 * units**2
    covered = float(units[paired].sum())
    if covered <= 0:
        return LeftOver(0.0, np.inf, 0.0)
    factor = units[paired] / pairs[paired] / covered
    bias, variance = 0.0, 0.0
    for a, sign in ((arm, 1.0), (0, -1.0)):
        start = 2 + a * (2 + 4 * outcomes)
        share, share2 = table[start].ravel()[paired], table[start + 1].ravel()[paired]
        place = start + 2 + 4 * outcome
        left, left2, both, both2 = (line.ravel()[paired] for line in table[place : place + 4])
        bias += sign * float(factor @ (share * left - both))
        variance += float(factor**2 @ np.maximum(share2 * left2 + both**2 - 2 * both2, 0.0))
    return LeftOver(bias, float(np.sqrt(variance)), covered / float(units.sum()))


def level_cautions(
    run: Callable[[SumKernel], State], scoring: Scoring, result: EffectsResult
) -> list[Caution]:
    """What encoded levels leave, as cautions; one pass where there are any.

    Parameters
    ----------
    run : callable
        Runs a kernel over all buckets and adds up.
    scoring : Scoring
    result : EffectsResult
        Whose standard errors are the measure.

    Returns
    -------
    list of Caution
        None where the propensities are known, for then the levels need no adjustment.
    """
    categories = encoded_levels(scoring)
    if not categories or scoring.columns.propensity:
        return []
    state = run(LevelBalanceKernel(scoring))
    rest = state["rest"][:-1] / max(float(state["rest"][-1, 0]), np.finfo(float).tiny)
    found = []
    for place, category in enumerate(categories):
        share = float(rest[place, 0])
        if share >= NOTED_REST:
            found.append(Caution(_of_rest(category, share, result.n)))
        known, blind = state[f"pairs {place}"]
        for a, label in enumerate(scoring.columns.arms.labels):
            for j, (name, _, scale) in enumerate(scoring.outcomes):
                least = least_error(result, label, name)
                if a and least is not None and least > 0:
                    count = scoring.layout.outcomes
                    here = left_over(known, a, j, count)
                    nobody = left_over(blind, a, j, count)
                    left = judged(here, nobody, share, float(rest[place, 1 + j]), least / scale)
                    if left is not None:
                        found.append(_caution(category, left, share, label, name, scale))
    return found


def least_error(result: EffectsResult, arm: str, outcome: str) -> float | None:
    """The least standard error of an arm's effects on an outcome."""
    errors = [
        e.standard_error
        for e in result.estimates
        if e.arm == arm and e.outcome == outcome and e.estimand in ("ATE", "ATT", "ATO")
    ]
    return min(errors, default=None)


@dataclass(frozen=True)
class Judged:
    """A bias that is worth a word: ``measured``, ``expected`` or ``unknown``, and whether it stops."""

    how: str
    stops: bool
    bias: float
    least: float


def judged(
    here: LeftOver, nobody: LeftOver, rest: float, still: float, least: float
) -> Judged | None:
    """What to say of the bias that a category's levels leave in one difference.

    Parameters
    ----------
    here, nobody : LeftOver
        With the levels as they are encoded, and with none known.
    rest : float
        Share of the units whose level no other fold has.
    still : float
        Share of the levels' variance that is open, on average over units.
    least : float
        The estimate's standard error, in the scale of the kernels.
    """
    told = here if here.covered > 0 and rest < 1.0 else LeftOver(0.0, 0.0, 0.0)
    none = nobody if nobody.covered > 0 else LeftOver(0.0, np.inf, 0.0)
    bias = (1 - rest) * told.bias + rest * none.bias
    error = float(
        np.hypot((1 - rest) * told.standard_error, rest * none.standard_error if rest else 0.0)
    )
    if abs(bias) > max(BEYOND_CHANCE * error, MAX_BIAS * least):
        # Whether more than is allowed is left even if chance made it look larger than it is.
        return Judged("measured", abs(bias) - 2 * error > MAX_BIAS * least, bias, least)
    if abs(none.bias) > BEYOND_CHANCE * none.standard_error:
        expected = still * none.bias
        if abs(expected) > MAX_BIAS * least:
            return Judged("expected", abs(expected) > MAX_EXPECTED * least, expected, least)
    if rest > MAX_REST and not rest * none.standard_error <= MAX_BIAS * least:
        return Judged("unknown", True, 0.0, least)
    return None


def _caution(
    category: TargetEncoded, left: Judged, rest: float, arm: str, outcome: str, scale: float
) -> Caution:
    column, size, error = repr(category.column), scale * left.bias, scale * left.least
    if left.how == "unknown":
        text = (
            f"Levels of {column} are not adjusted for: {rest:.1%} of the units have a level that "
            "no other fold has, and too few units share a level to measure what that does to the "
            f"effect of {arm} on {outcome}."
        )
    elif left.how == "measured":
        text = (
            f"Levels of {column} are not adjusted for well enough: units of one level still share "
            f"what neither model foresaw, which moves the effect of {arm} on {outcome} by about "
            f"{size:.3g}; its standard error is {error:.2g}."
        )
    else:
        text = (
            f"Levels of {column} have few units each: what these leave open is expected to move "
            f"the effect of {arm} on {outcome} by about {size:.3g}; its standard error is "
            f"{error:.2g}."
        )
    return Caution(f"{text} {_ADVICE}", stops=left.stops, arms=(arm,), outcomes=(outcome,))


_ADVICE = (
    "Merge levels into fewer that have units enough, add covariates that say what sets the levels "
    "apart, or leave the column out if it does not matter."
)


def _of_rest(category: TargetEncoded, share: float, units: int) -> str:
    return (
        f"Of the {category.levels:,} levels of {category.column!r}, those of {share:.1%} of the "
        f"units ({share * units:,.0f}) are in no other fold: these units share one value, the mean "
        "of all."
    )
