"""From summed evaluations to means, clustered intervals and paired tests.

With a user's rows ``n_c`` and totals ``S_c``, the mean is ``m = sum S_c / sum n_c`` and its
variance ``G / (G - 1) * sum (S_c - m n_c)^2 / (sum n_c)^2`` over the ``G`` users (the ratio of
two means, clustered; with one row a user the usual standard error). A difference of two rankers
has the same form in ``S_c = A_c - B_c``, so what users have in common cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.distributions import stats
from truelift.errors import DataError
from truelift.evaluation.measures import coverage, gini
from truelift.evaluation.results import Difference, Measure, RankingMetrics, SegmentMeasures
from truelift.evaluation.segment_names import ALL, SEGMENTS
from truelift.evaluation.sums import LOSS_SPAN, UNIT, Layout, State

HEADLINES = ("ndcg", "hit_rate", "mrr", "accuracy")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Finish:
    """Reads the sums of one layout.

    Parameters
    ----------
    layout : Layout
    state : dict of str to numpy.ndarray
        Sums over all shards and ranks.
    k : int
        The cut-off of the headlines.

    Raises
    ------
    DataError
        If nobody was evaluated.
    """

    layout: Layout
    state: State
    k: int

    def __post_init__(self) -> None:
        if self.users() == 0:
            raise DataError("Metrics: found no user to evaluate, expected at least one.")

    def users(self, segment: str = ALL) -> int:
        """Users evaluated in a segment."""
        return int(self.state["users"][SEGMENTS.index(segment)])

    def mean(self, ranker: str, name: str, k: int | None, segment: str = ALL) -> float:
        """Mean of a metric over the rows of a segment."""
        place, metric = SEGMENTS.index(segment), self._metric(name, k)
        total = self.state["sum"][place, metric, self._ranker(ranker)] / UNIT
        return float(total / self.state["rows"][place] * self.layout.spans[metric])

    def loss(self, ranker: str) -> float:
        """Mean cross-entropy a row, in nats."""
        total = self.state["loss"][self._ranker(ranker)] / UNIT * LOSS_SPAN
        return float(total / self.state["rows"][0])

    def measure(self, ranker: str, name: str, k: int | None, segment: str = ALL) -> Measure:
        """A mean with its interval."""
        value = self.mean(ranker, name, k, segment)
        weights = self._weights({ranker: 1.0})
        error = self._error(weights, value, name, k, segment)
        if error is None:
            return Measure(name, k, value)
        half = error * self._t(segment)
        return Measure(name, k, value, value - half, value + half)

    def difference(self, ranker: str, versus: str, name: str, k: int | None) -> Difference:
        """One ranker less another, user by user, with interval and p-value."""
        mean = self.mean(ranker, name, k) - self.mean(versus, name, k)
        error = self._error(self._weights({ranker: 1.0, versus: -1.0}), mean, name, k, ALL)
        if error is None:
            return Difference(versus, name, k, mean, -1.0, 1.0, 1.0)
        half = error * self._t(ALL)
        if error > 0:
            p = float(2 * stats.t.sf(abs(mean) / error, self.users() - 1))
        else:
            p = 1.0 if mean == 0 else 0.0
        return Difference(versus, name, k, mean, mean - half, mean + half, p)

    def best(self, rankers: tuple[str, ...]) -> str | None:
        """The ranker with the highest NDCG; the first of equals, None of none."""
        return max(rankers, key=lambda r: self.mean(r, "ndcg", self.k), default=None)

    def metrics(self, ranker: str, best_baseline: str | None = None) -> RankingMetrics:
        """Everything about one ranker."""
        ndcg = self.measure(ranker, "ndcg", self.k)
        lower, upper = (0.0, 1.0) if ndcg.ci_lower is None else (ndcg.ci_lower, ndcg.ci_upper)
        headlines = [
            (n, k) for n, k in self.layout.metrics if n in HEADLINES and k in (self.k, None)
        ]
        segments = tuple(
            SegmentMeasures(
                s, self.users(s), tuple(self.measure(ranker, n, k, s) for n, k in headlines)
            )
            for s in SEGMENTS[1:]
            if self.users(s)
        )
        differences: tuple[Difference, ...] = ()
        if best_baseline is not None and best_baseline != ranker:
            differences = tuple(self.difference(ranker, best_baseline, n, k) for n, k in headlines)
        return RankingMetrics(
            model=ranker,
            hit_rate=self.mean(ranker, "hit_rate", self.k),
            ndcg=ndcg.value,
            users=self.users(),
            k=self.k,
            ndcg_ci_lower=lower,
            ndcg_ci_upper=1.0 if upper is None else upper,
            measures=(
                *(self.measure(ranker, n, k) for n, k in self.layout.metrics),
                *self._of_exposure(ranker),
            ),
            segments=segments,
            differences=differences,
        )

    def _of_exposure(self, ranker: str) -> tuple[Measure, ...]:
        if not self.layout.items:
            return ()
        shown = self.state["exposure"][self._ranker(ranker), 1:]
        return (
            Measure("coverage", self.k, coverage(shown)),
            Measure("gini", self.k, gini(shown)),
        )

    def _ranker(self, name: str) -> int:
        return self.layout.rankers.index(name)

    def _metric(self, name: str, k: int | None) -> int:
        return self.layout.metrics.index((name, k))

    def _weights(self, of: dict[str, float]) -> np.ndarray:
        weights = np.zeros(len(self.layout.rankers) + 1)
        for ranker, weight in of.items():
            weights[1 + self._ranker(ranker)] += weight
        return weights

    def _t(self, segment: str) -> float:
        return float(stats.t.ppf(0.5 + CONFIDENCE / 2, self.users(segment) - 1))

    def _error(
        self, weights: np.ndarray, mean: float, name: str, k: int | None, segment: str
    ) -> float | None:
        """Clustered standard error of the mean of a combination; None with fewer than two users."""
        place, metric = SEGMENTS.index(segment), self._metric(name, k)
        users, rows = self.state["users"][place], self.state["rows"][place]
        if users < 2:
            return None
        span = self.layout.spans[metric]
        one, other = self.layout.pairs
        cross = np.zeros((len(weights), len(weights)))
        cross[one, other] = self.state["cross"][place, metric] / UNIT
        cross[other, one] = cross[one, other]
        centred = weights.copy()
        centred[0] = -mean / span
        squares = max(float(centred @ cross @ centred), 0.0)
        return float(np.sqrt(users / (users - 1) * squares) / rows * span)
