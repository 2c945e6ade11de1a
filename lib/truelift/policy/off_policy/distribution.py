"""How rewards are distributed under a policy: quantiles, and the mean of the worst share (CVaR).

With self-normalised weights, ``F(t) = sum w 1{r <= t} / sum w`` is a distribution (Huang, Leqi, Lipton &
Azizzadenesheli 2021). Its quantiles are found exactly, by counts of bits. Their intervals are those of
Woodruff (1952): the quantiles at ``tau -+ t se(F(q))``, with the clustered error of F, at q or right
before it, whichever is larger. ``CVaR = q + E[min(r - q, 0)] / alpha`` (Rockafellar & Uryasev 2000); its
derivative in q is zero there, so that its error is that of a ratio of sums.

A difference of two policies' quantiles is one of their influence functions, ``-(1{r <= q} - F(q)) s``, on the same
users: the covariance of the two F is clustered and joint, and s, how far a quantile moves with its share, is the width
of its interval by the share that this spans (Deng, Knoblich & Lu 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import special

from truelift.arrays.float_bits import NARROW, counts_by_part, ordered_bits, values_at
from truelift.inference.clusters import ClusterSums
from truelift.policy.off_policy.inference import band_factor, ratios_of
from truelift.policy.off_policy.log import BanditLog
from truelift.policy.off_policy.reading import Reader, Rows
from truelift.policy.off_policy.results import DistributionEstimate
from truelift.policy.off_policy.spec import BanditSpec

State = dict[str, np.ndarray]
PRESENT = "the present policy"
QUANTILE, CVAR = "quantile", "CVaR"
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Point:
    """A quantile that is looked for: by the place of its policy (-1: the present one) and reward."""

    policy: int
    reward: int
    share: float


@dataclass(frozen=True, eq=False)
class CountKernel:
    """Weighted counts of the next bits of the rewards that share a point's first ones."""

    reader: Reader
    points: tuple[Point, ...]
    step: int
    prefixes: np.ndarray

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        seen, counts = 0, np.zeros((len(self.points), 1 << NARROW))
        for batch in batches:
            rows = self.reader.rows(batch, seen, bucket)
            seen += batch.num_rows
            bits = ordered_bits(np.ascontiguousarray(rows.rewards.T))
            for i, point in enumerate(self.points):
                weights = weights_of(rows, point.policy)
                prefix = self.prefixes[i] if self.step else np.uint64(0)
                counts[i] += counts_by_part(bits[point.reward], self.step, prefix, NARROW, weights)
        return {"counts": counts} if seen else None


@dataclass(frozen=True, eq=False)
class TailKernel:
    """Sums by user of the weights, of those at and below each quantile, and of what is missing there.

    Lines: the weights of each policy; then for each point ``w 1{r <= q}``, ``w 1{r < q}`` and
    ``w min(r - q, 0)``.
    """

    reader: Reader
    policies: tuple[int, ...]
    points: tuple[Point, ...]
    quantiles: np.ndarray

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        seen, first = 0, len(self.policies)
        sums = ClusterSums(first + 3 * len(self.points))
        for batch in batches:
            rows = self.reader.rows(batch, seen, bucket)
            seen += batch.num_rows
            lines = np.empty((first + 3 * len(self.points), batch.num_rows))
            for i, policy in enumerate(self.policies):
                lines[i] = weights_of(rows, policy)
            for i, (point, q) in enumerate(zip(self.points, self.quantiles, strict=True)):
                weights, reward = (
                    lines[self.policies.index(point.policy)],
                    rows.rewards[:, point.reward],
                )
                at = first + 3 * i
                lines[at], lines[at + 1] = weights * (reward <= q), weights * (reward < q)
                lines[at + 2] = weights * np.minimum(reward - q, 0.0)
            sums.add(rows.users, lines)
        if not seen:
            return None
        keys, found = sums.finish()
        below = np.array(
            [found[self.policies.index(p.policy)] for p in self.points for _ in range(3)]
        )
        above = found[first:]
        powers = [above**k * below ** (4 - k) for k in range(4, -1, -1)] if len(below) else []
        return {
            "total": found.sum(axis=1), "cross": found @ found.T,
            "clusters": np.array([float(len(keys))]),
            "powers": np.array([power.sum(axis=1) for power in powers]).T.reshape(-1, 5),
        }  # fmt: skip


def weights_of(rows: Rows, policy: int) -> np.ndarray:
    """Of each row under a policy; ones under the present one."""
    if policy < 0:
        return np.ones(len(rows.propensity))
    return np.asarray(rows.chances[:, policy] / rows.propensity)


def weighted_quantiles(log: BanditLog, reader: Reader, points: Sequence[Point]) -> np.ndarray:
    """The smallest rewards that so large a share of the policy's rewards are not above."""
    own = tuple(points)
    if not own:
        return np.zeros(0)
    shares = np.array([p.share for p in own])
    return values_at(
        lambda step, prefixes: log.sum(CountKernel(reader, own, step, prefixes))["counts"],
        lambda total: np.asarray(shares * total * (1 - _ROUNDING)),
        NARROW,
    )


def distributions(
    log: BanditLog, reader: Reader, policies: Sequence[int], ranges: Sequence[tuple[float, float]]
) -> tuple[DistributionEstimate, ...]:
    """Quantiles and means of the worst share, of the present policy first.

    Parameters
    ----------
    log : BanditLog
    reader : Reader
    policies : sequence of int
        Places of those that the log supports.
    ranges : sequence of (float, float)
        The least and the greatest of each reward, infinite where nobody knows.
    """
    spec = reader.spec
    asked = spec.distribution
    assert asked is not None
    every = (-1, *policies)
    shares = sorted({*asked.quantiles, *asked.cvar})
    points = tuple(Point(p, j, s) for j in range(len(spec.rewards)) for p in every for s in shares)
    values = weighted_quantiles(log, reader, points)
    state = log.sum(TailKernel(reader, every, points, values))
    found: list[DistributionEstimate] = []
    for j in range(len(spec.rewards)):
        own = [i for i, p in enumerate(points) if p.reward == j]
        found += _of_reward(log, reader, points, values, state, own, ranges[j])
    return tuple(found)


def _of_reward(
    log: BanditLog, reader: Reader, points: tuple[Point, ...], values: np.ndarray, state: State,
    own: list[int], span: tuple[float, float],
) -> list[DistributionEstimate]:  # fmt: skip
    spec, asked = reader.spec, reader.spec.distribution
    assert asked is not None
    every = list(dict.fromkeys(p.policy for p in points))
    first, low, high = len(every), *span
    quantiles = [i for i in own if points[i].share in asked.quantiles]
    tails = [i for i in own if points[i].share in asked.cvar]
    by = {i: every.index(points[i].policy) for i in own}
    # Of each quantile the line, at it or before it, with the larger error.
    lines = {i: first + 3 * i for i in quantiles}
    both = [[(line + k, by[i])] for i, line in lines.items() for k in (0, 1)]
    spread = np.diag(ratios_of(both, state)[1]).reshape(-1, 2) if both else np.zeros((0, 2))
    for i, (at, before) in zip(quantiles, spread, strict=True):
        lines[i] += int(before > at)
    terms = [(lines[i], by[i]) for i in quantiles] + [(first + 3 * i + 2, by[i]) for i in tails]
    scale = [1.0] * len(quantiles) + [1 / points[i].share for i in tails]
    estimates, covariance = ratios_of([[t] for t in terms], state, [[s] for s in scale])
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    degrees = np.array([_degrees(state, first, line, by_) for line, by_ in terms])
    single = special.stdtrit(degrees, 0.5 + spec.confidence / 2)
    known = [
        k for k, i in enumerate([*quantiles, *tails]) if errors[k] > 0 and points[i].policy >= 0
    ]
    factor = single.max(initial=0.0)
    if known:
        factor = band_factor(
            covariance[np.ix_(known, known)],
            degrees[known],
            spec.confidence,
            spec.band_draws,
            spec.seed,
        )
    reach = np.maximum(factor, single)
    own_points = [points[i] for i in quantiles]
    ends = _ends(log, reader, own_points, errors, (single, reach), span)
    gaps = _quantile_gaps(own_points, values[quantiles], ends, covariance, single)
    names = dict(zip(every, [PRESENT, *(spec.names[p] for p in every[1:])], strict=True))
    found = [
        DistributionEstimate(
            names[points[i].policy], spec.rewards[points[i].reward], QUANTILE, points[i].share,
            float(values[i]), None, ends[k][0], ends[k][1], ends[k][2], ends[k][3], *gaps[k],
        )
        for k, i in enumerate(quantiles)
    ]  # fmt: skip
    present = {points[i].share: k for k, i in enumerate(tails) if points[i].policy < 0}
    for k, i in enumerate(tails, len(quantiles)):
        q, share = float(values[i]), points[i].share
        estimate = float(q + estimates[k])
        bounds = [
            estimate + side * f * errors[k] for f in (single[k], reach[k]) for side in (-1, 1)
        ]
        kept = [_bound(min(max(b, low), high)) for b in bounds]
        gap: tuple[float | None, float | None, float | None] = (None, None, None)
        if points[i].policy >= 0:
            other = len(quantiles) + present[share]
            change = estimate - float(values[tails[present[share]]] + estimates[other])
            variance = covariance[k, k] + covariance[other, other] - 2 * covariance[k, other]
            half = float(single[k] * np.sqrt(max(variance, 0.0)))
            gap = (change, change - half, change + half)
        found.append(
            DistributionEstimate(
                names[points[i].policy], spec.rewards[points[i].reward], CVAR, share, estimate,
                float(errors[k]), kept[0], kept[1], kept[2], kept[3], *gap,
            )
        )  # fmt: skip
    return found


def _ends(
    log: BanditLog, reader: Reader, quantiles: list[Point], errors: np.ndarray,
    factors: tuple[np.ndarray, np.ndarray], span: tuple[float, float],
) -> list[tuple[float | None, ...]]:  # fmt: skip
    """Ends of each quantile's interval and band."""
    wanted, place = [], []
    bounds: list[list[float | None]] = [[None] * 4 for _ in quantiles]
    for k, point in enumerate(quantiles):
        for f, factor in enumerate(factors):
            for side, sign in enumerate((-1, 1)):
                share = point.share + sign * factor[k] * errors[k]
                if share <= 0 or share >= 1:
                    bounds[k][2 * f + side] = _bound(span[side])
                    continue
                wanted.append(Point(point.policy, point.reward, float(share)))
                place.append((k, 2 * f + side))
    for (k, at), value in zip(place, weighted_quantiles(log, reader, wanted), strict=True):
        bounds[k][at] = float(value)
    return [tuple(one) for one in bounds]


def _quantile_gaps(
    quantiles: list[Point], values: np.ndarray, ends: list[tuple[float | None, ...]],
    covariance: np.ndarray, single: np.ndarray,
) -> list[tuple[float | None, float | None, float | None]]:  # fmt: skip
    """Each quantile less that of the present policy, with its interval; nothing of the present one."""
    present = {point.share: k for k, point in enumerate(quantiles) if point.policy < 0}
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))

    def slope(k: int) -> float:
        low, high = ends[k][:2]
        if low is None or high is None:
            return np.nan
        reach, share = single[k] * errors[k], quantiles[k].share
        spanned = min(share + reach, 1.0) - max(share - reach, 0.0)
        return float((high - low) / spanned) if spanned > 0 else 0.0

    found: list[tuple[float | None, float | None, float | None]] = []
    for k, point in enumerate(quantiles):
        if point.policy < 0:
            found.append((None, None, None))
            continue
        other = present[point.share]
        change = float(values[k] - values[other])
        own, its = slope(k), slope(other)
        variance = own**2 * covariance[k, k] + its**2 * covariance[other, other]
        variance -= 2 * own * its * covariance[k, other]
        half = float(max(single[k], single[other]) * np.sqrt(np.maximum(variance, 0.0)))
        found.append((change, _bound(change - half), _bound(change + half)))
    return found


def _bound(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _degrees(state: State, first: int, line: int, by: int) -> float:
    """Users in effect less one, at least one: ``(sum psi^2)^2 / sum psi^4 - 1``."""
    total, below = float(state["total"][line]), float(state["total"][by])
    clusters = float(state["clusters"][0])
    ratio = total / below if below else 0.0
    cross, powers = state["cross"], state["powers"][line - first]
    squares = cross[line, line] - 2 * ratio * cross[line, by] + ratio**2 * cross[by, by]
    signs = np.array([1.0, -4 * ratio, 6 * ratio**2, -4 * ratio**3, ratio**4])
    fourth, floor = float(signs @ powers), _ROUNDING * float(np.abs(signs) @ powers)
    effective = squares**2 / fourth if fourth > floor else clusters
    return max(min(effective, clusters) - 1, 1.0)


def ranges_of(spec: BanditSpec, checked: State) -> list[tuple[float, float]]:
    """The least and the greatest of each reward, as far as anybody says."""
    found = []
    for j in range(len(spec.rewards)):
        if spec.reward_range:
            found.append((spec.reward_range[0], spec.reward_range[1]))
        elif not checked["not_binary"][j]:
            found.append((0.0, 1.0))
        else:
            found.append((-np.inf, np.inf))
    return found
