"""Which estimator errs least on a problem like the one at hand, made of the log itself (PAS-IF).

Udagawa, Kiyohara, Narita, Saito & Tateno (2023) split a log in two, so that one part looks as if the policy
in question had written it and the other as if the log's policy had: the mean reward of the first is then a
truth that estimates from the second can be held to. They learn the split; here it has a closed form. A row
with the weight w goes to the first part with the chance ``rho = c w / (1 + c w)``, so that the ratio of the
two parts' densities is ``rho (1 - k) / ((1 - rho) k) = w c (1 - k) / k`` with k the mean of rho: the log's own
weights but for a constant. ``c`` gives the first part a fifth of the rows. The policy's mean prediction is
taken over the rows of the first part, where its actions stand, so that nothing is of rows x actions.

Rows are split one by one, as they are independent; of dependent rows both parts have some of each user, and
errors are somewhat too small for all estimators alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import mix
from truelift.policy.off_policy.estimators import (
    CLIPPED,
    CORRECTION,
    FIXED_LINES,
    OPTIMISTIC,
    PREDICTED,
    ROBUST_CORRECTION,
    ROBUST_PREDICTED,
    SWITCHED,
    WEIGHT,
    WEIGHTED_REWARD,
    Candidate,
    Layout,
)
from truelift.policy.off_policy.log import BanditLog
from truelift.policy.off_policy.passes import ValueKernel
from truelift.policy.off_policy.support import BIN_LOWEST, BIN_STEPS

State = dict[str, np.ndarray]
SPLITS = 10
#: Rows that look as if the policy had written them.
SHARE = 0.2
_BISECTIONS = 60


@dataclass(frozen=True, eq=False)
class ShareKernel:
    """Sums of the chances of the first part by policy, with a constant for each (P)."""

    values: ValueKernel
    constants: np.ndarray

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        found, seen = np.zeros(len(self.constants)), 0
        for batch in batches:
            rows = self.values.reader.rows(batch, seen, bucket)
            seen += batch.num_rows
            w = rows.chances / rows.propensity[:, None]
            scaled = self.constants * w
            found += (scaled / (1 + scaled)).sum(axis=0)
        return {"shares": found, "rows": np.array([float(seen)])} if seen else None


def split_sums(log: BanditLog, values: ValueKernel, state: Mapping[str, np.ndarray]) -> State:
    """Two passes: the constants' means, then sums of both parts of all splits."""
    rows = float(state["total.0"][-1])
    constants = constants_of(state["weight_bins"], rows)
    shares = log.sum(ShareKernel(values, constants))
    return log.sum(SplitKernel(values, constants, shares["shares"] / shares["rows"][0]))


def constants_of(bins: np.ndarray, rows: float) -> np.ndarray:
    """The c of every policy, from the counts of its weights by bin (P x bins), about as wide as a bin.

    A policy whose weights are above zero in less than a third of the rows gets three fifths of those.
    """
    middle = 2.0 ** (BIN_LOWEST + (np.arange(bins.shape[1]) + 0.5) / BIN_STEPS)
    found = np.ones(len(bins))
    for p, counts in enumerate(bins):
        wanted = min(SHARE, 0.6 * counts.sum() / rows) * rows
        low, high = 1e-9, 1e9
        for _ in range(_BISECTIONS):
            c = float(np.sqrt(low * high))
            enough = counts @ (c * middle / (1 + c * middle)) > wanted
            low, high = (low, c) if enough else (c, high)
        found[p] = np.sqrt(low * high)
    return found


@dataclass(frozen=True, eq=False)
class SplitKernel:
    """Sums of both parts of every split, by policy and reward.

    Parameters
    ----------
    values : ValueKernel
    constants, means : ndarray, P
        c and k.
    """

    values: ValueKernel
    constants: np.ndarray
    means: np.ndarray

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        reader, layout = self.values.reader, self.values.layout
        spec, fold = reader.spec, bucket % reader.spec.folds
        policies, rewards, seen = len(spec.policies), len(spec.rewards), 0
        width = FIXED_LINES + len(layout.tuned)
        second = np.zeros((rewards, policies, SPLITS, width))
        first = np.zeros((rewards, policies, SPLITS, 3))
        sizes = np.zeros((policies, SPLITS, 2))
        for batch in batches:
            if not batch.num_rows:
                continue
            rows = reader.rows(batch, seen, bucket)
            draws = _uniform(bucket, seen, batch.num_rows)
            seen += batch.num_rows
            looked = rows if self.values.learned is None else self.values.learned.seen(rows, fold)
            w = rows.chances / rows.propensity[:, None]
            for p in range(policies):
                chance = self.constants[p] * w[:, p]
                chance /= 1 + chance
                here = draws < chance  # splits x rows
                factor = self.constants[p] * (1 - self.means[p]) / max(self.means[p], 1e-300)
                sizes[p, :, 0] += here.sum(axis=1)
                sizes[p, :, 1] += (~here).sum(axis=1)
                for j in range(rewards):
                    r = rows.rewards[:, j]
                    model = self.values.model_of(j, fold)
                    q = (
                        np.zeros(len(r))
                        if model is None
                        else model.of_actions(looked.features, rows.action)
                    )
                    robust = q
                    if self.values.robust:
                        robust = self.values.robust[j][p][fold].of_actions(
                            rows.features, rows.action
                        )
                    lines = row_lines(factor * w[:, p], r, q, robust, layout)
                    second[j, p] += (~here) @ lines.T
                    first[j, p] += here @ np.column_stack([r, q, robust])
        if not seen:
            return None
        return {"first": first, "second": second, "sizes": sizes}


def row_lines(
    w: np.ndarray, r: np.ndarray, q: np.ndarray, robust: np.ndarray, layout: Layout
) -> np.ndarray:
    """Lines of :class:`~.estimators.Layout` of single rows (lines x n), but for mean predictions."""
    lines = np.zeros((FIXED_LINES + len(layout.tuned), len(w)))
    lines[WEIGHT], lines[WEIGHTED_REWARD] = w, w * r
    lines[CORRECTION], lines[ROBUST_CORRECTION] = w * (r - q), w * (r - robust)
    for k, (code, value) in enumerate(layout.tuned):
        if code == CLIPPED:
            line = np.minimum(w, value) * r
        elif code == SWITCHED:
            line = np.where(w <= value, lines[CORRECTION], 0.0)
        elif code == OPTIMISTIC:
            line = value * lines[CORRECTION] / np.maximum(w * w + value, 1e-300)
        else:
            line = lines[CORRECTION] / (1.0 + value * (w - 1.0))
        lines[FIXED_LINES + k] = line
    return lines


def _uniform(bucket: int, seen: int, rows: int) -> np.ndarray:
    """Numbers from 0 to 1, splits x rows, that follow from the bucket and the row's place in it."""
    place = np.arange(seen, seen + rows, dtype=np.uint64) + (np.uint64(bucket + 1) << np.uint64(40))
    split = mix(np.arange(SPLITS, dtype=np.uint64) + np.uint64(1))
    with np.errstate(over="ignore"):
        keys = mix(mix(place)[None, :] ^ split[:, None])
    return (keys >> np.uint64(11)).astype(float) / 2.0**53


def pseudo_errors(
    state: Mapping[str, np.ndarray], layout: Layout, reward: int, candidates: tuple[Candidate, ...]
) -> np.ndarray:
    """Mean squared distance of every candidate from the first part's mean reward, over the splits (M).

    NaN where an estimate has weights of groups, which splits do not keep.
    """
    found = np.full(len(candidates), np.nan)
    alone = Layout(1, layout.estimators, layout.grids)
    for m, candidate in enumerate(candidates):
        p = candidate.policy
        sizes = state["sizes"][p]
        if (sizes == 0).any():
            continue
        mean = state["first"][reward, p] / sizes[:, :1]
        lines = np.zeros((SPLITS, alone.lines))
        width = FIXED_LINES + len(layout.tuned)
        lines[:, :width] = state["second"][reward, p] / sizes[:, 1:]
        lines[:, PREDICTED], lines[:, ROBUST_PREDICTED] = mean[:, 1], mean[:, 2]
        lines[:, -1] = 1.0
        terms = alone.terms(Candidate(0, candidate.estimator, candidate.tuning))
        if any(width <= up < alone.width for up, _ in terms):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            estimate = sum(lines[:, up] / lines[:, down] for up, down in terms)
        found[m] = float(np.mean((estimate - mean[:, 0]) ** 2))
    return found
