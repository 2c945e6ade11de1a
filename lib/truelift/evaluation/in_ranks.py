"""A comparison of rankers over the users of all ranks.

Each rank evaluates the users of its own part of the table; what leaves a rank are sums
(:mod:`truelift.evaluation.sums`), so two ranks and one give the same figures to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from truelift.distributed.collective import Alone, Collective
from truelift.evaluation import items_together, session_neighbours
from truelift.evaluation.baselines import count_actions, count_known
from truelift.evaluation.comparison import Comparison, add_part, add_strangers
from truelift.evaluation.evaluator import Evaluator
from truelift.evaluation.sums import State
from truelift.models.sequence.histories import Histories
from truelift.settings import SequenceOptions

# Stripes of the catalogue in which ranks exchange pairs of items, so that no rank has to hold
# the pairs of all of them at once.
_STRIPES = 8


class RankComparison(Comparison):
    """A :class:`Comparison` whose users lie in shards, those of other ranks with them.

    Parameters
    ----------
    shards : callable
        Gives this rank's whole histories, a shard at a time; called once an evaluation.
    split, items, options, seed, arrays, task
        As for :class:`Comparison`.
    ranks : Collective
        Those that have the other users.
    """

    def __init__(
        self, shards: Callable[[], Iterable[Histories]], split: Any, items: int,
        options: SequenceOptions, *others: Any, ranks: Collective | None = None, **named: Any,
    ) -> None:  # fmt: skip
        super().__init__(split, items, options, *others, **named)
        self._shards, self._ranks = shards, ranks or Alone()

    def _count(self) -> dict[str, dict[str, np.ndarray]]:
        count = count_actions if self._classifies else count_known
        own = count(self._shards, self._split, self._items, self._ranks.join)
        return {
            part: {
                name: self._ranks.sum(counts, f"{part} {name}")
                for name, counts in sorted(of_part.items())
            }
            for part, of_part in own.items()
        }

    def _sums(self, evaluator: Evaluator, part: str) -> State:
        state = evaluator.layout.zeros()
        for histories in self._shards():
            add_part(evaluator, state, self._split, part, histories, self._classifies)
        if self._ranks.rank == 0:
            add_strangers(evaluator, state, self._split, part)
        return {
            name: self._ranks.sum(own, f"{part} {name}") if own.size else own
            for name, own in state.items()
        }

    def _fit_neighbours(self) -> items_together.Neighbours:
        step, each = self._sequence.histories.step, self._sequence.evaluation.neighbours
        shards = (self._split.training(histories) for histories in self._shards())
        own = items_together.count_pairs(shards, self._items, step, each)
        counts = self.training_counts
        # An item's pairs lie in one stripe, so each stripe can be cut to the neighbours alone.
        stripe = own.pairs // (self._items + 1) % _STRIPES
        parts = []
        for number in range(_STRIPES):
            mine = stripe == number
            pairs = items_together.PairCounts.of(
                self._items,
                self._ranks.join(own.pairs[mine], f"pairs {number}"),
                self._ranks.join(own.counts[mine], f"pair counts {number}"),
            )
            parts.append(pairs.strongest(each, items_together.similarity(pairs, counts, step)))
        joined = items_together.PairCounts.of(
            self._items,
            np.concatenate([p.pairs for p in parts]),
            np.concatenate([p.counts for p in parts]),
        )
        return items_together.Neighbours.fit(joined, counts, step, each)

    def _fit_sessions(self) -> session_neighbours.SessionNeighbours:
        shards = (self._split.training(histories) for histories in self._shards())
        own = session_neighbours.collect(shards)
        of_all = session_neighbours.Sessions(
            *(
                self._ranks.join(getattr(own, name), f"session {name}")
                for name in ("keys", "times", "sizes", "items")
            )
        )
        return session_neighbours.SessionNeighbours.fit(
            of_all, self.training_counts, self._sequence.evaluation.neighbours
        )
