"""The model beside its baselines on the splits, over all users.

What is *counted* (popularity) counts up to the evaluated window. What is *fitted* (neighbours,
factors) learns from the training part alone, as the model does. The window of recent popularity
and the best baseline, which the tests compare with, are chosen on the validation part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from truelift.errors import DataError
from truelift.evaluation import factors, items_together, session_neighbours
from truelift.evaluation.baselines import (
    ALL_TIME,
    MOST_FREQUENT,
    RECENT_DAYS,
    Popularity,
    next_actions,
    rankers,
    recent_name,
)
from truelift.evaluation.champion import rivals
from truelift.evaluation.evaluator import EvaluationOptions, Evaluator, Ranker
from truelift.evaluation.finish import Finish
from truelift.evaluation.measures import Catalogue
from truelift.evaluation.positions import pieces
from truelift.evaluation.results import RankingMetrics
from truelift.evaluation.sums import State
from truelift.models.sequence.histories import Histories, ItemSets
from truelift.models.sequence.registry import CLASSIFICATION
from truelift.settings import SequenceOptions

PARTS = ("validation", "test")


@dataclass(frozen=True)
class Tested:
    """What the test part says.

    Parameters
    ----------
    metrics : tuple of RankingMetrics
        The model first, then the baselines, then the champion.
    gains : dict of str to tuple of float
        For each of the others the model's NDCG less the baseline's, with its 95% interval.
    best_baseline : str or None
        The baseline with the best NDCG on the validation part.
    left_out : int
        Users whose wanted items were all seen, where those are dropped.
    """

    metrics: tuple[RankingMetrics, ...] = ()
    gains: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    best_baseline: str | None = None
    left_out: int = 0


def wanted(
    split: Any, part: str, histories: Histories, classifies: bool
) -> tuple[Histories, ItemSets]:
    """The pasts of a part's users and what is wanted of each: items, or the next action."""
    past, relevant = getattr(split, part)(histories)
    return next_actions(histories, past) if classifies else (past, relevant)


def add_part(
    evaluator: Evaluator,
    state: State,
    split: Any,
    part: str,
    histories: Histories,
    classifies: bool,
) -> None:
    """Add some users' part of a split to an evaluator's sums; with the test go its newcomers."""
    for some in pieces(histories, getattr(split, "positions", "next")):
        evaluator.add(state, *wanted(split, part, some, classifies))
        if part == "test" and not classifies:
            evaluator.add_newcomers(state, *split.newcomers(some))


def add_strangers(evaluator: Evaluator, state: State, split: Any, part: str) -> None:
    """Add the users of a given test part whom the lake does not know, if there are any."""
    if part != "test" or not hasattr(split, "strangers"):
        return
    for some in pieces(split.strangers(), split.positions):
        evaluator.add(state, *split.test_of_strangers(some))
        evaluator.add_newcomers(state, *split.newcomers_of_strangers(some))


class Comparison(ABC):
    """Evaluates rankers on the parts of a split; how users are passed over is another's business.

    Ranks (:class:`~.in_ranks.RankComparison`) and Spark (:class:`~.on_spark.SparkComparison`) add
    the same whole numbers up.

    Parameters
    ----------
    split : object
        Has ``training``, ``validation``, ``test`` and ``newcomers``.
    items : int
        Size of the catalogue; for a classifier the number of actions.
    options : SequenceOptions
    seed : int
    arrays : mapping of str to numpy.ndarray
        ``categories`` (codes of the items), ``item_factors`` (of Spark ALS) and the champion
        (:func:`~truelift.evaluation.champion.as_arrays`), where known; ``allowed``, where only
        some items compete.
    task : str
        ``'ranking'``, or ``'classification'``: the next action is wanted in place of the next
        items, and accuracy is measured.
    """

    def __init__(
        self,
        split: Any,
        items: int,
        options: SequenceOptions,
        seed: int = 0,
        arrays: Mapping[str, np.ndarray] | None = None,
        task: str = "ranking",
    ) -> None:
        self._split, self._items = split, items
        self._sequence, self._arrays = options, dict(arrays or {})
        self._classifies = task == CLASSIFICATION
        # Not functools.cached_property: its lock is of the class, and these call collectives.
        self._made: dict[str, Any] = {}
        chosen = EvaluationOptions.of(options, seed)
        if self._classifies:
            # Actions come again and again: none is ever "seen".
            chosen = replace(chosen, seen_items="keep", accuracy=True)
        self.options = chosen

    @property
    def popularity(self) -> dict[str, dict[str, np.ndarray]]:
        """Counts before the validation and the test part, by baseline; all ranks together."""
        found: dict[str, dict[str, np.ndarray]] = self._once("popularity", self._count)
        return found

    @abstractmethod
    def _count(self) -> dict[str, dict[str, np.ndarray]]:
        """Counts of items by part and baseline, over all users."""

    @abstractmethod
    def _sums(self, evaluator: Evaluator, part: str) -> State:
        """The evaluator's sums over the users of a part, all of them."""

    @abstractmethod
    def _fit_neighbours(self) -> items_together.Neighbours:
        """Pairs of items of the training part."""

    @abstractmethod
    def _fit_sessions(self) -> session_neighbours.SessionNeighbours:
        """The latest sessions of the training part."""

    @property
    def training_counts(self) -> np.ndarray:
        """How often each item is in the training part, shape (items + 1,)."""
        return self.popularity["training"][ALL_TIME]

    @property
    def catalogue(self) -> Catalogue:
        """The items as the training part knows them."""
        categories = None if self._classifies else self._arrays.get("categories")
        return Catalogue(self.training_counts, categories)

    def validate(self, ranker: Ranker) -> Finish:
        """The headlines and the loss of ``'model'`` on the validation part."""
        evaluator = self._evaluator({"model": ranker}, self.options.briefly(), ("model",))
        return self._run(evaluator, "validation")

    def validation_value(self, ranker: Ranker) -> tuple[float, float]:
        """Validation loss, and what chooses the epoch: accuracy of a classifier, else NDCG."""
        finish = self.validate(ranker)
        name, k = ("accuracy", None) if self._classifies else ("ndcg", self.options.top_k)
        return finish.loss("model"), finish.mean("model", name, k)

    @property
    def recent_days(self) -> int:
        """The window of recent popularity with the best validation NDCG; the shortest of equals."""
        return int(self._once("recent_days", self._best_window))

    def _best_window(self) -> int:
        if self._classifies:
            return RECENT_DAYS[0]
        counts = self.popularity["validation"]
        candidates = {recent_name(d): Popularity(counts[recent_name(d)]) for d in RECENT_DAYS}
        evaluator = self._evaluator(candidates, self.options.briefly())
        best = self._run(evaluator, "validation").best(tuple(candidates))
        return next(d for d in RECENT_DAYS if recent_name(d) == best)

    def baselines(self, part: str) -> dict[str, Ranker]:
        """The baselines by name, as they stand before a part."""
        counts = self.popularity[part]
        if self._classifies:
            return {MOST_FREQUENT: Popularity(counts[ALL_TIME])}
        found: dict[str, Ranker] = dict(
            rankers(counts, self.recent_days, self.options.seen_items == "keep")
        )
        found[items_together.NAME] = self._once("neighbours", self._fit_neighbours)
        if self._sequence.histories.step == "event":
            found[session_neighbours.NAME] = self._once("sessions", self._fit_sessions)
        if "item_factors" in self._arrays:
            found[factors.NAME] = factors.Factors(
                self._arrays["item_factors"], factors.FactorOptions()
            )
        return found

    def test(self, name: str, ranker: Ranker) -> Tested:
        """The model, its baselines and the champion on the test part."""
        return self.compare({name: ranker}, rivals(self._arrays))

    def compare(
        self, models: Mapping[str, Ranker], others: Mapping[str, Ranker] | None = None
    ) -> Tested:
        """Models, the baselines and others on the test part.

        Tests are against the best baseline; ``gains`` are of the first model over all others.
        """
        baselines = self.baselines("validation")
        brief = self._evaluator(baselines, self.options.briefly())
        best = self._run(brief, "validation").best(tuple(baselines))
        everyone = {**models, **self.baselines("test"), **(others or {})}
        finish = self._run(self._evaluator(everyone, self.options), "test")
        first, *rest = everyone
        gains = {}
        for other in rest:
            found = finish.difference(first, other, "ndcg", self.options.top_k)
            gains[other] = (found.mean, found.ci_lower, found.ci_upper)
        return Tested(
            metrics=tuple(finish.metrics(n, best) for n in everyone),
            gains=gains,
            best_baseline=best,
            left_out=int(finish.state["left_out"][0]),
        )

    def _evaluator(
        self,
        rankers: Mapping[str, Ranker],
        options: EvaluationOptions,
        losses: tuple[str, ...] = (),
    ) -> Evaluator:
        allowed = None if self._classifies else self._arrays.get("allowed")
        return Evaluator(rankers, self.catalogue, options, losses, allowed)

    def _run(self, evaluator: Evaluator, part: str) -> Finish:
        state = self._sums(evaluator, part)
        if state["users"][0] == 0:
            raise DataError(
                f"gold.sequences: found no user to evaluate in the {part} part, expected some "
                "with a past and something after it; under sequence.evaluation lengthen "
                "validation_days or test_days, set seen_items to keep, give more data, or, where a "
                "session or a user of the part has nothing before it, set positions to every."
            )
        return Finish(evaluator.layout, state, self.options.top_k)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]
